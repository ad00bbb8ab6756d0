/* SPDX-License-Identifier: MIT */
/* What the state machine does, story by story. Every cell of it: test-machine-walk.c. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/link.h"
#include "machine-fixture.h"

static const char *reason_of(const struct subject *s)
{
	static char text[REASON_TEXT_MAX];

	return machine_reason(&s->m, &s->config, s->f.now, text, sizeof(text));
}

/* --- restarts --------------------------------------------------------------------------- */

static void test_first_restart_is_at_once(void **state)
{
	struct subject s;

	subject_init(&s);
	bring_up(&s);
	pass_time(&s, 5 * SEC);
	assert_int_equal(ends(&s, EXIT(1)), ACTION_SWEEP | ACTION_SPAWN | ACTION_TIMER);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_int_equal(s.m.restarts, 1);
	assert_int_equal(s.m.started, s.f.now);
}

/* Fails again and again: 1, 2, 4, 8 and never more than 8 seconds. */
static void test_backoff_doubles_up_to_its_cap(void **state)
{
	static const uint64_t delays[] = { 1, 2, 4, 8, 8, 8 };
	struct subject s;

	subject_init(&s);
	bring_up(&s);
	ends(&s, EXIT(1));
	for (size_t i = 0; i < ELEMENTSOF(delays); i++) {
		happens(&s, EVENT_STARTED);
		assert_true(ends(&s, EXIT(1)) & ACTION_TIMER);
		assert_int_equal(s.m.state, STATE_BACKOFF);
		assert_int_equal(s.m.deadline - s.f.now, delays[i] * SEC);
		assert_int_equal(s.m.started, 0);
		s.f.now = s.m.deadline;
		assert_true(happens(&s, EVENT_TIMER) & ACTION_SPAWN);
		assert_int_equal(s.m.state, STATE_STARTING);
	}
	assert_int_equal(s.m.restarts, 1 + ELEMENTSOF(delays));
}

/* The pause of the second restart with a random number. */
static uint64_t pause_with(uint32_t random, uint64_t delay, uint64_t max)
{
	struct subject s;

	subject_init(&s);
	s.config.restart_delay = delay;
	s.config.restart_delay_max = max;
	s.f.random = random;
	bring_up(&s);
	ends(&s, EXIT(1));
	happens(&s, EVENT_STARTED);
	ends(&s, EXIT(1));
	return s.m.deadline - s.f.now;
}

static void test_jitter_takes_up_to_a_quarter(void **state)
{
	uint64_t least = pause_with(UINT32_MAX, 4 * SEC, 8 * SEC);

	assert_int_equal(pause_with(0, 4 * SEC, 8 * SEC), 4 * SEC);
	assert_int_equal(pause_with(1U << 31, 4 * SEC, 8 * SEC), 3500 * USEC_PER_MSEC);
	assert_true(least >= 3 * SEC && least < 3 * SEC + USEC_PER_MSEC);
	assert_int_equal(pause_with(0, 4 * SEC, 2 * SEC), 2 * SEC);
}

static void test_no_delay_restarts_at_once_always(void **state)
{
	struct subject s;

	subject_init(&s);
	s.config.restart_delay = 0;
	bring_up(&s);
	for (int i = 0; i < 100; i++) {
		assert_true(ends(&s, EXIT(1)) & ACTION_SPAWN);
		happens(&s, EVENT_STARTED);
	}
	assert_int_equal(s.m.restarts, 100);
}

static void test_a_long_run_resets_the_backoff(void **state)
{
	struct subject s;

	subject_init(&s);
	bring_up(&s);
	ends(&s, EXIT(1));
	happens(&s, EVENT_STARTED);
	pass_time(&s, 60 * SEC - 1);
	ends(&s, EXIT(1));
	assert_int_equal(s.m.state, STATE_BACKOFF);
	s.f.now = s.m.deadline;
	happens(&s, EVENT_TIMER);
	happens(&s, EVENT_STARTED);
	pass_time(&s, 60 * SEC);
	assert_true(ends(&s, EXIT(1)) & ACTION_SPAWN);
	assert_int_equal(s.m.attempts, 1);
	assert_int_equal(s.m.restarts, 3);
}

