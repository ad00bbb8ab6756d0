/* SPDX-License-Identifier: MIT */
/* Ends processes that are known by their marks alone: what daemons left behind, or may have. */
#ifndef FOSTER_MANAGER_HUNT_H
#define FOSTER_MANAGER_HUNT_H

#include <stddef.h>

struct manager;
struct service;
struct tree_mark;

int hunt_init(struct manager *); /* 0 or -ENOMEM */
void hunt_shutdown(struct manager *);

/*
 * Ends with SIGKILL all that carries one of the marks, which no supervisor stands above any more.
 * May look at every process of the system; blocks until they have ended, 5 s at most.
 */
void hunt_down(struct manager *, const struct tree_mark *, size_t n);

/* Ends, a little later and without telling anybody, what has left the service's process group. */
void hunt_later(struct service *);

#endif
