/* SPDX-License-Identifier: MIT */
/*
 * The way to the room: a connected UDP socket, a TCP connection, or TLS over it. Nothing blocks
 * but the look-up of the host's name in door_open(). One at a time is open.
 */
#ifndef FOSTER_CHAT_CLIENT_DOOR_H
#define FOSTER_CHAT_CLIENT_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct door_options {
	const char *host, *port;
	bool datagrams, tls;
	bool insecure;                      /* whatever certificate the server shows will do */
	bool loopback_only;                 /* what is sent is for no other machine's eyes */
	const char *ca, *certificate, *key; /* files, or NULL */
};

struct door;

/* Begins to connect. 0, or a negative errno with the text. The options must outlive it. */
int door_open(const struct door_options *options, struct door **ret, struct error *e);
void door_close(struct door *door);

int door_fd(const struct door *door);
short door_events(const struct door *door); /* for poll() */

/*
 * To be called when poll() has reported something: goes on with connecting, and with what waits to
 * be sent. 0, or a negative errno with the text: the connection is of no use any more;
 * -ECONNREFUSED: nobody listens there.
 */
int door_work(struct door *door, struct error *e);

/*
 * Bytes, or one datagram. 0: nothing now. Negative: as of door_work(); -EPIPE: the other side has
 * ended it. Call it until 0: TLS may hold what poll() does not see.
 */
ssize_t door_read(struct door *door, char *buf, size_t size, struct error *e);

/* Kept until it can be sent. -ENOMEM. A datagram that cannot be sent is lost, as they are. */
int door_write(struct door *door, const char *bytes, size_t size);
size_t door_waiting(const struct door *door); /* bytes that are not sent yet */

#endif
