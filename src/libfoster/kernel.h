/* SPDX-License-Identifier: MIT */
/*
 * What the library asks of the kernel: pidfds, and descriptors out of the way of stdio. All
 * return a negative errno on failure; all are async-signal-safe. None blocks, but
 * pidfd_exit_info() for a moment, at most a second, in a rare race.
 */
#ifndef FOSTER_LIBFOSTER_KERNEL_H
#define FOSTER_LIBFOSTER_KERNEL_H

#include <sys/types.h>

int pidfd_of(pid_t pid); /* CLOEXEC, above 2 */
int pidfd_signal(int pidfd, int signo);

/*
 * Reaps a child: 1 with *ret_status set as by waitpid(2), 0 while it runs, -ECHILD when
 * somebody else reaped it.
 */
int pidfd_reap(int pidfd, int *ret_status);

/* The wait status of a process that somebody reaped, from Linux 6.15 on. 0 or -ENODATA. */
int pidfd_exit_info(int pidfd, int *ret_status);

/* Moves fd above 2, CLOEXEC, and returns it; on failure, or of a negative fd, closes it. */
int fd_above_stdio(int fd);

/* A pair of connected sockets, CLOEXEC, above 2. 0 or -errno. */
int socket_pair(int ret_fds[2]);

/* Closes *fd unless negative, and sets it to -1. */
void fd_drop(int *fd);

#endif
