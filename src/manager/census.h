/* SPDX-License-Identifier: MIT */
/*
 * All processes of the system at one time, each with the service to whose tree it belongs. Taken
 * from /proc when somebody asks, some processes at a time, so that nobody waits for it but who
 * asked.
 */
#ifndef FOSTER_MANAGER_CENSUS_H
#define FOSTER_MANAGER_CENSUS_H

#include <stddef.h>

#include "manager/proc.h"

struct manager;
struct service;

struct census_process {
	pid_t pid;
	struct service *owner; /* NULL: of no service's tree */
	bool settled;          /* its owner is known */
	struct proc_usage usage;
};

struct census {
	struct census_process *list; /* by owner, then by pid; no zombies */
	size_t n, room;
};

/* The tree of one service; NULL when there is none. */
const struct census_process *census_of(const struct census *, const struct service *,
				       size_t *ret_n);

/* Called once, from the event loop; census is NULL when it could not be taken. */
typedef void census_done(const struct census *, void *arg);

struct census_taker;
struct census_taker *census_take(struct manager *, census_done *, void *arg); /* NULL: -ENOMEM */
void census_cancel(struct census_taker *); /* as long as done has not been called */

#endif
