/* SPDX-License-Identifier: MIT */
/* What the forked child does, to its end. */
#ifndef FOSTER_LIBFOSTER_CHILD_H
#define FOSTER_LIBFOSTER_CHILD_H

#include <signal.h>

#include "base/macro.h"
#include "libfoster/object.h"

/* The caller's state before start changed it, which the child goes back to. */
struct child_context {
	sigset_t mask;
	int cancel_state;
	char **paths; /* of the program to execute, see exec-plan.h; NULL: none */
};

/* Flushes stdout and stderr; why no other streams, child.c says. May block. */
void flush_standard_streams(void);

/*
 * Called in the child with all signals blocked. Until the exec, where there is one, it does
 * only what is async-signal-safe.
 */
NORETURN void child_main(foster_process *process, const struct child_context *context);

#endif
