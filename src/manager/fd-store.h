/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that services leave with us from one start to the next (FDSTORE=1 of sd_notify(3)).
 * They lie in the supervisor's store, which outlives the manager, and come back behind the
 * sockets of the next start. They are let go when the service is not to be started again.
 *
 * The manager has a copy of each: to see that one is there already, and that its other end hung
 * up, which makes it worthless (unless FDPOLL=0 was said).
 */
#ifndef FOSTER_MANAGER_FD_STORE_H
#define FOSTER_MANAGER_FD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct manager;
struct service;

#define FD_NAME_MAX 60 /* bytes of a name; systemd takes 255 */

int fd_store_init(struct manager *); /* 0 or -errno */
void fd_store_shutdown(struct manager *);

/* Copies those of fds that are not there, as far as fd-store-max goes. name: NULL, "stored". */
void fd_store_add(struct service *, const int *fds, size_t n, const char *name, bool poll);

/* Lets go those of that name. */
void fd_store_remove(struct service *, const char *name);

/* Their places, and their names for LISTEN_FDNAMES, each after a colon; how many. */
size_t fd_store_places(const struct service *, uint32_t *places, size_t max);
size_t fd_store_names(const struct service *, char *buf, size_t size);

/* Lets go all; or only forgets them, at the end of the manager. */
void fd_store_clear(struct service *);
void fd_store_forget(struct service *);

/* A new manager: knows again what the last one stored, after the services were restored. */
void fd_store_restore(struct manager *);
void fd_store_fetched(struct manager *, uint32_t place, int fd); /* takes fd */

#endif
