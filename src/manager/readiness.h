/* SPDX-License-Identifier: MIT */
/*
 * Readiness by a descriptor (ready = fd), as s6 has it: a service writes a newline to it when it
 * is ready. The read end of the pipe lies in the supervisor's store while it is waited for, and
 * the newline is not taken out of it: a manager that dies in between loses nothing.
 */
#ifndef FOSTER_MANAGER_READINESS_H
#define FOSTER_MANAGER_READINESS_H

#include <stdint.h>

struct manager;
struct service;

/*
 * Before a start: a new pipe; its write end is at PLACE_READY_END when the supervisor reads of
 * the start. 0, or -errno.
 */
int readiness_prepare(struct service *);

/* The start was sent: nobody but the service is to have the write end. */
void readiness_start_sent(struct manager *);

/* A new manager: goes on waiting for those that the last one waited for. */
void readiness_restore(struct service *);
void readiness_fetched(struct manager *, uint32_t place, int fd); /* takes fd */

/* Nothing is waited for any more. */
void readiness_forget(struct service *);

#endif
