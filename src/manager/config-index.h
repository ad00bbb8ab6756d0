/* SPDX-License-Identifier: MIT */
/* A hash from names to positions in an array. The names are not copied and must outlive it. */
#ifndef FOSTER_MANAGER_CONFIG_INDEX_H
#define FOSTER_MANAGER_CONFIG_INDEX_H

#include <stddef.h>

struct name_index;
struct name_index *name_index_new(void);
struct name_index *name_index_free(struct name_index *); /* always NULL */

/* 0, -EEXIST when the name is there already, or -ENOMEM. */
int name_index_add(struct name_index *index, const char *name, size_t position);

/* 0 or -ENOENT. */
int name_index_find(const struct name_index *index, const char *name, size_t *ret_position);

#endif
