/* SPDX-License-Identifier: MIT */
/* Which names there are, and which are alike: chat/names.h, chat/letters.h, and who keeps to it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>
#include <unictype.h>

#include "base/macro.h"
#include "base/text.h"
#include "chat/course.h"
#include "chat/names.h"
#include "room-harness.h"

static void test_names(void **state)
{
	static const char *const nicks[] = {
		"a", "[x]", "a-1", "张三", "Zoë", "_", "x^{|}`\\", "b🐧"
	};
	static const char *const bad[] = { "",
					   "1a",
					   "-a",
					   "a b",
					   "a,b",
					   "a!b",
					   "a@b",
					   "#a",
					   ":a",
					   "$a",
					   "a.b",
					   "a*",
					   "a?",
					   "a\x7f",
					   "a\x01",
					   "a\xff",
					   "a\xc2\x85",
					   "a\xe2\x80\x8b",
					   "a\xe3\x80\x80",
					   "a\xef\xbf\xbd",
					   "abcdefghi" };

	for (size_t i = 0; i < sizeof(nicks) / sizeof(nicks[0]); i++)
		assert_true(name_is_nick(nicks[i], 8));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(name_is_nick(bad[i], 8));
	assert_true(name_is_reserved("管理员"));
	assert_true(name_is_reserved("小管理员1"));
	assert_false(name_is_reserved("管理"));
	assert_true(name_is_channel("#聊天", 64));
	assert_false(name_is_channel("#", 64));
	assert_false(name_is_channel("a", 64));
	assert_false(name_is_channel("#a b", 64));
	assert_false(name_is_channel("#a,b", 64));
	assert_false(name_is_channel("#a\x07", 64));
	assert_true(name_equal("Bob[", "bOB["));
	assert_false(name_equal("a[", "a{"));
	assert_false(name_equal("a", "ab"));
}

static void test_alphabets_do_not_mix(void **state)
{
	static const char *const good[] = { "Jürgen_1", "Łukasz", "Анна", "αλφα[]", "Анна_7",
					    "张三lily", "لیلی٢",  "Ճան",  "ひロa" };
	/* With Latin: Cyrillic а, Greek ο, Cherokee Ꭺ, full width, mathematical, Roman, circled, Kelvin */
	static const char *const bad[] = { "lilу", "аdmin", "rοot",   "Ꭺnna", "ｌily", "𝐥ily",
					   "ⅷ",    "ⓐ",     "\u212A", "Αдa",  "Ճa",    "لیلیA" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!name_is_nick(good[i], 32))
			fail_msg("refused: %s", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (name_is_nick(bad[i], 32))
			fail_msg("taken: %s", bad[i]);
	}
}

static void expect_refused(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char channel[64];

		snprintf(channel, sizeof(channel), "#%s", names[i]);
		if (name_is_nick(names[i], 32))
			fail_msg("a nick: %s", names[i]);
		if (name_is_channel(channel, 64))
			fail_msg("a channel: %s", channel);
	}
}

/* Each is drawn as one that somebody else may have. */
static void test_counterfeits(void **state)
{
	static const char *const invisible[] = {
		"boss\u2800",     "boss\u180f",     "boss\u17b4",     "boss\U0001d173",
		"boss\U0001bca0", "boss\U00013430", "boss\U0001d159", "bo\u200dss",
		"bo\u00adss",     "boss\ufe0f",     "boss\u3164",     "boss\uffa0",
		"boss\u2d7f",     "boss\U000e0061", "boss\u2060",
	};
	static const char *const other_form[] = {
		"jose\u0301", "管\uf9e4员", "bot１",  "bot𝟏", "x！y", "ᵃlice",        "\u2f8f",
		"ﬁn",         "\u212bngs",  "ａlice", "ⅷ",    "ーｱ",  "\u1100\u1161",
	};
	static const char *const mixed[] = {
		"\ua4eelice",   "b\u2c9fb",      "b\u2d54b", "\u15e9lice", "bot\u0661",
		"a\u0661ice",   "\u10e7ob",      "b\u0585b", "b\u0be6b",   "b\u0d20b",
		"\u0669\u0967", "1\u0967\u0915", "アㄅ",     "한あ",
	};
	static const char *const marks[] = {
		"\u0301alice",   "\u0301",           "管\u0301理员", "管\u20de",
		"x\u0301\u0301", "i\u0307",          "\u0131\u0307", "1\u0301",
		"-\u0301",       "\U0001f427\u0301", "a\u20dd",
	};
	static const char *const disguised[] = {
		"boꜱꜱ",       "foꜱter",    "fosteꭇ",   "Ɩily",      "ɩily",
		"ƅob",        "ɣes",       "ʏes",        "Ɪce",     "aꟷb",
		"\u0251lice", "\u0261reg", "\u1d00lice", "b\u01c3b",  "\u2ec5",
		"\U0001f150", "علـي",      "a\ua78ab",   "bob\u02bc", "\U0001f1e6",
	};

	expect_refused(invisible, ELEMENTSOF(invisible));
	expect_refused(other_form, ELEMENTSOF(other_form));
	expect_refused(mixed, ELEMENTSOF(mixed));
	expect_refused(marks, ELEMENTSOF(marks));
	expect_refused(disguised, ELEMENTSOF(disguised));
	assert_true(name_is_reserved("管理員2"));
}

