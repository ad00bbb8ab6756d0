/* SPDX-License-Identifier: MIT */
/* Durations, sizes, numbers and signal names: base/units.h, base/signals.h. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/signals.h"
#include "base/units.h"

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint64_t usec;
	} cases[] = {
		{ "0", 0, 0 },
		{ "250ms", 0, 250000 },
		{ "10s", 0, 10000000 },
		{ "5min", 0, 300000000 },
		{ "1min 30s", 0, 90000000 },
		{ "1min30s", 0, 90000000 },
		{ "1.5s", 0, 1500000 },
		{ "1.000001s", 0, 1000001 },
		{ "2h", 0, 7200000000 },
		{ "1d", 0, 86400000000 },
		{ "1w", 0, 604800000000 },
		{ "infinity", 0, USEC_INFINITY },
		{ "", -EINVAL, 0 },
		{ "10", -EINVAL, 0 },
		{ "10 s", -EINVAL, 0 },
		{ "-1s", -EINVAL, 0 },
		{ "1.s", -EINVAL, 0 },
		{ "1.0000001s", -EINVAL, 0 },
		{ "1S", -EINVAL, 0 },
		{ "1s x", -EINVAL, 0 },
		{ "99999999999999999999s", -ERANGE, 0 },
		{ "18446744073709551615us", -ERANGE, 0 },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		uint64_t usec = 0;

		assert_int_equal(parse_duration(cases[i].text, &usec), cases[i].error);
		assert_int_equal(usec, cases[i].usec);
	}
}

static void test_duration_text(void **state)
{
	static const struct {
		uint64_t usec;
		const char *text;
	} cases[] = {
		{ 0, "0s" },
		{ 7, "7us" },
		{ 250000, "250ms" },
		{ 3200000, "3.2s" },
		{ 59000000, "59s" },
		{ 247000000, "4min 7s" },
		{ 11520000000, "3h 12min" },
		{ 190800000000, "2d 5h" },
		{ USEC_INFINITY, "infinity" },
	};
	char buf[DURATION_TEXT_MAX];

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		assert_string_equal(format_duration(buf, sizeof(buf), cases[i].usec),
				    cases[i].text);
}

static void test_sizes(void **state)
{
	uint64_t bytes;

	assert_int_equal(parse_size("4096", &bytes), 0);
	assert_int_equal(bytes, 4096);
	assert_int_equal(parse_size("50M", &bytes), 0);
	assert_int_equal(bytes, 50 << 20);
	assert_int_equal(parse_size("1.5K", &bytes), 0);
	assert_int_equal(bytes, 1536);
	assert_int_equal(parse_size("50MB", &bytes), -EINVAL);
	assert_int_equal(parse_size("", &bytes), -EINVAL);
	assert_int_equal(parse_size("16777216T", &bytes), -ERANGE);
}

static void test_numbers(void **state)
{
	int64_t n;

	assert_int_equal(parse_int("-20", -20, 19, &n), 0);
	assert_int_equal(n, -20);
	assert_int_equal(parse_int("20", -20, 19, &n), -ERANGE);
	assert_int_equal(parse_int("1x", 0, 9, &n), -EINVAL);
	assert_int_equal(parse_int("", 0, 9, &n), -EINVAL);
	assert_int_equal(parse_int("99999999999999999999", 0, INT64_MAX, &n), -ERANGE);
}

static void test_signals(void **state)
{
	assert_int_equal(signal_from_string("TERM"), SIGTERM);
	assert_int_equal(signal_from_string("sigterm"), SIGTERM);
	assert_int_equal(signal_from_string("9"), SIGKILL);
	assert_int_equal(signal_from_string("RTMIN+3"), SIGRTMIN + 3);
	assert_int_equal(signal_from_string("TERMX"), -EINVAL);
	assert_int_equal(signal_from_string("0"), -EINVAL);
	assert_int_equal(signal_from_string("RTMIN+99"), -EINVAL);
	assert_string_equal(signal_to_string(SIGSEGV), "SIGSEGV");
	assert_string_equal(signal_to_string(SIGRTMIN + 3), "SIGRTMIN+3");
	assert_string_equal(signal_to_string(200), "signal 200");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations), cmocka_unit_test(test_duration_text),
		cmocka_unit_test(test_sizes),     cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
