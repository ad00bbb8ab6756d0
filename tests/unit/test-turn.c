/* SPDX-License-Identifier: MIT */
/* Who is heard in a turn of the room's loop: see src/chat/turn.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "chat/turn.h"

#define START 1000000

static void test_polite_come_first(void **state)
{
	struct turn t = { 0 };

	turn_begin(&t, START);
	assert_false(turn_is_for_polite(&t));
	turn_heard_polite(&t);
	assert_true(turn_is_for_polite(&t));
	turn_end(&t);
	assert_false(turn_is_for_polite(&t));
	assert_int_equal(t.began, 0);
}

/* However much the polite ones say, the others are heard in every other turn. */
static void test_nobody_is_left_out(void **state)
{
	struct turn t = { 0 };
	int heard = 0;

	for (int i = 0; i < 100; i++) {
		turn_begin(&t, START + i);
		turn_heard_polite(&t);
		heard += !turn_is_for_polite(&t);
		turn_end(&t);
	}
	assert_int_equal(heard, 50);
}

/* After a turn for all the next polite one comes first again. */
static void test_turn_for_all(void **state)
{
	struct turn t = { 0 };

	turn_heard_polite(&t);
	turn_end(&t);
	turn_end(&t); /* nobody polite in it */
	turn_heard_polite(&t);
	assert_true(turn_is_for_polite(&t));
}

static void test_first_event_begins(void **state)
{
	struct turn t = { 0 };

	turn_begin(&t, START);
	turn_begin(&t, START + TURN_TIME);
	assert_false(turn_is_over(&t, START + TURN_TIME));
	assert_true(turn_is_over(&t, START + TURN_TIME + 1));
	turn_end(&t);
	turn_begin(&t, START + TURN_TIME + 1);
	assert_false(turn_is_over(&t, START + TURN_TIME + 1));
}

/* What is delivered has time of its own, in a slice what that one said. */
static void test_said(void **state)
{
	struct turn t = { .said = 100 * TURN_BYTES_A_USEC };
	struct turn_slice s;

	turn_begin(&t, START);
	assert_false(turn_is_over(&t, START + TURN_TIME + 100));
	assert_true(turn_is_over(&t, START + TURN_TIME + 101));
	s = turn_slice(&t, START);
	assert_false(turn_slice_is_over(&t, &s, START + TURN_SLICE_TIME));
	assert_true(turn_slice_is_over(&t, &s, START + TURN_SLICE_TIME + 1));
	t.said += 50 * TURN_BYTES_A_USEC;
	assert_false(turn_slice_is_over(&t, &s, START + TURN_SLICE_TIME + 50));
	assert_true(turn_slice_is_over(&t, &s, START + TURN_SLICE_TIME + 51));
	/* But memory is no time. */
	t.said = TURN_SAID_MAX;
	s = turn_slice(&t, START);
	assert_false(turn_slice_is_over(&t, &s, START));
	t.said++;
	assert_true(turn_slice_is_over(&t, &s, START));
}

/* Each turn takes some of the rest, however late it is, or many would never be heard. */
static void test_some_in_each(void **state)
{
	const uint64_t late = START + 10 * TURN_TIME;
	struct turn t = { 0 };

	turn_begin(&t, START);
	for (int i = 0; i < TURN_READS_MIN; i++)
		assert_true(turn_takes_read(&t, late));
	assert_false(turn_takes_read(&t, late));
	assert_true(turn_takes_handshake(&t, late));
	assert_false(turn_takes_handshake(&t, late));
	for (unsigned i = 0; i <= TURN_SLICES_MIN; i++)
		assert_true(turn_takes_slice(&t, i, late));
	assert_false(turn_takes_slice(&t, TURN_SLICES_MIN + 1, late));
	/* And the next one again. */
	turn_end(&t);
	turn_begin(&t, late);
	assert_true(turn_takes_read(&t, late + 10 * TURN_TIME));
	assert_true(turn_takes_handshake(&t, late + 10 * TURN_TIME));
}

static void test_in_time(void **state)
{
	struct turn t = { 0 };

	turn_begin(&t, START);
	for (int i = 0; i < 1000; i++) {
		assert_true(turn_takes_read(&t, START));
		assert_true(turn_takes_handshake(&t, START));
	}
	assert_true(turn_takes_slice(&t, TURN_SLICES_MAX - 1, START));
	assert_false(turn_takes_slice(&t, TURN_SLICES_MAX, START));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_polite_come_first),
		cmocka_unit_test(test_nobody_is_left_out),
		cmocka_unit_test(test_turn_for_all),
		cmocka_unit_test(test_first_event_begins),
		cmocka_unit_test(test_said),
		cmocka_unit_test(test_some_in_each),
		cmocka_unit_test(test_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
