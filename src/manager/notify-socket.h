/* SPDX-License-Identifier: MIT */
/*
 * The receiving side of sd_notify(3): one datagram socket for all services, in the supervisor's
 * store. The sender is known by its credentials: the main process of a service, or a process
 * below it. What anybody else says is dropped.
 */
#ifndef FOSTER_MANAGER_NOTIFY_SOCKET_H
#define FOSTER_MANAGER_NOTIFY_SOCKET_H

struct manager;

/* Makes the socket, or takes the last manager's. 0 or -errno. */
int notify_socket_init(struct manager *);
/* Makes the socket again when somebody deleted its file. */
void notify_socket_check(struct manager *);

/* Reads what has come by now: for one whose sender has ended, and is to be heard before that. */
void notify_socket_hear(struct manager *);

void notify_socket_shutdown(struct manager *);

#endif
