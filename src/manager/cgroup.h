/* SPDX-License-Identifier: MIT */
/*
 * One cgroup (v2) a service, where there is a subtree that we may write to: as root, below a
 * unit of systemd's with Delegate=yes, or in one that was given to our user. A process is born
 * into the cgroup of its service and none of its descendants can leave it by itself, so a
 * cgroup is the tree: it is ended as one, without a race against fork, and the kernel tells
 * when it is empty. Elsewhere trees are found through /proc (tree.c).
 *
 * All lie in one directory, foster-RUN, below the cgroup that the first fosterd of the run
 * directory was started in; its path is kept in the run directory, for a later fosterd may be
 * started elsewhere. No controller is turned on: processes may be beside the directory.
 */
#ifndef FOSTER_MANAGER_CGROUP_H
#define FOSTER_MANAGER_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct manager;
struct pid_list;
struct service;

#define CGROUP_NAME_MAX 80

/* Finds or makes the directory. Without one all goes on without cgroups. 0 or -ENOMEM. */
int cgroups_init(struct manager *);
void cgroups_shutdown(struct manager *);

/* The absolute path of the directory, or NULL: there are no cgroups here. */
const char *cgroups_path(const struct manager *);

/* Removes all cgroups that are empty; how many of services are not. */
size_t cgroups_remove(struct manager *);

/* Makes the cgroup for a start; its name below the directory, or "" when it has none. */
const char *cgroup_prepare(struct service *, char buf[CGROUP_NAME_MAX]);

/* The absolute path of the cgroup that it is in, or NULL. */
const char *cgroup_path(const struct service *, char *buf, size_t size);

/* False when a process is in it. Where that cannot be read it is empty: it is gone. */
bool cgroup_is_empty(struct service *);

/*
 * SIGKILL to all in the cgroup of a service, of which the name is enough: what is being forked
 * included. 0; -ENOENT when there is none, or -errno. Does not wait.
 */
int cgroup_kill(const struct manager *, const char *service);

/* Another signal, to all but those that tree_was_signalled() names. 0 or -errno. */
int cgroup_signal(struct service *, int signo);

/* Adds all that is in it, and in cgroups below it. 0 or -errno. */
int cgroup_pids(struct service *, struct pid_list *);

/* EVENT_EMPTY comes when it is empty. True when it is already. */
bool cgroup_watch(struct service *);
void cgroup_unwatch(struct service *);

/* The service is forgotten, and its cgroup with it, if it is empty. */
void cgroup_remove(struct service *);

#endif
