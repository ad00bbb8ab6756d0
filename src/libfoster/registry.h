/* SPDX-License-Identifier: MIT */
/*
 * What the library knows of the calling process: who it is, its children, and the one lock over
 * all of it. The lock holds through fork(): a copy of the process finds it free and the lists
 * empty, for the children are its parent's.
 */
#ifndef FOSTER_LIBFOSTER_REGISTRY_H
#define FOSTER_LIBFOSTER_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "libfoster/object.h"

struct registry {
	struct link active;   /* STARTING and RUNNING */
	struct link ended;    /* ENDED and LOST, not freed yet */
	uint64_t generation;  /* another one in each process of a line of forks */
	unsigned int created; /* objects made by this process, for their names */
	foster_process *current;
};

/*
 * Short: nothing blocks under the lock. While it is held the thread is not cancelled, as the
 * calls in between may be cancellation points.
 */
struct registry *registry_lock(void);
void registry_unlock(void);

/* Under the lock. True if the calling process made the object. */
bool registry_owns(const struct registry *registry, const foster_process *process);

/* Around a fork() of start's own: the child keeps its end of this object's gate. NULL after. */
void registry_set_starting(foster_process *process);

/* In the child: from now on the process is that object. */
void registry_become(foster_process *process);

#endif