static void test_words_of_channels(void **state)
{
	assert_true(name_is_channel("#linux-ру", 64));
	assert_false(name_is_channel("#日本語:x", 64));
	assert_true(name_is_channel("#日本語の部屋-chat", 64));
	assert_true(name_is_channel("#c++", 64));
	assert_true(name_is_channel("#你好。再见", 64));
	assert_true(name_is_channel("#★", 64));
	assert_false(name_is_nick("★", 64));
	assert_false(name_is_channel("#сhat", 64));
	assert_false(name_is_channel("#x-\u0301y", 64));
}

/* What a name must be, whatever libunistring's tables have, for any three characters of them. */
static void check_nick(const char *name)
{
	uint8_t normal[512];
	size_t size = strlen(name), n = sizeof(normal);
	char key[NAME_KEY_MAX], again[NAME_KEY_MAX], text[NAME_KEY_MAX + 1];
	ucs4_t first;

	assert_non_null(u8_normalize(UNINORM_NFKC, (const uint8_t *)name, size, normal, &n));
	assert_int_equal(n, size);
	assert_memory_equal(normal, name, size);
	u8_next(&first, (const uint8_t *)name);
	assert_false(uc_is_general_category(first, UC_CATEGORY_M));
	for (const uint8_t *p = (const uint8_t *)name; p;) {
		ucs4_t c;

		p = u8_next(&c, p);
		if (!p)
			break;
		assert_false(uc_is_property_default_ignorable_code_point(c));
		assert_false(uc_is_general_category(c, UC_CATEGORY_C));
		assert_false(uc_is_general_category(c, UC_CATEGORY_Z));
	}
	n = name_key(name, key);
	memcpy(text, key, n);
	text[n] = '\0';
	assert_int_equal(name_key(text, again), n);
	assert_memory_equal(again, key, n);
}

/* Its upper and lower case are alike, if they are names. */
static void check_case(const char *name)
{
	uint8_t upper[256], lower[256];
	size_t n_upper = sizeof(upper) - 1, n_lower = sizeof(lower) - 1, size = strlen(name);
	const uint8_t *u8 = (const uint8_t *)name;

	assert_non_null(u8_toupper(u8, size, NULL, UNINORM_NFC, upper, &n_upper));
	assert_non_null(u8_tolower(u8, size, NULL, UNINORM_NFC, lower, &n_lower));
	upper[n_upper] = lower[n_lower] = '\0';
	if (name_is_nick((char *)upper, 64) && !name_alike(name, (char *)upper))
		fail_msg("%s and %s", name, upper);
	if (name_is_nick((char *)lower, 64) && !name_alike(name, (char *)lower))
		fail_msg("%s and %s", name, lower);
}

static bool check_name(const ucs4_t *codes, size_t n)
{
	char name[64];
	size_t size = 0;

	for (size_t i = 0; i < n; i++)
		size += u8_uctomb((uint8_t *)name + size, codes[i], 8);
	name[size] = '\0';
	if (!name_is_nick(name, 32))
		return false;
	check_nick(name);
	check_case(name);
	return true;
}

static void test_every_character(void **state)
{
	size_t nicks = 0, marks = 0;

	for (ucs4_t c = 0x80; c < 0x110000; c++) {
		ucs4_t behind[] = { 'x', c }, before[] = { c, 'x' };

		if (c >= 0xd800 && c < 0xe000)
			continue;
		nicks += check_name(&c, 1);
		marks += check_name(behind, 2) && !check_name(&c, 1);
		check_name(before, 2);
	}
	assert_in_range(nicks, 100000, 150000); /* most are Chinese and Korean */
	assert_in_range(marks, 50, 500);
}

