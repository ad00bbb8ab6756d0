/* SPDX-License-Identifier: MIT */
/*
 * The course's datagrams between sockets and room. A datagram is answered from the address of
 * ours to which the request came, also where the socket is bound to all. What the kernel does
 * not take at once is lost, as datagrams are. Nothing blocks.
 */
#ifndef FOSTER_CHAT_DATAGRAM_H
#define FOSTER_CHAT_DATAGRAM_H

#include <event2/event.h>

#include "chat/room.h"

struct datagrams;

struct datagrams *datagrams_new(struct event_base *base, struct room *room); /* NULL: no memory */
void datagrams_free(struct datagrams *d);       /* closes the sockets */
int datagrams_add(struct datagrams *d, int fd); /* a bound socket, taken over; 0 or -errno */
void datagrams_send(struct datagrams *d, const struct course_peer *peer, const char *data,
		    size_t size);
void datagrams_stop(struct datagrams *d); /* reads no more; can still send */

#endif
