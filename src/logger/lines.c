/* SPDX-License-Identifier: MIT */
/* Lines: see lines.h. */
#include "logger/lines.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/macro.h"
#include "base/text.h"
#include "base/units.h"

#define ESCAPED_MAX 6 /* bytes of JSON for one */

/* --- time ------------------------------------------------------------------------------- */

/* The date changes once a second, and its calendar costs more than all else here. */
static void format_seconds(enum line_stamps stamps, time_t seconds, char *buf, size_t size,
			   char *zone, size_t zone_size)
{
	struct tm tm;
	long offset;

	if (stamps == LINE_STAMPS_LOCAL)
		localtime_r(&seconds, &tm);
	else
		gmtime_r(&seconds, &tm);
	strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	offset = tm.tm_gmtoff / 60;
	if (stamps == LINE_STAMPS_LOCAL)
		snprintf(zone, zone_size, "%c%02ld:%02ld", offset < 0 ? '-' : '+',
			 labs(offset) / 60 % 100, labs(offset) % 60);
	else
		snprintf(zone, zone_size, "Z");
}

void lines_stamp(struct line_style *style, enum line_stamps stamps, uint64_t realtime)
{
	static struct {
		time_t seconds;
		char text[24], zone[8];
	} cache[LINE_STAMPS_LOCAL + 1];
	time_t seconds = realtime / USEC_PER_SEC;

	style->stamp[0] = '\0';
	if (stamps == LINE_STAMPS_NONE)
		return;
	if (cache[stamps].seconds != seconds || !cache[stamps].text[0]) {
		format_seconds(stamps, seconds, cache[stamps].text, sizeof(cache[0].text),
			       cache[stamps].zone, sizeof(cache[0].zone));
		cache[stamps].seconds = seconds;
	}
	snprintf(style->stamp, sizeof(style->stamp), "%s.%06u%s", cache[stamps].text,
		 (unsigned)(realtime % USEC_PER_SEC), cache[stamps].zone);
}

/* --- text ------------------------------------------------------------------------------- */

/* As wide as any processor has them (wider ones, taken apart again, were slow): short lines cost no
 * more than long ones. Each byte of a sum counts up to 255. */
typedef unsigned char vector __attribute__((vector_size(16)));

#define VECTORS 255

static size_t count_vectors(const char *in, size_t n_vectors)
{
	const vector newline = (vector){ 0 } + '\n';
	vector sum = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < n_vectors; i++) {
		vector v;

		memcpy(&v, in + i * sizeof(v), sizeof(v));
		sum -= (vector)(v == newline); /* true is -1 */
	}
	for (size_t i = 0; i < sizeof(sum); i++)
		count += sum[i];
	return count;
}

size_t lines_count(const char *in, size_t n)
{
	const char *end = in + n;
	size_t count = 0;

	while ((size_t)(end - in) >= sizeof(vector)) {
		size_t n_vectors = MIN((size_t)(end - in) / sizeof(vector), (size_t)VECTORS);

		count += count_vectors(in, n_vectors);
		in += n_vectors * sizeof(vector);
	}
	for (; in < end; in++)
		count += *in == '\n';
	return count;
}

size_t lines_cut(const char *in, size_t n, bool one, size_t room)
{
	const char *newline;

	if (one) {
		newline = memchr(in, '\n', n);
		return newline ? (size_t)(newline - in) + 1 : n;
	}
	if (n <= room)
		return n;
	newline = memrchr(in, '\n', room);
	return newline ? (size_t)(newline - in) + 1 : 0;
}

static size_t format_text(const struct line_style *style, bool *inside, const char *in, size_t n,
			  bool one, char *out, size_t room, size_t *ret_size)
{
	char head[sizeof(style->stamp) + 1 + LINES_PREFIX_MAX + 1];
	size_t head_size = (size_t)snprintf(head, sizeof(head), "%s%s%.*s", style->stamp,
					    style->stamp[0] ? " " : "", LINES_PREFIX_MAX,
					    style->prefix ? style->prefix : "");
	const char *p = in, *end = in + n;
	char *to = out;

	while (p < end) {
		const char *newline = memchr(p, '\n', end - p);
		size_t size = (newline ? newline + 1 : end) - p;

		if ((*inside ? 0 : head_size) + size > room - (size_t)(to - out))
			break;
		if (!*inside)
			to = mempcpy(to, head, head_size);
		to = mempcpy(to, p, size);
		*inside = !newline;
		p += size;
		if (one)
			break;
	}
	*ret_size = to - out;
	return p - in;
}

