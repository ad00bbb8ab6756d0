/* SPDX-License-Identifier: MIT */
/* Logs, as far as they are pure: lines, times, names, rates; what is written is what was said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/log-name.h"
#include "base/macro.h"
#include "base/units.h"
#include "ctl/log-line.h"
#include "lines-harness.h"
#include "logger/rate.h"

#define NOON UINT64_C(1764072000123456) /* 2025-11-25 12:00:00 UTC */

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static void test_stamps(void **state)
{
	struct line_style style;

	lines_stamp(&style, LINE_STAMPS_UTC, NOON);
	assert_string_equal(style.stamp, "2025-11-25T12:00:00.123456Z");
	lines_stamp(&style, LINE_STAMPS_UTC, NOON + 7);
	assert_string_equal(style.stamp, "2025-11-25T12:00:00.123463Z");
	lines_stamp(&style, LINE_STAMPS_UTC, NOON + USEC_PER_SEC);
	assert_string_equal(style.stamp, "2025-11-25T12:00:01.123456Z");
	lines_stamp(&style, LINE_STAMPS_NONE, NOON);
	assert_string_equal(style.stamp, "");
	set_zone("Asia/Kolkata");
	lines_stamp(&style, LINE_STAMPS_LOCAL, NOON);
	assert_string_equal(style.stamp, "2025-11-25T17:30:00.123456+05:30");
	set_zone("America/St_Johns");
	lines_stamp(&style, LINE_STAMPS_LOCAL, NOON + 2 * USEC_PER_SEC);
	assert_string_equal(style.stamp, "2025-11-25T08:30:02.123456-03:30");
	set_zone("UTC");
}

/* --- there and back --- */

static uint32_t roll(uint64_t *random, uint32_t sides)
{
	*random = *random * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*random >> 33) % sides;
}

/* What services say: short lines, long ones, without an end, of any bytes. */
static size_t say(char *to, size_t room, uint64_t *random)
{
	static const uint32_t lengths[] = { 1, 8, 100, 4096, 30000, 200000 };
	size_t n = 0, wanted = 1 + roll(random, (uint32_t)room);
	bool any_bytes = roll(random, 2);

	while (n < wanted) {
		uint32_t length = roll(random, lengths[roll(random, ELEMENTSOF(lengths))]);

		for (; length > 0 && n < wanted; length--)
			to[n++] = (char)(any_bytes ? roll(random, 256) : ' ' + roll(random, 95));
		if (n < wanted)
			to[n++] = '\n';
	}
	return n;
}

static void check_there_and_back(const struct line_style *style, const char *said, size_t n,
				 uint64_t *random)
{
	struct formatted out = lines_harness_format(style, said, n, random);
	struct formatted back = lines_harness_undo(style, out.data, out.size);

	assert_int_equal(back.size, n);
	assert_memory_equal(back.data, said, n);
	free(out.data);
	free(back.data);
}

static void test_what_is_written_is_what_was_said(void **state)
{
	static const struct {
		bool json, stamps;
		const char *prefix;
	} styles[] = { { false, false, "" },
		       { false, true, "" },
		       { false, false, "[web] " },
		       { false, true, "[web] " },
		       { true, true, "" } };
	size_t room = 300000;
	char *said = malloc(room);
	uint64_t random = 20261125;

	for (int round = 0; round < 300; round++) {
		size_t i = (size_t)round % ELEMENTSOF(styles);
		struct line_style style = { .json = styles[i].json,
					    .prefix = styles[i].prefix,
					    .members = "\"service\":\"web\"," };

		lines_stamp(&style, styles[i].stamps ? LINE_STAMPS_UTC : LINE_STAMPS_NONE, NOON);
		check_there_and_back(&style, said, say(said, room, &random), &random);
	}
	free(said);
}

/* A character is not cut in two by the end of a piece. */
/* Counted many bytes at a time, which must not show, wherever a piece begins and ends. */
static void test_lines_are_counted(void **state)
{
	static char text[40000];
	uint64_t random = 1;

	memset(text, '\n', sizeof(text)); /* more than a byte counts, in each column */
	assert_int_equal(lines_count(text, sizeof(text)), sizeof(text));
	for (int round = 0; round < 2000; round++) {
		size_t begin = roll(&random, 64), n = roll(&random, round % 2 ? 40 : 39000);
		size_t expected = 0;

		for (int i = 0; i < 100; i++)
			text[roll(&random, sizeof(text))] = (char)(roll(&random, 2) ? 'x' : '\n');
		for (size_t i = begin; i < begin + n; i++)
			expected += text[i] == '\n';
		assert_int_equal(lines_count(text + begin, n), expected);
	}
}

static void test_pieces(void **state)
{
	struct line_piece piece;
	char *text = malloc(LINES_PIECE + 10);

	memset(text, 'x', LINES_PIECE + 10);
	memcpy(text + LINES_PIECE - 2, "\xe2\x82\xac", 3);
	assert_true(lines_piece(text, LINES_PIECE + 10, false, &piece));
	assert_int_equal(piece.used, LINES_PIECE - 2);
	assert_true(piece.partial);
	memcpy(text + LINES_PIECE - 3, "\xe2\x82\xac", 3);
	text[LINES_PIECE] = 'x';
	assert_true(lines_piece(text, LINES_PIECE + 10, false, &piece));
	assert_int_equal(piece.used, LINES_PIECE);
	text[LINES_PIECE] = '\n';
	assert_true(lines_piece(text, LINES_PIECE + 10, false, &piece));
	assert_int_equal(piece.used, LINES_PIECE + 1);
	assert_int_equal(piece.size, LINES_PIECE);
	assert_false(piece.partial);
	assert_false(lines_piece(text, 100, false, &piece));
	assert_true(lines_piece(text, 100, true, &piece));
	assert_int_equal(piece.used, 100);
	assert_false(lines_piece(text, 0, true, &piece));
	free(text);
}

