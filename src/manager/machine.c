/* SPDX-License-Identifier: MIT */
/*
 * The state machine of a service: see machine.h. One small function per row of a table of
 * states and events; what stands in several rows is a function of its own.
 */
#include "manager/machine.h"

#include <sys/wait.h>

#include "base/link.h"
#include "base/macro.h"
#include "base/units.h"

#define KILL_AGAIN     (1 * USEC_PER_SEC) /* a process in the kernel may take its time to die */
#define KILL_AGAIN_MAX (60 * USEC_PER_SEC)

void machine_init(struct machine *m, uint64_t now)
{
	*m = (struct machine){ .state = STATE_STOPPED, .since = now, .deadline = USEC_INFINITY };
}

/* The one place where the state changes. */
static void set_state(struct machine *m, enum service_state state, const struct machine_facts *f)
{
	if (m->state != state)
		m->since = f->now;
	m->state = state;
	if (state != STATE_STOPPING)
		m->killed = m->main_ended = false;
}

static unsigned set_deadline(struct machine *m, uint64_t now, uint64_t delay)
{
	uint64_t deadline;

	if (delay == USEC_INFINITY || __builtin_add_overflow(now, delay, &deadline))
		deadline = USEC_INFINITY;
	if (m->deadline == deadline)
		return 0;
	m->deadline = deadline;
	return ACTION_TIMER;
}

static unsigned no_deadline(struct machine *m)
{
	return set_deadline(m, 0, USEC_INFINITY);
}

/* --- what several rows do --------------------------------------------------------------- */

/* Wanted up, nothing runs: start it, or wait for what it needs. */
static unsigned come_up(struct machine *m, const struct machine_facts *f)
{
	m->restart_wanted = false;
	if (!f->deps_ready) {
		set_state(m, STATE_WAITING, f);
		return no_deadline(m);
	}
	set_state(m, STATE_STARTING, f);
	m->failed_start = false;
	m->said = (struct said){ 0 };
	m->started = f->now;
	return ACTION_SPAWN | set_deadline(m, f->now, f->config->start_timeout);
}

/* Without a main process its end is that of the tree. */
static unsigned watch_rest(const struct machine *m)
{
	return m->main_ended ? ACTION_WATCH_TREE : 0;
}

static unsigned go_down(struct machine *m, const struct machine_facts *f)
{
	set_state(m, STATE_STOPPING, f);
	return ACTION_STOP_SIGNAL | watch_rest(m) |
	       set_deadline(m, f->now, f->config->stop_timeout);
}

/* Something runs and is to go: now, or when those who need it have gone. */
static unsigned wants_down(struct machine *m, const struct machine_facts *f)
{
	return f->held ? 0 : go_down(m, f);
}

/*
 * min(delay * 2^(n-1), max), then up to a quarter off: services that fell together do not
 * come back in step.
 */
static uint64_t backoff_delay(const struct machine *m, const struct machine_facts *f)
{
	const struct service_config *c = f->config;
	unsigned doublings = m->attempts - 1;
	uint64_t delay = c->restart_delay;

	if (m->attempts == 0)
		return 0;
	for (; doublings > 0 && delay > 0 && delay < c->restart_delay_max; doublings--)
		delay = delay > UINT64_MAX / 2 ? UINT64_MAX : delay * 2;
	delay = MIN(delay, c->restart_delay_max);
	return delay - (uint64_t)((delay / 4.0) * (f->random / 4294967296.0));
}

static bool ended_well(const struct machine *m)
{
	return !m->failed_start && !m->ended_unknown && m->reason == REASON_ENDED &&
	       WIFEXITED(m->ended_status) && WEXITSTATUS(m->ended_status) == 0;
}

static bool is_to_restart(const struct machine *m, const struct service_config *c)
{
	switch (c->restart) {
	case RESTART_NO: return false;
	case RESTART_ON_FAILURE: return !ended_well(m);
	case RESTART_ALWAYS: return true;
	}
	return false;
}

/* A start that failed was no run, however long it took; nor is the time that its tree took. */
static bool was_up_for_a_while(const struct machine *m, const struct machine_facts *f)
{
	uint64_t end = m->state == STATE_STOPPING ? m->since : f->now;

	return m->started && (!m->failed_start || m->reason == REASON_WATCHDOG) &&
	       end >= m->started && end - m->started >= f->config->restart_reset;
}

