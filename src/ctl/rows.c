/* SPDX-License-Identifier: MIT */
/* JSON to rows: see rows.h. */
#include "ctl/rows.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/macro.h"

#define DEPTH_MAX 32

struct reader {
	char *p;
};

static char skip_space(struct reader *r)
{
	while (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')
		r->p++;
	return *r->p;
}

/* The sign, with white space before it. */
static bool take(struct reader *r, char sign)
{
	if (skip_space(r) != sign)
		return false;
	r->p++;
	return true;
}

static int hex4(const char *p)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		int c = tolower((unsigned char)p[i]);

		if (!isxdigit(c))
			return -EBADMSG;
		value = value * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return value;
}

/* Writes a character as UTF-8. NUL, which would end the string, and half a pair become '?'. */
static char *put_utf8(char *to, uint32_t c)
{
	if (c == 0 || (c >= 0xd800 && c <= 0xdfff))
		c = '?';
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c >= 0x10000) {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else if (c >= 0x800) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*to++ = (char)(0xc0 | c >> 6);
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

/* "uXXXX", perhaps the first half of a pair; r->p is at the u. NULL when it is wrong. */
static char *take_unicode(struct reader *r, char *to)
{
	int first = hex4(r->p + 1), second;
	uint32_t c = (uint32_t)first;

	if (first < 0)
		return NULL;
	r->p += 5;
	if (first >= 0xd800 && first <= 0xdbff && r->p[0] == '\\' && r->p[1] == 'u') {
		second = hex4(r->p + 2);
		if (second >= 0xdc00 && second <= 0xdfff) {
			c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)second - 0xdc00);
			r->p += 6;
		}
	}
	return put_utf8(to, c);
}

static char *take_escape(struct reader *r, char *to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (*r->p == 'u')
		return take_unicode(r, to);
	found = *r->p ? strchr(from, *r->p) : NULL;
	if (!found)
		return NULL;
	r->p++;
	*to++ = into[found - from];
	return to;
}

/* A string, its escapes resolved in place: that never makes it longer. NULL when it is wrong. */
static char *take_string(struct reader *r)
{
	char *start, *to;

	if (!take(r, '"'))
		return NULL;
	start = to = r->p;
	while (*r->p != '"') {
		size_t n = strcspn(r->p, "\"\\");

		if (to != r->p)
			memmove(to, r->p, n);
		to += n;
		r->p += n;
		if (!*r->p)
			return NULL;
		if (*r->p == '\\') {
			r->p++;
			to = take_escape(r, to);
			if (!to)
				return NULL;
		}
	}
	r->p++;
	*to = '\0';
	return start;
}

/* A string without looking inside. */
static bool skip_string(struct reader *r)
{
	for (r->p++; *r->p && *r->p != '"'; r->p++) {
		if (*r->p == '\\' && r->p[1])
			r->p++;
	}
	return *r->p++ == '"';
}

static bool skip_word(struct reader *r)
{
	char *start = r->p;

	/* strspn() would build a table of its signs each time */
	while (isalnum((unsigned char)*r->p) || *r->p == '-' || *r->p == '+' || *r->p == '.')
		r->p++;
	return r->p > start;
}

/* Any value. Brackets are only counted: what is skipped need not be right. */
static bool skip_value(struct reader *r)
{
	size_t depth = 0;

	do {
		char c = skip_space(r);

		if (c == '"') {
			if (!skip_string(r))
				return false;
		} else if (c == '{' || c == '[') {
			r->p++;
			if (++depth > DEPTH_MAX)
				return false;
		} else if (c == '}' || c == ']') {
			r->p++;
			if (depth-- == 0)
				return false;
		} else if ((c == ',' || c == ':') && depth > 0) {
			r->p++;
		} else if (!skip_word(r)) {
			return false;
		}
	} while (depth > 0);
	return true;
}

/* --- members --- */

enum member_type {
	TEXT,
	NUMBER,
	TRUTH,
};

