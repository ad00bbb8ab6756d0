/* SPDX-License-Identifier: MIT */
/* The machine in words: names of states, reasons and events; why it is in its state. Pure. */
#include "manager/machine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/enum-table.h"
#include "base/link.h"
#include "base/signals.h"
#include "base/units.h"

static const char *const service_state_names[] = {
	[STATE_STOPPED] = "stopped", [STATE_WAITING] = "waiting",   [STATE_STARTING] = "starting",
	[STATE_RUNNING] = "running", [STATE_STOPPING] = "stopping", [STATE_BACKOFF] = "backoff",
	[STATE_EXITED] = "exited",   [STATE_FAILED] = "failed",
};
static_assert(ELEMENTSOF(service_state_names) == STATE_COUNT, "a name for each state");
ENUM_TABLE(service_state, enum service_state, service_state_names)

static const char *const reason_names[] = {
	[REASON_NONE] = "none",
	[REASON_BOOT] = "autostart",
	[REASON_COMMAND] = "command",
	[REASON_DEPENDENT] = "needed by a service",
	[REASON_DEPENDENCY] = "a service it needs was stopped",
	[REASON_SHUTDOWN] = "shutdown",
	[REASON_REMOVED] = "no longer in the configuration",
	[REASON_CHANGED] = "its configuration changed",
	[REASON_ENDED] = "ended",
	[REASON_SPAWN_FAILED] = "could not be started",
	[REASON_START_TIMEOUT] = "not ready in time",
	[REASON_WATCHDOG] = "watchdog: no sign of life in time",
	[REASON_ADOPTED] = "adopted from an earlier supervisor",
	[REASON_ADDED] = "new in the configuration",
	[REASON_CLOSED] = "closed its readiness descriptor without a newline",
	[REASON_NO_MAIN] = "was to fork away, and left no process behind",
};
static_assert(ELEMENTSOF(reason_names) == REASON_COUNT, "a name for each reason");
ENUM_TABLE(reason, enum reason, reason_names)

static const char *const machine_event_names[] = {
	[EVENT_START] = "start",
	[EVENT_STOP] = "stop",
	[EVENT_RESTART] = "restart",
	[EVENT_FACTS] = "facts",
	[EVENT_STARTED] = "started",
	[EVENT_NOT_STARTED] = "not-started",
	[EVENT_STEP_FAILED] = "step-failed",
	[EVENT_READY] = "ready",
	[EVENT_ENDED] = "ended",
	[EVENT_EMPTY] = "empty",
	[EVENT_TIMER] = "timer",
	[EVENT_WATCHDOG] = "watchdog",
	[EVENT_FORKED] = "forked",
	[EVENT_MAIN] = "main",
	[EVENT_NOT_READY] = "not-ready",
};
static_assert(ELEMENTSOF(machine_event_names) == EVENT_COUNT, "a name for each event");
ENUM_TABLE(machine_event, enum machine_event, machine_event_names)

static const char *const phase_names[] = {
	[PHASE_NONE] = "none",
	[PHASE_RELOADING] = "reloading",
	[PHASE_STOPPING] = "stopping",
};
static_assert(ELEMENTSOF(phase_names) == PHASE_COUNT, "a name for each phase");
ENUM_TABLE(phase, enum phase, phase_names)

char *machine_status(int status, bool unknown, char *buf, size_t size)
{
	if (unknown)
		snprintf(buf, size, "ended, nobody saw how");
	else if (WIFSIGNALED(status))
		snprintf(buf, size, "killed by %s%s", signal_to_string(WTERMSIG(status)),
			 WCOREDUMP(status) ? " (core dumped)" : "");
	else
		snprintf(buf, size, "exit %d", WEXITSTATUS(status));
	return buf;
}

char *machine_end(const struct machine *m, char *buf, size_t size)
{
	buf[0] = '\0';
	return m->ever_ended ? machine_status(m->ended_status, m->ended_unknown, buf, size) : buf;
}

/* What the step was about: the directory, the user, the command. */
static const char *step_object(int step, const struct service_config *c)
{
	switch (step) {
	case STEP_DIRECTORY: return c->directory;
	case STEP_USER:
	case STEP_GROUPS: return c->user;
	case STEP_GROUP: return c->group ? c->group : c->user;
	case STEP_EXEC: return c->command[0];
	default: return NULL;
	}
}

/* What happened last, without what comes next. */
static void reason_words(const struct machine *m, const struct service_config *c, char *buf,
			 size_t size)
{
	if (m->reason == REASON_ENDED) {
		machine_end(m, buf, size);
		if (m->failed_start)
			snprintf(buf + strlen(buf), size - strlen(buf), " before it was ready");
	} else if (m->reason == REASON_SPAWN_FAILED) {
		const char *object = step_object(m->step, c);

		snprintf(buf, size, "%s%s%.128s: %s", spawn_step_to_string(m->step),
			 object ? " " : "", object ? object : "", strerror(m->step_error));
	} else {
		snprintf(buf, size, "%s", m->reason ? reason_to_string(m->reason) : "");
	}
}

static const char *ordinal(unsigned n)
{
	if (n / 10 % 10 == 1)
		return "th";
	return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

char *machine_reason(const struct machine *m, const struct service_config *config, uint64_t now,
		     char *buf, size_t size)
{
	char delay[DURATION_TEXT_MAX];
	size_t n;

	reason_words(m, config, buf, size);
	n = strlen(buf);
	if (m->state == STATE_BACKOFF)
		snprintf(buf + n, size - n, "%s%u%s retry in %s", n ? ", " : "", m->attempts,
			 ordinal(m->attempts),
			 format_duration(delay, sizeof(delay),
					 m->deadline > now ? m->deadline - now : 0));
	else if (m->state == STATE_FAILED && m->attempts > 0)
		snprintf(buf + n, size - n, "%sgave up after %u %s", n ? ", " : "", m->attempts,
			 m->attempts == 1 ? "retry" : "retries");
	return buf;
}

int machine_exit_code(const struct machine *m)
{
	if (!m->ever_ended || m->ended_unknown)
		return -1;
	return WIFSIGNALED(m->ended_status) ? 128 + WTERMSIG(m->ended_status)
					    : WEXITSTATUS(m->ended_status);
}