/* It ended by itself, its tree is empty, it is wanted up: what now? */
static unsigned judge(struct machine *m, const struct machine_facts *f)
{
	const struct service_config *c = f->config;
	uint64_t delay;

	if (!is_to_restart(m, c)) {
		set_state(m, ended_well(m) ? STATE_EXITED : STATE_FAILED, f);
		m->started = 0;
		return no_deadline(m);
	}
	if (was_up_for_a_while(m, f))
		m->attempts = 0;
	m->started = 0;
	if (c->restart_limit > 0 && m->attempts >= c->restart_limit) {
		set_state(m, STATE_FAILED, f);
		return no_deadline(m);
	}
	delay = backoff_delay(m, f);
	m->attempts++;
	m->restarts++;
	if (delay == 0)
		return come_up(m, f);
	set_state(m, STATE_BACKOFF, f);
	return set_deadline(m, f->now, delay);
}

/* Nothing of it is left. */
static unsigned is_down(struct machine *m, const struct machine_facts *f)
{
	if (m->desired_up && m->restart_wanted) {
		m->started = 0;
		m->attempts = 0;
		return come_up(m, f);
	}
	if (m->desired_up)
		return judge(m, f);
	m->started = 0;
	set_state(m, STATE_STOPPED, f);
	return no_deadline(m);
}

static void record_end(struct machine *m, const struct machine_facts *f)
{
	m->ever_ended = true;
	m->ended_status = f->status;
	m->ended_unknown = f->status_unknown;
}

static void record_failed_step(struct machine *m, const struct machine_facts *f)
{
	m->failed_start = true;
	m->step = f->step;
	m->step_error = f->error;
}

/* --- the rows --------------------------------------------------------------------------- */

static unsigned ignore(struct machine *m, const struct machine_facts *f)
{
	return 0;
}

static unsigned start_idle(struct machine *m, const struct machine_facts *f)
{
	m->desired_up = true;
	m->reason = f->reason;
	m->attempts = 0;
	return come_up(m, f);
}

static unsigned start_waiting(struct machine *m, const struct machine_facts *f)
{
	m->desired_up = true;
	return f->deps_ready ? come_up(m, f) : 0;
}

/* A start takes back a stop that still waits for others. */
static unsigned start_active(struct machine *m, const struct machine_facts *f)
{
	if (!m->desired_up) {
		m->desired_up = true;
		m->reason = f->reason;
	}
	return 0;
}

/* Also where it ended by itself: who asks for a start means another one, whatever the policy. */
static unsigned start_stopping(struct machine *m, const struct machine_facts *f)
{
	m->desired_up = m->restart_wanted = true;
	return 0;
}

static unsigned stop_idle(struct machine *m, const struct machine_facts *f)
{
	m->desired_up = m->restart_wanted = false;
	if (m->state != STATE_STOPPED)
		m->reason = f->reason;
	set_state(m, STATE_STOPPED, f);
	return no_deadline(m);
}

static unsigned stop_active(struct machine *m, const struct machine_facts *f)
{
	m->desired_up = m->restart_wanted = false;
	m->reason = f->reason;
	return wants_down(m, f);
}

static unsigned stop_stopping(struct machine *m, const struct machine_facts *f)
{
	m->desired_up = m->restart_wanted = false;
	m->reason = f->reason;
	return 0;
}

static unsigned restart_active(struct machine *m, const struct machine_facts *f)
{
	m->desired_up = m->restart_wanted = true;
	m->reason = f->reason;
	return wants_down(m, f);
}

static unsigned restart_stopping(struct machine *m, const struct machine_facts *f)
{
	m->desired_up = m->restart_wanted = true;
	m->reason = f->reason;
	return 0;
}

static unsigned facts_waiting(struct machine *m, const struct machine_facts *f)
{
	return f->deps_ready ? come_up(m, f) : 0;
}

static unsigned facts_active(struct machine *m, const struct machine_facts *f)
{
	return !m->desired_up || m->restart_wanted ? wants_down(m, f) : 0;
}

static unsigned become_ready(struct machine *m, const struct machine_facts *f)
{
	set_state(m, STATE_RUNNING, f);
	return no_deadline(m);
}

