/* SPDX-License-Identifier: MIT */
/*
 * A second reading of what arrives, for fuzz targets: written from the protocols' texts, byte by
 * byte and slow, and with nothing of the code under test. Where they differ one of them is wrong.
 */
#ifndef FOSTER_TESTS_NAIVE_H
#define FOSTER_TESTS_NAIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* A piece of an input. */
struct piece {
	const char *at;
	size_t size;
};

bool piece_is(const struct piece *piece, const char *text); /* text: NUL-terminated */

/* A NUL-terminated copy in a block of its own size, to be freed. */
char *naive_copy(const void *data, size_t size);

/* The size of the character at s by the table of RFC 3629, section 4; 0: there is none. */
size_t naive_character(const char *s, size_t size);

bool naive_is_utf8(const char *s, size_t size);

/* C0, DEL and C1. n is what naive_character() says. */
bool naive_is_control(const char *s, size_t n);

/* The most whole characters of s, which is UTF-8, that max bytes hold. */
size_t naive_cut(const char *s, size_t size, size_t max);

/* data with U+FFFD for each byte that is of no character, NUL-terminated, to be freed. */
char *naive_repair(const void *data, size_t size);

#endif
