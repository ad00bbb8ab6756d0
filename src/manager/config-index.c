/* SPDX-License-Identifier: MIT */
/* A hash with open addressing that only grows: see config-index.h. */
#include "manager/config-index.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

struct slot {
	const char *name; /* NULL: free */
	uint32_t hash;
	uint32_t position;
};

struct name_index {
	struct slot *slots;
	size_t n_slots; /* a power of two */
	size_t used;
};

static uint32_t hash_name(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return hash;
}

struct name_index *name_index_new(void)
{
	struct name_index *index = calloc(1, sizeof(*index));

	if (!index)
		return NULL;
	index->n_slots = 64;
	index->slots = calloc(index->n_slots, sizeof(struct slot));
	return index->slots ? index : name_index_free(index);
}

struct name_index *name_index_free(struct name_index *index)
{
	if (index)
		free(index->slots);
	free(index);
	return NULL;
}

/* The slot of the name, or the free one where it would go. */
static struct slot *probe(const struct name_index *index, const char *name, uint32_t hash)
{
	for (size_t i = hash;; i++) {
		struct slot *slot = &index->slots[i & (index->n_slots - 1)];

		if (!slot->name || (slot->hash == hash && strcmp(slot->name, name) == 0))
			return slot;
	}
}

static int grow(struct name_index *index)
{
	struct name_index bigger = { .n_slots = index->n_slots * 2, .used = index->used };

	bigger.slots = calloc(bigger.n_slots, sizeof(struct slot));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < index->n_slots; i++) {
		struct slot *old = &index->slots[i];

		if (old->name)
			*probe(&bigger, old->name, old->hash) = *old;
	}
	free(index->slots);
	*index = bigger;
	return 0;
}

int name_index_add(struct name_index *index, const char *name, size_t position)
{
	uint32_t hash = hash_name(name);
	struct slot *slot;

	if (index->used * 2 >= index->n_slots && grow(index) < 0)
		return -ENOMEM;
	slot = probe(index, name, hash);
	if (slot->name)
		return -EEXIST;
	*slot = (struct slot){ name, hash, (uint32_t)position };
	index->used++;
	return 0;
}

int name_index_find(const struct name_index *index, const char *name, size_t *ret_position)
{
	const struct slot *slot = probe(index, name, hash_name(name));

	if (!slot->name)
		return -ENOENT;
	*ret_position = slot->position;
	return 0;
}