/* Nor does the time count that the rest of its tree takes to end. */
static void test_the_end_of_the_tree_is_no_run(void **state)
{
	struct subject s;

	subject_init(&s);
	s.config.restart_reset = 5 * SEC;
	s.f.tree_empty = false;
	bring_up(&s);
	ends(&s, EXIT(1));
	happens(&s, EVENT_EMPTY);
	happens(&s, EVENT_STARTED);
	ends(&s, EXIT(1));
	pass_time(&s, 9 * SEC);
	happens(&s, EVENT_EMPTY);
	assert_int_equal(s.m.state, STATE_BACKOFF);
	assert_int_equal(s.m.attempts, 2);
}

static void test_limit(void **state)
{
	struct subject s;

	subject_init(&s);
	s.config.restart_limit = 3;
	bring_up(&s);
	for (int i = 0; i < 3; i++) {
		ends(&s, EXIT(7));
		if (s.m.state == STATE_BACKOFF) {
			s.f.now = s.m.deadline;
			happens(&s, EVENT_TIMER);
		}
		assert_int_equal(s.m.state, STATE_STARTING);
		happens(&s, EVENT_STARTED);
	}
	ends(&s, EXIT(7));
	assert_int_equal(s.m.state, STATE_FAILED);
	assert_int_equal(s.m.deadline, USEC_INFINITY);
	assert_string_equal(reason_of(&s), "exit 7, gave up after 3 retries");
	/* A start by hand gives it all its tries again. */
	s.f.reason = REASON_COMMAND;
	assert_true(happens(&s, EVENT_START) & ACTION_SPAWN);
	assert_int_equal(s.m.attempts, 0);
}

static void test_policies(void **state)
{
	static const struct {
		enum restart_policy policy;
		int status;
		bool unknown;
		enum service_state after;
	} cases[] = {
		{ RESTART_NO, EXIT(0), false, STATE_EXITED },
		{ RESTART_NO, EXIT(1), false, STATE_FAILED },
		{ RESTART_NO, SIGNALLED(SIGSEGV), false, STATE_FAILED },
		{ RESTART_NO, 0, true, STATE_FAILED },
		{ RESTART_ON_FAILURE, EXIT(0), false, STATE_EXITED },
		{ RESTART_ON_FAILURE, EXIT(1), false, STATE_STARTING },
		{ RESTART_ON_FAILURE, SIGNALLED(SIGTERM), false, STATE_STARTING },
		{ RESTART_ON_FAILURE, 0, true, STATE_STARTING },
		{ RESTART_ALWAYS, EXIT(0), false, STATE_STARTING },
		{ RESTART_ALWAYS, EXIT(1), false, STATE_STARTING },
		{ RESTART_ALWAYS, SIGNALLED(SIGKILL), false, STATE_STARTING },
		{ RESTART_ALWAYS, 0, true, STATE_STARTING },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		struct subject s;

		subject_init(&s);
		s.config.restart = cases[i].policy;
		bring_up(&s);
		s.f.status_unknown = cases[i].unknown;
		ends(&s, cases[i].status);
		assert_int_equal(s.m.state, cases[i].after);
		assert_int_equal(machine_satisfies(&s.m), cases[i].after == STATE_EXITED);
	}
}

/* --- starts that fail ------------------------------------------------------------------- */

static void test_start_timeout(void **state)
{
	struct subject s;

	subject_init(&s);
	s.config.ready = READY_NOTIFY;
	bring_up(&s);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_int_equal(s.m.deadline, s.f.now + 90 * SEC);
	s.f.now = s.m.deadline;
	assert_int_equal(happens(&s, EVENT_TIMER), ACTION_KILL | ACTION_TIMER);
	assert_int_equal(s.m.state, STATE_STOPPING);
	assert_string_equal(reason_of(&s), "not ready in time");
	assert_int_equal(ends(&s, SIGNALLED(SIGKILL)), ACTION_WATCH_TREE);
	happens(&s, EVENT_EMPTY);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_string_equal(reason_of(&s), "not ready in time");
}

