/* SPDX-License-Identifier: MIT */
/*
 * The IRC connections: accepts them, cuts their bytes into lines for the room, and writes what
 * the room says: once for each connection and turn of the loop, in connections_flush().
 *
 *	open -> closing -> gone
 *
 * Open connections are the room's. Closing ones it has given up: what is still to be written
 * is, then the sending side is shut and input thrown away until the peer has closed too (else
 * the kernel would reset the connection and the peer would never see why), 2 s at most.
 *
 * Input is bounded by a line, output by send_queue: who reads too slowly is dropped. What one has
 * asked for himself may be eight times as much. Who says more than the flood limits allow is not
 * read from for a while. Nothing blocks.
 *
 * TLS lies between the descriptor and the buffers that are there anyway, so that the bounds and
 * the one write a turn hold for it, too. The room knows a connection from its first byte on, and
 * so bounds the time of its handshake; it hears room_secured() before the first line.
 */
#ifndef FOSTER_CHAT_CONNECTIONS_H
#define FOSTER_CHAT_CONNECTIONS_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#include "chat/hash.h"
#include "chat/room.h"

struct connections_limits {
	uint32_t max, max_per_address;    /* 0: no limit; loopback has no max_per_address */
	uint32_t flood_rate, flood_burst; /* lines; rate 0: no limit */
	size_t send_queue;                /* bytes a connection */
	size_t send_queue_total; /* bytes of all; above it whoever does not read is dropped */
};

struct connections;
struct tls_context;

/* limits and room must outlive it. NULL when out of memory. */
struct connections *connections_new(struct event_base *base, struct room *room,
				    const struct connections_limits *limits,
				    const struct hash_key *secret);
/* Closes everything at once, listeners included. */
void connections_free(struct connections *c);
void connections_set_limits(struct connections *c, const struct connections_limits *limits);

/* A listening socket, taken over. tls: its clients speak TLS; needs a context. 0 or -errno. */
int connections_listen(struct connections *c, int fd, bool tls);
/* For those who come from now on; the caller's, until it is followed by another one. */
void connections_set_tls(struct connections *c, struct tls_context *context);
void connections_stop_listening(struct connections *c);

/* The room's output; see struct room_output. */
void connections_send(struct connections *c, uint32_t id, const char *data, size_t size);
void connections_close(struct connections *c, uint32_t id);

/* Between these, what is sent to that connection is an answer to it. (So it is while its own line
 * is handled.) */
void connections_answer_begin(struct connections *c, uint32_t id);
void connections_answer_end(struct connections *c);

/* To be called when a turn of the loop is over: writes, closes, sets the timer. */
void connections_flush(struct connections *c);

size_t connections_count(const struct connections *c); /* closing ones too */

#endif
