/* SPDX-License-Identifier: MIT */
/*
 * The state machine as a whole: every cell of [state][event] against a table of what may come
 * of it, and a long random walk beside a small model of the world, with what must always hold.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "machine-fixture.h"

/* What must hold after every step, whatever it was. */
static void check_step(const struct machine *before, const struct machine *m, unsigned actions,
		       const struct machine_facts *f)
{
	bool active = machine_is_active(m);

	assert_true(m->state < STATE_COUNT && m->reason < REASON_COUNT);
	assert_int_equal(!!(actions & ACTION_TIMER), before->deadline != m->deadline);
	assert_int_equal(m->started != 0, active);
	assert_true(m->started <= f->now && m->since <= f->now);
	if (before->state != m->state)
		/* Ready by exec: since its very start. */
		assert_true(m->since == f->now ||
			    (m->state == STATE_RUNNING && m->since == m->started));
	else
		assert_true(m->since == before->since || m->state == STATE_STARTING);
	if (actions & ACTION_SPAWN) {
		assert_int_equal(m->state, STATE_STARTING);
		assert_true(m->desired_up && f->deps_ready && !m->restart_wanted);
		assert_false(m->killed || m->main_ended || m->failed_start);
	}
	if (actions & (ACTION_STOP_SIGNAL | ACTION_KILL | ACTION_WATCH_TREE))
		assert_int_equal(m->state, STATE_STOPPING);
	if (m->state == STATE_STOPPED)
		assert_false(m->desired_up);
	if (!active && m->state != STATE_STOPPED)
		assert_true(m->desired_up && !m->restart_wanted);
	if (m->state != STATE_STOPPING)
		assert_false(m->killed || (m->main_ended && m->state != STATE_STARTING));
	if (!active && m->state != STATE_BACKOFF)
		assert_int_equal(m->deadline, USEC_INFINITY);
	if (m->state == STATE_BACKOFF && before->state != STATE_BACKOFF)
		assert_true(m->deadline > f->now && m->deadline != USEC_INFINITY);
	assert_true(m->restarts >= before->restarts && m->restarts <= before->restarts + 1);
}

/* --- every cell ------------------------------------------------------------------------- */

#define S(name) (1U << STATE_##name)
#define UP      (S(WAITING) | S(STARTING))
#define DOWN    (UP | S(STOPPED) | S(BACKOFF) | S(FAILED))
#define SPAWNS  (ACTION_SPAWN | ACTION_TIMER)
#define STOPS   (ACTION_STOP_SIGNAL | ACTION_TIMER)
#define KILLS   (ACTION_KILL | ACTION_TIMER)
#define REST    ACTION_WATCH_TREE /* of a start whose first process has ended */
#define ENDS    (SPAWNS | STOPS | ACTION_WATCH_TREE | ACTION_SWEEP)

/* The states that it may lead to, all of them, and all actions that it may ask for. No row: it
 * changes nothing at all. */
