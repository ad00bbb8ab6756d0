/* SPDX-License-Identifier: MIT */
/* Lines, names and characters: chat/irc.h, chat/names.h, chat/utf8.h, chat/hash.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "chat/bucket.h"
#include "chat/hash.h"
#include "chat/irc.h"
#include "chat/names.h"
#include "chat/utf8.h"

static struct irc_message parsed(char *line)
{
	struct irc_message m = { .n_params = -1 };

	irc_parse(line, &m);
	return m;
}

static void test_parse(void **state)
{
	char plain[] = "PRIVMSG #a :hello  : you", middle[] = "  MODE   #a  +o   bob ",
	     empty[] = "", tags[] = "@time=1;+x=y :source JOIN #a", only[] = ":source",
	     twice[] = ":source :other JOIN",
	     colon[] = "A :", many[] = "C 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 :17";
	struct irc_message m = parsed(plain);

	assert_string_equal(m.command, "PRIVMSG");
	assert_int_equal(m.n_params, 2);
	assert_string_equal(m.params[0], "#a");
	assert_string_equal(m.params[1], "hello  : you");
	m = parsed(middle);
	assert_int_equal(m.n_params, 3);
	assert_string_equal(m.params[2], "bob");
	m = parsed(tags);
	assert_string_equal(m.command, "JOIN");
	assert_string_equal(m.params[0], "#a");
	m = parsed(colon);
	assert_int_equal(m.n_params, 1);
	assert_string_equal(m.params[0], "");
	m = parsed(many);
	assert_int_equal(m.n_params, 15);
	assert_string_equal(m.params[14], "15 16 :17");
	assert_int_equal(irc_parse(empty, &m), -ENODATA);
	assert_int_equal(irc_parse(only, &m), -ENODATA);
	assert_int_equal(irc_parse(twice, &m), -ENODATA);
}

static void test_format_cuts_at_characters(void **state)
{
	char text[600];
	struct irc_line line;

	for (int shift = 0; shift < 3; shift++) {
		memset(text, 'x', shift);
		for (size_t n = shift; n + 3 < sizeof(text); n += 3)
			strcpy(text + n, "中");
		irc_format(&line, "%s", text);
		assert_in_range(line.size, 510, 512);
		assert_true(utf8_is_valid(line.bytes, line.size));
		assert_memory_equal(line.bytes + line.size - 2, "\r\n", 2);
	}
	irc_format(&line, "PING :%s", "x");
	assert_int_equal(line.size, 9);
	assert_memory_equal(line.bytes, "PING :x\r\n", 9);
}

static void test_words(void **state)
{
	struct irc_line line;
	int n = 0;

	irc_words_begin(&line, ":s 353 n = #a :");
	while (irc_words_append(&line, "张三", 6))
		n++;
	irc_words_end(&line);
	assert_in_range(line.size, 505, 512);
	assert_int_equal(n, (510 - 15 + 1) / 7);
	assert_memory_equal(line.bytes, ":s 353 n = #a :张三 张三", 28);
}

/* An address of IPv6 may end with a colon. */
static void test_words_with_colons(void **state)
{
	static const char expected[] = ":s 302 n :a=+b@2001:db8:: c=+d@h\r\n";
	struct irc_line line;

	irc_words_begin(&line, ":s 302 n :");
	assert_true(irc_words_append(&line, "a=+b@2001:db8::", 15));
	assert_true(irc_words_append(&line, "c=+d@h", 6));
	irc_words_end(&line);
	assert_int_equal(line.size, sizeof(expected) - 1);
	assert_memory_equal(line.bytes, expected, line.size);
}

static void test_fit(void **state)
{
	char text[700];

	memset(text, 'a', sizeof(text));
	assert_int_equal(irc_fit(text, 400, 100), 400);
	assert_int_equal(irc_fit(text, 600, 100), 410);
	text[400] = ' ';
	assert_int_equal(irc_fit(text, 600, 100), 401);
	text[400] = 'a';
	text[100] = ' '; /* too far in front to be worth it */
	assert_int_equal(irc_fit(text, 600, 100), 410);
	memcpy(text + 408, "中", 3);
	assert_int_equal(irc_fit(text, 600, 100), 408);
	assert_int_equal(irc_fit("中文", 6, 600), 3);
}

static void test_ctcp(void **state)
{
	size_t size;
	const char *rest = irc_action("\1ACTION waves\1", &size);

	assert_non_null(rest);
	assert_int_equal(size, 5);
	assert_memory_equal(rest, "waves", 5);
	assert_null(irc_action("\1VERSION\1", &size));
	assert_true(irc_is_ctcp("\1VERSION\1"));
	assert_false(irc_is_ctcp("VERSION"));
	assert_false(irc_is_ctcp("\1\1"));
}

