/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's events as the admin's child reads them. The answer is read as a whole by a
 * second reading of HTTP, then fed in pieces of several sizes: each time the events and the end
 * must be the same. The byte 0xff stands for many blanks, so that a small input reaches the limits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/macro.h"
#include "chat/admin/stream.h"
#include "naive.h"
#include "sweep.h"

#define HEAD_MAX     8192
#define LINE_MAX     65536
#define FRAME_MAX    511 /* what is looked at of a line around the body */
#define CHUNK_MAX    (UINT64_C(1) << 30)
#define DIGITS_MAX   16
#define BLANKS       512 /* times the byte behind 0xff */
#define EXPANDED_MAX (4 * LINE_MAX)

/* What came out. */
struct outcome {
	char *events; /* one a line */
	size_t size;
	int result;
	bool answered;
};

static void outcome_freep(struct outcome *o)
{
	free(o->events);
}

static void add_event(void *arg, const json_t *event)
{
	struct outcome *o = arg;
	char *text = json_dumps(event, JSON_COMPACT | JSON_SORT_KEYS);
	size_t n;

	MUST(text && json_is_object(event));
	n = strlen(text);
	text[n] = '\n';
	o->events = realloc(o->events, o->size + n + 1);
	MUST(o->events);
	memcpy(o->events + o->size, text, n + 1);
	o->size += n + 1;
	free(text);
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
	return a->result == b->result && a->answered == b->answered && a->size == b->size &&
	       (a->size == 0 || memcmp(a->events, b->events, a->size) == 0);
}

/* --- the second reading ------------------------------------------------------------------- */

/*
 * The next line of the frame, without its end, cut where it is too long; *at moves behind it.
 * 1; 0: it is not whole; -EPROTO: it cannot be one.
 */
static int next_line(const struct piece *answer, size_t *at, char line[FRAME_MAX + 1])
{
	const char *begin = answer->at + *at, *end;
	size_t left = answer->size - *at, n;

	end = memchr(begin, '\n', left);
	n = end ? (size_t)(end - begin) : left;
	if (memchr(begin, '\0', n))
		return -EPROTO;
	if (!end)
		return 0;
	*at += n + 1;
	n = MIN(n, FRAME_MAX);
	if (n > 0 && begin[n - 1] == '\r')
		n--;
	memcpy(line, begin, n);
	line[n] = '\0';
	return 1;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* HTTP/1.x SP code [SP reason] */
static int read_status(const char *line)
{
	if (strlen(line) < 12 ||
	    (memcmp(line, "HTTP/1.0 ", 9) != 0 && memcmp(line, "HTTP/1.1 ", 9) != 0))
		return -EPROTO;
	if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
	    (line[12] && line[12] != ' '))
		return -EPROTO;
	if (memcmp(line + 9, "200", 3) == 0)
		return 0;
	return memcmp(line + 9, "401", 3) == 0 || memcmp(line + 9, "403", 3) == 0 ? -EACCES
										  : -EPROTO;
}

/* "chunked" in whichever letters, anywhere. */
static bool says_chunked(const char *text)
{
	for (; *text; text++) {
		if (strncasecmp(text, "chunked", 7) == 0)
			return true;
	}
	return false;
}

/* 1: the body begins at *at. */
static int read_head(const struct piece *answer, size_t *at, bool *chunked, bool *answered)
{
	char line[FRAME_MAX + 1];
	int r;

	for (bool first = true;; first = false) {
		const struct piece head = { answer->at, MIN(answer->size, HEAD_MAX) };

		r = next_line(&head, at, line);
		if (r == 0 && answer->size > HEAD_MAX)
			return -EPROTO;
		if (r <= 0)
			return r;
		if (first) {
			r = read_status(line);
			if (r < 0)
				return r;
			*answered = true;
		} else if (!line[0]) {
			return 1;
		} else if (strncasecmp(line, "transfer-encoding:", 18) == 0 && says_chunked(line)) {
			*chunked = true;
		}
	}
}

