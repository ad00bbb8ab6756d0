/* SPDX-License-Identifier: MIT */
/*
 * Small helpers that every program uses: array sizes, ownership moves and cleanup attributes.
 * A local that owns something is declared with one of the _cleanup_ attributes and leaves the
 * function by TAKE_PTR or TAKE_FD where ownership moves on.
 */
#ifndef FOSTER_BASE_MACRO_H
#define FOSTER_BASE_MACRO_H

#include <stddef.h>
#include <stdlib.h>

#define STRINGIFY_EXPANDED(x)         #x
#define STRINGIFY(x)                  STRINGIFY_EXPANDED(x) /* of a macro: its value as text */
#define ELEMENTSOF(a)                 (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                     ((a) < (b) ? (a) : (b))
#define MAX(a, b)                     ((a) > (b) ? (a) : (b))
#define PRINTF(fmt, first)            __attribute__((format(printf, fmt, first)))
#define UNUSED                        __attribute__((unused))
#define NORETURN                      __attribute__((noreturn))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define TAKE_PTR(p)                       \
	({                                \
		__auto_type _taken = (p); \
		(p) = NULL;               \
		_taken;                   \
	})
#define TAKE_FD(fd)                \
	({                         \
		int _taken = (fd); \
		(fd) = -1;         \
		_taken;            \
	})

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(free_cleanup)

#endif
