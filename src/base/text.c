/* SPDX-License-Identifier: MIT */
/* UTF-8 and misspelt words: see text.h. */
#include "base/text.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

#define NEAREST_MAX 40 /* longer words are not compared: the work grows with the square */

/* The lead byte's mask and the smallest value that needs the length, by length. */
static const struct {
	unsigned char mask, lead;
	uint32_t min;
} utf8_forms[] = {
	{ 0x80, 0x00, 0 },
	{ 0xe0, 0xc0, 0x80 },
	{ 0xf0, 0xe0, 0x800 },
	{ 0xf8, 0xf0, 0x10000 },
};

size_t utf8_decode(const char *s, size_t size, uint32_t *ret)
{
	const unsigned char *u = (const unsigned char *)s;

	for (size_t i = 0; size > 0 && i < ELEMENTSOF(utf8_forms); i++) {
		uint32_t value;

		if ((u[0] & utf8_forms[i].mask) != utf8_forms[i].lead)
			continue;
		if (size < i + 1)
			return 0;
		value = u[0] & ~utf8_forms[i].mask & 0xff;
		for (size_t k = 1; k <= i; k++) {
			if ((u[k] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (u[k] & 0x3f);
		}
		if (value < utf8_forms[i].min || value > 0x10ffff ||
		    (value >= 0xd800 && value <= 0xdfff))
			return 0;
		*ret = value;
		return i + 1;
	}
	return 0;
}

/*
 * wcwidth() knows the widths only in a UTF-8 locale. That of the C library needs no file and is
 * set at the first call: most programs never ask, and time counts.
 */
size_t utf8_width(uint32_t c)
{
	static bool have_locale;
	int width;

	if (!have_locale) {
		setlocale(LC_CTYPE, "C.UTF-8");
		have_locale = true;
	}
	width = wcwidth((wchar_t)c);
	return width < 0 ? 1 : (size_t)width;
}

bool utf8_valid(const char *s)
{
	size_t size = strlen(s);

	while (size > 0) {
		uint32_t value;
		size_t n = utf8_decode(s, size, &value);

		if (n == 0)
			return false;
		s += n;
		size -= n;
	}
	return true;
}

/* C1 controls work as escape sequences on some terminals. */
static bool is_control(uint32_t c)
{
	return c != '\t' && (c < ' ' || (c >= 0x7f && c < 0xa0));
}

size_t utf8_make_valid(char *to, const char *text, size_t size)
{
	const char *end = text + size;
	char *begin = to;

	while (text < end) {
		uint32_t value;
		size_t n = utf8_decode(text, end - text, &value);

		to = n > 0 ? mempcpy(to, text, n) : mempcpy(to, "\xef\xbf\xbd", 3);
		text += MAX(n, (size_t)1);
	}
	return to - begin;
}

void text_disarm(char *s)
{
	size_t size = strlen(s);

	while (size > 0) {
		uint32_t c = 0;
		size_t n = utf8_decode(s, size, &c);

		if (n == 0 || is_control(c)) {
			n = MAX(n, (size_t)1);
			memset(s, '?', n);
		}
		s += n;
		size -= n;
	}
}

/* Both at most NEAREST_MAX long. Three rows of the usual matrix are enough for swaps. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
	size_t rows[3][NEAREST_MAX + 1];

	for (size_t j = 0; j <= m; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *older = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t changed = above[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = MIN(changed, MIN(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = MIN(row[j], older[j - 2] + 1);
		}
	}
	return rows[n % 3][m];
}

void nearest_consider(struct nearest *search, const char *candidate)
{
	size_t n = strlen(search->word), m = strlen(candidate), distance;

	if (n > NEAREST_MAX || m > NEAREST_MAX)
		return;
	distance = edit_distance(search->word, n, candidate, m);
	/* A third of the letters wrong is a misspelling, more is another word. */
	if (distance > (MAX(n, m) + 1) / 3)
		return;
	if (search->best && distance >= search->distance)
		return;
	search->best = candidate;
	search->distance = distance;
}