/* Ready from its very start: so it is the same moment for whichever manager tells of it. */
static unsigned started(struct machine *m, const struct machine_facts *f)
{
	unsigned actions;

	if (f->config->ready != READY_EXEC)
		return 0;
	actions = become_ready(m, f);
	m->since = m->started;
	return actions;
}

static unsigned not_started(struct machine *m, const struct machine_facts *f)
{
	record_failed_step(m, f);
	if (m->desired_up && !m->restart_wanted)
		m->reason = REASON_SPAWN_FAILED;
	return is_down(m, f);
}

static unsigned step_failed(struct machine *m, const struct machine_facts *f)
{
	record_failed_step(m, f);
	if (m->desired_up && !m->restart_wanted)
		m->reason = REASON_SPAWN_FAILED;
	return 0;
}

/* Who is to say that it is ready, or to leave a daemon, has failed when it ends before. */
static bool ended_too_early(const struct machine *m, const struct machine_facts *f)
{
	return m->state == STATE_STARTING && f->config->ready != READY_EXEC &&
	       f->config->ready != READY_ONESHOT;
}

/* The main process ended and nobody asked for it. */
static unsigned ended_by_itself(struct machine *m, const struct machine_facts *f)
{
	record_end(m, f);
	if (m->desired_up && !m->restart_wanted && !m->failed_start)
		m->reason = REASON_ENDED;
	if (ended_too_early(m, f) && !m->failed_start) {
		m->failed_start = true;
		m->step = STEP_NONE;
	}
	if (f->tree_empty)
		return ACTION_SWEEP | is_down(m, f);
	set_state(m, STATE_STOPPING, f);
	m->main_ended = true;
	return ACTION_STOP_SIGNAL | ACTION_WATCH_TREE |
	       set_deadline(m, f->now, f->config->stop_timeout);
}

static unsigned ended_stopping(struct machine *m, const struct machine_facts *f)
{
	record_end(m, f);
	m->main_ended = true;
	return ACTION_WATCH_TREE;
}

/* Who cannot be killed at all is not worth a look each second: from now on half as often. */
static uint64_t kill_again_after(const struct machine *m, const struct machine_facts *f)
{
	uint64_t waited = f->now - m->since - MIN(f->now - m->since, f->config->stop_timeout);

	return MAX(KILL_AGAIN, MIN(waited, KILL_AGAIN_MAX));
}

static unsigned timer_stopping(struct machine *m, const struct machine_facts *f)
{
	unsigned look = m->main_ended ? ACTION_WATCH_TREE : 0;

	m->killed = true;
	/* Looked at anew: the last look may have failed for want of descriptors. */
	return ACTION_KILL | look | set_deadline(m, f->now, kill_again_after(m, f));
}

/* Not ready in time, or silent: it is ended the hard way and then judged as a failure. */
static unsigned end_hard(struct machine *m, const struct machine_facts *f, enum reason reason)
{
	set_state(m, STATE_STOPPING, f);
	m->killed = true;
	m->failed_start = true;
	if (m->desired_up && !m->restart_wanted)
		m->reason = reason;
	m->step = STEP_NONE;
	return ACTION_KILL | watch_rest(m) | set_deadline(m, f->now, KILL_AGAIN);
}

/* Its end is no end of the service. */
static unsigned forked(struct machine *m, const struct machine_facts *f)
{
	m->main_ended = true;
	return 0;
}

/* A forking service is ready when it has left a daemon; others only go on in another process. */
static unsigned main_found(struct machine *m, const struct machine_facts *f)
{
	m->main_ended = false;
	return f->config->ready == READY_FORKING ? become_ready(m, f) : 0;
}

static unsigned main_found_stopping(struct machine *m, const struct machine_facts *f)
{
	m->main_ended = false; /* its end will follow */
	return 0;
}

static unsigned not_ready(struct machine *m, const struct machine_facts *f)
{
	if (!m->main_ended)
		return end_hard(m, f, f->reason);
	record_end(m, f);
	m->failed_start = true;
	m->step = STEP_NONE;
	if (m->desired_up && !m->restart_wanted)
		m->reason = f->reason;
	return ACTION_SWEEP | is_down(m, f);
}

