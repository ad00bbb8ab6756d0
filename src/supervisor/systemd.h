/* SPDX-License-Identifier: MIT */
/*
 * What systemd, or whoever started us as it does, expects of its main process itself, without
 * libsystemd: signs of life, and to take what it passes. All else the manager tells it.
 */
#ifndef FOSTER_SUPERVISOR_SYSTEMD_H
#define FOSTER_SUPERVISOR_SYSTEMD_H

#include "supervisor/supervisor.h"

/* Moves the descriptors of LISTEN_FDS into the store: see base/given.h. */
void systemd_take_descriptors(struct supervisor *);

/*
 * WATCHDOG=1, when it is time for it. To be called once a turn of the loop; does nothing
 * unless WATCHDOG_USEC asks for it.
 */
void systemd_alive(void);

/* The sooner of timeout and the next sign of life, in ms as epoll_wait(2) takes it. */
int systemd_timeout(int timeout);

/* The start has failed: tells why. error is a negative errno. */
void systemd_failed(int error);

#endif
