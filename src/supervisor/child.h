/* SPDX-License-Identifier: MIT */
/*
 * The child between fork and exec. It runs on its own copy of the supervisor's memory; only
 * system calls are made here, in an order that matters (child.c says why).
 */
#ifndef FOSTER_SUPERVISOR_CHILD_H
#define FOSTER_SUPERVISOR_CHILD_H

#include "base/macro.h"
#include "supervisor/supervisor.h"

/* What the child tells the supervisor through the exec pipe when a step fails. */
struct child_failure {
	int32_t step; /* enum spawn_step */
	int32_t error;
};

#define CHILD_ENV_EXTRA 3 /* assignments that child_prepare() and child_run() add */

/*
 * What the supervisor works out before the fork. Every page that the child reads or writes
 * costs it a fault, and so it is given numbers and texts, on the page that its stack is on.
 */
struct child_plan {
	int stdio[3], fds[LINK_FDS_MAX];
	char **env_end; /* where the request's environment ends */
	char instance[64], listen_pid[32], listen_fds[32];
};

/* The request's envp must have room for CHILD_ENV_EXTRA more; it points into the plan then. */
void child_prepare(struct supervisor *, const struct spawn_request *, uint64_t instance,
		   struct child_plan *);

NORETURN void child_run(struct supervisor *, const struct spawn_request *, struct child_plan *,
			int exec_pipe);

/* Signals as a fresh program expects them: nothing blocked, SIGPIPE not ignored. */
void child_reset_signals(void);

#endif
