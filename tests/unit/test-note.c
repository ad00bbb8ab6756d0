/* SPDX-License-Identifier: MIT */
/* A manager's notes: manager/note.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/text.h"
#include "base/units.h"
#include "manager/history.h"
#include "manager/machine.h"
#include "manager/note.h"

/* Where the note keeps what a decoder must refuse; these bytes are the note's format. */
enum {
	BYTE_VERSION,
	BYTE_STATE,
	BYTE_REASON
};

static const struct machine full = {
	.state = STATE_STOPPING,
	.desired_up = true,
	.restart_wanted = true,
	.killed = true,
	.main_ended = true,
	.reason = REASON_SPAWN_FAILED,
	.since = 0x0102030405060708,
	.started = 0x1112131415161718,
	.deadline = UINT64_MAX,
	.attempts = UINT32_MAX,
	.restarts = 77,
	.ends = { 1, UINT32_MAX, 3, 4 },
	.ever_ended = true,
	.ended_unknown = true,
	.ended_status = -5,
	.step = 9,
	.step_error = 13,
	.failed_start = true,
};

static void assert_machine_equal(const struct machine *a, const struct machine *b)
{
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->desired_up, b->desired_up);
	assert_int_equal(a->restart_wanted, b->restart_wanted);
	assert_int_equal(a->killed, b->killed);
	assert_int_equal(a->main_ended, b->main_ended);
	assert_int_equal(a->since, b->since);
	assert_int_equal(a->started, b->started);
	assert_int_equal(a->deadline, b->deadline);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->restarts, b->restarts);
	assert_memory_equal(a->ends, b->ends, sizeof(a->ends));
	assert_int_equal(a->ever_ended, b->ever_ended);
	assert_int_equal(a->ended_unknown, b->ended_unknown);
	assert_int_equal(a->ended_status, b->ended_status);
	assert_int_equal(a->step, b->step);
	assert_int_equal(a->step_error, b->step_error);
	assert_int_equal(a->failed_start, b->failed_start);
	assert_int_equal(a->said.phase, b->said.phase);
	assert_int_equal(a->said.error, b->said.error);
	assert_int_equal(a->said.watchdog, b->said.watchdog);
}

static void round_trip(const struct machine *m)
{
	uint8_t buf[LINK_NOTE_MAX];
	size_t size = note_encode(m, NULL, NULL, buf);
	_cleanup_free_ char *status = NULL, *pending = NULL;
	struct machine back;

	assert_true(size <= LINK_NOTE_MAX);
	assert_int_equal(note_decode(buf, size, &back, &status, &pending), 0);
	assert_machine_equal(m, &back);
	assert_null(status);
	assert_null(pending);
}

static void test_round_trip(void **state)
{
	struct machine empty;

	machine_init(&empty, 0);
	round_trip(&empty);
	round_trip(&full);
	for (int i = 0; i < STATE_COUNT; i++) {
		empty.state = i;
		round_trip(&empty);
	}
	for (int i = 0; i < REASON_COUNT; i++) {
		empty.reason = i;
		round_trip(&empty);
	}
	for (int i = 0; i < PHASE_COUNT; i++) {
		empty.said = (struct said){ i, 13 + i, USEC_INFINITY - i };
		round_trip(&empty);
	}
}

/* Each flag alone: none may stand for another. */
static void test_flags_are_apart(void **state)
{
	for (int i = 0; i < 7; i++) {
		struct machine m;

		machine_init(&m, 0);
		m.desired_up = i == 0;
		m.restart_wanted = i == 1;
		m.killed = i == 2;
		m.main_ended = i == 3;
		m.ever_ended = i == 4;
		m.ended_unknown = i == 5;
		m.failed_start = i == 6;
		round_trip(&m);
	}
}

static void check_texts(const char *status, const char *status_back, const char *pending,
			const char *pending_back)
{
	uint8_t buf[LINK_NOTE_MAX];
	size_t size = note_encode(&full, status, pending, buf);
	_cleanup_free_ char *got_status = NULL, *got_pending = NULL;
	struct machine m;

	assert_int_equal(note_decode(buf, size, &m, &got_status, &got_pending), 0);
	assert_string_equal(got_status ? got_status : "", status_back);
	assert_string_equal(got_pending ? got_pending : "", pending_back);
}