static const struct {
	const char *name;
	enum member_type type;
	size_t offset;
} members[] = {
	{ "name", TEXT, offsetof(struct service_row, name) },
	{ "state", TEXT, offsetof(struct service_row, state) },
	{ "reason", TEXT, offsetof(struct service_row, reason) },
	{ "next", TEXT, offsetof(struct service_row, next) },
	{ "pending", TEXT, offsetof(struct service_row, pending) },
	{ "pid", NUMBER, offsetof(struct service_row, pid) },
	{ "uptime_us", NUMBER, offsetof(struct service_row, uptime) },
	{ "restarts", NUMBER, offsetof(struct service_row, restarts) },
	{ "ready", TRUTH, offsetof(struct service_row, ready) },
	{ "daemon", TRUTH, offsetof(struct service_row, daemon) },
};

static bool take_number(struct reader *r, int64_t *ret)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(r->p, &end, 10);
	if (end == r->p || errno || strchr(".eE", *end))
		return skip_word(r); /* no number that a row can hold: as if it were missing */
	r->p = end;
	*ret = value;
	return true;
}

/* The value of a known member; of another type than expected it counts as missing. */
static bool take_member(struct reader *r, size_t i, struct service_row *row)
{
	void *field = (char *)row + members[i].offset;
	char c = skip_space(r);

	if (members[i].type == TEXT && c == '"') {
		*(const char **)field = take_string(r);
		return *(const char **)field != NULL;
	}
	if (members[i].type == NUMBER && (isdigit((unsigned char)c) || c == '-'))
		return take_number(r, field);
	if (members[i].type == TRUTH)
		*(bool *)field = c == 't';
	return skip_value(r);
}

static size_t find_member(const char *name)
{
	size_t i = 0;

	/* Most differ in the first letter, and this runs some ten times a member. */
	while (i < ELEMENTSOF(members) &&
	       (members[i].name[0] != name[0] || strcmp(members[i].name, name) != 0))
		i++;
	return i;
}

static bool take_row(struct reader *r, struct service_row *row)
{
	*row = (struct service_row){ "", "", "", "", "", -1, -1, -1, false, false };
	if (!take(r, '{'))
		return false;
	if (take(r, '}'))
		return true;
	do {
		const char *name = take_string(r);
		size_t i;

		if (!name || !take(r, ':'))
			return false;
		i = find_member(name);
		if (i < ELEMENTSOF(members) ? !take_member(r, i, row) : !skip_value(r))
			return false;
	} while (take(r, ','));
	return take(r, '}');
}

/* The list's elements; its opening bracket has been taken. */
static int take_rows(struct reader *r, struct service_row **rows, size_t *n)
{
	size_t room = 0;

	if (take(r, ']'))
		return 0;
	do {
		if (*n == room) {
			struct service_row *bigger;

			room = MAX(room * 2, (size_t)64);
			bigger = reallocarray(*rows, room, sizeof(*bigger));
			if (!bigger)
				return -ENOMEM;
			*rows = bigger;
		}
		if (!take_row(r, &(*rows)[*n]))
			return -EBADMSG;
		(*n)++;
	} while (take(r, ','));
	return take(r, ']') ? 0 : -EBADMSG;
}

int service_rows_parse(char *text, struct service_row **ret, size_t *ret_n)
{
	_cleanup_free_ struct service_row *rows = NULL;
	struct reader r = { text };
	bool found = false;
	size_t n = 0;

	if (!take(&r, '{'))
		return -EBADMSG;
	do {
		const char *name = take_string(&r);
		int error;

		if (!name || !take(&r, ':'))
			return -EBADMSG;
		if (found || strcmp(name, "services") != 0) {
			if (!skip_value(&r))
				return -EBADMSG;
			continue;
		}
		found = true;
		error = take(&r, '[') ? take_rows(&r, &rows, &n) : -EBADMSG;
		if (error < 0)
			return error;
	} while (take(&r, ','));
	if (!found || !take(&r, '}') || skip_space(&r))
		return -EBADMSG;
	*ret = TAKE_PTR(rows);
	*ret_n = n;
	return 0;
}
