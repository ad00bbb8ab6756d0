/* SPDX-License-Identifier: MIT */
/*
 * Keeps a manager running: starts it, and the next one when it ends. Before the first one has
 * said that it is up, its failure is the supervisor's (a bad config, say): the supervisor ends
 * with its exit code. Afterwards it is replaced, at once the first time, then with growing
 * delays; the services go on without it meanwhile.
 */
#ifndef FOSTER_SUPERVISOR_KEEPER_H
#define FOSTER_SUPERVISOR_KEEPER_H

#include "supervisor/supervisor.h"

/* Starts a manager now. 0 or -errno (it is tried again later). */
int keeper_start(struct supervisor *);

/* The manager was reaped. */
void keeper_ended(struct supervisor *, int status);

/* The manager has said RUNNING. */
void keeper_ready(struct supervisor *);

/*
 * The manager's heartbeat costs nothing while nothing happens: only when it was told something,
 * or somebody waits at its door, it owes us a sign of life, which is any message of its own.
 * If none comes for a moment it is asked for one, and if that is not answered it is killed.
 */
void keeper_expect_answer(struct supervisor *);
void keeper_heard(struct supervisor *);

/* Milliseconds until keeper_run() has something to do, -1: nothing; as epoll_wait(2) takes it. */
int keeper_timeout(const struct supervisor *);
void keeper_run(struct supervisor *);

#endif
