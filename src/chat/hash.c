/* SPDX-License-Identifier: MIT */
/* A hash table with its links in the elements: see hash.h. */
#include "chat/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "chat/names.h"

#define SIZE_AT_FIRST 64

int hash_init(struct hash_table *table)
{
	table->buckets = calloc(SIZE_AT_FIRST, sizeof(*table->buckets));
	if (!table->buckets)
		return -ENOMEM;
	table->size = SIZE_AT_FIRST;
	table->count = 0;
	return 0;
}

void hash_clear(struct hash_table *table)
{
	free(table->buckets);
	*table = (struct hash_table){ .buckets = NULL };
}

static struct hash_node **bucket_of(const struct hash_table *table, uint32_t hash)
{
	return &table->buckets[hash & (table->size - 1)];
}

struct hash_node *hash_find(const struct hash_table *table, uint32_t hash, hash_match *match,
			    const void *key)
{
	for (struct hash_node *n = *bucket_of(table, hash); n; n = n->next) {
		if (n->hash == hash && match(n, key))
			return n;
	}
	return NULL;
}

static void put(struct hash_table *table, struct hash_node *node)
{
	struct hash_node **bucket = bucket_of(table, node->hash);

	node->next = *bucket;
	*bucket = node;
}

static void grow(struct hash_table *table)
{
	struct hash_table bigger = { .size = table->size * 2, .count = table->count };

	bigger.buckets = calloc(bigger.size, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return; /* longer chains, nothing worse */
	for (size_t i = 0; i < table->size; i++) {
		for (struct hash_node *n = table->buckets[i], *next; n; n = next) {
			next = n->next;
			put(&bigger, n);
		}
	}
	free(table->buckets);
	*table = bigger;
}

void hash_add(struct hash_table *table, struct hash_node *node, uint32_t hash)
{
	if (table->count >= table->size)
		grow(table);
	node->hash = hash;
	put(table, node);
	table->count++;
}

void hash_remove(struct hash_table *table, struct hash_node *node)
{
	struct hash_node **p = bucket_of(table, node->hash);

	while (*p != node) {
		assert(*p);
		p = &(*p)->next;
	}
	*p = node->next;
	node->next = NULL;
	table->count--;
}

struct hash_node *hash_next(const struct hash_table *table, const struct hash_node *node)
{
	size_t i = 0;

	if (node) {
		if (node->next)
			return node->next;
		i = (node->hash & (table->size - 1)) + 1;
	}
	for (; i < table->size; i++) {
		if (table->buckets[i])
			return table->buckets[i];
	}
	return NULL;
}

static uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint32_t hash_bytes(const struct hash_key *key, const void *data, size_t size)
{
	uint64_t v[4] = { key->k0 ^ UINT64_C(0x736f6d6570736575),
			  key->k1 ^ UINT64_C(0x646f72616e646f6d),
			  key->k0 ^ UINT64_C(0x6c7967656e657261),
			  key->k1 ^ UINT64_C(0x7465646279746573) };
	const char *p = data;
	uint64_t word, last = (uint64_t)size << 56;
	size_t left = size;

	for (; left >= 8; left -= 8, p += 8) {
		memcpy(&word, p, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	word = 0;
	memcpy(&word, p, left);
	last |= word;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	v[0] ^= v[1] ^ v[2] ^ v[3];
	return (uint32_t)(v[0] ^ v[0] >> 32);
}

uint32_t hash_name(const struct hash_key *key, const char *name)
{
	char folded[NAME_KEY_MAX];

	return hash_bytes(key, folded, name_key(name, folded));
}
