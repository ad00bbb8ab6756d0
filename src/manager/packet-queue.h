/* SPDX-License-Identifier: MIT */
/*
 * Sends messages, with a descriptor each where need be, over a socket that may be full. Messages
 * that are sent in one turn of the loop share a packet: one system call here and one at the
 * other end.
 */
#ifndef FOSTER_MANAGER_PACKET_QUEUE_H
#define FOSTER_MANAGER_PACKET_QUEUE_H

#include <stddef.h>

struct event_base;
struct packet_queue;

/* fd stays the caller's; name is for messages. NULL: out of memory. */
struct packet_queue *packet_queue_new(struct event_base *, int fd, const char *name);
struct packet_queue *packet_queue_free(struct packet_queue *); /* always NULL */

/*
 * Sends a copy of the message before the loop sleeps, or when the socket takes it. fd (-1: none)
 * is taken, and closed when it is sent. Never blocks. A peer that is gone loses the message
 * silently: its end is noticed elsewhere.
 */
void packet_queue_send(struct packet_queue *, const void *data, size_t size, int fd);

/*
 * Sends all that is queued; blocks, at most timeout_ms. To be called before waiting for an answer.
 */
void packet_queue_flush(struct packet_queue *, int timeout_ms);

#endif