static const struct cell {
	unsigned states, actions;
} cells[STATE_COUNT][EVENT_COUNT] = {
	[STATE_STOPPED] = {
		[EVENT_START] = { UP, SPAWNS },
		[EVENT_STOP] = { S(STOPPED), 0 },
		[EVENT_RESTART] = { UP, SPAWNS },
	},
	[STATE_WAITING] = {
		[EVENT_START] = { UP, SPAWNS },
		[EVENT_STOP] = { S(STOPPED), 0 },
		[EVENT_RESTART] = { UP, SPAWNS },
		[EVENT_FACTS] = { UP, SPAWNS },
	},
	[STATE_STARTING] = {
		[EVENT_START] = { S(STARTING), 0 },
		[EVENT_STOP] = { S(STARTING) | S(STOPPING), STOPS | REST },
		[EVENT_RESTART] = { S(STARTING) | S(STOPPING), STOPS | REST },
		[EVENT_FACTS] = { S(STARTING) | S(STOPPING), STOPS | REST },
		[EVENT_STARTED] = { S(STARTING) | S(RUNNING), ACTION_TIMER },
		[EVENT_NOT_STARTED] = { DOWN, SPAWNS },
		[EVENT_STEP_FAILED] = { S(STARTING), 0 },
		[EVENT_READY] = { S(RUNNING), ACTION_TIMER },
		[EVENT_ENDED] = { DOWN | S(EXITED) | S(STOPPING), ENDS },
		[EVENT_TIMER] = { S(STOPPING), KILLS | REST },
		[EVENT_FORKED] = { S(STARTING), 0 },
		[EVENT_MAIN] = { S(STARTING) | S(RUNNING), ACTION_TIMER },
		[EVENT_NOT_READY] = { DOWN | S(STOPPING), KILLS | SPAWNS | ACTION_SWEEP },
	},
	[STATE_RUNNING] = {
		[EVENT_START] = { S(RUNNING), 0 },
		[EVENT_STOP] = { S(RUNNING) | S(STOPPING), STOPS },
		[EVENT_RESTART] = { S(RUNNING) | S(STOPPING), STOPS },
		[EVENT_FACTS] = { S(RUNNING) | S(STOPPING), STOPS },
		[EVENT_ENDED] = { DOWN | S(EXITED) | S(STOPPING), ENDS },
		[EVENT_WATCHDOG] = { S(STOPPING), KILLS },
	},
	[STATE_STOPPING] = {
		[EVENT_START] = { S(STOPPING), 0 },
		[EVENT_STOP] = { S(STOPPING), 0 },
		[EVENT_RESTART] = { S(STOPPING), 0 },
		[EVENT_NOT_STARTED] = { DOWN, SPAWNS },
		[EVENT_STEP_FAILED] = { S(STOPPING), 0 },
		[EVENT_ENDED] = { S(STOPPING), ACTION_WATCH_TREE },
		[EVENT_EMPTY] = { DOWN | S(EXITED), SPAWNS },
		[EVENT_TIMER] = { S(STOPPING), KILLS | ACTION_WATCH_TREE },
		[EVENT_MAIN] = { S(STOPPING), 0 },
	},
	[STATE_BACKOFF] = {
		[EVENT_START] = { UP, SPAWNS },
		[EVENT_STOP] = { S(STOPPED), ACTION_TIMER },
		[EVENT_RESTART] = { UP, SPAWNS },
		[EVENT_TIMER] = { UP, SPAWNS },
	},
	[STATE_EXITED] = {
		[EVENT_START] = { UP, SPAWNS },
		[EVENT_STOP] = { S(STOPPED), 0 },
		[EVENT_RESTART] = { UP, SPAWNS },
	},
	[STATE_FAILED] = {
		[EVENT_START] = { UP, SPAWNS },
		[EVENT_STOP] = { S(STOPPED), 0 },
		[EVENT_RESTART] = { UP, SPAWNS },
	},
};

#define VARIANTS (1U << 14)

static bool has_deadline(enum service_state state)
{
	return state == STATE_STARTING || state == STATE_STOPPING || state == STATE_BACKOFF;
}

/* A machine in that state, and facts, each bit of variant turning one of them. */
static void make_variant(struct subject *s, enum service_state state, unsigned variant)
{
	static const int statuses[] = { EXIT(0), EXIT(1), SIGNALLED(SIGKILL), EXIT(0) };
	bool active = state == STATE_STARTING || state == STATE_RUNNING || state == STATE_STOPPING;

	subject_init(s);
	s->f.deps_ready = variant & 1;
	s->f.held = variant & 2;
	s->f.tree_empty = variant & 4;
	s->f.status = statuses[variant >> 3 & 3];
	s->f.status_unknown = variant & 32;
	s->config.ready = variant & 64     ? variant & 8192 ? READY_FORKING : READY_NOTIFY
			  : variant & 8192 ? READY_ONESHOT
					   : READY_EXEC;
	s->config.restart = (variant >> 7 & 3) % 3;
	s->config.restart_limit = variant & 512 ? 1 : 0;
	s->m.attempts = variant & 1024 ? 1 : 0;
	s->m.desired_up = state != STATE_STOPPED && (!active || variant & 2048);
	s->m.restart_wanted = active && s->m.desired_up && variant & 4096;
	s->m.state = state;
	s->m.started = active ? s->f.now - SEC : 0;
	s->m.since = s->f.now - SEC;
	s->m.reason = REASON_ENDED;
	s->m.ended_status = s->f.status;
	s->m.deadline = has_deadline(state) ? s->f.now : USEC_INFINITY;
	s->m.main_ended =
		(state == STATE_STOPPING && variant & 4) ||
		(state == STATE_STARTING && s->config.ready == READY_FORKING && variant & 4);
}