static void test_texts(void **state)
{
	check_texts("3 users", "3 users", "command, environment", "command, environment");
	check_texts("", "", NULL, "");
	check_texts(NULL, "", "user", "user");
}

/* A text of n times the character, whose cut must be the longest that fits: at most max bytes. */
static void check_cut(const char *character, size_t n, size_t shift, size_t max)
{
	char text[512] = "", expected[512];
	size_t length = strlen(character), whole;

	memset(text, 'x', shift);
	for (size_t i = 0; i < n; i++)
		strcat(text, character);
	whole = shift + (max - shift) / length * length;
	snprintf(expected, sizeof(expected), "%.*s", (int)MIN(whole, strlen(text)), text);
	assert_true(utf8_valid(expected));
	check_texts(text, expected, NULL, "");
}

static void test_cut_at_a_border(void **state)
{
	static const char *const characters[] = { "a", "\xc3\xa4", "\xe5\xa4\xa7",
						  "\xf0\x9f\x98\x80" };

	for (size_t i = 0; i < ELEMENTSOF(characters); i++) {
		for (size_t shift = 0; shift < 5; shift++) {
			for (size_t n = 20; n < 120; n++)
				check_cut(characters[i], n, shift, NOTE_STATUS_MAX);
		}
	}
}

/* Continuation bytes and nothing else: no text is left, and nothing is read before it. */
static void test_cut_of_no_text(void **state)
{
	char text[200];

	memset(text, 0x80, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	check_texts(text, "", text, "");
}

static void refused(const uint8_t *buf, size_t size)
{
	char *status = (char *)"untouched", *pending = status;
	struct machine m;

	assert_int_equal(note_decode(buf, size, &m, &status, &pending), -EINVAL);
	assert_string_equal(status, "untouched");
	assert_ptr_equal(status, pending);
}

static void test_every_other_size_is_refused(void **state)
{
	uint8_t buf[LINK_NOTE_MAX] = { 0 };
	size_t right = note_encode(&full, "x", "y", buf);

	for (size_t size = 0; size <= sizeof(buf); size++) {
		if (size != right)
			refused(buf, size);
	}
}

static void test_bad_values_are_refused(void **state)
{
	uint8_t buf[LINK_NOTE_MAX], good;
	size_t size = note_encode(&full, NULL, NULL, buf);

	for (int value = 0; value < 256; value++) {
		good = buf[BYTE_VERSION];
		buf[BYTE_VERSION] = value;
		if (value != good)
			refused(buf, size);
		buf[BYTE_VERSION] = good;
		good = buf[BYTE_STATE];
		buf[BYTE_STATE] = value;
		if (value >= STATE_COUNT)
			refused(buf, size);
		buf[BYTE_STATE] = good;
		good = buf[BYTE_REASON];
		buf[BYTE_REASON] = value;
		if (value >= REASON_COUNT)
			refused(buf, size);
		buf[BYTE_REASON] = good;
	}
}

/* Without its NUL a text would go on behind the note. */
static void test_texts_without_end(void **state)
{
	uint8_t buf[LINK_NOTE_MAX];
	size_t size = note_encode(&full, NULL, NULL, buf);

	memset(buf + size - 192, 'z', 192);
	refused(buf, size);
}

/* --- the history ------------------------------------------------------------------------ */

static struct end an_end(unsigned n)
{
	return (struct end){ .when = (100 + n) * USEC_PER_SEC,
			     .up = n * 7 * USEC_PER_MSEC,
			     .status = 256 * n,
			     .error = n,
			     .attempts = n,
			     .step = n,
			     .cause = REASON_ENDED,
			     .followed = STATE_BACKOFF,
			     .unknown = n % 2 };
}

static struct history a_history(void)
{
	struct history h = { .wish = { .verb = EVENT_STOP,
				       .reason = REASON_DEPENDENCY,
				       .when = 123456789,
				       .by = { 1000, 4711, "fosterctl", "the-database" } },
			     .n_ends = ENDS_KEPT };

	for (unsigned i = 0; i < ENDS_KEPT; i++)
		h.ends[i] = an_end(i);
	return h;
}

/* What comes back of it beside these texts; the caller's. */
static struct history *there_and_back(struct history *h, const char *status, const char *pending,
				      const char *expected_status)
{
	uint8_t buf[LINK_NOTE_MAX];
	_cleanup_free_ char *got_status = NULL, *got_pending = NULL;
	struct machine m = full, back;

	m.history = h;
	assert_int_equal(note_decode(buf, note_encode(&m, status, pending, buf), &back, &got_status,
				     &got_pending),
			 0);
	assert_machine_equal(&m, &back);
	assert_string_equal(got_status ? got_status : "", expected_status);
	assert_string_equal(got_pending ? got_pending : "", pending ? pending : "");
	assert_non_null(back.history);
	return back.history;
}

static void assert_wish_equal(const struct wish *a, const struct wish *b)
{
	assert_int_equal(a->verb, b->verb);
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->when, b->when);
	assert_int_equal(a->by.uid, b->by.uid);
	assert_int_equal(a->by.pid, b->by.pid);
	assert_string_equal(a->by.command, b->by.command);
	assert_string_equal(a->by.service, b->by.service);
}

