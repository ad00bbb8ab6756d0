/* SPDX-License-Identifier: MIT */
/* Fork, and what the child does until it execs. */
#ifndef FOSTER_SUPERVISOR_SPAWN_H
#define FOSTER_SUPERVISOR_SPAWN_H

#include "supervisor/supervisor.h"

/*
 * Starts the child of a slot. What happened is told to the manager through the table: SPAWNED,
 * later STARTED. The slot must have no child. Never blocks: a child that hangs in a step before
 * exec hangs alone.
 */
void spawn_child(struct supervisor *, const struct spawn_request *);

/* The exec pipe of a slot may have something: the step that failed, or its end after exec. */
void spawn_read_exec_pipe(struct supervisor *, uint32_t slot);

/* The same for a child that has ended: there will be nothing more. */
void spawn_end_exec_pipe(struct supervisor *, uint32_t slot);

/*
 * Before the loop sleeps: lets it know the exec pipes of the children on their way. Most have
 * exec'd by then, and need no watch.
 */
void spawn_watch_starting(struct supervisor *);

/*
 * The manager: no slot, stdio kept, fd becomes descriptor 3. It is what lay there when we started,
 * also when a newer release has been installed since. The pid, or -errno of the fork.
 */
pid_t spawn_manager(struct supervisor *, int fd);

/*
 * execve(2) of an open program, whatever its path leads to by now. Returns when it cannot, errno.
 */
void spawn_execute(int fd, char **argv, char **envp);

#endif
