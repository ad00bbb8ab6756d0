/* SPDX-License-Identifier: MIT */
/*
 * The service's side of sd_notify(3), without libsystemd: what a service of foster's own tells
 * whoever started it. And sd_listen_fds(3).
 */
#ifndef FOSTER_BASE_NOTIFY_H
#define FOSTER_BASE_NOTIFY_H

#include <stdint.h>

#include "base/macro.h"

/*
 * Keeps a socket to send by, for a process that may make none later. It is not connected: the
 * supervisor's may be another one by then. 0 or -errno.
 */
int notify_keep_socket(void);

/*
 * Sends one datagram ("READY=1\nSTATUS=...") to the socket that NOTIFY_SOCKET names. 1 when
 * sent, 0 when nobody asked to be notified, else -errno. May block while the receiver's queue
 * is full, as sd_notify does, but for 5 s at most: then -EAGAIN.
 */
int notify_send(const char *fmt, ...) PRINTF(1, 2);

/* The same, but -EAGAIN where it would block: for what must not wait for a receiver that hangs. */
int notify_try_send(const char *fmt, ...) PRINTF(1, 2);

/*
 * The interval in which WATCHDOG=1 is expected of this process (WATCHDOG_USEC, WATCHDOG_PID),
 * in microseconds; 0: none is. Send it twice as often.
 */
uint64_t notify_watchdog_usec(void);

/*
 * The number of descriptors passed, from 3 on (LISTEN_FDS, LISTEN_PID), or -errno. They are
 * set CLOEXEC and non-blocking. listen_fd_name(i) is the name of descriptor 3 + i
 * (LISTEN_FDNAMES), "unknown" when there is none; it stays valid.
 */
int listen_fds(void);
const char *listen_fd_name(int i);

/* Unsets NOTIFY_SOCKET, WATCHDOG_*, LISTEN_* so that children do not take them for theirs. */
void notify_unset_environment(void);

#endif