/* A start that takes longer than restart-reset was no run: the limit is reached all the same. */
static void test_slow_failing_starts_reach_the_limit(void **state)
{
	struct subject s;
	unsigned starts = 1;

	subject_init(&s);
	s.config.ready = READY_NOTIFY;
	s.config.restart_limit = 2;
	bring_up(&s);
	for (; starts < 10 && s.m.state != STATE_FAILED; starts++) {
		s.f.now = s.m.deadline;
		happens(&s, EVENT_TIMER);
		ends(&s, SIGNALLED(SIGKILL));
		happens(&s, EVENT_EMPTY);
		if (s.m.state == STATE_BACKOFF) {
			s.f.now = s.m.deadline;
			happens(&s, EVENT_TIMER);
		}
	}
	assert_int_equal(s.m.state, STATE_FAILED);
	assert_int_equal(starts, 4);
	assert_string_equal(reason_of(&s), "not ready in time, gave up after 2 retries");
}

static void test_failed_steps(void **state)
{
	struct subject s;

	subject_init(&s);
	s.config.restart = RESTART_NO;
	s.config.directory = (char *)"/srv/x";
	s.f.reason = REASON_COMMAND;
	happens(&s, EVENT_START);
	s.f.step = STEP_DIRECTORY;
	s.f.error = ENOENT;
	assert_int_equal(happens(&s, EVENT_STEP_FAILED), 0);
	assert_int_equal(s.m.state, STATE_STARTING);
	ends(&s, EXIT(127));
	assert_int_equal(s.m.state, STATE_FAILED);
	assert_string_equal(reason_of(&s), "chdir /srv/x: No such file or directory");

	happens(&s, EVENT_START);
	s.f.step = STEP_FORK;
	s.f.error = EAGAIN;
	happens(&s, EVENT_NOT_STARTED);
	assert_int_equal(s.m.state, STATE_FAILED);
	assert_string_equal(reason_of(&s), "fork: Resource temporarily unavailable");

	/* A later good run forgets it. */
	bring_up(&s);
	ends(&s, EXIT(0));
	assert_int_equal(s.m.state, STATE_EXITED);
	assert_string_equal(reason_of(&s), "exit 0");
}

static void test_step_names_its_object(void **state)
{
	static const struct {
		int step;
		const char *text;
	} cases[] = {
		{ STEP_EXEC, "execve /bin/worker: Permission denied" },
		{ STEP_USER, "setuid joe: Permission denied" },
		{ STEP_GROUPS, "setgroups joe: Permission denied" },
		{ STEP_GROUP, "setgid staff: Permission denied" },
		{ STEP_NICE, "setpriority: Permission denied" },
	};
	struct subject s;

	subject_init(&s);
	s.config.user = (char *)"joe";
	s.config.group = (char *)"staff";
	s.m.state = STATE_FAILED;
	s.m.reason = REASON_SPAWN_FAILED;
	s.m.step_error = EACCES;
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		s.m.step = cases[i].step;
		assert_string_equal(reason_of(&s), cases[i].text);
	}
}

/* --- readiness, watchdog ---------------------------------------------------------------- */

static void test_readiness(void **state)
{
	struct subject s;

	subject_init(&s);
	s.f.reason = REASON_BOOT;
	happens(&s, EVENT_START);
	assert_false(machine_satisfies(&s.m));
	assert_int_equal(happens(&s, EVENT_STARTED), ACTION_TIMER);
	assert_int_equal(s.m.state, STATE_RUNNING);
	assert_int_equal(s.m.deadline, USEC_INFINITY);
	assert_true(machine_satisfies(&s.m) && machine_is_settled(&s.m));

	subject_init(&s);
	s.config.ready = READY_NOTIFY;
	bring_up(&s);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_false(machine_is_settled(&s.m));
	assert_int_equal(happens(&s, EVENT_READY), ACTION_TIMER);
	assert_int_equal(s.m.state, STATE_RUNNING);
}

static void test_watchdog(void **state)
{
	struct subject s;

	subject_init(&s);
	bring_up(&s);
	pass_time(&s, 3600 * SEC);
	assert_int_equal(happens(&s, EVENT_WATCHDOG), ACTION_KILL | ACTION_TIMER);
	assert_int_equal(s.m.state, STATE_STOPPING);
	assert_true(s.m.killed);
	/* Silence is a failure, however well it then ends. */
	ends(&s, EXIT(0));
	happens(&s, EVENT_EMPTY);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_string_equal(reason_of(&s), "watchdog: no sign of life in time");
	assert_int_equal(s.m.attempts, 1);
}

