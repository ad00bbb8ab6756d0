/* SPDX-License-Identifier: MIT */
/* The beginning of a TLS connection: its handshake, a step at a time. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "chat/connections-internal.h"

#define TLS_HANDSHAKE_RECORD 0x16 /* the first byte that a client of TLS sends */

int secure_begin(struct connection *x)
{
	if (!x->owner->tls)
		return -EINVAL;
	x->tls = tls_new(x->owner->tls, x->fd);
	x->shaking_hands = true;
	return x->tls ? 0 : -ENOMEM;
}

/*
 * A client that does not speak TLS would be told so in TLS, which it cannot read. 0: it does;
 * -EAGAIN: it has said nothing yet; -EPROTO: it does not, or has gone.
 */
static int look_at_first_byte(struct connection *x)
{
	static const char text[] =
		"ERROR :Closing Link: (This port speaks TLS alone; switch it on, "
		"or take the port for plain text)\r\n";
	char rest[4096];
	unsigned char byte;
	ssize_t n = recv(x->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return -EPROTO;
	if (byte == TLS_HANDSHAKE_RECORD) {
		x->greeted = true;
		return 0;
	}
	send(x->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	/*
	 * What was received and not read would be answered by a reset, which takes the text along.
	 */
	if (recv(x->fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		shutdown(x->fd, SHUT_WR);
	return -EPROTO;
}

static void wait_to_write(struct connection *x, bool wait)
{
	if (x->blocked == wait)
		return;
	x->blocked = wait;
	if (connection_watch(x) < 0)
		connection_abandon(x, "Out of memory");
}

static void finish(struct connection *x)
{
	char fingerprint[TLS_FINGERPRINT_MAX];
	bool known = tls_fingerprint(x->tls, fingerprint);

	x->shaking_hands = false;
	room_secured(x->owner->room, x->id, known ? fingerprint : NULL);
}

void secure_step(struct connection *x)
{
	int r = x->greeted ? 0 : look_at_first_byte(x);

	if (r == 0 && !turn_takes_handshake(&x->owner->turn, now_monotonic()))
		return;
	if (r == 0)
		r = tls_handshake(x->tls);
	if (r == 0)
		finish(x);
	else if (r != -EAGAIN && r != -EINPROGRESS)
		connection_abandon(x, "TLS handshake failed");
	if (r == 0 || r == -EAGAIN || r == -EINPROGRESS)
		wait_to_write(x, r == -EINPROGRESS);
}