static unsigned start_timeout(struct machine *m, const struct machine_facts *f)
{
	return end_hard(m, f, REASON_START_TIMEOUT);
}

static unsigned watchdog(struct machine *m, const struct machine_facts *f)
{
	return end_hard(m, f, REASON_WATCHDOG);
}

static unsigned backoff_over(struct machine *m, const struct machine_facts *f)
{
	return come_up(m, f);
}

typedef unsigned row(struct machine *, const struct machine_facts *);

/* NULL: the event has no meaning there, and changes nothing. */
static row *const rows[STATE_COUNT][EVENT_COUNT] = {
	[STATE_STOPPED] = {
		[EVENT_START] = start_idle,
		[EVENT_STOP] = stop_idle,
		[EVENT_RESTART] = start_idle,
	},
	[STATE_WAITING] = {
		[EVENT_START] = start_waiting,
		[EVENT_STOP] = stop_idle,
		[EVENT_RESTART] = start_waiting,
		[EVENT_FACTS] = facts_waiting,
	},
	[STATE_STARTING] = {
		[EVENT_START] = start_active,
		[EVENT_STOP] = stop_active,
		[EVENT_RESTART] = restart_active,
		[EVENT_FACTS] = facts_active,
		[EVENT_STARTED] = started,
		[EVENT_NOT_STARTED] = not_started,
		[EVENT_STEP_FAILED] = step_failed,
		[EVENT_READY] = become_ready,
		[EVENT_ENDED] = ended_by_itself,
		[EVENT_TIMER] = start_timeout,
		[EVENT_FORKED] = forked,
		[EVENT_MAIN] = main_found,
		[EVENT_NOT_READY] = not_ready,
	},
	[STATE_RUNNING] = {
		[EVENT_START] = start_active,
		[EVENT_STOP] = stop_active,
		[EVENT_RESTART] = restart_active,
		[EVENT_FACTS] = facts_active,
		[EVENT_ENDED] = ended_by_itself,
		[EVENT_WATCHDOG] = watchdog,
	},
	[STATE_STOPPING] = {
		[EVENT_START] = start_stopping,
		[EVENT_STOP] = stop_stopping,
		[EVENT_RESTART] = restart_stopping,
		[EVENT_NOT_STARTED] = not_started,
		[EVENT_STEP_FAILED] = step_failed,
		[EVENT_ENDED] = ended_stopping,
		[EVENT_EMPTY] = is_down,
		[EVENT_TIMER] = timer_stopping,
		[EVENT_MAIN] = main_found_stopping,
	},
	[STATE_BACKOFF] = {
		[EVENT_START] = start_idle,
		[EVENT_STOP] = stop_idle,
		[EVENT_RESTART] = start_idle,
		[EVENT_TIMER] = backoff_over,
	},
	[STATE_EXITED] = {
		[EVENT_START] = start_idle,
		[EVENT_STOP] = stop_idle,
		[EVENT_RESTART] = start_idle,
	},
	[STATE_FAILED] = {
		[EVENT_START] = start_idle,
		[EVENT_STOP] = stop_idle,
		[EVENT_RESTART] = start_idle,
	},
};

unsigned machine_step(struct machine *m, enum machine_event event, const struct machine_facts *f)
{
	row *r = rows[m->state][event];

	return (r ? r : ignore)(m, f);
}

/* --- what others ask --------------------------------------------------------------------- */

bool machine_is_active(const struct machine *m)
{
	return m->state == STATE_STARTING || m->state == STATE_RUNNING ||
	       m->state == STATE_STOPPING;
}

bool machine_satisfies(const struct machine *m)
{
	return m->desired_up && !m->restart_wanted &&
	       (m->state == STATE_RUNNING || m->state == STATE_EXITED);
}

bool machine_is_as_wanted(const struct machine *m)
{
	if (!m->desired_up)
		return !machine_is_active(m);
	return m->state == STATE_RUNNING && !m->restart_wanted;
}

bool machine_is_settled(const struct machine *m)
{
	switch (m->state) {
	case STATE_STOPPED:
	case STATE_EXITED:
	case STATE_FAILED: return true;
	case STATE_RUNNING: return m->desired_up && !m->restart_wanted;
	default: return false;
	}
}