/* 1, and the size; chunk-size [extensions] */
static int read_chunk_size(const struct piece *answer, size_t *at, uint64_t *size)
{
	static const char digits[] = "0123456789abcdef";
	char line[FRAME_MAX + 1];
	size_t n = 0;
	int r = next_line(answer, at, line);

	if (r <= 0)
		return r;
	for (*size = 0; line[n] && n < DIGITS_MAX; n++) {
		char c = line[n] >= 'A' && line[n] <= 'F' ? line[n] + ('a' - 'A') : line[n];
		const char *digit = strchr(digits, c);

		if (!digit)
			break;
		*size = *size * 16 + (digit - digits);
	}
	return n > 0 && (!line[n] || line[n] == ';' || line[n] == ' ') && *size <= CHUNK_MAX
		       ? 1
		       : -EPROTO;
}

/* The chunks' bytes, as far as they came. */
static int read_chunks(const struct piece *answer, size_t at, char *body, size_t *n)
{
	char line[FRAME_MAX + 1];
	uint64_t size;
	size_t piece;
	int r;

	for (;;) {
		r = read_chunk_size(answer, &at, &size);
		if (r <= 0)
			return r;
		if (size == 0)
			return -ENODATA;
		piece = MIN(size, answer->size - at);
		memcpy(body + *n, answer->at + at, piece);
		*n += piece;
		at += piece;
		if (piece < size)
			return 0;
		r = next_line(answer, &at, line);
		if (r <= 0)
			return r;
		if (line[0])
			return -EPROTO;
	}
}

static void read_events(const char *body, size_t size, struct outcome *o)
{
	const char *end;

	while ((end = memchr(body, '\n', size)) != NULL) {
		size_t n = end - body;
		json_t *event = n > 0 && n <= LINE_MAX ? json_loadb(body, n, 0, NULL) : NULL;

		if (json_is_object(event))
			add_event(o, event);
		json_decref(event);
		body += n + 1;
		size -= n + 1;
	}
}

static struct outcome read_answer(const struct piece *answer)
{
	_cleanup_free_ char *body = malloc(answer->size + 1);
	struct outcome o = { .events = NULL };
	bool chunked = false;
	size_t at = 0, n = 0;

	MUST(body);
	o.result = read_head(answer, &at, &chunked, &o.answered);
	if (o.result <= 0)
		return o;
	o.result = 0;
	if (chunked) {
		o.result = read_chunks(answer, at, body, &n);
	} else {
		n = answer->size - at;
		memcpy(body, answer->at + at, n);
	}
	read_events(body, n, &o);
	return o;
}

/* --- the code under test ------------------------------------------------------------------ */

/* Pieces of most bytes each, or, where random is set, of up to so many. */
static struct outcome feed(const struct piece *answer, size_t most, uint64_t random)
{
	struct outcome o = { .events = NULL };
	_cleanup_(stream_freep) struct stream *stream = stream_new(add_event, &o);
	size_t n;

	MUST(stream);
	for (size_t at = 0; at < answer->size && o.result == 0; at += n) {
		_cleanup_free_ char *piece = NULL;

		n = most;
		if (random) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
			n = 1 + (random >> 33) % most;
		}
		n = MIN(n, answer->size - at);
		piece = malloc(n);
		MUST(piece);
		memcpy(piece, answer->at + at, n);
		o.result = stream_feed(stream, piece, n);
	}
	o.answered = stream_answered(stream);
	return o;
}

static void check_pieces(const struct piece *answer, const struct outcome *expected, size_t most,
			 uint64_t random)
{
	_cleanup_(outcome_freep) struct outcome o = feed(answer, most, random);

	MUST(is_same(&o, expected));
}

