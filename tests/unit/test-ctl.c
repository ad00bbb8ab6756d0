/* SPDX-License-Identifier: MIT */
/* fosterctl's pure parts: replies of HTTP, streams of JSON lines, tables. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"
#include "base/http.h"
#include "ctl/lines.h"
#include "ctl/rows.h"
#include "ctl/table.h"

struct body {
	char text[256];
	size_t size;
};

static int collect(void *ctx, const char *data, size_t size)
{
	struct body *body = ctx;

	if (body->size + size >= sizeof(body->text))
		return -EFBIG;
	memcpy(body->text + body->size, data, size);
	body->size += size;
	body->text[body->size] = '\0';
	return 0;
}

/* Reads the reply in pieces of the size; what http_reply_feed() or http_reply_end() says. */
static int read_reply(const char *text, size_t size, size_t piece, struct http_reply *reply,
		      struct body *body)
{
	memset(reply, 0, sizeof(*reply));
	memset(body, 0, sizeof(*body));
	for (size_t at = 0; at < size; at += piece) {
		int r = http_reply_feed(reply, text + at, MIN(piece, size - at), collect, body);

		if (r < 0)
			return r;
	}
	return http_reply_end(reply);
}

static void test_replies(void **state)
{
	static const struct {
		const char *text;
		int error, status;
		const char *body;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0, 200, "hello" },
		{ "HTTP/1.1 200 OK\nCONTENT-length:5\n\nhello", 0, 200, "hello" },
		{ "HTTP/1.0 404 No\r\n\r\nto the end", 0, 404, "to the end" },
		{ "HTTP/1.1 204 No Content\r\n\r\n", 0, 204, "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nrest", 0, 200, "" },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\nx", 0,
		  503, "x" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n"
		  "0123456789\r\n0\r\nTrailer: x\r\n\r\n",
		  0, 200, "hello0123456789" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: "
		  "3\r\n\r\n0\r\n\r\n",
		  0, 200, "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", -EPIPE, 200, "hell" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", -EPIPE,
		  200, "hello" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n", -EBADMSG,
		  200, "hello" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -EBADMSG, 200, "" },
		{ "HTTP/1.1 200 OK\r\nContent-Le", -EPIPE, 200, "" },
		{ "", -EPIPE, 0, "" },
		{ "SSH-2.0-x\r\n", -EBADMSG, 0, "" },
		{ "HTTP/1.1 20\r\n\r\n", -EBADMSG, 0, "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -EBADMSG, 200, "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", -EBADMSG, 200, "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", -EBADMSG, 200,
		  "" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
		  -EBADMSG, 200, "" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", -EBADMSG, 200,
		  "" },
	};
	struct http_reply *reply = malloc(sizeof(*reply));
	struct body body;

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		size_t size = strlen(cases[i].text);

		for (size_t piece = 1; piece <= size + 1; piece++) {
			int r = read_reply(cases[i].text, size, piece, reply, &body);

			if (r != cases[i].error || reply->status != cases[i].status ||
			    strcmp(body.text, cases[i].body) != 0)
				fail_msg("case %zu in pieces of %zu: %d, status %d, body %s", i,
					 piece, r, reply->status, body.text);
		}
	}
	free(reply);
}

static void test_reply_limits(void **state)
{
	struct http_reply *reply = calloc(1, sizeof(*reply));
	size_t size = HTTP_LINE_MAX + 100;
	char *text = malloc(size);
	struct body body;

	memset(text, 'x', size);
	memcpy(text, "HTTP/1.1 200 OK\r\n", 17);
	assert_int_equal(read_reply(text, size, 1000, reply, &body), -EBADMSG);
	memset(text, 0, size);
	assert_int_equal(read_reply(text, size, 1000, reply, &body), -EBADMSG);
	free(text);

	memset(reply, 0, sizeof(*reply));
	assert_int_equal(http_reply_feed(reply, "HTTP/1.1 200 OK\r\n", 17, collect, &body), 0);
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		assert_int_equal(http_reply_feed(reply, "a: b\r\n", 6, collect, &body), 0);
	assert_int_equal(http_reply_feed(reply, "a: b\r\n", 6, collect, &body), -EBADMSG);
	/* What the handler says ends it. */
	memset(&body, 0, sizeof(body));
	body.size = sizeof(body.text);
	memset(reply, 0, sizeof(*reply));
	assert_int_equal(http_reply_feed(reply, "HTTP/1.1 200 OK\r\n\r\nx", 20, collect, &body),
			 -EFBIG);
	free(reply);
}

/* Every byte of a reply replaced by every other: nothing but a result. */
static void test_damaged_replies(void **state)
{
	static const char good[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
				   "Content-Length: 12\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
	struct http_reply *reply = malloc(sizeof(*reply));
	struct body body;

	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		for (int byte = 0; byte < 256; byte++) {
			char text[sizeof(good)];

			memcpy(text, good, sizeof(good));
			text[at] = (char)byte;
			read_reply(text, sizeof(good) - 1, 7, reply, &body);
		}
	}
	free(reply);
}

