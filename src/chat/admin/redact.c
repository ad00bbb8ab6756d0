/* SPDX-License-Identifier: MIT */
/* Lines of logs without secrets: see redact.h. */
#include "chat/admin/redact.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "chat/course.h"
#include "chat/utf8.h"

#define ESCAPE      '\x1b'
#define REDACTED    "[...]"
#define GROWTH      3 /* bytes that one may become, at most: what is no UTF-8 */
#define BEL         '\a'
#define IS_FINAL(c) ((c) >= 0x40 && (c) <= 0x7e)

/* The size of what a terminal obeys at text, which begins with ESC (ECMA-48). */
static size_t escape_size(const char *text)
{
	size_t n = 2;

	if (text[1] == '[') {
		while (text[n] && !IS_FINAL(text[n]))
			n++;
		return text[n] ? n + 1 : n;
	}
	if (text[1] == ']') { /* a title, a link: up to BEL or ESC \ */
		n += strcspn(text + n, "\a\x1b");
		return text[n] == BEL ? n + 1 : n;
	}
	return text[1] ? n : 1;
}

/* In place. */
static void drop_escapes(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == ESCAPE)
			text += escape_size(text);
		else
			*to++ = *text++;
	}
	*to = '\0';
}

/* The line as a client shows it; NULL: out of memory. */
static char *plain_line(const char *line)
{
	_cleanup_free_ char *copy = strdup(line);
	size_t room = GROWTH * strlen(line) + 1;
	char *plain = copy ? malloc(room) : NULL;

	if (!plain)
		return NULL;
	drop_escapes(copy);
	course_plain(plain, room, copy, strlen(copy));
	return plain;
}

static void mark(const regex_t *re, const char *line, bool *hidden)
{
	size_t at = 0;
	regmatch_t m;
	int r = 0;

	while (line[at]) {
		r = regexec(re, line + at, 1, &m, at ? REG_NOTBOL : 0);
		if (r != 0)
			break;
		memset(hidden + at + m.rm_so, true, m.rm_eo - m.rm_so);
		at += m.rm_eo;
		/* Where it matches nothing it may yet match something further on. */
		if (m.rm_eo == m.rm_so && line[at])
			at++;
	}
	/* What could not be looked through for want of memory may hold anything. */
	if (r != 0 && r != REG_NOMATCH)
		memset(hidden + at, true, strlen(line + at));
}

/* What is hidden is one mark, however many matches it was. The size, maybe more than fits. */
static size_t write_shown(const char *line, const bool *hidden, char *out)
{
	size_t used = 0;

	for (size_t i = 0; line[i]; i++) {
		if (!hidden[i]) {
			out[used++] = line[i];
		} else if (i == 0 || !hidden[i - 1]) {
			memcpy(out + used, REDACTED, strlen(REDACTED));
			used += strlen(REDACTED);
		}
	}
	return used;
}

void redact_line(const regex_t *expressions, size_t n, const char *line, char *buf, size_t size)
{
	_cleanup_free_ char *plain = plain_line(line), *out = NULL;
	_cleanup_free_ bool *hidden = NULL;
	size_t used;

	buf[0] = '\0';
	if (!plain)
		return;
	hidden = calloc(strlen(plain) + 1, sizeof(*hidden));
	out = malloc(strlen(plain) * strlen(REDACTED) + 1);
	if (!hidden || !out)
		return;
	for (size_t i = 0; i < n; i++)
		mark(&expressions[i], plain, hidden);
	used = write_shown(plain, hidden, out);
	used = utf8_cut(out, used, size - 1);
	memcpy(buf, out, used);
	buf[used] = '\0';
}
