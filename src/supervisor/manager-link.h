/* SPDX-License-Identifier: MIT */
/* The supervisor's end of the link: base/link.h says what the messages mean. */
#ifndef FOSTER_SUPERVISOR_MANAGER_LINK_H
#define FOSTER_SUPERVISOR_MANAGER_LINK_H

#include "supervisor/supervisor.h"

/* A new manager is at the other end: queues all that it must be told. */
void manager_link_open(struct supervisor *);

/* The manager has ended: handles its last words, and closes the link. */
void manager_link_finish(struct supervisor *);

/*
 * Handles what the manager sent, a bounded number of messages a call; returns how many. Never
 * blocks.
 */
unsigned manager_link_read(struct supervisor *);

/*
 * After a service's end: the manager's answer is mostly a new start, and comes within less time
 * than it takes to fall asleep and be woken. Waits for it awake, a fraction of a millisecond.
 */
void manager_link_await(struct supervisor *);

/* The fork of a slot failed for which the table has no room: told at once, if at all. */
void manager_link_refuse(struct supervisor *, uint32_t slot, int error);

/* Sends what the manager has not been told, as far as the buffer goes. Never blocks. */
void manager_link_flush(struct supervisor *);

#endif
