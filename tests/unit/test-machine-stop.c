/* SPDX-License-Identifier: MIT */
/* The state machine on its way down, and back: stop, restart, and who holds it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "machine-fixture.h"

#define GO_DOWN (ACTION_STOP_SIGNAL | ACTION_TIMER)

static void setup_running(struct subject *s)
{
	subject_init(s);
	bring_up(s);
	assert_int_equal(s->m.state, STATE_RUNNING);
}

static unsigned asked(struct subject *s, enum machine_event event, enum reason reason)
{
	s->f.reason = reason;
	return happens(s, event);
}

static void test_stop_escalates(void **state)
{
	static const uint64_t pauses[] = { 1, 1, 2, 4, 8, 16, 32, 60, 60 };
	struct subject s;

	setup_running(&s);
	assert_int_equal(asked(&s, EVENT_STOP, REASON_COMMAND), GO_DOWN);
	assert_int_equal(s.m.deadline, s.f.now + 10 * SEC);
	/* It does not die: killed again and again, ever less often. */
	for (size_t i = 0; i < ELEMENTSOF(pauses); i++) {
		s.f.now = s.m.deadline;
		assert_int_equal(happens(&s, EVENT_TIMER), ACTION_KILL | ACTION_TIMER);
		assert_true(s.m.killed);
		assert_int_equal(s.m.deadline, s.f.now + pauses[i] * SEC);
	}
	assert_int_equal(ends(&s, SIGNALLED(SIGKILL)), ACTION_WATCH_TREE);
	assert_int_equal(s.m.state, STATE_STOPPING);
	assert_int_equal(happens(&s, EVENT_EMPTY), ACTION_TIMER);
	assert_int_equal(s.m.state, STATE_STOPPED);
	assert_int_equal(s.m.deadline, USEC_INFINITY);
	assert_int_equal(s.m.started, 0);
	assert_false(s.m.killed || s.m.main_ended || s.m.desired_up);
	assert_int_equal(s.m.reason, REASON_COMMAND);
}

static void test_stop_timeout_for_ever(void **state)
{
	struct subject s;

	setup_running(&s);
	s.config.stop_timeout = USEC_INFINITY;
	assert_int_equal(asked(&s, EVENT_STOP, REASON_COMMAND), ACTION_STOP_SIGNAL);
	assert_int_equal(s.m.deadline, USEC_INFINITY);
	/* So long that the sum runs over is for ever, too. */
	setup_running(&s);
	s.config.stop_timeout = USEC_INFINITY - 1;
	assert_int_equal(asked(&s, EVENT_STOP, REASON_COMMAND), ACTION_STOP_SIGNAL);
	assert_int_equal(s.m.deadline, USEC_INFINITY);
}

static void test_stop_is_held_by_dependents(void **state)
{
	struct subject s;

	setup_running(&s);
	s.f.held = true;
	assert_int_equal(asked(&s, EVENT_STOP, REASON_DEPENDENCY), 0);
	assert_int_equal(s.m.state, STATE_RUNNING);
	assert_false(machine_satisfies(&s.m) || machine_is_settled(&s.m));
	assert_int_equal(happens(&s, EVENT_FACTS), 0);
	s.f.held = false;
	assert_int_equal(happens(&s, EVENT_FACTS), GO_DOWN);
	assert_int_equal(s.m.state, STATE_STOPPING);
}

static void test_held_service_ends_by_itself(void **state)
{
	struct subject s;

	setup_running(&s);
	s.f.held = true;
	asked(&s, EVENT_STOP, REASON_COMMAND);
	assert_int_equal(ends(&s, EXIT(1)), ACTION_SWEEP);
	assert_int_equal(s.m.state, STATE_STOPPED);
	assert_int_equal(s.m.reason, REASON_COMMAND);
	assert_int_equal(machine_exit_code(&s.m), 1);
}

static void test_start_takes_back_a_held_stop(void **state)
{
	struct subject s;

	setup_running(&s);
	s.f.held = true;
	asked(&s, EVENT_STOP, REASON_COMMAND);
	assert_int_equal(asked(&s, EVENT_START, REASON_COMMAND), 0);
	s.f.held = false;
	assert_int_equal(happens(&s, EVENT_FACTS), 0);
	assert_int_equal(s.m.state, STATE_RUNNING);
	assert_true(machine_satisfies(&s.m));
}

static void test_start_while_stopping_comes_up_again(void **state)
{
	struct subject s;

	setup_running(&s);
	asked(&s, EVENT_STOP, REASON_COMMAND);
	assert_int_equal(asked(&s, EVENT_START, REASON_COMMAND), 0);
	assert_int_equal(s.m.state, STATE_STOPPING);
	/* The stop that is under way still has its time limit. */
	s.f.now = s.m.deadline;
	assert_true(happens(&s, EVENT_TIMER) & ACTION_KILL);
	ends(&s, SIGNALLED(SIGKILL));
	assert_true(happens(&s, EVENT_EMPTY) & ACTION_SPAWN);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_int_equal(s.m.restarts, 0);
}

static void test_start_while_stopping_taken_back(void **state)
{
	struct subject s;

	setup_running(&s);
	asked(&s, EVENT_STOP, REASON_COMMAND);
	asked(&s, EVENT_START, REASON_COMMAND);
	asked(&s, EVENT_STOP, REASON_SHUTDOWN);
	ends(&s, EXIT(0));
	assert_false(happens(&s, EVENT_EMPTY) & ACTION_SPAWN);
	assert_int_equal(s.m.state, STATE_STOPPED);
	assert_int_equal(s.m.reason, REASON_SHUTDOWN);
}

