/* SPDX-License-Identifier: MIT */
/* Lines there and back: see lines-harness.h. */
#include "lines-harness.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static uint32_t roll(uint64_t *random, uint32_t sides)
{
	*random = *random * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*random >> 33) % sides;
}

/* Of all orders of magnitude up to the limit. */
static size_t any_size(uint64_t *random, size_t limit)
{
	size_t most = (size_t)1 << roll(random, 20);

	return 1 + roll(random, (uint32_t)MIN(most, limit));
}

static void append(struct formatted *to, const char *data, size_t size)
{
	to->data = realloc(to->data, to->size + size + 1);
	MUST(to->data);
	memcpy(to->data + to->size, data, size);
	to->size += size;
}

/* --- there ------------------------------------------------------------------------------ */

static bool is_plain(const struct line_style *style)
{
	return !style->json && !style->stamp[0] && !*style->prefix;
}

/* As the logger does it, in stream-write.c; of what is offered, how much is done. */
static size_t format_some(const struct line_style *style, bool *inside, const char *in, size_t n,
			  bool last, size_t room, struct formatted *to)
{
	_cleanup_free_ char *out = malloc(LINES_ROOM);
	struct line_piece piece;
	size_t used, size;

	MUST(out);
	if (style->json && !lines_piece(in, n, last, &piece))
		return 0;
	if (is_plain(style)) {
		used = lines_cut(in, n, false, room);
		MUST(used <= room && (used == n || used == 0 || in[used - 1] == '\n'));
		if (used == 0)
			used = lines_cut(in, n, true, SIZE_MAX);
		append(to, in, used);
		return used;
	}
	used = lines_format(style, inside, in, n, last, false, out, MIN(room, LINES_ROOM), &size);
	MUST(size <= MIN(room, LINES_ROOM) && (used > 0 || size == 0));
	if (used == 0) {
		used = lines_format(style, inside, in, n, last, true, out, LINES_ROOM, &size);
		MUST(used > 0 && lines_count(out, size) <= 1);
	}
	append(to, out, size);
	return used;
}

struct formatted lines_harness_format(const struct line_style *style, const char *in, size_t n,
				      uint64_t *random)
{
	struct formatted to = { NULL, 0 };
	bool inside = false;
	size_t begin = 0, end = 0;

	append(&to, "", 0);
	while (begin < n) {
		bool last = end == n;
		/* A block of its own, so that AddressSanitizer sees a byte too far. */
		_cleanup_free_ char *block = malloc(end - begin + 1);
		size_t used, more = any_size(random, 128 * 1024);

		MUST(block);
		memcpy(block, in + begin, end - begin);
		used = end > begin ? format_some(style, &inside, block, end - begin, last,
						 any_size(random, LINES_ROOM), &to)
				   : 0;
		begin += used;
		MUST(used > 0 || !last || begin == n);
		if (used == 0 || roll(random, 2))
			end += MIN(more, n - end);
		if (end - begin > 128 * 1024)
			end = begin + 128 * 1024;
	}
	return to;
}

/* --- and back --------------------------------------------------------------------------- */

static int digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = memchr(digits, c, sizeof(digits) - 1);

	MUST(found);
	return (int)(found - digits);
}

static void append_base64(struct formatted *to, const char *text)
{
	for (; *text; text += 4) {
		int n = text[2] == '=' ? 1 : text[3] == '=' ? 2 : 3;
		uint32_t bits = (uint32_t)digit(text[0]) << 18 | (uint32_t)digit(text[1]) << 12;
		char bytes[3];

		bits |= n > 1 ? (uint32_t)digit(text[2]) << 6 : 0;
		bits |= n > 2 ? (uint32_t)digit(text[3]) : 0;
		for (int i = 0; i < 3; i++)
			bytes[i] = (char)(bits >> (16 - 8 * i));
		append(to, bytes, (size_t)n);
	}
}

static void undo_object(const struct line_style *style, const char *line, size_t size,
			struct formatted *to)
{
	json_t *object = json_loadb(line, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	const json_t *text = json_object_get(object, "text");
	const char *base64 = json_string_value(json_object_get(object, "base64"));

	MUST(json_is_string(text));
	MUST(strcmp(json_string_value(json_object_get(object, "time")), style->stamp) == 0);
	MUST(strcmp(json_string_value(json_object_get(object, "service")), "web") == 0);
	if (base64)
		append_base64(to, base64);
	else
		append(to, json_string_value(text), json_string_length(text));
	if (!json_is_true(json_object_get(object, "partial")))
		append(to, "\n", 1);
	json_decref(object);
}

static void undo_text(const struct line_style *style, const char *line, size_t size,
		      struct formatted *to)
{
	size_t n = strlen(style->stamp), prefix = strlen(style->prefix);

	MUST(size >= n + (n > 0) + prefix && memcmp(line, style->stamp, n) == 0);
	MUST(n == 0 || line[n++] == ' ');
	MUST(memcmp(line + n, style->prefix, prefix) == 0);
	append(to, line + n + prefix, size - n - prefix);
}

struct formatted lines_harness_undo(const struct line_style *style, const char *data, size_t size)
{
	struct formatted to = { NULL, 0 };
	const char *end = data + size;

	append(&to, "", 0);
	while (data < end) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		size_t n = newline ? (size_t)(newline + 1 - data) : (size_t)(end - data);

		if (style->json)
			undo_object(style, data, n, &to);
		else
			undo_text(style, data, n, &to);
		data += n;
	}
	return to;
}
