/* SPDX-License-Identifier: MIT */
/*
 * The sockets that systemd has bound and given to fosterd, which lie in its store from the
 * start on (base/given.h): sections of sockets name them with from-systemd. They are never
 * closed: a name that no section has today a reload may use tomorrow, and what connects
 * meanwhile waits.
 */
#ifndef FOSTER_MANAGER_GIVEN_H
#define FOSTER_MANAGER_GIVEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct manager;
struct socket_config;

/* The name of the i-th of GIVEN_MAX, as systemd has it; NULL: there is none. */
const char *given_name(struct manager *, uint32_t i);

/* The places of all that have the name, in order; returns their number, at most max. */
size_t given_places(struct manager *, const char *name, uint32_t *places, size_t max);

/* 0, or -EINVAL when there is none: the error says which names there are. */
int given_check(struct manager *, const struct socket_config *, struct error *);

#endif
