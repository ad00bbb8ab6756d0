/* SPDX-License-Identifier: MIT */
/* The course protocol's datagrams: see course.h. */
#include "chat/course.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "chat/utf8.h"

static void trim(const char **s, size_t *size)
{
	while (*size > 0 && strchr(" \t\r\n", **s) && **s) {
		(*s)++;
		(*size)--;
	}
	while (*size > 0 && strchr(" \t\r\n", (*s)[*size - 1]) && (*s)[*size - 1])
		(*size)--;
}

/* Login and leave: all the rest is the name. */
static int parse_name(const char *s, size_t size, struct course_request *r)
{
	trim(&s, &size);
	r->name = s;
	r->name_size = size;
	return size > 0 ? 0 : -EBADMSG;
}

/* Say: the name ends at the first blank; the text keeps its own. */
static int parse_say(const char *s, size_t size, struct course_request *r)
{
	const char *blank;

	if (size == 0 || s[0] != ' ')
		return -EBADMSG;
	s++;
	size--;
	blank = memchr(s, ' ', size);
	if (!blank || blank == s)
		return -EBADMSG;
	r->name = s;
	r->name_size = blank - s;
	r->text = blank + 1;
	r->text_size = size - r->name_size - 1;
	return 0;
}

int course_parse(const char *data, size_t size, struct course_request *ret)
{
	struct course_request r = { .verb = COURSE_LOGIN };
	int err = -EBADMSG;

	while (size > 0 && *data == ' ') {
		data++;
		size--;
	}
	if (size < 2)
		return -EBADMSG;
	switch (data[0]) {
	case 'L':
		if (data[1] == ' ')
			err = parse_name(data + 1, size - 1, &r);
		break;
	case 'C':
		r.verb = COURSE_SAY;
		err = parse_say(data + 1, size - 1, &r);
		break;
	case 'E': /* "EXIT" is our own answer: two rooms would send it to each other for ever */
		if (data[1] != ' ')
			break;
		/* fall through */
	case 'Q':
		r.verb = COURSE_LEAVE;
		err = parse_name(data + 1, size - 1, &r);
		break;
	}
	if (err == 0)
		*ret = r;
	return err;
}

void course_format(struct course_datagram *d, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(d->bytes, sizeof(d->bytes), fmt, ap);
	va_end(ap);
	d->size = n < 0 ? 0 : (size_t)n;
	if (d->size > COURSE_DATAGRAM_MAX) {
		/* The buffer holds the maximum and a NUL, so what is cut is not seen: drop a
		 * character that is not whole. */
		size_t start = COURSE_DATAGRAM_MAX;
		uint32_t code;

		while (start > 0 && ((unsigned char)d->bytes[start - 1] & 0xc0) == 0x80)
			start--;
		d->size = COURSE_DATAGRAM_MAX;
		if (start > 0 &&
		    utf8_decode(d->bytes + start - 1, COURSE_DATAGRAM_MAX - start + 1, &code) == 0)
			d->size = start - 1;
	}
}

static size_t digits(const char *s, size_t size, size_t max, bool hex)
{
	size_t n = 0;

	while (n < size && n < max && s[n] &&
	       strchr(hex ? "0123456789abcdefABCDEF" : "0123456789", s[n]))
		n++;
	return n;
}

/* The size of a colour code: \3 with one or two numbers, \4 with one or two of six hex digits. */
static size_t colour_size(const char *s, size_t size)
{
	bool hex = s[0] == '\4';
	size_t max = hex ? 6 : 2, n = 1, more;

	more = digits(s + n, size - n, max, hex);
	if (more == 0)
		return n;
	n += more;
	if (n + 1 < size && s[n] == ',') {
		more = digits(s + n + 1, size - n - 1, max, hex);
		if (more > 0)
			n += 1 + more;
	}
	return n;
}

/* The size of a format code at s that vanishes: 0 when there is none. */
static size_t format_size(const char *s, size_t size)
{
	if (s[0] == '\3' || s[0] == '\4')
		return colour_size(s, size);
	return s[0] && strchr("\1\2\x0f\x11\x16\x1d\x1e\x1f", s[0]) ? 1 : 0;
}

/* They turn around how what follows is read, also in the lines of others. */
static bool turns_direction(uint32_t code)
{
	return (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

size_t course_plain(char *buf, size_t room, const char *text, size_t size)
{
	size_t used = 0, i = 0;

	assert(room > 0);
	while (i < size) {
		size_t skip = format_size(text + i, size - i), n, piece;
		const char *from = text + i;
		uint32_t code = 0;

		if (skip > 0) {
			i += skip;
			continue;
		}
		n = utf8_decode(text + i, size - i, &code);
		piece = n;
		if (n == 0 || turns_direction(code)) {
			from = UTF8_REPLACEMENT;
			piece = strlen(UTF8_REPLACEMENT);
		} else if (code < ' ' || (code >= 0x7f && code < 0xa0)) {
			from = " ";
			piece = 1;
		}
		if (used + piece >= room)
			break;
		memcpy(buf + used, from, piece);
		used += piece;
		i += n ? n : 1;
	}
	buf[used] = '\0';
	return used;
}
