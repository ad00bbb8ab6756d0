/* SPDX-License-Identifier: MIT */
/* Text that came from elsewhere: is it UTF-8, what was meant by a misspelt word. Pure. */
#ifndef FOSTER_BASE_TEXT_H
#define FOSTER_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

/*
 * Decodes the character at s, of which size bytes may be read. Returns its length, 1 to 4, or 0
 * when there is none (overlong forms, surrogates and values above U+10FFFF are none) or size
 * is 0.
 */
size_t utf8_decode(const char *s, size_t size, uint32_t *ret);

/* The places of a character on a terminal; 1 for what cannot be shown. Not for several threads. */
size_t utf8_width(uint32_t c);

bool utf8_valid(const char *s); /* the whole string */

/* Copies any bytes, with U+FFFD for each that is no UTF-8: at most 3 * size. The new size. */
size_t utf8_make_valid(char *to, const char *text, size_t size);

/* Puts '?' for control characters but the tabulator, and for what is not UTF-8, in place. */
void text_disarm(char *s);

/*
 * The name that is nearest to a misspelt word, by edit distance with neighbours swapped as one
 * step: start with { .word = word }, consider each candidate, then read best: NULL when none is
 * near enough to be meant. Candidates must outlive the search.
 */
struct nearest {
	const char *word;
	const char *best;
	size_t distance;
};
void nearest_consider(struct nearest *search, const char *candidate);

#endif
