/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets in systemd's store of descriptors, beside fosterd's: so that they outlive
 * even fosterd and the manager together. While the next ones start, who connects waits and is
 * not refused. systemd gives them back with LISTEN_FDS, so they come as base/given.h tells,
 * under names that begin with "foster-".
 *
 * A socket is known by a key (its type and address) and, where it has one, by the path of its
 * file: it counts only while that file is the one that it was bound to.
 */
#ifndef FOSTER_MANAGER_KEEP_H
#define FOSTER_MANAGER_KEEP_H

#include <stdbool.h>

struct manager;

/* Where systemd offers it (FDSTORE). fd stays the caller's; path may be empty. */
void keep_store(struct manager *, const char *key, const char *path, int fd);
void keep_release(struct manager *, const char *key, const char *path);

/* What an earlier fosterd has stored: the caller's fd, or -ENOENT. May block, at start only. */
int keep_take(struct manager *, const char *key, const char *path);

/* Lets go what nobody has taken: at the end of the start. */
void keep_tidy(struct manager *);

/* Whether a name of a given descriptor is one of ours. */
bool keep_is_name(const char *name);

#endif
