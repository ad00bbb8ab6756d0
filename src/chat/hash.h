/* SPDX-License-Identifier: MIT */
/*
 * A hash table whose links lie in the elements, so that adding never fails: growing that finds
 * no memory is put off. Keys are the elements' own affair: the caller gives the hash and a
 * match function. Hashes are SipHash-1-3 with a secret key, for names come from the network.
 */
#ifndef FOSTER_CHAT_HASH_H
#define FOSTER_CHAT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0, k1;
};

struct hash_node {
	struct hash_node *next;
	uint32_t hash;
};

typedef bool hash_match(const struct hash_node *node, const void *key);

struct hash_table {
	struct hash_node **buckets;
	size_t size; /* of buckets, a power of two */
	size_t count;
};

int hash_init(struct hash_table *table);   /* 0 or -ENOMEM */
void hash_clear(struct hash_table *table); /* frees the table, not the elements */

struct hash_node *hash_find(const struct hash_table *table, uint32_t hash, hash_match *match,
			    const void *key);
void hash_add(struct hash_table *table, struct hash_node *node, uint32_t hash);
void hash_remove(struct hash_table *table, struct hash_node *node); /* must be in it */

/* The node after node, NULL for the first one: to walk through all of them. */
struct hash_node *hash_next(const struct hash_table *table, const struct hash_node *node);

uint32_t hash_bytes(const struct hash_key *key, const void *data, size_t size);
uint32_t hash_name(const struct hash_key *key, const char *name); /* alike ones have one: names.h */

#endif