static void visit(enum service_state state, enum machine_event event)
{
	const struct cell *cell = &cells[state][event];
	unsigned states = 0, actions = 0;

	for (unsigned variant = 0; variant < VARIANTS; variant++) {
		struct subject s;
		struct machine before;

		make_variant(&s, state, variant);
		before = s.m;
		actions |= happens(&s, event);
		states |= 1U << s.m.state;
		check_step(&before, &s.m, s.actions, &s.f);
		if (!cell->states)
			assert_memory_equal(&before, &s.m, sizeof(before));
	}
	if (states != (cell->states ? cell->states : 1U << state) || actions != cell->actions)
		fail_msg("%s, %s: states %#x, actions %#x", service_state_to_string(state),
			 machine_event_to_string(event), states, actions);
}

static void test_every_cell(void **unused)
{
	for (int state = 0; state < STATE_COUNT; state++) {
		for (int event = 0; event < EVENT_COUNT; event++)
			visit(state, event);
	}
}

/* --- a random walk ---------------------------------------------------------------------- */

/* What there is of the service in the world. */
struct world {
	struct subject s;
	bool forked, exec; /* its process: on its way to exec, there */
	bool rest;         /* its process has ended and left a daemon that is not known yet */
	bool watched;      /* the machine waits for the end of the tree */
	bool signalled;    /* since the last start */
	uint64_t random;
};

static uint32_t roll(struct world *w, uint32_t sides)
{
	w->random = w->random * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(w->random >> 33) % sides;
}

/* May the world bring this about now? */
static bool is_possible(const struct world *w, enum machine_event event)
{
	switch (event) {
	case EVENT_STARTED:
	case EVENT_NOT_STARTED:
	case EVENT_STEP_FAILED: return w->forked;
	case EVENT_READY: return w->exec;
	case EVENT_FORKED:
		return w->exec && w->s.m.state == STATE_STARTING &&
		       w->s.config.ready == READY_FORKING;
	case EVENT_MAIN: return w->rest;
	case EVENT_NOT_READY: return w->s.m.state == STATE_STARTING && (w->exec || w->rest);
	case EVENT_WATCHDOG: return w->exec && w->s.m.state == STATE_RUNNING;
	case EVENT_ENDED: return w->exec || (w->forked && w->s.m.failed_start);
	case EVENT_EMPTY: return w->watched;
	case EVENT_TIMER: return w->s.m.deadline != USEC_INFINITY;
	default: return true;
	}
}

static void before_event(struct world *w, enum machine_event event)
{
	if (event == EVENT_STARTED)
		w->exec = true;
	if (event == EVENT_STARTED || event == EVENT_NOT_STARTED || event == EVENT_ENDED)
		w->forked = false;
	if (event == EVENT_ENDED)
		w->exec = false;
	if (event == EVENT_FORKED || event == EVENT_MAIN) {
		w->rest = event == EVENT_FORKED;
		w->exec = event == EVENT_MAIN;
	}
	if (event == EVENT_EMPTY || event == EVENT_MAIN)
		w->watched = false;
	if (event == EVENT_EMPTY || event == EVENT_NOT_READY)
		w->rest = false;
	if (event == EVENT_TIMER && w->s.m.deadline > w->s.f.now)
		w->s.f.now = w->s.m.deadline;
}

/* The world takes the step and does what it is told. */
static void take_step(struct world *w, enum machine_event event)
{
	struct machine before = w->s.m;
	unsigned actions;

	before_event(w, event);
	actions = happens(&w->s, event);
	check_step(&before, &w->s.m, actions, &w->s.f);
	if (actions & ACTION_SPAWN) {
		/* Never a second copy. */
		assert_false(w->forked || w->exec || w->watched || w->rest);
		w->forked = true;
		w->signalled = false;
	}
	if (actions & ACTION_WATCH_TREE)
		w->watched = true;
	if (actions & (ACTION_STOP_SIGNAL | ACTION_KILL)) {
		assert_true(w->forked || w->exec || w->watched || w->rest);
		w->signalled = true;
	}
	assert_int_equal(machine_is_active(&w->s.m), w->forked || w->exec || w->watched || w->rest);
	if (w->s.m.state == STATE_STOPPING)
		assert_true(w->signalled); /* nobody waits for an end that nobody asked for */
}

