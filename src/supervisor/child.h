/* SPDX-License-Identifier: MIT */
/*
 * The child between fork and exec. It runs on its own copy of the supervisor's memory; only
 * system calls are made here, in an order that matters (child.c says why).
 */
#ifndef FOSTER_SUPERVISOR_CHILD_H
#define FOSTER_SUPERVISOR_CHILD_H

#include "base/macro.h"
#include "supervisor/supervisor.h"

/*
 * What the child tells the supervisor through the exec pipe: that it has left the supervisor's
 * table of descriptors (STEP_NONE), with the errno of entering its cgroup, or that a step failed.
 */
struct child_report {
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
	int ready;      /* becomes the request's ready_fd; -1: none */
	int program;    /* to be executed, instead of what argv[0] names; else -1 */
	int exec_pipe;  /* write end */
	int cgroup;     /* directory of the one that the child is to enter by itself; else -1 */
	bool staged;    /* all of these are below FD_BASE, and the table of descriptors is shared */
	uint64_t mark;  /* link_limit_mark() */
	bool search;    /* the command stands in a directory of the request's search */
	char **env_end; /* where the request's environment ends */
	char root[2];   /* a literal would be on one more page */
	char instance[64], listen_pid[32], listen_fds[32];
};

/* The first number behind all that the child is to have. */
int child_first_free(const struct spawn_request *);

/* The request's envp must have room for CHILD_ENV_EXTRA more; it points into the plan then. */
void child_prepare(struct supervisor *, const struct spawn_request *, uint64_t instance,
		   struct child_plan *);

NORETURN void child_run(struct supervisor *, const struct spawn_request *, struct child_plan *);

/* Signals as a fresh program expects them: nothing blocked. We ignore none, and handle none. */
void child_reset_signals(void);

#endif
