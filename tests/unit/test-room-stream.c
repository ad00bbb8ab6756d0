/* SPDX-License-Identifier: MIT */
/* The answer with the announcements, fed in pieces of every size: chat/admin/stream.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "chat/admin/stream.h"

static char heard[1024];
static uint64_t last;

static void on_event(void *arg, const json_t *event)
{
	const char *text = json_string_value(json_object_get(event, "text"));
	size_t n = strlen(heard);

	if (!text || strcmp(json_string_value(json_object_get(event, "type")), "announce") != 0)
		return;
	last = json_integer_value(json_object_get(event, "seq"));
	snprintf(heard + n, sizeof(heard) - n, "%s|", text);
}

/* Feeds data in pieces of piece bytes; the first error, or 0. */
static int feed(const char *data, size_t size, size_t piece)
{
	_cleanup_(stream_freep) struct stream *s = stream_new(on_event, NULL);
	int r = 0;

	heard[0] = '\0';
	last = 0;
	assert_non_null(s);
	for (size_t i = 0; i < size && r == 0; i += piece)
		r = stream_feed(s, data + i, MIN(piece, size - i));
	return r;
}

static void add_chunk(char *answer, const char *text, const char *extension)
{
	sprintf(answer + strlen(answer), "%zx%s\r\n%s\r\n", strlen(text), extension, text);
}

static void test_chunked(void **state)
{
	char answer[1024] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
			    "Transfer-Encoding: chunked\r\n\r\n";

	add_chunk(answer, "{\"seq\":7,\"type\":\"announce\",\"text\":\"first one\"}", "");
	add_chunk(answer, "\n", "");
	add_chunk(answer, "{\"type\":\"other\",", ";x=y"); /* a line may come in two chunks */
	add_chunk(answer, "\"text\":\"no\"}\nnot json\n\n[1]\n", "");
	add_chunk(answer, "{\"seq\":9,\"type\":\"announce\",\"text\":\"\\u4e2d\\n\\\"x\\\"\"}\n",
		  "");
	add_chunk(answer, "", "");
	for (size_t piece = 1; piece < strlen(answer); piece++) {
		assert_int_equal(feed(answer, strlen(answer), piece), -ENODATA);
		assert_string_equal(heard, "first one|中\n\"x\"|");
		assert_int_equal(last, 9);
	}
}

static void test_plain(void **state)
{
	static const char answer[] = "HTTP/1.0 200 OK\n\n{\"type\":\"announce\",\"text\":\"a\"}\n"
				     "{\"type\":\"announce\",\"text\":\"b\"}\n";

	assert_int_equal(feed(answer, sizeof(answer) - 1, 5), 0);
	assert_string_equal(heard, "a|b|");
	assert_int_equal(last, 0);
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_errors(void **state)
{
	static const char nul[] = "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n";
	static const struct {
		const char *answer;
		int error;
	} cases[] = {
		{ "HTTP/1.1 403 Forbidden\r\n\r\n", -EACCES },
		{ "HTTP/1.1 404 Not Found\r\n\r\n", -EPROTO },
		{ "SSH-2.0-x\r\n", -EPROTO },
		{ "HTTP/1.1 2000 OK\r\n\r\n", -EPROTO },
		{ "HTTP/1.1200 OK\r\n\r\n", -EPROTO },
		{ "HTTP/1.1 +20 OK\r\n\r\n", -EPROTO },
		{ CHUNKED "x\r\n", -EPROTO },
		{ CHUNKED "ffffffffffffffff\r\n", -EPROTO },
		{ CHUNKED "-ffffffffffffffff\r\n", -EPROTO },
		{ CHUNKED " 1\r\n", -EPROTO },
		{ CHUNKED "0x1\r\n", -EPROTO },
		{ CHUNKED "00000000000000001\r\n", -EPROTO },
		{ CHUNKED "1\r\naXX\r\n", -EPROTO },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_int_equal(feed(cases[i].answer, strlen(cases[i].answer), 3), cases[i].error);
	assert_int_equal(feed(nul, sizeof(nul) - 1, 3), -EPROTO);
}

static void test_bounds(void **state)
{
	const size_t size = 200000;
	char *answer = malloc(size);
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n",
			  next[] = "\n{\"type\":\"announce\",\"text\":\"after\"}\n";

	assert_non_null(answer);
	memset(answer, 'x', size);
	assert_int_equal(feed(answer, size, 4096), -EPROTO);
	memcpy(answer, head, sizeof(head) - 1);
	memcpy(answer + size - sizeof(next), next, sizeof(next)); /* a line of 200 kB before it */
	assert_int_equal(feed(answer, size, 4096), 0);
	assert_string_equal(heard, "after|");
	free(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
