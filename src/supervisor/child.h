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

NORETURN void child_run(struct supervisor *, const struct spawn_request *, uint64_t instance,
			int exec_pipe);

/* Signals as a fresh program expects them: nothing blocked, SIGPIPE not ignored. */
void child_reset_signals(void);

#endif