static void test_requests(void **state)
{
	size_t size;
	char *text = http_request("POST", "/v1/x", "{}", &size);

	assert_int_equal(size, strlen(text));
	assert_int_equal(strncmp(text, "POST /v1/x HTTP/1.1\r\nHost: ", 27), 0);
	assert_non_null(strstr(text, "\r\nContent-Length: 2\r\n\r\n{}"));
	free(text);
	text = http_escape("a-b_c.d~9/ \xc3\xa4");
	assert_string_equal(text, "a-b_c.d~9%2F%20%C3%A4");
	free(text);
}

/* --- lines --- */

static int note_line(void *ctx, const char *line, const json_t *json)
{
	struct body *body = ctx;

	assert_true(json_is_object(json));
	if (json_object_get(json, "end"))
		return -ECANCELED;
	return collect(body, line, strlen(line));
}

static int read_lines(const char *text, size_t piece, struct body *body)
{
	struct json_lines lines = { 0 };
	int r = 0;

	memset(body, 0, sizeof(*body));
	for (size_t at = 0, size = strlen(text); r == 0 && at < size; at += piece)
		r = json_lines_feed(&lines, text + at, MIN(piece, size - at), note_line, body);
	json_lines_clear(&lines);
	return r;
}

static void test_lines(void **state)
{
	static const char text[] = "{\"a\":1}\n\n  \r\n{\"b\":2}\r\n{\"half\":";
	struct body body;

	for (size_t piece = 1; piece <= sizeof(text); piece++) {
		assert_int_equal(read_lines(text, piece, &body), 0);
		assert_string_equal(body.text, "{\"a\":1}{\"b\":2}\r");
	}
	assert_int_equal(read_lines("{}\nnonsense\n", 5, &body), -EBADMSG);
	assert_int_equal(read_lines("[1]\n", 5, &body), -EBADMSG);
	assert_int_equal(read_lines("{}\n{\"end\":1}\n{}\n", 5, &body), -ECANCELED);
}

static void test_endless_line(void **state)
{
	struct json_lines lines = { 0 };
	struct body body = { 0 };
	char piece[4096];
	int r = 0;

	memset(piece, 'x', sizeof(piece));
	for (size_t i = 0; r == 0 && i <= LINE_MAX_SIZE / sizeof(piece); i++)
		r = json_lines_feed(&lines, piece, sizeof(piece), note_line, &body);
	assert_int_equal(r, -EBADMSG);
	json_lines_clear(&lines);
}

/* --- rows --- */

static int parse_rows(const char *text, struct service_row **rows, size_t *n, char **ret_copy)
{
	*ret_copy = strdup(text);
	assert_non_null(*ret_copy);
	*rows = NULL;
	return service_rows_parse(*ret_copy, rows, n);
}

static const char rows_text[] =
	" { \"x\" : [1, {\"y\": \"]}\\\"\"}, -1.5e3, true] , \"services\" : [\n"
	"{\"name\":\"web\",\"state\":\"running\",\"ready\":true,\"pid\":4711,\"uptime_us\":3200000,"
	"\"restarts\":0,\"daemon\":false,\"next\":null,\"reason\":\"\",\"requires\":[\"a\",[]]},"
	"{\"reason\":\"a \\\"b\\\" \\\\ \\/ "
	"\\t\\u00e4\\u4f60\\ud83d\\ude00\\u0000\\ud800x\",\"pid\":1.5,"
	"\"uptime_us\":99999999999999999999,\"ready\":1,\"daemon\":true,\"name\":5}, {} ] } \n";

static void test_rows(void **state)
{
	struct service_row *rows;
	char *copy;
	size_t n;

	assert_int_equal(parse_rows(rows_text, &rows, &n, &copy), 0);
	assert_int_equal(n, 3);
	assert_string_equal(rows[0].name, "web");
	assert_string_equal(rows[0].state, "running");
	assert_string_equal(rows[0].next, "");
	assert_true(rows[0].ready);
	assert_false(rows[0].daemon);
	assert_int_equal(rows[0].pid, 4711);
	assert_int_equal(rows[0].uptime, 3200000);
	assert_int_equal(rows[0].restarts, 0);
	assert_string_equal(rows[1].name, "");
	assert_string_equal(rows[1].reason,
			    "a \"b\" \\ / \t\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x98\x80??x");
	assert_int_equal(rows[1].pid, -1);
	assert_int_equal(rows[1].uptime, -1);
	assert_false(rows[1].ready);
	assert_true(rows[1].daemon);
	assert_string_equal(rows[2].name, "");
	free(rows);
	free(copy);
	assert_int_equal(parse_rows("{\"services\":[]}", &rows, &n, &copy), 0);
	assert_int_equal(n, 0);
	free(rows);
	free(copy);
}