/* --- rates --- */

static void test_rate(void **state)
{
	struct rate r = { 0, 0 };
	uint64_t now = 5 * USEC_PER_SEC;

	assert_int_equal(rate_left(&r, 10, USEC_PER_SEC, now), 10);
	rate_pass(&r, 10, USEC_PER_SEC, 10);
	assert_int_equal(rate_left(&r, 10, USEC_PER_SEC, now), 0);
	assert_int_equal(rate_left(&r, 10, USEC_PER_SEC, now + 99999), 0);
	assert_int_equal(rate_left(&r, 10, USEC_PER_SEC, now + 100000), 1);
	assert_int_equal(rate_left(&r, 10, USEC_PER_SEC, now + 950000), 9);
	assert_int_equal(rate_left(&r, 10, USEC_PER_SEC, now + 100 * USEC_PER_SEC), 10);
	rate_pass(&r, 10, USEC_PER_SEC, 1000); /* a burst that was let pass is no debt for long */
	assert_int_equal(rate_left(&r, 10, USEC_PER_SEC, now + 101 * USEC_PER_SEC), 10);
	/* The largest there is. */
	assert_int_equal(rate_left(&r, 100000000, 3600 * USEC_PER_SEC, UINT64_MAX), 100000000);
}

/* --- names --- */

static void test_names(void **state)
{
	char buf[100];
	enum packing packing;

	assert_string_equal(log_name(buf, sizeof(buf), "web@1", false), "web@1.log");
	assert_string_equal(log_name(buf, sizeof(buf), "web@1", true), "web@1.stderr.log");
	assert_string_equal(log_name_stamp(buf, NOON), ".20251125T120000.123456Z");
	assert_true(log_name_is_rotated("web.log.20251125T120000.123456Z", "web.log", &packing));
	assert_int_equal(packing, PACKING_NONE);
	assert_true(log_name_is_rotated("web.log.20251125T120000.123456Z.gz", "web.log", &packing));
	assert_int_equal(packing, PACKING_GZIP);
	assert_true(
		log_name_is_rotated("web.log.20251125T120000.123456Z.zst", "web.log", &packing));
	assert_int_equal(packing, PACKING_ZSTD);
	assert_false(log_name_is_rotated("web.log", "web.log", &packing));
	assert_false(log_name_is_rotated("web.log.1", "web.log", &packing));
	assert_false(log_name_is_rotated("web.log.20251125T120000.123456Z", "web", &packing));
	assert_false(log_name_is_rotated("web.log.20251125T120000.12345Z", "web.log", &packing));
	assert_false(log_name_is_rotated("web.log.20251125T120000.123456Z.gz.part", "web.log",
					 &packing));
	assert_int_equal(log_name_base("a.log.20251125T120000.123456Z", &packing), 5);
	assert_int_equal(log_name_base(".20251125T120000.123456Z", &packing), 0);
	assert_int_equal(log_name_base("", &packing), 0);
}

/* --- times that are read --- */

static void test_times(void **state)
{
	static const struct {
		const char *line;
		uint64_t time;
	} cases[] = {
		{ "2025-11-25T12:00:00.123456Z x", NOON },
		{ "2025-11-25T12:00:00.123456Z", NOON },
		{ "2025-11-25T17:30:00.123456+05:30 x", NOON },
		{ "2025-11-25T08:30:00.123456-03:30 x", NOON },
		{ "2025-11-25T12:00:00Z", NOON / USEC_PER_SEC * USEC_PER_SEC },
		{ "{\"time\":\"2025-11-25T12:00:00.123456Z\",\"text\":\"\"}", NOON },
		{ "", LOG_TIME_NONE },
		{ "hello, this is a line of some length", LOG_TIME_NONE },
		{ "2025-13-25T12:00:00.123456Z", LOG_TIME_NONE },
		{ "2025-11-25T12:00:00.123456 x", LOG_TIME_NONE },
		{ "2025-11-25 12:00:00.123456Z", LOG_TIME_NONE },
		{ "2025-11-25T12:00:00+0", LOG_TIME_NONE },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_int_equal(log_line_time(cases[i].line, strlen(cases[i].line)),
				 cases[i].time);
}

static void test_since(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds; /* 0: refused */
	} cases[] = {
		{ "2025-11-25T12:00:00Z", 1764072000 },
		{ "2025-11-25T11:00:00-01:00", 1764072000 },
		{ "2025-11-25T12:00:00", 1764072000 },
		{ "2025-11-25 12:00:00", 1764072000 },
		{ "2025-11-25 12:00", 1764072000 },
		{ "2025-11-25", 1764028800 },
		{ "11:30", 1764070200 },
		{ "11:30:05", 1764070205 },
		{ "1h", 1764068400 },
		{ "1min 30s", 1764071910 },
		{ "", 0 },
		{ "today", 1764028800 },
		{ "yesterday", 1763942400 },
		{ "tomorrow", 0 },
		{ "25:00", 0 },
		{ "2025-11-25T", 0 },
		{ "2025-11-25T12:00:00Zx", 0 },
		{ "infinity", 0 },
	};

	set_zone("UTC");
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		uint64_t time = 0;
		int r = log_since_parse(cases[i].text, NOON, &time);

		assert_int_equal(r, cases[i].seconds ? 0 : -EINVAL);
		assert_int_equal(time / USEC_PER_SEC, cases[i].seconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_what_is_written_is_what_was_said),
		cmocka_unit_test(test_lines_are_counted),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
