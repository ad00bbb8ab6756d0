/* SPDX-License-Identifier: MIT */
/*
 * The tree of a service: all that descends from its main process, however often it forked,
 * called setsid or was orphaned. It is found by parentage; among the orphans that the
 * supervisor has adopted by the mark in their environment (FOSTER_INSTANCE), their session or
 * their process group. Signals go through pidfds, after a second look at who the pid is.
 */
#ifndef FOSTER_MANAGER_TREE_H
#define FOSTER_MANAGER_TREE_H

#include <stdbool.h>
#include <sys/types.h>

struct manager;
struct pid_list;
struct service;

int trees_init(struct manager *); /* 0 or -ENOMEM */
void trees_shutdown(struct manager *);

/*
 * At the end of the main process, cheaply: false when somebody is left in the service's cgroup,
 * or, where it has none, in the process group; outside of that somebody may be left then.
 */
bool trees_seem_empty(struct service *);

/*
 * Whether the supervisor's signal to the service will reach that member: it goes to the main
 * process's group, or, where that was not started as the main process by it, to that alone.
 */
bool tree_was_signalled(struct service *, int signo, pid_t);

/*
 * The supervisor has signalled the group: who was in it when the rest of the tree was, and has
 * left it since, gets the signal now. (setsid(2) in between; some may have had it already.)
 */
void trees_group_signalled(struct service *);

/* Adds all that is left of the tree besides the main process; some may have ended meanwhile. */
void trees_members(struct service *, struct pid_list *);

/*
 * Whether the process is one of the tree. Without a cgroup a mark in the environment is believed
 * of orphans of the supervisor alone, and of users that the service may have.
 */
bool trees_contain(struct service *, pid_t);

/* The signal to all of the tree that the main process's group does not have. */
void trees_signal(struct service *, int signo);

/*
 * The main process has ended: true when nothing is left of the tree, else EVENT_EMPTY comes
 * when it is.
 */
bool trees_watch(struct service *);

void trees_forget(struct service *);

#endif
