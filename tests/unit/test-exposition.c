/* SPDX-License-Identifier: MIT */
/* Text for Prometheus: manager/exposition.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "manager/exposition.h"

static void test_escape(void **state)
{
	static const struct {
		const char *text, *escaped;
	} cases[] = {
		{ "", "" },
		{ "web@1.a-b_c", "web@1.a-b_c" },
		{ "a\"b", "a\\\"b" },
		{ "a\\b", "a\\\\b" },
		{ "a\nb", "a\\nb" },
		{ "\\n", "\\\\n" },
		{ "tab\tand ü", "tab\tand ü" },
	};
	char buf[64];

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_string_equal(exposition_escape(buf, sizeof(buf), cases[i].text),
				    cases[i].escaped);
}

/* Half an escape would swallow the quote behind it. */
static void test_escape_is_cut_between_characters(void **state)
{
	char buf[4];

	assert_string_equal(exposition_escape(buf, sizeof(buf), "abcd"), "abc");
	assert_string_equal(exposition_escape(buf, sizeof(buf), "ab\"c"), "ab");
	assert_string_equal(exposition_escape(buf, sizeof(buf), "a\"bc"), "a\\\"");
	assert_string_equal(exposition_escape(buf, 1, "a"), "");
}

static void test_seconds(void **state)
{
	char buf[32];

	assert_string_equal(exposition_seconds(buf, sizeof(buf), 0), "0.00");
	assert_string_equal(exposition_seconds(buf, sizeof(buf), 1999999), "1.99");
	assert_string_equal(exposition_seconds(buf, sizeof(buf), 1764000000070000),
			    "1764000000.07");
	assert_string_equal(exposition_seconds(buf, sizeof(buf), UINT64_MAX), "18446744073709.55");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_is_cut_between_characters),
		cmocka_unit_test(test_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
