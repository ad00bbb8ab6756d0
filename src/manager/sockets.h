/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets of the configuration's socket sections. Each address is bound once and
 * lies in the supervisor's store: a service that is restarted, or a manager, loses no port and
 * no connection that waits.
 */
#ifndef FOSTER_MANAGER_SOCKETS_H
#define FOSTER_MANAGER_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct config;
struct manager;
struct service_config;

int sockets_init(struct manager *); /* 0 or -ENOMEM */
void sockets_shutdown(struct manager *);

/* The files of Unix sockets, when nobody will listen on them any more. */
void sockets_remove_files(struct manager *);

/* Knows again what the last manager has bound: its places and their names. */
void sockets_restore(struct manager *);

/*
 * Binds what config needs and is not bound: all of it or nothing. The error names the address
 * and what can be done. After sockets_commit() what config no longer needs is closed;
 * sockets_rollback() closes what was bound since.
 */
int sockets_bind(struct manager *, const struct config *, struct error *);
void sockets_commit(struct manager *, const struct config *);
void sockets_rollback(struct manager *);

/*
 * The places of all addresses of a service's sockets, in order; returns their number, at most
 * max.
 */
size_t sockets_places(struct manager *, const struct service_config *, uint32_t *places,
		      size_t max);

/* The names of the first LINK_FDS_MAX for LISTEN_FDNAMES, colon-separated, one an address. */
void sockets_names(struct manager *, const struct service_config *, char *buf, size_t size);

#endif
