/* SPDX-License-Identifier: MIT */
/*
 * What IRC connections send: cut into lines for the room, as fast as the flood limits allow.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/units.h"
#include "chat/connections-internal.h"
#include "chat/irc.h"

#define READ_MAX TLS_RECORD_MAX /* bytes read from one connection in a turn */
#define TURN_MAX (4U << 20)     /* bytes said in a turn before all is written */

/* The size that a line with these first bytes may have, with its end and its tags. */
static size_t line_limit(const char *line, size_t size)
{
	const char *blank;

	if (line[0] != '@')
		return IRC_LINE_MAX;
	blank = memchr(line, ' ', MIN(size, IRC_TAGS_MAX));
	return (blank ? (size_t)(blank - line + 1) : IRC_TAGS_MAX) + IRC_LINE_MAX;
}

static void handle_line(struct connection *x, const char *line, size_t size)
{
	struct room *room = x->owner->room;

	if (x->skipping) {
		x->skipping = false;
	} else if (size > line_limit(line, size)) {
		room_line_too_long(room, x->id);
	} else {
		size--;
		if (size > 0 && line[size - 1] == '\r')
			size--;
		room_line(room, x->id, line, size);
	}
}

/*
 * Handles the whole lines in data; returns how many bytes are done with. Stops where the
 * connection must wait: it has said too much, or so much was said that it is to be written
 * first.
 */
static size_t handle_lines(struct connection *x, const char *data, size_t size)
{
	const struct connections_limits *limits = x->owner->limits;
	uint64_t now = now_monotonic();
	size_t done = 0;

	while (done < size && !x->closing && !x->overflow) {
		const char *line = data + done, *end = memchr(line, '\n', size - done);

		if (!end) {
			if (!x->skipping && size - done > line_limit(line, size - done)) {
				room_line_too_long(x->owner->room, x->id);
				x->skipping = true;
			}
			return x->skipping ? size : done;
		}
		if (x->owner->turn > TURN_MAX)
			x->owner->resume_soon = x->waiting = true;
		else if (!bucket_take(&x->flood, limits->flood_rate, limits->flood_burst, now))
			x->waiting = true;
		if (x->waiting)
			return done;
		handle_line(x, line, end - line + 1);
		done = end - data + 1;
	}
	return x->closing || x->overflow ? size : done;
}

/* Keeps what was not handled, for the next time. */
static int keep(struct connection *x, const char *data, size_t size)
{
	char *rest = NULL;

	if (size > 0) {
		rest = malloc(size);
		if (!rest)
			return -ENOMEM;
		memcpy(rest, data, size);
	}
	free(x->in);
	x->in = rest;
	x->in_size = size;
	return 0;
}

static void handle_input(struct connection *x, const char *data, size_t size)
{
	bool was_waiting = x->waiting;
	size_t done;

	x->waiting = false;
	done = handle_lines(x, data, size);
	if (keep(x, data + done, size - done) < 0) {
		connection_abandon(x, "Out of memory");
		return;
	}
	if (x->waiting && !was_waiting)
		list_move_last(&x->owner->waiting, &x->link);
	else if (!x->waiting && was_waiting && !x->closing)
		list_leave(&x->link);
	if (x->waiting != was_waiting && connection_watch(x) < 0)
		connection_abandon(x, "Out of memory");
}

/* What a closing one still sends is thrown away: then there is nothing to decrypt. */
static ssize_t read_some(struct connection *x, char *data, size_t size)
{
	ssize_t n;

	if (x->tls && !x->closing)
		return tls_read(x->tls, data, size);
	do
		n = recv(x->fd, data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void input_read(struct connection *x)
{
	static char data[READ_MAX + IRC_TAGS_MAX + IRC_LINE_MAX];
	ssize_t n;

	memcpy(data, x->in ? x->in : "", x->in_size);
	n = read_some(x, data + x->in_size, READ_MAX);
	if (n == -EAGAIN)
		return;
	if (n <= 0)
		connection_abandon(x, n == 0         ? "Connection closed"
				      : n == -EPROTO ? "TLS error"
						     : strerror((int)-n));
	else if (!x->closing)
		handle_input(x, data, x->in_size + n);
}

void input_resume(struct connections *c)
{
	struct list *last = c->waiting.previous, *l = c->waiting.next, *next;

	for (bool more = l != &c->waiting; more; l = next) {
		struct connection *x = CONTAINER_OF(l, struct connection, link);
		_cleanup_free_ char *data = TAKE_PTR(x->in);
		size_t size = x->in_size;

		next = l->next;
		more = l != last;
		x->in_size = 0;
		handle_input(x, data, size);
	}
}
