/* SPDX-License-Identifier: MIT */
/* Reaping: how an object learns that its process has ended, and the end of the parent. */
#ifndef FOSTER_LIBFOSTER_WAIT_H
#define FOSTER_LIBFOSTER_WAIT_H

#include "libfoster/registry.h"

/*
 * What a daemonic child is given after SIGTERM at the end of its parent, before SIGKILL, in
 * milliseconds. A variable for the tests' sake.
 */
extern int end_grace_ms;

/* Reaps the process if it has ended. Under the lock; the object is the caller's own. */
void process_refresh(struct registry *registry, foster_process *process);

/*
 * Looks at some of the active children, others each time, and reaps what has ended; so that who
 * starts many and joins none does not pile up zombies. Under the lock.
 */
void reap_some(struct registry *registry);

/*
 * What exit() does, once, in the process that started children, and what the end of a run()
 * does: daemonic children are terminated, all are joined.
 */
void end_children(void);

#endif
