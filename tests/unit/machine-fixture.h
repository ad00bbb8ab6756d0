/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the state machine share: a configuration with round numbers, and a machine
 * with a clock that is driven by hand.
 */
#ifndef FOSTER_TESTS_MACHINE_FIXTURE_H
#define FOSTER_TESTS_MACHINE_FIXTURE_H

#include "base/units.h"
#include "manager/machine.h"

#define SEC          USEC_PER_SEC
#define EXIT(code)   ((code) << 8)
#define SIGNALLED(n) (n)

/* A service under test. The clock starts late: 0 stands for "never" in the machine. */
struct subject {
	struct machine m;
	struct service_config config;
	struct machine_facts f; /* of the next event; now is the clock */
	unsigned actions;       /* of the last event */
};

static inline struct service_config plain_config(void)
{
	static char *command[] = { (char *)"/bin/worker", NULL };

	return (struct service_config){
		.name = (char *)"worker",
		.command = command,
		.restart = RESTART_ON_FAILURE,
		.restart_delay = SEC,
		.restart_delay_max = 8 * SEC,
		.restart_reset = 60 * SEC,
		.stop_timeout = 10 * SEC,
		.start_timeout = 90 * SEC,
		.ready = READY_EXEC,
	};
}

static inline void subject_init(struct subject *s)
{
	*s = (struct subject){ .config = plain_config(),
			       .f = { .now = 1000 * SEC, .deps_ready = true, .tree_empty = true } };
	machine_init(&s->m, s->f.now);
}

static inline unsigned happens(struct subject *s, enum machine_event event)
{
	s->f.config = &s->config;
	s->actions = machine_step(&s->m, event, &s->f);
	return s->actions;
}

static inline void pass_time(struct subject *s, uint64_t usec)
{
	s->f.now += usec;
}

/* Started by a command, exec'd. */
static inline void bring_up(struct subject *s)
{
	s->f.reason = REASON_COMMAND;
	happens(s, EVENT_START);
	happens(s, EVENT_STARTED);
}

static inline unsigned ends(struct subject *s, int status)
{
	s->f.status = status;
	return happens(s, EVENT_ENDED);
}

#endif