/* --- in words --------------------------------------------------------------------------- */

static void test_ends_in_words(void **state)
{
	static const struct {
		int status;
		bool unknown;
		int code;
		const char *text;
	} cases[] = {
		{ EXIT(0), false, 0, "exit 0" },
		{ EXIT(3), false, 3, "exit 3" },
		{ EXIT(255), false, 255, "exit 255" },
		{ SIGNALLED(SIGTERM), false, 143, "killed by SIGTERM" },
		{ SIGNALLED(SIGSEGV) | WCOREFLAG, false, 139, "killed by SIGSEGV (core dumped)" },
		{ 0, true, -1, "ended, nobody saw how" },
	};
	char text[REASON_TEXT_MAX];
	struct subject s;

	subject_init(&s);
	assert_string_equal(machine_end(&s.m, text, sizeof(text)), "");
	assert_int_equal(machine_exit_code(&s.m), -1);
	assert_string_equal(reason_of(&s), "");
	s.m.ever_ended = true;
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		s.m.ended_status = cases[i].status;
		s.m.ended_unknown = cases[i].unknown;
		assert_string_equal(machine_end(&s.m, text, sizeof(text)), cases[i].text);
		assert_int_equal(machine_exit_code(&s.m), cases[i].code);
	}
}

static void test_retries_in_words(void **state)
{
	static const struct {
		unsigned n;
		const char *text;
	} cases[] = {
		{ 1, "exit 1, 1st retry in 3.2s" },     { 2, "exit 1, 2nd retry in 3.2s" },
		{ 3, "exit 1, 3rd retry in 3.2s" },     { 4, "exit 1, 4th retry in 3.2s" },
		{ 11, "exit 1, 11th retry in 3.2s" },   { 12, "exit 1, 12th retry in 3.2s" },
		{ 13, "exit 1, 13th retry in 3.2s" },   { 21, "exit 1, 21st retry in 3.2s" },
		{ 111, "exit 1, 111th retry in 3.2s" }, { 122, "exit 1, 122nd retry in 3.2s" },
	};
	struct subject s;

	subject_init(&s);
	bring_up(&s);
	ends(&s, EXIT(1));
	s.m.state = STATE_BACKOFF;
	s.m.deadline = s.f.now + 3200 * USEC_PER_MSEC;
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		s.m.attempts = cases[i].n;
		assert_string_equal(reason_of(&s), cases[i].text);
	}
	/* A timer that is late is no reason for a duration of centuries. */
	pass_time(&s, 5 * SEC);
	s.m.attempts = 1;
	assert_string_equal(reason_of(&s), "exit 1, 1st retry in 0s");
}

static void test_names_go_both_ways(void **state)
{
	for (int i = 0; i < STATE_COUNT; i++)
		assert_int_equal(service_state_from_string(service_state_to_string(i)), i);
	for (int i = 0; i < REASON_COUNT; i++)
		assert_int_equal(reason_from_string(reason_to_string(i)), i);
	for (int i = 0; i < EVENT_COUNT; i++)
		assert_int_equal(machine_event_from_string(machine_event_to_string(i)), i);
	assert_null(service_state_to_string(STATE_COUNT));
	assert_int_equal(reason_from_string("Command"), -EINVAL);
}

/* --- kinds of readiness ----------------------------------------------------------------- */

static void setup_starting(struct subject *s, enum ready_type ready)
{
	subject_init(s);
	s->config.ready = ready;
	s->config.restart = RESTART_NO;
	bring_up(s);
	assert_int_equal(s->m.state, STATE_STARTING);
}

static void test_oneshot_has_run(void **state)
{
	struct subject s;

	setup_starting(&s, READY_ONESHOT);
	assert_false(machine_satisfies(&s.m));
	ends(&s, EXIT(0));
	assert_int_equal(s.m.state, STATE_EXITED);
	assert_true(machine_satisfies(&s.m));
	setup_starting(&s, READY_ONESHOT);
	ends(&s, EXIT(3));
	assert_int_equal(s.m.state, STATE_FAILED);
	assert_string_equal(reason_of(&s), "exit 3");
	assert_false(machine_satisfies(&s.m));
}

