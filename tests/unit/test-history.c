/* SPDX-License-Identifier: MIT */
/* Who wanted a service what it is, and its last ends: manager/history.h, beside a real machine. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/link.h"
#include "machine-fixture.h"
#include "manager/history.h"

static const struct asker root = { 0, 12, "fosterctl", "" };
static const struct asker other = { 1000, 13, "curl", "" };
static const struct asker for_db = { 1000, 14, "fosterctl", "db" };

/* One event, as service.c does it. */
static void step(struct subject *s, enum machine_event event)
{
	struct machine before = s->m;

	happens(s, event);
	history_step(&before, &s->m, event, &s->f);
}

static void ask(struct subject *s, enum machine_event event, enum reason reason,
		const struct asker *asker)
{
	s->f.reason = reason;
	s->f.asker = asker;
	step(s, event);
}

static void end_with(struct subject *s, int status)
{
	s->f.status = status;
	step(s, EVENT_ENDED);
}

static void assert_wish(const struct subject *s, enum machine_event verb, enum reason reason,
			const struct asker *asker)
{
	struct wish wish = history_wish(&s->m);

	assert_int_equal(wish.verb, verb);
	assert_int_equal(wish.reason, reason);
	assert_int_equal(wish.by.pid, asker ? asker->pid : 0);
	assert_string_equal(wish.by.service, asker ? asker->service : "");
}

static int setup(void **state)
{
	struct subject *s = *state = malloc(sizeof(*s));

	subject_init(s);
	return 0;
}

static int teardown(void **state)
{
	struct subject *s = *state;

	free(s->m.history);
	free(s);
	return 0;
}

/* Ten thousand services that only run keep nothing. */
static void test_none_without_need(void **state)
{
	struct subject *s = *state;

	ask(s, EVENT_START, REASON_BOOT, NULL);
	step(s, EVENT_STARTED);
	step(s, EVENT_FACTS);
	assert_null(s->m.history);
	assert_wish(s, EVENT_START, REASON_BOOT, NULL);
	assert_int_equal(history_wish(&s->m).when, s->m.started);
}

static void test_who_asked(void **state)
{
	struct subject *s = *state;

	ask(s, EVENT_START, REASON_COMMAND, &root);
	step(s, EVENT_STARTED);
	assert_wish(s, EVENT_START, REASON_COMMAND, &root);
	pass_time(s, SEC);
	ask(s, EVENT_RESTART, REASON_DEPENDENCY, &for_db);
	assert_wish(s, EVENT_RESTART, REASON_DEPENDENCY, &for_db);
	assert_int_equal(history_wish(&s->m).when, s->f.now);
	ask(s, EVENT_STOP, REASON_SHUTDOWN, NULL);
	assert_wish(s, EVENT_STOP, REASON_SHUTDOWN, NULL);
}

/* Who asks for what is already so has changed nothing. */
static void test_asked_again(void **state)
{
	struct subject *s = *state;

	ask(s, EVENT_STOP, REASON_COMMAND, &other);
	assert_null(s->m.history);
	ask(s, EVENT_START, REASON_COMMAND, &root);
	step(s, EVENT_STARTED);
	ask(s, EVENT_START, REASON_COMMAND, &other);
	assert_wish(s, EVENT_START, REASON_COMMAND, &root);
	ask(s, EVENT_STOP, REASON_COMMAND, &root);
	ask(s, EVENT_STOP, REASON_SHUTDOWN, NULL);
	assert_wish(s, EVENT_STOP, REASON_COMMAND, &root);
}

/* Its end tells the reason of its state; who started it is still known. */
static void test_wish_outlives_the_reason(void **state)
{
	struct subject *s = *state;

	ask(s, EVENT_START, REASON_BOOT, NULL);
	step(s, EVENT_STARTED);
	end_with(s, EXIT(1));
	assert_int_equal(s->m.reason, REASON_ENDED);
	assert_wish(s, EVENT_START, REASON_BOOT, NULL);
}

static void test_wish_outlives_a_timeout(void **state)
{
	struct subject *s = *state;

	s->config.ready = READY_NOTIFY;
	ask(s, EVENT_START, REASON_BOOT, NULL);
	pass_time(s, 90 * SEC);
	step(s, EVENT_TIMER);
	end_with(s, SIGNALLED(SIGKILL));
	step(s, EVENT_EMPTY);
	assert_wish(s, EVENT_START, REASON_BOOT, NULL);
	assert_int_equal(s->m.history->ends[0].cause, REASON_START_TIMEOUT);
}