static uint32_t random_state = 7;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static void test_any_characters(void **state)
{
	/* Where letters, marks and digits of many scripts are. */
	static const ucs4_t from[] = { 'a',    'A',    '0',    0xc0,   0x300,  0x370,  0x400,
				       0x531,  0x5b0,  0x620,  0x900,  0xe00,  0x1100, 0x1e00,
				       0x3040, 0x4e00, 0xac00, 0xff00, 0x1f400 };

	for (int i = 0; i < 200000; i++) {
		ucs4_t codes[4];
		size_t n = 1 + next_random() % ELEMENTSOF(codes);

		for (size_t k = 0; k < n; k++)
			codes[k] = from[next_random() % ELEMENTSOF(from)] + next_random() % 64;
		check_name(codes, n);
	}
}

static void test_alike(void **state)
{
	assert_true(name_alike("JOSÉ", "josé"));
	assert_true(name_alike("Анна", "анна"));
	assert_true(name_alike("ΣΊΣΥΦΟΣ", "σίσυφος"));
	assert_true(name_alike("straße", "STRASSE"));
	assert_true(name_alike("Bob", "bOB"));
	assert_false(name_alike("jose", "josé"));
	assert_false(name_alike("bob", "bobb"));
	assert_false(name_alike("a\xff", "A\xfe")); /* no UTF-8: its bytes count */
	assert_true(name_alike("a\xff", "A\xff"));
	assert_false(name_equal("É", "é")); /* as CASEMAPPING says */
}

static void test_alike_are_refused(void **state)
{
	enter(1, "josé");
	line(1, "JOIN #é");
	forget(1);
	enter(2, "bob");
	line(2, "NICK JOSÉ");
	expect(2, ":srv 433 bob JOSÉ :Nickname is already in use\n");
	line(2, "JOIN #É");
	expect(2, ":srv 476 bob #É :Another channel has that name in other case\n");
	line(2, "PRIVMSG JOSÉ :you?");
	expect(2,
	       ":srv 401 bob JOSÉ :No such nick/channel\n"); /* two names, of which one is free */
	datagram(1, "L JOSÉ");
	expect_course(1, COURSE_TAKEN "|");
	datagram(1, "L É");
	expect_course(1, COURSE_OK "|");
	line(2, "NICK é");
	expect(2, ":srv 433 bob é :Nickname is already in use\n");
	line(1, "NICK JOSÉ");
	expect(1, ":josé!~jos@10.0.0.1 NICK :JOSÉ\n");
	line(2, "NICK josé");
	expect(2, ":srv 433 bob josé :Nickname is already in use\n");
	close_irc(1, "gone");
	line(2, "NICK josé");
	expect(2, ":bob!~bob@10.0.0.2 NICK :josé\n");
}

static void test_alike_to_an_account(void **state)
{
	static const struct room_owned owned[] = { { "josé", "josé" }, { "zoé", "josé" } };

	room_config.nick_protection = room_config.accounts = true;
	harness_again();
	assert_int_equal(room_set_accounts(room, owned, ELEMENTSOF(owned)), 0);
	enter(1, "bob");
	line(1, "NICK JOSÉ");
	expect(1, ":srv 433 bob JOSÉ :Nickname JOSÉ is an account's: log in to it first\n");
	line(1, "NICK ZOÉ");
	expect(1, ":srv 433 bob ZOÉ :Nickname ZOÉ is an account's: log in to it first\n");
	datagram(1, "L JOSÉ");
	expect_course(1, COURSE_TAKEN "|");
}

static void test_alike_to_the_courses_channel(void **state)
{
	room_config.course_channel = "#É";
	harness_again();
	enter(1, "bob");
	line(1, "JOIN #é");
	expect(1, ":srv 476 bob #é :Another channel has that name in other case\n");
	line(1, "JOIN #É");
	expect_part(1, ":bob!~bob@10.0.0.1 JOIN #É\n");
}

static void test_course_counterfeits(void **state)
{
	static const char *const names[] = { "L 管\uf9e4员", "L 管理\u180f员", "L boss\u2800",
					     "L jose\u0301", "L \ua4eelice" };

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		datagram(1, names[i]);
		expect_course(1, COURSE_BAD_NAME "|");
	}
	datagram(1, "L 管理員");
	expect_course(1, COURSE_TAKEN "|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_alphabets_do_not_mix),
		cmocka_unit_test(test_counterfeits),
		cmocka_unit_test(test_words_of_channels),
		cmocka_unit_test(test_every_character),
		cmocka_unit_test(test_any_characters),
		cmocka_unit_test(test_alike),
		cmocka_unit_test_setup_teardown(test_alike_are_refused, harness_start,
						harness_stop),
		cmocka_unit_test_setup_teardown(test_alike_to_an_account, harness_start,
						harness_stop),
		cmocka_unit_test_setup_teardown(test_alike_to_the_courses_channel, harness_start,
						harness_stop),
		cmocka_unit_test_setup_teardown(test_course_counterfeits, harness_start,
						harness_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
