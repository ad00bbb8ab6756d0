/* SPDX-License-Identifier: MIT */
/* NULL-terminated arrays of allocated strings. NULL counts as the empty one. */
#ifndef FOSTER_BASE_STRV_H
#define FOSTER_BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

#define STRV_FOREACH(s, v) for (char **s = (v); s && *s; s++)

size_t strv_length(char *const *v);
char **strv_free(char **v);              /* always NULL: v = strv_free(v) */
char **strv_copy(char *const *v);        /* NULL when out of memory; the empty one is not NULL */
int strv_push(char ***v, const char *s); /* copies s; 0 or -ENOMEM */
bool strv_contains(char *const *v, const char *s);
bool strv_equal(char *const *a, char *const *b);

static inline void strv_cleanup(char ***v)
{
	strv_free(*v);
}
#define _cleanup_strv_ _cleanup_(strv_cleanup)

#endif
