/* SPDX-License-Identifier: MIT */
/* Sends packets, with a descriptor each where need be, over a socket that may be full. */
#ifndef FOSTER_MANAGER_PACKET_QUEUE_H
#define FOSTER_MANAGER_PACKET_QUEUE_H

#include <stddef.h>

struct event_base;
struct packet_queue;

/* fd stays the caller's; name is for messages. NULL: out of memory. */
struct packet_queue *packet_queue_new(struct event_base *, int fd, const char *name);
struct packet_queue *packet_queue_free(struct packet_queue *); /* always NULL */

/*
 * Sends now, or keeps a copy until the socket takes it. fd (-1: none) stays the caller's. Never
 * blocks. A peer that is gone loses the packet silently: its end is noticed elsewhere.
 */
void packet_queue_send(struct packet_queue *, const void *data, size_t size, int fd);

/* Sends all that is queued; blocks, at most timeout_ms. For the last words before exit. */
void packet_queue_flush(struct packet_queue *, int timeout_ms);

#endif