/* To be freed; of its own size, so that AddressSanitizer sees a byte too far. */
static char *expand(const uint8_t *data, size_t size, size_t *ret_size)
{
	size_t n = 0, room = 0;
	char *text;

	for (size_t i = 0; i < size; i++)
		room += data[i] == 0xff && i + 1 < size ? data[++i] * (size_t)BLANKS : 1;
	room = MIN(room, (size_t)EXPANDED_MAX);
	text = malloc(room ? room : 1);
	MUST(text);
	for (size_t i = 0; i < size && n < room; i++) {
		if (data[i] == 0xff && i + 1 < size) {
			size_t blanks = data[++i] * (size_t)BLANKS;

			blanks = MIN(blanks, room - n);
			memset(text + n, ' ', blanks);
			n += blanks;
		} else {
			text[n++] = (char)data[i];
		}
	}
	*ret_size = n;
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n;
	_cleanup_free_ char *text = expand(data, size, &n);
	const struct piece answer = { text, n };
	_cleanup_(outcome_freep) struct outcome expected = read_answer(&answer);
	uint64_t random = 1;

	for (size_t i = 0; i < size; i++)
		random = random * 31 + data[i];
	random |= 1;
	check_pieces(&answer, &expected, answer.size + 1, 0);
	check_pieces(&answer, &expected, answer.size < 1024 ? 1 : answer.size / 64, 0);
	check_pieces(&answer, &expected, 1 + answer.size / 4, random);
	check_pieces(&answer, &expected, 16 + answer.size / 64, random + 2);
	return 0;
}

#ifndef FUZZING
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* With so many bytes between head and tail, and some less and more. */
static void sweep_limit(const char *head, size_t limit, const char *tail)
{
	for (size_t n = limit - 16; n < limit + 16; n++) {
		char seed[BLANKS + 128] = "";
		size_t size = strlen(head);

		memcpy(seed, head, size);
		if (n >= BLANKS) {
			seed[size++] = '\xff';
			seed[size++] = (char)(n / BLANKS);
		}
		memset(seed + size, ' ', n % BLANKS);
		size += n % BLANKS;
		memcpy(seed + size, tail, strlen(tail));
		LLVMFuzzerTestOneInput((const uint8_t *)seed, size + strlen(tail));
	}
}

int main(void)
{
	static const char *const seeds[] = {
		CHUNKED "5\r\n{\"a\":\r\n4;x=y\r\n1}\n{\r\n2\r\n}\n\r\n0\r\n\r\n",
		CHUNKED "000000000000001\n{\n10 \n\"b\":[],\"c\":\"\xc3\xbc\"}\n\n1\n\n\n",
		CHUNKED "-1\r\n",
		CHUNKED "0x1\r\n\n\r\n",
		CHUNKED "00000000000000001\r\n\n\r\n",
		CHUNKED "40000001\r\n",
		CHUNKED "40000000\r\n{}\n",
		"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\ntransfer-encoding: x\n\n3\n{}\n\n0\n",
		"HTTP/1.0 200 OK\n\n{\"type\":\"announce\"}\n\nnot json\n[1]\n{}\n",
		"HTTP/1.1 401\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n{}\n",
		"HTTP/1.1200\r\n\r\n{}\n",
		"HTTP/1.0 200 OK\nX:\xff\1Transfer-Encoding: chunked\nTransfer-Encoding:\xff\1"
		"chunked\n\n{}\n",
	};

	for (size_t i = 0; i < ELEMENTSOF(seeds); i++)
		sweep((const uint8_t *)seeds[i], strlen(seeds[i]), 500);
	sweep_limit("HTTP/1.1 200 OK\n\n{\"a\":1", LINE_MAX - 6, "}\n{}\n");
	sweep_limit("HTTP/1.1 200 OK\nX:", HEAD_MAX - 18, "\n\n{}\n");
	sweep_limit("HTTP/1.1 200 OK\nTransfer-Encoding:", FRAME_MAX - 18, "chunked\n\n0\n");
	return 0;
}
#endif