/* --- JSON ------------------------------------------------------------------------------- */

bool lines_piece(const char *in, size_t n, bool last, struct line_piece *ret)
{
	const char *newline = memchr(in, '\n', MIN(n, LINES_PIECE + 1));

	*ret = (struct line_piece){ .partial = !newline };
	if (newline) {
		ret->size = newline - in;
		ret->used = ret->size + 1;
		return true;
	}
	if (n <= LINES_PIECE && !(last && n > 0))
		return false;
	ret->size = MIN(n, LINES_PIECE);
	/* Not within a character, when it is one. */
	for (size_t back = 1; n > LINES_PIECE && back <= 3; back++) {
		uint32_t value;
		size_t length = utf8_decode(in + ret->size - back, n - ret->size + back, &value);

		if (length > 0) {
			ret->size -= length > back ? back : 0;
			break;
		}
	}
	ret->used = ret->size;
	return true;
}

/* True for what stands in a string of JSON as it is. */
static bool is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

static char *escape_one(char *to, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	*to++ = '\\';
	switch (c) {
	case '"':
	case '\\': *to++ = (char)c; break;
	case '\n': *to++ = 'n'; break;
	case '\r': *to++ = 'r'; break;
	case '\t': *to++ = 't'; break;
	default:
		to = mempcpy(to, "u00", 3);
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	return to;
}

static char *escape(char *to, const char *text, size_t n, bool *ret_valid)
{
	const char *end = text + n;

	*ret_valid = true;
	while (text < end) {
		const char *run = text;
		uint32_t value;
		size_t length;

		while (text < end && is_plain((unsigned char)*text))
			text++;
		to = mempcpy(to, run, text - run);
		if (text == end)
			break;
		if ((unsigned char)*text < 0x80) {
			to = escape_one(to, (unsigned char)*text++);
			continue;
		}
		length = utf8_decode(text, end - text, &value);
		*ret_valid &= length > 0;
		to = length > 0 ? mempcpy(to, text, length) : mempcpy(to, "\xef\xbf\xbd", 3);
		text += MAX(length, (size_t)1);
	}
	return to;
}

char *lines_escape(char *to, const char *text, size_t n)
{
	bool valid;

	return escape(to, text, n, &valid);
}

/* The bytes that one object takes at most. */
static size_t object_bound(const struct line_style *style, size_t size)
{
	return size * ESCAPED_MAX + (size + 2) / 3 * 4 + strlen(style->members) +
	       sizeof(style->stamp) + 64;
}

static char *format_object(const struct line_style *style, const char *text,
			   const struct line_piece *piece, char *to)
{
	bool valid;

	to = mempcpy(to, "{\"time\":\"", 9);
	to = mempcpy(to, style->stamp, strlen(style->stamp));
	to = mempcpy(to, "\",", 2);
	to = mempcpy(to, style->members, strlen(style->members));
	to = mempcpy(to, "\"text\":\"", 8);
	to = escape(to, text, piece->size, &valid);
	*to++ = '"';
	if (!valid) {
		to = mempcpy(to, ",\"base64\":\"", 11);
		to += base64_encode(to, text, piece->size);
		*to++ = '"';
	}
	if (piece->partial)
		to = mempcpy(to, ",\"partial\":true", 15);
	return mempcpy(to, "}\n", 2);
}

/* An object is at most so large; whether it fits is known when it is made. */
static size_t format_json(const struct line_style *style, const char *in, size_t n, bool last,
			  bool one, char *out, size_t room, size_t *ret_size)
{
	struct line_piece piece;
	size_t used = 0;
	char *to = out;

	while (lines_piece(in + used, n - used, last, &piece) &&
	       object_bound(style, piece.size) <= LINES_ROOM - (size_t)(to - out)) {
		char *end = format_object(style, in + used, &piece, to);

		if ((size_t)(end - out) > room)
			break;
		to = end;
		used += piece.used;
		if (one)
			break;
	}
	*ret_size = to - out;
	return used;
}

size_t lines_format(const struct line_style *style, bool *inside, const char *in, size_t n,
		    bool last, bool one, char *out, size_t room, size_t *ret_size)
{
	if (!style->json)
		return format_text(style, inside, in, n, one, out, room, ret_size);
	*inside = false;
	return format_json(style, in, n, last, one, out, room, ret_size);
}
