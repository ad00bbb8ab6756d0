/* SPDX-License-Identifier: MIT */
/* The course's datagrams, taken apart and put together: chat/course.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "chat/course.h"
#include "chat/utf8.h"

static void test_parse(void **state)
{
	static const struct {
		const char *data;
		int error;
		enum course_verb verb;
		const char *name, *text;
	} cases[] = {
		{ "L 张三", 0, COURSE_LOGIN, "张三", NULL },
		{ "L  a b ", 0, COURSE_LOGIN, "a b", NULL },
		{ "C a hi  there ", 0, COURSE_SAY, "a", "hi  there " },
		{ "C a ", 0, COURSE_SAY, "a", "" },
		{ "Q a", 0, COURSE_LEAVE, "a", NULL },
		{ " Q a", 0, COURSE_LEAVE, "a", NULL },
		{ "Qa", 0, COURSE_LEAVE, "a", NULL },
		{ "E a\n", 0, COURSE_LEAVE, "a", NULL },
		{ "", -EBADMSG, 0, NULL, NULL },
		{ "L", -EBADMSG, 0, NULL, NULL },
		{ "L ", -EBADMSG, 0, NULL, NULL },
		{ "La", -EBADMSG, 0, NULL, NULL },
		{ "C", -EBADMSG, 0, NULL, NULL },
		{ "C a", -EBADMSG, 0, NULL, NULL },
		{ "C  a", -EBADMSG, 0, NULL, NULL },
		{ "Ca b", -EBADMSG, 0, NULL, NULL },
		{ "Q", -EBADMSG, 0, NULL, NULL },
		{ "Ea", -EBADMSG, 0, NULL, NULL },
		{ COURSE_EXIT, -EBADMSG, 0, NULL, NULL },
		{ "X a", -EBADMSG, 0, NULL, NULL },
		{ "l a", -EBADMSG, 0, NULL, NULL },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct course_request r;

		assert_int_equal(course_parse(cases[i].data, strlen(cases[i].data), &r),
				 cases[i].error);
		if (cases[i].error)
			continue;
		assert_int_equal(r.verb, cases[i].verb);
		assert_int_equal(r.name_size, strlen(cases[i].name));
		assert_memory_equal(r.name, cases[i].name, r.name_size);
		if (cases[i].text) {
			assert_int_equal(r.text_size, strlen(cases[i].text));
			assert_memory_equal(r.text, cases[i].text, r.text_size);
		}
	}
}

static void test_plain(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "a\x02"
		  "b\x0f"
		  "c",
		  "abc" },
		{ "\x03"
		  "04,12red\x03 x",
		  "red x" },
		{ "\x03"
		  "4x",
		  "x" },
		{ "\x03,x", ",x" },
		{ "\x03"
		  "123",
		  "3" },
		{ "\x04"
		  "ff0000y",
		  "y" },
		{ "a\tb\x1b[2J", "a b [2J" },
		{ "a\r\nb", "a  b" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "\xc2\x9b"
		  "1m",
		  " 1m" },
		{ "中文", "中文" },
		{ "a\u202eb\u2066c\u2069d\u202c\u200f", "a\ufffdb\ufffdc\ufffdd\ufffd\u200f" },
	};
	char buf[64];

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		course_plain(buf, sizeof(buf), cases[i].in, strlen(cases[i].in));
		assert_string_equal(buf, cases[i].out);
	}
	assert_int_equal(course_plain(buf, 5, "中文", 6), 3);
}

static void test_datagrams_are_cut_at_characters(void **state)
{
	struct course_datagram d;
	char text[1200];

	for (int shift = 0; shift < 3; shift++) {
		memset(text, 'x', shift);
		for (size_t n = shift; n + 3 < sizeof(text); n += 3)
			strcpy(text + n, "中");
		course_format(&d, "%s", text);
		assert_in_range(d.size, 1022, 1024);
		assert_true(utf8_is_valid(d.bytes, d.size));
	}
	memset(text, 'x', 1024);
	text[1024] = '\0';
	course_format(&d, "%s", text);
	assert_int_equal(d.size, 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_datagrams_are_cut_at_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
