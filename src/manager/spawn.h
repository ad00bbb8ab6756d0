/* SPDX-License-Identifier: MIT */
/*
 * From a service's configuration to the message that starts its child; and the queue of
 * starts: so many are under way at once as the machine can use, and a child that hangs before
 * its exec does not hold up the others for long.
 */
#ifndef FOSTER_MANAGER_SPAWN_H
#define FOSTER_MANAGER_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

struct manager;
struct service;

/* Sends the start of a service, or queues it. True when it was sent. */
bool spawn_request_start(struct service *);

/* The service is not to start after all; true when its start had not been sent. */
bool spawn_cancel(struct service *);

/* Its child has exec'd, failed or ended: its place in the window is free. */
void spawn_done(struct service *);

/* Where foster's own programs are: searched after PATH. */
void spawn_own_directory(char *buf, size_t size);

/* The environment that services get from us, without what speaks to us alone. 0 or -ENOMEM. */
int spawn_init(struct manager *);
void spawn_shutdown(void);

#endif