/* Who is to say that it is ready has failed when it ends before, however well. */
static void test_end_before_readiness(void **state)
{
	static const enum ready_type types[] = { READY_NOTIFY, READY_FD, READY_FORKING };

	for (size_t i = 0; i < ELEMENTSOF(types); i++) {
		struct subject s;

		setup_starting(&s, types[i]);
		ends(&s, EXIT(0));
		assert_int_equal(s.m.state, STATE_FAILED);
		assert_string_equal(reason_of(&s), "exit 0 before it was ready");
		assert_false(machine_satisfies(&s.m));
	}
}

static void test_forking(void **state)
{
	struct subject s;
	uint64_t deadline;

	setup_starting(&s, READY_FORKING);
	deadline = s.m.deadline;
	assert_int_equal(happens(&s, EVENT_FORKED), 0);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_int_equal(s.m.deadline, deadline); /* no more time for that */
	assert_int_equal(happens(&s, EVENT_MAIN), ACTION_TIMER);
	assert_int_equal(s.m.state, STATE_RUNNING);
	assert_false(s.m.main_ended);
	ends(&s, EXIT(0));
	assert_int_equal(s.m.state, STATE_EXITED);
}

static void test_forking_leaves_nobody(void **state)
{
	struct subject s;

	setup_starting(&s, READY_FORKING);
	happens(&s, EVENT_FORKED);
	s.f.reason = REASON_NO_MAIN;
	happens(&s, EVENT_NOT_READY);
	assert_int_equal(s.m.state, STATE_FAILED);
	assert_string_equal(reason_of(&s), "was to fork away, and left no process behind");
}

/* Without a main process the end of the tree is what is waited for, unless one is taken yet. */
static void test_forking_is_stopped_in_between(void **state)
{
	struct subject s;

	setup_starting(&s, READY_FORKING);
	happens(&s, EVENT_FORKED);
	assert_true(happens(&s, EVENT_STOP) & ACTION_WATCH_TREE);
	assert_true(s.m.main_ended);
	happens(&s, EVENT_MAIN);
	assert_int_equal(s.m.state, STATE_STOPPING);
	assert_false(s.m.main_ended);
	assert_int_equal(ends(&s, SIGNALLED(SIGTERM)), ACTION_WATCH_TREE);
	happens(&s, EVENT_EMPTY);
	assert_int_equal(s.m.state, STATE_STOPPED);
}

static void test_descriptor_closed_without_a_newline(void **state)
{
	struct subject s;

	setup_starting(&s, READY_FD);
	s.f.reason = REASON_CLOSED;
	assert_true(happens(&s, EVENT_NOT_READY) & ACTION_KILL);
	ends(&s, SIGNALLED(SIGKILL));
	happens(&s, EVENT_EMPTY);
	assert_int_equal(s.m.state, STATE_FAILED);
	assert_string_equal(reason_of(&s), "closed its readiness descriptor without a newline");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oneshot_has_run),
		cmocka_unit_test(test_end_before_readiness),
		cmocka_unit_test(test_forking),
		cmocka_unit_test(test_forking_leaves_nobody),
		cmocka_unit_test(test_forking_is_stopped_in_between),
		cmocka_unit_test(test_descriptor_closed_without_a_newline),
		cmocka_unit_test(test_first_restart_is_at_once),
		cmocka_unit_test(test_backoff_doubles_up_to_its_cap),
		cmocka_unit_test(test_jitter_takes_up_to_a_quarter),
		cmocka_unit_test(test_no_delay_restarts_at_once_always),
		cmocka_unit_test(test_a_long_run_resets_the_backoff),
		cmocka_unit_test(test_the_end_of_the_tree_is_no_run),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_start_timeout),
		cmocka_unit_test(test_slow_failing_starts_reach_the_limit),
		cmocka_unit_test(test_failed_steps),
		cmocka_unit_test(test_step_names_its_object),
		cmocka_unit_test(test_readiness),
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_ends_in_words),
		cmocka_unit_test(test_retries_in_words),
		cmocka_unit_test(test_names_go_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
