/* SPDX-License-Identifier: MIT */
/* What /proc tells of processes. Reads only; nothing here blocks on anything but memory. */
#ifndef FOSTER_MANAGER_PROC_H
#define FOSTER_MANAGER_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"

struct pid_list {
	pid_t *pids;
	size_t n, room;
};

static inline void pid_list_cleanup(struct pid_list *l)
{
	free(l->pids);
}
#define _cleanup_pids_ _cleanup_(pid_list_cleanup)

int pid_list_add(struct pid_list *, pid_t); /* 0 or -ENOMEM */
bool pid_list_has(const struct pid_list *, pid_t);

struct asker;

struct proc_stat {
	char state; /* 'R', 'S', 'Z', ... */
	pid_t ppid, pgrp, session;
};

/* 0, or -errno (-ESRCH: there is no such process). */
int proc_stat(pid_t, struct proc_stat *ret);

/* Where it stands in its life. As proc_stat(); a zombie is exiting. */
struct proc_life {
	pid_t ppid;
	bool exiting;  /* its main thread, at least */
	bool headless; /* others go on when that one has ended */
	bool dead;     /* nothing of it runs */
	bool blocked;  /* in the kernel, whatever comes: in vfork(2), for its child, say */
	bool stopped;  /* by a signal */
	uint64_t born; /* clock ticks since the boot */
};
int proc_life(pid_t, struct proc_life *ret);

/*
 * The user that it is, or whom the kernel shows instead, root, when nobody may look. 0 or -errno.
 */
int proc_user(pid_t, uid_t *ret);

/* What it uses and has used: itself, and the children that it has waited for. */
struct proc_usage {
	struct proc_stat stat;
	char command[16];
	uint64_t cpu; /* us */
	uint64_t rss; /* bytes */
	unsigned threads;
};
int proc_usage(pid_t, struct proc_usage *ret); /* as proc_stat() */

/* The process as one who asks for something; zeroed when there is none. Never fails. */
struct asker proc_asker(pid_t);
void proc_command(pid_t, char *buf, size_t size); /* its name, "" when it is gone */

/*
 * Adds the children of a process, of all its threads. 0; -ENOENT where the kernel was built
 * without CONFIG_PROC_CHILDREN, or the process is gone; -EAGAIN: the list changed each time that it
 * was read, and a child that lives may be missing in what was added.
 */
int proc_children(pid_t, struct pid_list *);

/* Adds what descends from those in the list already. */
void proc_add_descendants(struct pid_list *);

/* pidfd_open(2) and pidfd_send_signal(2): the fd (CLOEXEC) or 0, else -errno. */
int proc_pidfd(pid_t);
int proc_pidfd_signal(int pidfd, int signo);

/*
 * A pidfd of a process that lives: opened first, then looked at, so that a pid that was reused
 * meanwhile is not taken for it. -ESRCH: it is gone; other errors say nothing of it.
 */
int proc_open_live(pid_t);

/* Adds every process there is. 0 or -errno. */
int proc_all(struct pid_list *);

/*
 * The marks of the start that a process is of. The FOSTER_INSTANCE in its environment: it has none,
 * it wiped it, or we may not look where there is none. Then its limits are looked at
 * (link_limit_mark()).
 */
struct proc_mark {
	bool in_environment;
	uint64_t run_id, instance; /* in its environment */
	uint64_t limit;            /* else that of its limits; 0: none */
};
struct proc_mark proc_mark(pid_t);
bool proc_mark_is(const struct proc_mark *, uint64_t run_id, uint64_t instance);

#endif
