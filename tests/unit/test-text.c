/* SPDX-License-Identifier: MIT */
/* UTF-8, disarmed text, misspelt words: base/text.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"

/* The encoding by the book, apart from the one under test. */
static size_t encode(uint32_t c, char *buf)
{
	if (c < 0x80)
		return buf[0] = (char)c, 1;
	if (c < 0x800)
		return buf[0] = (char)(0xc0 | c >> 6), buf[1] = (char)(0x80 | (c & 63)), 2;
	if (c < 0x10000) {
		buf[0] = (char)(0xe0 | c >> 12);
		buf[1] = (char)(0x80 | (c >> 6 & 63));
		return buf[2] = (char)(0x80 | (c & 63)), 3;
	}
	buf[0] = (char)(0xf0 | c >> 18);
	buf[1] = (char)(0x80 | (c >> 12 & 63));
	buf[2] = (char)(0x80 | (c >> 6 & 63));
	return buf[3] = (char)(0x80 | (c & 63)), 4;
}

static void test_every_character(void **state)
{
	char buf[4];

	for (uint32_t c = 0; c < 0x110000 + 0x1000; c++) {
		size_t n = encode(c, buf), expected = n;
		uint32_t value = UINT32_MAX;

		if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
			expected = 0;
		if (utf8_decode(buf, n, &value) != expected || value != (expected ? c : UINT32_MAX))
			fail_msg("U+%04X: %u", c, value);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(utf8_decode(buf, cut, &value), 0);
	}
}

static void test_what_is_no_character(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80",
		"\xfe",
		"\xff",
		"\xc3(",
		"\xe5\xa4(",
		"\xf0\x9f\x98(",
		"\xc3\xc3",
		"\xed\xa0\x80",
	};

	for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
		uint32_t value = 42;

		assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &value), 0);
		assert_int_equal(value, 42);
		assert_false(utf8_valid(bad[i]));
	}
	assert_true(utf8_valid(""));
	assert_true(utf8_valid("\xe5\xa4\xa7\xe5\xae\xb6 ok \xf0\x9f\x98\x80"));
	assert_false(utf8_valid("ok \xe5\xa4"));
}

static void test_disarm(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "plain\ttext", "plain\ttext" },
		{ "\x1b[31mred", "?[31mred" },
		{ "a\nb\rc\x07\x7f", "a?b?c??" },
		{ "\xc2\x9b"
		  "31m",
		  "??31m" }, /* the one-character form of ESC [ */
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\xe5\xa4\xa7", "\xe5\xa4\xa7" },
		{ "\xe5\xa4", "??" },
		{ "\xff"
		  "a",
		  "?a" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s", cases[i][0]);
		text_disarm(text);
		assert_string_equal(text, cases[i][1]);
	}
}

/* Whatever the bytes: what comes out is text and has the same length. */
static void test_disarm_any_bytes(void **state)
{
	uint64_t random = 7;

	for (int i = 0; i < 20000; i++) {
		char text[17];

		for (size_t k = 0; k < sizeof(text) - 1; k++) {
			random = random * 6364136223846793005U + 1442695040888963407U;
			text[k] = (char)(random >> 56) ? (char)(random >> 56) : 'x';
		}
		text[sizeof(text) - 1] = '\0';
		text_disarm(text);
		assert_int_equal(strlen(text), sizeof(text) - 1);
		assert_true(utf8_valid(text));
		assert_null(strpbrk(text, "\x1b\x07\n\r\x7f"));
	}
}

static const char *nearest_of(const char *word)
{
	static const char *const names[] = { "restart",  "restart-delay", "restart-limit",
					     "requires", "environment",   "environment-file",
					     "user",     "nice",          "umask" };
	struct nearest search = { .word = word };

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		nearest_consider(&search, names[i]);
	return search.best;
}

static void test_nearest(void **state)
{
	static const struct {
		const char *word, *best;
	} cases[] = {
		{ "restart", "restart" },
		{ "restrat", "restart" },
		{ "restart_delay", "restart-delay" },
		{ "restartlimit", "restart-limit" },
		{ "requries", "requires" },
		{ "enviroment", "environment" },
		{ "usr", "user" },
		{ "uesr", "user" },
		{ "umaks", "umask" },
		{ "nic", "nice" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_string_equal(nearest_of(cases[i].word), cases[i].best);
	assert_null(nearest_of("banana"));
	assert_null(nearest_of(""));
	assert_null(nearest_of("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"));
}

/* The first of two that are equally near; a swap is one step. */
static void test_nearest_distance(void **state)
{
	struct nearest search = { .word = "abcdef" };

	nearest_consider(&search, "abcdxx");
	assert_int_equal(search.distance, 2);
	nearest_consider(&search, "xxcdef");
	assert_string_equal(search.best, "abcdxx");
	nearest_consider(&search, "abdcef");
	assert_string_equal(search.best, "abdcef");
	assert_int_equal(search.distance, 1);
	nearest_consider(&search, "abcdef");
	assert_int_equal(search.distance, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_character), cmocka_unit_test(test_what_is_no_character),
		cmocka_unit_test(test_disarm),          cmocka_unit_test(test_disarm_any_bytes),
		cmocka_unit_test(test_nearest),         cmocka_unit_test(test_nearest_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
