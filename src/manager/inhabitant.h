/* SPDX-License-Identifier: MIT */
/*
 * Whose a process is, where parentage does not tell: by the mark of a start in its environment
 * (FOSTER_INSTANCE) or its limits, else by its session or process group.
 */
#ifndef FOSTER_MANAGER_INHABITANT_H
#define FOSTER_MANAGER_INHABITANT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"
#include "manager/proc.h"

struct manager;

/* By what the tree of a start is known. */
struct tree_mark {
	uint64_t instance;
	pid_t main; /* the leader of its session and group; 0: not known */
};

/* Our own. Asked for each process that is looked at; glibc no longer remembers it. */
pid_t own_pid(void);

/* A process, with all by which its tree is known but its parents. */
struct inhabitant {
	pid_t pid;
	struct proc_mark borne;
	pid_t session, group; /* looked at only without a mark in the environment */
};

struct inhabitant inhabitant_meet(pid_t);
bool inhabitant_is_of(const struct manager *, const struct inhabitant *, const struct tree_mark *);

/* All of the system's at one time, but ourselves. A walk through /proc. */
struct population {
	struct inhabitant *list;
	size_t n;
	int error; /* -errno: some may be missing; 0 */
};

struct population *population_take(void);                /* NULL: out of memory */
struct population *population_free(struct population *); /* returns NULL, and takes it */
void population_freep(struct population **);

#endif