static void assert_end_equal(const struct end *a, const struct end *b)
{
	assert_int_equal(a->when, b->when);
	assert_int_equal(a->up, b->up);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->error, b->error);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->step, b->step);
	assert_int_equal(a->cause, b->cause);
	assert_int_equal(a->followed, b->followed);
	assert_int_equal(a->unknown, b->unknown);
}

static void test_history(void **state)
{
	struct history h = a_history();
	_cleanup_free_ struct history *back = there_and_back(&h, "3 users", NULL, "3 users");

	assert_wish_equal(&h.wish, &back->wish);
	assert_int_equal(back->n_ends, ENDS_KEPT);
	for (unsigned i = 0; i < ENDS_KEPT; i++)
		assert_end_equal(&h.ends[i], &back->ends[i]);
}

/* Long texts cost the oldest ends, and then the status: never who wanted it or the last ends. */
static void test_history_beside_long_texts(void **state)
{
	char status[200] = "", pending[NOTE_PENDING_MAX + 1] = "", kept[200];
	struct history h = a_history();

	memset(status, 's', sizeof(status) - 1);
	memset(pending, 'p', sizeof(pending) - 1);
	for (int longest = 0; longest < 2; longest++) {
		size_t left = longest ? 160 - 64 - 10 - 64 - 1 : NOTE_STATUS_MAX;
		_cleanup_free_ struct history *back = NULL;

		if (!longest)
			strcpy(h.wish.by.service, "db");
		else
			memset(h.wish.by.service, 'n', CONFIG_NAME_MAX);
		snprintf(kept, sizeof(kept), "%.*s", (int)left, status);
		back = there_and_back(&h, status, longest ? pending : NULL, kept);
		assert_wish_equal(&h.wish, &back->wish);
		assert_in_range(back->n_ends, NOTE_ENDS_MIN, ENDS_KEPT - 1);
		for (unsigned i = 0; i < back->n_ends; i++)
			assert_end_equal(&h.ends[i], &back->ends[i]);
	}
}

/* Up for longer than milliseconds in 31 bits, and more retries than fit. */
static void test_long_lives(void **state)
{
	static const uint64_t days[] = { 1, 24, 25, 400, 20000 };
	struct history h = { .wish = { .verb = EVENT_START }, .n_ends = 1 };

	for (size_t i = 0; i < ELEMENTSOF(days); i++) {
		_cleanup_free_ struct history *back = NULL;

		h.ends[0] = (struct end){ .up = days[i] * 86400 * USEC_PER_SEC, .attempts = 1000 };
		back = there_and_back(&h, NULL, NULL, "");
		assert_int_equal(back->ends[0].up, h.ends[0].up);
		assert_int_equal(back->ends[0].attempts, UINT8_MAX);
	}
}

static void test_no_history(void **state)
{
	uint8_t buf[LINK_NOTE_MAX];
	_cleanup_free_ char *status = NULL, *pending = NULL;
	struct machine m;

	assert_int_equal(
		note_decode(buf, note_encode(&full, NULL, NULL, buf), &m, &status, &pending), 0);
	assert_null(m.history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_flags_are_apart),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_cut_at_a_border),
		cmocka_unit_test(test_cut_of_no_text),
		cmocka_unit_test(test_every_other_size_is_refused),
		cmocka_unit_test(test_bad_values_are_refused),
		cmocka_unit_test(test_texts_without_end),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_history_beside_long_texts),
		cmocka_unit_test(test_long_lives),
		cmocka_unit_test(test_no_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
