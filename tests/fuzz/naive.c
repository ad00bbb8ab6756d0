/* SPDX-License-Identifier: MIT */
/* A second reading: see naive.h. */
#include "naive.h"

#include <string.h>

#include "base/macro.h"

bool piece_is(const struct piece *piece, const char *text)
{
	return strlen(text) == piece->size &&
	       (piece->size == 0 || memcmp(text, piece->at, piece->size) == 0);
}

char *naive_copy(const void *data, size_t size)
{
	char *copy = malloc(size + 1);

	MUST(copy);
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	return copy;
}

size_t naive_character(const char *s, size_t size)
{
	/* A row of the table: the first byte's range, the second's, and how many there are. */
	static const struct {
		uint8_t first, last, second, second_last, size;
	} rows[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const uint8_t *u = (const uint8_t *)s;

	for (size_t i = 0; size > 0 && i < ELEMENTSOF(rows); i++) {
		if (u[0] < rows[i].first || u[0] > rows[i].last || rows[i].size > size)
			continue;
		if (rows[i].size > 1 && (u[1] < rows[i].second || u[1] > rows[i].second_last))
			return 0;
		for (size_t k = 2; k < rows[i].size; k++) {
			if (u[k] < 0x80 || u[k] > 0xbf)
				return 0;
		}
		return rows[i].size;
	}
	return 0;
}

bool naive_is_utf8(const char *s, size_t size)
{
	size_t n;

	for (; size > 0; s += n, size -= n) {
		n = naive_character(s, size);
		if (n == 0)
			return false;
	}
	return true;
}

bool naive_is_control(const char *s, size_t n)
{
	const uint8_t *u = (const uint8_t *)s;

	return (n == 1 && (u[0] < 0x20 || u[0] == 0x7f)) || (n == 2 && u[0] == 0xc2 && u[1] < 0xa0);
}

size_t naive_cut(const char *s, size_t size, size_t max)
{
	size_t done = 0;

	while (done < size) {
		size_t n = naive_character(s + done, size - done);

		MUST(n > 0);
		if (done + n > max)
			break;
		done += n;
	}
	return done;
}

char *naive_repair(const void *data, size_t size)
{
	const char *s = data;
	char *text = malloc(size * 3 + 1), *end = text;
	size_t n;

	MUST(text);
	for (; size > 0; s += n, size -= n) {
		n = naive_character(s, size);
		if (n > 0)
			memcpy(end, s, n);
		else
			memcpy(end, "\xef\xbf\xbd", 3);
		end += n > 0 ? n : 3;
		n = MAX(n, 1);
	}
	*end = '\0';
	return text;
}
