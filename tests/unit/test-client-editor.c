/* SPDX-License-Identifier: MIT */
/* The line that is typed: chat/client/editor.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/text.h"
#include "chat/client/editor.h"

static struct editor editor;

static enum editor_event keys(const char *bytes)
{
	enum editor_event event = EDITOR_NOTHING;

	for (; *bytes; bytes++)
		event = editor_key(&editor, (unsigned char)*bytes);
	return event;
}

static int stop(void **state)
{
	editor_free(&editor);
	return 0;
}

static void test_keys(void **state)
{
	static const struct {
		const char *keys, *text;
	} cases[] = {
		{ "abc", "abc" },
		{ "ab\x7f", "a" },
		{ "ab\b", "a" },
		{ "\x7f", "" },
		{ "中文\x7f", "中" },
		{ "a😀\x7f\x7f", "" },
		{ "ae\xcc\x81\x7f", "a" }, /* e and its accent are one */
		{ "one two  \x17", "one " },
		{ "one 二三\x17", "one " },
		{ "one\x17\x17", "" },
		{ "one two\x15x", "x" },
		{ "a\033[Cb\033[1;5Dc\033OPd", "abcd" }, /* keys that do nothing */
		{ "a\033xb", "ab" },
		{ "a\tb\1c", "a bc" },
		{ "a\xff\xc3(b\x80\xed\xa0\x80", "a(b" }, /* no UTF-8 */
		{ "a\xc2\x9b"
		  "b",
		  "ab" },
		{ "a\xe4\xb8\x7f", "" }, /* half a character, then Backspace */
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		keys(cases[i].keys);
		assert_string_equal(editor_text(&editor), cases[i].text);
		assert_true(utf8_valid(editor_text(&editor)));
		editor_clear(&editor, false);
	}
}

static void test_ends(void **state)
{
	assert_int_equal(keys("\4"), EDITOR_END);
	assert_int_equal(keys("a\4"), EDITOR_NOTHING);
	assert_int_equal(keys("\n"), EDITOR_LINE);
	assert_int_equal(keys("\r"), EDITOR_LINE);
	assert_int_equal(keys("\xe4\xb8"), EDITOR_NOTHING);
	assert_int_equal(keys("\xad"), EDITOR_CHANGED);
	assert_string_equal(editor_text(&editor), "a中");
}

static void enter_line(const char *text)
{
	keys(text);
	editor_clear(&editor, true);
}

static void test_history(void **state)
{
	char name[] = "00";

	enter_line("one");
	enter_line("two");
	enter_line("two");
	enter_line("");
	keys("x\033[A");
	assert_string_equal(editor_text(&editor), "two");
	keys("\033OA");
	assert_string_equal(editor_text(&editor), "one");
	keys("\033[A");
	assert_string_equal(editor_text(&editor), "one");
	keys("\033[B\033[B");
	assert_string_equal(editor_text(&editor), "");
	for (int i = 0; i < 2 * EDITOR_HISTORY; i++) {
		name[0] = (char)('0' + i / 10);
		name[1] = (char)('0' + i % 10);
		enter_line(name);
	}
	for (int i = 0; i < 3 * EDITOR_HISTORY; i++)
		keys("\033[A");
	assert_string_equal(editor_text(&editor), "50");
}

static void test_a_password_is_not_remembered(void **state)
{
	keys("secret");
	editor_clear(&editor, false);
	keys("\033[A");
	assert_string_equal(editor_text(&editor), "");
	assert_null(memmem(&editor, sizeof(editor), "secret", 6));
}

static void test_full(void **state)
{
	for (int i = 0; i < EDITOR_LINE_MAX; i++)
		keys("中");
	assert_int_equal(strlen(editor_text(&editor)), EDITOR_LINE_MAX / 3 * 3);
	assert_true(utf8_valid(editor_text(&editor)));
}

static void test_widths(void **state)
{
	assert_int_equal(editor_width("abc"), 3);
	assert_int_equal(editor_width("发言:"), 5);
	assert_int_equal(editor_width("e\xcc\x81"), 1);
	assert_string_equal(editor_tail("abcdef", 3), "def");
	assert_string_equal(editor_tail("a中文", 4), "中文");
	assert_string_equal(editor_tail("a中文", 3), "文"); /* half of a character is none */
	assert_string_equal(editor_tail("abc", 3), "abc");
	assert_string_equal(editor_tail("中", 1), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_keys, stop),
		cmocka_unit_test_teardown(test_ends, stop),
		cmocka_unit_test_teardown(test_history, stop),
		cmocka_unit_test_teardown(test_a_password_is_not_remembered, stop),
		cmocka_unit_test_teardown(test_full, stop),
		cmocka_unit_test_teardown(test_widths, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