/* It ended by itself and is not to be restarted; somebody starts it before its tree is gone. */
static void test_start_while_the_tree_ends(void **state)
{
	struct subject s;

	setup_running(&s);
	s.config.restart = RESTART_NO;
	s.f.tree_empty = false;
	ends(&s, EXIT(0));
	assert_int_equal(s.m.state, STATE_STOPPING);
	asked(&s, EVENT_START, REASON_COMMAND);
	assert_true(happens(&s, EVENT_EMPTY) & ACTION_SPAWN);
	assert_int_equal(s.m.state, STATE_STARTING);
}

static void test_restart(void **state)
{
	struct subject s;

	setup_running(&s);
	s.config.restart = RESTART_NO;
	s.m.attempts = 5;
	assert_int_equal(asked(&s, EVENT_RESTART, REASON_CHANGED), GO_DOWN);
	assert_false(machine_satisfies(&s.m));
	ends(&s, EXIT(1));
	assert_true(happens(&s, EVENT_EMPTY) & ACTION_SPAWN);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_int_equal(s.m.attempts, 0);
	assert_int_equal(s.m.restarts, 0); /* nobody had to: it was asked for */
	assert_false(s.m.restart_wanted);
	happens(&s, EVENT_STARTED);
	assert_true(machine_satisfies(&s.m));
}

static void test_restart_is_held_by_dependents(void **state)
{
	struct subject s;

	setup_running(&s);
	s.f.held = true;
	assert_int_equal(asked(&s, EVENT_RESTART, REASON_COMMAND), 0);
	assert_int_equal(s.m.state, STATE_RUNNING);
	assert_false(machine_is_settled(&s.m));
	s.f.held = false;
	assert_int_equal(happens(&s, EVENT_FACTS), GO_DOWN);
	ends(&s, EXIT(0));
	/* What it needs was restarted with it: it waits for that. */
	s.f.deps_ready = false;
	happens(&s, EVENT_EMPTY);
	assert_int_equal(s.m.state, STATE_WAITING);
	assert_int_equal(happens(&s, EVENT_FACTS), 0);
	s.f.deps_ready = true;
	assert_true(happens(&s, EVENT_FACTS) & ACTION_SPAWN);
}

static void test_stop_in_every_idle_state(void **state)
{
	static const enum service_state idle[] = { STATE_STOPPED, STATE_WAITING, STATE_BACKOFF,
						   STATE_EXITED, STATE_FAILED };

	for (size_t i = 0; i < ELEMENTSOF(idle); i++) {
		struct subject s;

		subject_init(&s);
		s.m.state = idle[i];
		s.m.desired_up = idle[i] != STATE_STOPPED;
		assert_int_equal(asked(&s, EVENT_STOP, REASON_COMMAND), 0);
		assert_int_equal(s.m.state, STATE_STOPPED);
		assert_false(s.m.desired_up);
		/* What has been stopped all along has no new reason. */
		assert_int_equal(s.m.reason,
				 idle[i] == STATE_STOPPED ? REASON_NONE : REASON_COMMAND);
	}
}

/* The rest of the tree of a process that ended: asked, then killed, then judged. */
static void test_tree_outlives_its_main_process(void **state)
{
	struct subject s;

	setup_running(&s);
	s.f.tree_empty = false;
	assert_int_equal(ends(&s, EXIT(1)), GO_DOWN | ACTION_WATCH_TREE);
	assert_true(s.m.main_ended);
	s.f.now = s.m.deadline;
	/* With a look of its own: it may be empty since one that failed. */
	assert_int_equal(happens(&s, EVENT_TIMER), ACTION_KILL | ACTION_WATCH_TREE | ACTION_TIMER);
	happens(&s, EVENT_EMPTY);
	assert_int_equal(s.m.state, STATE_STARTING);
	assert_int_equal(s.m.restarts, 1);
}

/* A stop that came before the end keeps its reason, whatever happens to the process. */
static void test_reason_of_a_stop_stays(void **state)
{
	static const enum machine_event events[] = { EVENT_TIMER, EVENT_NOT_STARTED,
						     EVENT_STEP_FAILED };

	for (size_t i = 0; i < ELEMENTSOF(events); i++) {
		struct subject s;

		subject_init(&s);
		s.config.ready = READY_NOTIFY;
		bring_up(&s);
		s.f.held = true;
		asked(&s, EVENT_STOP, REASON_SHUTDOWN);
		assert_int_equal(s.m.state, STATE_STARTING);
		happens(&s, events[i]);
		if (machine_is_active(&s.m))
			ends(&s, SIGNALLED(SIGKILL));
		if (machine_is_active(&s.m))
			happens(&s, EVENT_EMPTY);
		assert_int_equal(s.m.state, STATE_STOPPED);
		assert_int_equal(s.m.reason, REASON_SHUTDOWN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_escalates),
		cmocka_unit_test(test_stop_timeout_for_ever),
		cmocka_unit_test(test_stop_is_held_by_dependents),
		cmocka_unit_test(test_held_service_ends_by_itself),
		cmocka_unit_test(test_start_takes_back_a_held_stop),
		cmocka_unit_test(test_start_while_stopping_comes_up_again),
		cmocka_unit_test(test_start_while_stopping_taken_back),
		cmocka_unit_test(test_start_while_the_tree_ends),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_is_held_by_dependents),
		cmocka_unit_test(test_stop_in_every_idle_state),
		cmocka_unit_test(test_tree_outlives_its_main_process),
		cmocka_unit_test(test_reason_of_a_stop_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
