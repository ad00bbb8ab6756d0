/* SPDX-License-Identifier: MIT */
/*
 * Who a pid really is. A pid is reused; the inode of a pidfd (pidfs, Linux 6.9) is not while
 * the machine is up, and where pidfds have none, the start time in /proc/PID/stat tells.
 */
#ifndef FOSTER_SUPERVISOR_IDENTITY_H
#define FOSTER_SUPERVISOR_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Like pidfd_open(2), pidfd_send_signal(2): the fd (CLOEXEC) or 0, else -errno. */
int identity_pidfd_open(pid_t pid);
int identity_pidfd_signal(int pidfd, int signo);

/* Takes the identity of a process that cannot go away meanwhile (an unreaped child). */
void identity_take(pid_t pid, uint64_t *ret_inode, uint64_t *ret_ticks);

/* A pidfd when pid still is that process, else -ESRCH or another -errno. */
int identity_open(pid_t pid, uint64_t inode, uint64_t ticks);

/*
 * The same for one whose identity was not taken in time: it is known by the FOSTER_INSTANCE
 * that it was started with.
 */
int identity_open_marked(pid_t pid, uint64_t run_id, uint64_t instance);

/* The instance that a process was started as, or descends from, in that run; 0: none. */
uint64_t identity_marked_instance(pid_t pid, uint64_t run_id);

/*
 * How the ended process of a pidfd ended. Where somebody has reaped it, PIDFD_GET_INFO with
 * PIDFD_INFO_EXIT tells (Linux 6.15); while it is a zombie of somebody else, /proc/PID/stat
 * (field 52, proc(5)), to root and to the process's own user. 0, or -ENODATA: nobody can tell.
 * Blocks for 10 ms at most, and that only where it is just being reaped.
 */
int identity_exit_status(int pidfd, pid_t pid, int *ret_status);

#endif