static void test_ends(void **state)
{
	struct subject *s = *state;
	const struct end *end;
	char text[REASON_TEXT_MAX];

	ask(s, EVENT_START, REASON_BOOT, NULL);
	step(s, EVENT_STARTED);
	pass_time(s, 3 * SEC);
	end_with(s, EXIT(3));
	assert_int_equal(s->m.history->n_ends, 1);
	end = &s->m.history->ends[0];
	assert_int_equal(end->up, 3 * SEC);
	assert_int_equal(end->when, s->f.now);
	assert_int_equal(end->cause, REASON_ENDED);
	assert_int_equal(end->followed, STATE_STARTING); /* the first retry is at once */
	assert_int_equal(end->attempts, 1);
	assert_string_equal(history_end_words(end, text, sizeof(text)), "exit 3");
	step(s, EVENT_STARTED);
	end_with(s, SIGNALLED(SIGSEGV) | 0x80);
	assert_int_equal(s->m.history->n_ends, 2);
	assert_int_equal(end->followed, STATE_BACKOFF);
	assert_int_equal(end->up, 0);
	assert_string_equal(history_end_words(end, text, sizeof(text)),
			    "killed by SIGSEGV (core dumped)");
	assert_string_equal(history_end_words(end + 1, text, sizeof(text)), "exit 3");
}

/* What follows an end is known when the rest of its tree has ended. */
static void test_end_before_its_tree(void **state)
{
	struct subject *s = *state;

	ask(s, EVENT_START, REASON_COMMAND, &root);
	step(s, EVENT_STARTED);
	s->f.tree_empty = false;
	end_with(s, EXIT(0));
	assert_int_equal(s->m.history->ends[0].followed, STATE_STOPPING);
	step(s, EVENT_EMPTY);
	assert_int_equal(s->m.history->ends[0].followed, STATE_EXITED);
	assert_int_equal(s->m.history->n_ends, 1);
}

static void test_only_the_last_ones(void **state)
{
	struct subject *s = *state;

	s->config.restart_delay = 0;
	ask(s, EVENT_START, REASON_BOOT, NULL);
	for (int i = 1; i <= 2 * ENDS_KEPT; i++) {
		step(s, EVENT_STARTED);
		end_with(s, EXIT(i));
		assert_int_equal(s->m.history->n_ends, MIN(i, ENDS_KEPT));
		assert_int_equal(s->m.history->ends[0].status, EXIT(i));
	}
	for (int i = 0; i < ENDS_KEPT; i++)
		assert_int_equal(s->m.history->ends[i].status, EXIT(2 * ENDS_KEPT - i));
}

/* A step before exec, and a fork that failed: the step is told, and no status. */
static void test_failed_starts(void **state)
{
	struct subject *s = *state;
	char text[REASON_TEXT_MAX];

	ask(s, EVENT_START, REASON_BOOT, NULL);
	s->f.step = STEP_DIRECTORY;
	s->f.error = ENOENT;
	step(s, EVENT_STEP_FAILED);
	end_with(s, EXIT(127));
	assert_string_equal(history_end_words(&s->m.history->ends[0], text, sizeof(text)),
			    "chdir: No such file or directory");
	s->f.step = STEP_FORK;
	s->f.error = EAGAIN;
	step(s, EVENT_NOT_STARTED);
	assert_int_equal(s->m.history->n_ends, 2);
	assert_string_equal(history_end_words(&s->m.history->ends[0], text, sizeof(text)),
			    "fork: Resource temporarily unavailable");
	assert_int_equal(s->m.history->ends[0].followed, STATE_BACKOFF);
	assert_wish(s, EVENT_START, REASON_BOOT, NULL);
}

/* Each end is one of a kind; the newest five do not limit them. */
static void test_ends_are_counted(void **state)
{
	struct subject *s = *state;

	s->config.restart_delay = 0;
	s->config.restart = RESTART_ALWAYS;
	ask(s, EVENT_START, REASON_BOOT, NULL);
	for (int i = 0; i < 4 * ENDS_KEPT; i++) {
		static const int statuses[] = { EXIT(0), EXIT(3), SIGNALLED(SIGKILL) };

		step(s, EVENT_STARTED);
		s->f.status_unknown = i % 4 == 3;
		end_with(s, i % 4 < 3 ? statuses[i % 4] : 0);
	}
	for (int kind = 0; kind < END_KINDS; kind++)
		assert_int_equal(s->m.ends[kind], ENDS_KEPT);
	s->f.step = STEP_FORK;
	step(s, EVENT_NOT_STARTED);
	assert_int_equal(s->m.ends[END_FAILURE], ENDS_KEPT + 1);
}

/* Events that have no meaning in a state leave no trace. */
static void test_events_out_of_place(void **state)
{
	struct subject *s = *state;

	end_with(s, EXIT(1));
	step(s, EVENT_NOT_STARTED);
	assert_null(s->m.history);
	ask(s, EVENT_START, REASON_BOOT, NULL);
	step(s, EVENT_STARTED);
	step(s, EVENT_NOT_STARTED);
	assert_null(s->m.history);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_none_without_need),
		TEST(test_who_asked),
		TEST(test_asked_again),
		TEST(test_wish_outlives_the_reason),
		TEST(test_wish_outlives_a_timeout),
		TEST(test_ends),
		TEST(test_end_before_its_tree),
		TEST(test_only_the_last_ones),
		TEST(test_failed_starts),
		TEST(test_ends_are_counted),
		TEST(test_events_out_of_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