static void test_items(void **state)
{
	char text[] = "a,,b,c";
	char *list = text;

	assert_string_equal(irc_next_item(&list, ','), "a");
	assert_string_equal(irc_next_item(&list, ','), "");
	assert_string_equal(irc_next_item(&list, ','), "b");
	assert_string_equal(irc_next_item(&list, ','), "c");
	assert_null(irc_next_item(&list, ','));
	list = NULL;
	assert_null(irc_next_item(&list, ','));
}

static void test_utf8(void **state)
{
	static const char *const bad[] = {
		"\x80",     "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
		"\xe4\xb8", "a\xff",    "\xf8"
	};
	char buf[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
	assert_true(utf8_is_valid("aé中😀", 10));
	assert_true(utf8_is_valid("12345678中", 11));
	assert_false(utf8_is_valid("12345678\xe4\xb8", 10));
	assert_int_equal(utf8_cut("中文", 6, 5), 3);
	assert_int_equal(utf8_cut("中文", 6, 6), 6);
	assert_int_equal(utf8_cut("中文", 6, 2), 0);
	assert_int_equal(utf8_repair(buf, sizeof(buf),
				     "a\xff"
				     "b\xe4\xb8",
				     5),
			 11);
	assert_string_equal(buf, "a\xef\xbf\xbd"
				 "b\xef\xbf\xbd\xef\xbf\xbd");
	assert_int_equal(utf8_repair(buf, 4, "中文", 6), 3);
}

static void test_masks(void **state)
{
	assert_true(name_matches("*!*@10.0.0.*", "Bob!~b@10.0.0.7"));
	assert_true(name_matches("bob!*", "BOB!x@y"));
	assert_true(name_matches("?三*", "张三!udp@h"));
	assert_true(name_matches("*", ""));
	assert_false(name_matches("?", ""));
	assert_false(name_matches("a*b", "acbd"));
	assert_true(name_matches("a*b*c", "axxbyybzc"));
}

struct item {
	struct hash_node node;
	char name[16];
};

static bool item_is(const struct hash_node *node, const void *key)
{
	return name_equal(((const struct item *)node)->name, key);
}

static void test_hash(void **state)
{
	static struct item items[1000];
	struct hash_key key = { 3, 4 };
	struct hash_table table;
	struct hash_node *n = NULL;
	size_t walked = 0;

	assert_int_equal(hash_init(&table), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(items[i].name, sizeof(items[i].name), "Nick%d", i);
		hash_add(&table, &items[i].node, hash_name(&key, items[i].name));
	}
	while ((n = hash_next(&table, n)) != NULL)
		walked++;
	assert_int_equal(walked, 1000);
	for (int i = 0; i < 1000; i += 2)
		hash_remove(&table, &items[i].node);
	assert_int_equal(table.count, 500);
	assert_null(hash_find(&table, hash_name(&key, "nick10"), item_is, "nick10"));
	assert_ptr_equal(hash_find(&table, hash_name(&key, "nICK11"), item_is, "nICK11"),
			 &items[11].node);
	hash_clear(&table);
}

/* The test vectors of SipHash-2-4 do not fit 1-3; what counts is that key and data matter. */
static void test_hash_depends_on_all(void **state)
{
	struct hash_key one = { 1, 2 }, other = { 1, 3 };

	assert_int_equal(hash_bytes(&one, "abcdefghij", 10), hash_bytes(&one, "abcdefghij", 10));
	assert_int_not_equal(hash_bytes(&one, "abcdefghij", 10),
			     hash_bytes(&other, "abcdefghij", 10));
	assert_int_not_equal(hash_bytes(&one, "abcdefghij", 10),
			     hash_bytes(&one, "abcdefghik", 10));
	assert_int_not_equal(hash_bytes(&one, "a", 1), hash_bytes(&one, "a\0", 2));
}

static void test_bucket(void **state)
{
	struct bucket b = { 0 };
	uint64_t now = 1000000000;

	for (int i = 0; i < 5; i++)
		assert_true(bucket_take(&b, 10, 5, now));
	assert_false(bucket_take(&b, 10, 5, now));
	assert_false(bucket_take(&b, 10, 5, now + 99999));
	assert_true(bucket_take(&b, 10, 5, now + 100000));
	assert_false(bucket_take(&b, 10, 5, now + 100000));
	now += 3600000000;
	for (int i = 0; i < 5; i++)
		assert_true(bucket_take(&b, 10, 5, now));
	assert_false(bucket_take(&b, 10, 5, now));
	for (int i = 0; i < 100; i++)
		assert_true(bucket_take(&b, 0, 5, now));
	now += 3600000000;
	assert_true(bucket_take(&b, 10, 5, now));
	bucket_charge(&b, 10, 6);
	assert_false(bucket_take(&b, 10, 5, now + 299999));
	assert_true(bucket_take(&b, 10, 5, now + 300000));
	bucket_charge(&b, 0, 1000);
	assert_true(bucket_take(&b, 10, 5, now + 400000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format_cuts_at_characters),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_with_colons),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_ctcp),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_hash_depends_on_all),
		cmocka_unit_test(test_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