static void test_bad_rows(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"services\":{}}",
		"{\"services\":[1]}",
		"{\"services\":[]} x",
		"{\"services\":[{]}",
		"{\"services\":[{\"name\"}]}",
		"{\"services\":[{\"name\":\"\\x\"}]}",
		"{\"services\":[{\"name\":\"\\u12g4\"}]}",
		"{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],"
		"\"services\":[]}",
	};
	struct service_row *rows;
	char *copy;
	size_t n;

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		assert_int_equal(parse_rows(bad[i], &rows, &n, &copy), -EBADMSG);
		free(copy);
	}
	/* Cut anywhere, and any byte replaced: an error or rows, never more. */
	for (size_t cut = 0; cut < sizeof(rows_text) - 3; cut++) {
		char text[sizeof(rows_text)];

		memcpy(text, rows_text, sizeof(text));
		text[cut] = '\0';
		assert_int_equal(parse_rows(text, &rows, &n, &copy), -EBADMSG);
		free(copy);
		for (int byte = 1; byte < 256; byte++) {
			text[cut] = (char)byte;
			memcpy(text + cut + 1, rows_text + cut + 1, sizeof(text) - cut - 1);
			if (parse_rows(text, &rows, &n, &copy) == 0)
				free(rows);
			free(copy);
		}
	}
}

/* --- tables --- */

static void expect_table(const char *const *cells, size_t n, size_t width, const char *expected)
{
	static const struct column columns[] = { { "NAME" }, { "N", true }, { "WHY" } };
	struct table *table = table_new(columns, ELEMENTSOF(columns));
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(table_add(table, i == 0 ? COLOUR_GREEN : COLOUR_NONE, cells[i]),
				 0);
	assert_int_equal(table_print(table, f, width, false), n / ELEMENTSOF(columns));
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, expected);
	free(text);
	table_free(table);
}

static void test_tables(void **state)
{
	static const char *const cells[] = { "a",
					     "1",
					     "",
					     "\xe8\x81\x8a\xe5\xa4\xa9\xe5\xae\xa4",
					     "1234",
					     "because of \xe9\x95\xbf\xe9\x95\xbf",
					     "bad\x1b[1m\n\tx",
					     "-",
					     "\xff\xc2\x9b" };

	expect_table(NULL, 0, 0, "NAME  N  WHY\n");
	expect_table(cells, 9, 0,
		     "NAME           N  WHY\n"
		     "a              1\n"
		     "\xe8\x81\x8a\xe5\xa4\xa9\xe5\xae\xa4      1234  because of "
		     "\xe9\x95\xbf\xe9\x95\xbf\n"
		     "bad?[1m? x     -  ???\n");
	/* A double-width character that would fit by half is left out. */
	expect_table(cells + 3, 3, 27,
		     "NAME       N  WHY\n"
		     "\xe8\x81\x8a\xe5\xa4\xa9\xe5\xae\xa4  1234  because of \xe2\x80\xa6\n");
	expect_table(cells + 3, 3, 29,
		     "NAME       N  WHY\n"
		     "\xe8\x81\x8a\xe5\xa4\xa9\xe5\xae\xa4  1234  because of "
		     "\xe9\x95\xbf\xe9\x95\xbf\n");
	expect_table(cells + 3, 3, 5,
		     "NAME       N  \n\xe8\x81\x8a\xe5\xa4\xa9\xe5\xae\xa4  1234  \n");
}

static void test_widths(void **state)
{
	assert_int_equal(text_width(""), 0);
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("\xe4\xbd\xa0\xe5\xa5\xbd"), 4);
	assert_int_equal(text_width("e\xcc\x81"), 1);
	assert_int_equal(text_width("\xff\xfe"), 2);
}

static void test_colours(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	colour_print(f, true, COLOUR_RED, "x");
	colour_print(f, true, COLOUR_NONE, "y");
	colour_print(f, false, COLOUR_RED, "z");
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, "\033[31mx\033[0myz");
	free(text);
}

/* --- text --- */

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "", true },
		{ "abc", true },
		{ "\xc3\xa4\xe4\xbd\xa0\xf0\x9f\x98\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\xf4\x90\x80\x80", false }, /* above U+10FFFF */
		{ "\xc0\x80", false },         /* overlong */
		{ "\xe0\x80\xaf", false },
		{ "\xed\xa0\x80", false }, /* a surrogate */
		{ "\x80", false },
		{ "\xe4\xbd", false },
		{ "\xff", false },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_int_equal(utf8_valid(cases[i].text), cases[i].valid);
}

static void test_nearest(void **state)
{
	static const char *const names[] = { "status", "start", "stop", "restart", "reload" };
	static const struct {
		const char *word, *expected;
	} cases[] = {
		{ "statsu", "status" }, { "strat", "start" },
		{ "relod", "reload" },  { "restrat", "restart" },
		{ "sotp", "stop" },     { "xyzzy", NULL },
		{ "", NULL },           { "x", NULL },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct nearest search = { .word = cases[i].word };

		for (size_t k = 0; k < ELEMENTSOF(names); k++)
			nearest_consider(&search, names[k]);
		if (cases[i].expected)
			assert_string_equal(search.best, cases[i].expected);
		else
			assert_null(search.best);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_reply_limits),
		cmocka_unit_test(test_damaged_replies),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_endless_line),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bad_rows),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_colours),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
