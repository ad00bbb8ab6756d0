/* SPDX-License-Identifier: MIT */
/*
 * Forking without copying all descriptors. A fork copies the parent's table of descriptors and
 * an exec closes the copy: with one log pipe a service, ten thousand services make that most of
 * the cost of a start. So a child shares the table (clone(2), CLONE_FILES) until its first
 * system call, which takes a copy of the low numbers only (close_range(2),
 * CLOSE_RANGE_UNSHARE). What a child needs is put there for it: it is staged. Its numbers stay
 * taken until the child says that it has its copy.
 */
#ifndef FOSTER_SUPERVISOR_STAGE_H
#define FOSTER_SUPERVISOR_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/supervisor.h"

/* The low numbers that are taken for one child: bit n, number n. */
struct stage {
	uint64_t numbers[FD_BASE / 64];
};

/* True when this kernel has what it takes, and no filter forbids it. Changes nothing. */
bool stage_supported(void);

/*
 * The kernel waits long (synchronize_rcu) when a table that is shared must grow: lets it grow
 * now, so that numbers a good deal above fd need no growth.
 */
void stage_reserve(int fd);

/* Takes note of fd, which has a low number already. -EMFILE when it has not: fd stays as it is. */
int stage_take(struct stage *, int fd);

/* A copy of fd with a low number of at least first. The number, or -errno. */
int stage_copy(struct stage *, int fd, int first);

/* Closes all that is staged. */
void stage_clear(struct stage *);

/* In the child: its own table, with the low numbers only. 0 or -errno. */
int stage_leave(void);

#endif