static void roll_facts(struct world *w)
{
	static const int statuses[] = { EXIT(0), EXIT(1), EXIT(127), SIGNALLED(SIGSEGV) };

	w->s.f.now += roll(w, 4) == 0 ? roll(w, 100) * SEC : roll(w, 1000);
	w->s.f.random = roll(w, UINT32_MAX);
	w->s.f.deps_ready = roll(w, 3) > 0;
	w->s.f.held = roll(w, 4) == 0;
	w->s.f.tree_empty = roll(w, 2) > 0;
	w->s.f.status = statuses[roll(w, ELEMENTSOF(statuses))];
	w->s.f.status_unknown = roll(w, 8) == 0;
	w->s.f.reason = roll(w, 2) ? REASON_COMMAND : REASON_DEPENDENCY;
	w->s.f.step = 1 + roll(w, 12);
	w->s.f.error = 1 + roll(w, 40);
	w->s.config.restart = roll(w, 3);
	w->s.config.restart_limit = roll(w, 4);
	w->s.config.ready = roll(w, READY_ONESHOT + 1);
}

/* From wherever it is: a stop leads to stopped, with what a stubborn process then does. */
static void check_stop_leads_down(const struct world *from)
{
	struct world w = *from;

	w.s.f.held = true;
	take_step(&w, EVENT_STOP);
	w.s.f.held = false;
	take_step(&w, EVENT_FACTS);
	if (w.s.m.state == STATE_STOPPING && !w.s.m.killed) {
		w.s.f.now++;
		take_step(&w, EVENT_TIMER);
		assert_true(w.s.actions & ACTION_KILL);
	}
	if (w.forked)
		take_step(&w, EVENT_STARTED);
	if (w.exec)
		take_step(&w, EVENT_ENDED);
	if (w.watched)
		take_step(&w, EVENT_EMPTY);
	assert_int_equal(w.s.m.state, STATE_STOPPED);
	assert_false(w.forked || w.exec || w.watched || w.rest);
	assert_true(machine_is_settled(&w.s.m));
}

/* And a start leads to running, when nothing is in the way. */
static void check_start_leads_up(const struct world *from)
{
	struct world w = *from;

	w.s.f.deps_ready = true;
	w.s.f.held = false;
	w.s.config.ready = READY_EXEC;
	take_step(&w, EVENT_START);
	take_step(&w, EVENT_FACTS);
	if (w.s.m.state == STATE_STOPPING && w.forked)
		take_step(&w, EVENT_STARTED);
	if (w.s.m.state == STATE_STOPPING && w.exec)
		take_step(&w, EVENT_ENDED);
	if (w.watched)
		take_step(&w, EVENT_EMPTY);
	if (w.forked)
		take_step(&w, EVENT_STARTED);
	if (w.rest && w.s.m.state == STATE_STARTING)
		take_step(&w, EVENT_MAIN);
	if (w.s.m.state == STATE_STARTING)
		take_step(&w, EVENT_READY);
	assert_int_equal(w.s.m.state, STATE_RUNNING);
	assert_true(machine_satisfies(&w.s.m));
}

static void test_random_walk(void **unused)
{
	struct world w = { .random = 20261123 };
	bool seen[STATE_COUNT][EVENT_COUNT] = { { false } };

	subject_init(&w.s);
	for (int i = 0; i < 300000; i++) {
		enum machine_event event = roll(&w, EVENT_COUNT);

		roll_facts(&w);
		if (!is_possible(&w, event))
			continue;
		seen[w.s.m.state][event] = true;
		take_step(&w, event);
		check_stop_leads_down(&w);
		check_start_leads_up(&w);
	}
	/* The walk must have got around: all that is possible in this world and means something. */
	for (int state = 0; state < STATE_COUNT; state++) {
		for (int event = 0; event < EVENT_COUNT; event++) {
			if (cells[state][event].states && !seen[state][event])
				fail_msg("never %s in %s", machine_event_to_string(event),
					 service_state_to_string(state));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cell),
		cmocka_unit_test(test_random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
