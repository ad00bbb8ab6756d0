/* SPDX-License-Identifier: MIT */
/*
 * The one door to libsystemd: what the manager tells whoever started fosterd with a
 * NOTIFY_SOCKET. Built without libsystemd, nobody is told anything. What is told, and when, is
 * report.h's.
 *
 * The library is loaded only where there is somebody to tell: elsewhere it would cost each
 * manager 0.8 MB and a third of its start-up time for nothing.
 */
#ifndef FOSTER_MANAGER_SYSTEMD_H
#define FOSTER_MANAGER_SYSTEMD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* True when there is somebody to tell. */
bool systemd_open(void);
void systemd_close(void);

/*
 * Lines as sd_notify(3) has them, on behalf of pid where we have the right to (CAP_SYS_ADMIN),
 * so that NotifyAccess=main is enough, else in our own name. 0 or -errno; -EAGAIN where it
 * would have to wait: nobody reads.
 */
int systemd_send(pid_t pid, const char *lines);

/* The same with a descriptor, which stays the caller's. */
int systemd_send_fd(pid_t pid, const char *lines, int fd);

/* Waits until what was sent has been read, at most so long. */
void systemd_flush(uint64_t usec);

#endif
