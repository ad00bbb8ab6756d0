/* SPDX-License-Identifier: MIT */
/*
 * How often somebody may try a password, or make an account. A guard is what was tried lately with
 * one key, which says whose failures count together: those from an address; but from this machine,
 * which may be everybody behind a proxy, those with one account. Keys are compared as they are.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/room-internal.h"

#define TRY_TIME   (6 * USEC_PER_SEC) /* after which one more try is free */
#define TRIES      100 /* at once: as many as may sit behind one address, and come at one time */
#define SWEEP_AT   64
#define GUARDS_MAX 4096

/* Each try moves until on; those that were right move it back. */
struct guard {
	struct hash_node by_key;
	uint64_t until;
	uint16_t size;
	char key[];
};

struct key {
	uint16_t size;
	char bytes[1 + ROOM_HOST_MAX + NAME_KEY_MAX];
};

uint32_t place_of(const struct room *room, const char *host)
{
	struct in6_addr address;

	if (inet_pton(AF_INET6, host, &address) == 1)
		return hash_bytes(&room->config->secret, &address, 8);
	return hash_bytes(&room->config->secret, host, strlen(host));
}

static void add_to_key(struct key *key, const void *data, size_t size)
{
	memcpy(key->bytes + key->size, data, size);
	key->size += size;
}

/* An IPv6 network counts as one. */
static void add_address(struct key *key, const char *host)
{
	struct in6_addr address;

	if (inet_pton(AF_INET6, host, &address) == 1)
		add_to_key(key, &address, 8);
	else
		add_to_key(key, host, MIN(strlen(host), (size_t)ROOM_HOST_MAX));
}

static void make_key(struct key *key, const struct user *user, const char *account)
{
	char name[NAME_KEY_MAX];

	key->size = 0;
	if (account && user_is_local(user)) {
		add_to_key(key, "L", 1);
		add_to_key(key, name, name_key(account, name));
	} else {
		add_to_key(key, account ? "A" : "N", 1);
		add_address(key, user_address(user));
	}
}

static bool key_matches(const struct hash_node *node, const void *key)
{
	const struct guard *guard = CONTAINER_OF(node, struct guard, by_key);
	const struct key *k = key;

	return guard->size == k->size && memcmp(guard->key, k->bytes, k->size) == 0;
}

static uint32_t hash_key(const struct room *room, const struct key *key)
{
	return hash_bytes(&room->config->secret, key->bytes, key->size);
}

static struct guard *find(const struct room *room, const struct key *key)
{
	struct hash_node *node = hash_find(&room->guards, hash_key(room, key), key_matches, key);

	return node ? CONTAINER_OF(node, struct guard, by_key) : NULL;
}

static void drop(struct room *room, struct guard *guard)
{
	hash_remove(&room->guards, &guard->by_key);
	free(guard);
}

/* Drops those whose time is over, and of too many the one that has tried least. */
static void sweep(struct room *room)
{
	struct hash_node *node = hash_next(&room->guards, NULL), *next;
	struct guard *least = NULL;

	for (; node; node = next) {
		struct guard *guard = CONTAINER_OF(node, struct guard, by_key);

		next = hash_next(&room->guards, node);
		if (guard->until <= room->now)
			drop(room, guard);
		else if (!least || guard->until < least->until)
			least = guard;
	}
	if (least && room->guards.count >= GUARDS_MAX)
		drop(room, least);
	room->guards_sweep = MIN(MAX(room->guards.count * 2, SWEEP_AT), GUARDS_MAX);
}

static struct guard *make(struct room *room, const struct key *key)
{
	struct guard *guard = malloc(sizeof(*guard) + key->size);

	if (!guard)
		return NULL;
	if (room->guards.count >= room->guards_sweep)
		sweep(room);
	guard->until = room->now;
	guard->size = key->size;
	memcpy(guard->key, key->bytes, key->size);
	hash_add(&room->guards, &guard->by_key, hash_key(room, key));
	return guard;
}

bool guard_take(struct room *room, const struct user *user, const char *account, unsigned cost)
{
	struct guard *guard;
	struct key key;
	uint64_t until;

	make_key(&key, user, account);
	guard = find(room, &key);
	until = MAX(guard ? guard->until : 0, room->now) + cost * TRY_TIME;
	if (until - room->now > TRIES * TRY_TIME)
		return false;
	if (!guard)
		guard = make(room, &key);
	if (guard)
		guard->until = until;
	return guard != NULL;
}

void guard_give_back(struct room *room, const struct user *user, const char *account, unsigned cost)
{
	struct guard *guard;
	struct key key;

	make_key(&key, user, account);
	guard = find(room, &key);
	if (guard)
		guard->until -= MIN(guard->until, cost * TRY_TIME);
}

void guards_free(struct room *room)
{
	struct hash_node *node;

	while ((node = hash_next(&room->guards, NULL)) != NULL)
		drop(room, CONTAINER_OF(node, struct guard, by_key));
	hash_clear(&room->guards);
}
