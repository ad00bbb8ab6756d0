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

#define READ_MAX       TLS_RECORD_MAX        /* bytes read from one connection in a turn */
#define WAITING_TIME   (200 * USEC_PER_MSEC) /* for one who is throttled, at least */
#define WORK_A_LINE    512
#define PIECES_A_LINE  8
#define THROW_AWAY     65536 /* bytes in a turn */
#define THROW_AWAY_MAX (256 * 1024)

/* The size that a line with these first bytes may have, with its end and its tags. */
static size_t line_limit(const char *line, size_t size)
{
	const char *blank;

	if (line[0] != '@')
		return IRC_LINE_MAX;
	blank = memchr(line, ' ', MIN(size, IRC_TAGS_MAX));
	return blank ? (size_t)(blank - line + 1) + IRC_LINE_MAX : IRC_TAGS_MAX;
}

static void handle_line(struct connection *x, const char *line, size_t size)
{
	struct room *room = x->owner->room;

	x->owner->asking = x;
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
	x->owner->asking = NULL;
}

/* Why the rest of what was read is not handled now. */
enum pause {
	PAUSE_NONE,
	PAUSE_TURN,  /* others come first */
	PAUSE_FLOOD, /* more was said than may be */
};

/*
 * Handles the whole lines in data; returns how many bytes are done with. Stops where the
 * connection must wait.
 */
static size_t handle_lines(struct connection *x, const char *data, size_t size,
			   enum pause *ret_pause)
{
	const struct connections_limits *limits = x->owner->limits;
	const uint64_t since = now_monotonic();
	const struct turn *turn = &x->owner->turn;
	const struct turn_slice slice = turn_slice(turn, since);
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
		if (turn_slice_is_over(turn, &slice, now_monotonic()))
			*ret_pause = PAUSE_TURN;
		else if (!bucket_take(&x->flood, limits->flood_rate, limits->flood_burst, since))
			*ret_pause = PAUSE_FLOOD;
		if (*ret_pause != PAUSE_NONE)
			return done;
		handle_line(x, line, end - line + 1);
		bucket_charge(&x->flood, limits->flood_rate,
			      room_take_work(x->owner->room) / WORK_A_LINE);
		done = end - data + 1;
	}
	return x->closing || x->overflow ? size : done;
}

/*
 * Reads that bring no whole line are no way to keep the server busy either: of a line that is too
 * long each counts as a line, else every few.
 */
static bool takes_piece(struct connection *x)
{
	const struct connections_limits *limits = x->owner->limits;

	if (!x->skipping && ++x->pieces % PIECES_A_LINE != 0)
		return true;
	return bucket_take(&x->flood, limits->flood_rate, limits->flood_burst, now_monotonic());
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
	x->in_start = 0;
	x->in_size = size;
	return 0;
}

/* When the throttled one may say something again. All wait equally long, so they are in order. */
static uint64_t next_line_at(const struct connections *c)
{
	uint64_t rate = MAX(c->limits->flood_rate, 1U);

	return now_monotonic() + MAX(USEC_PER_SEC / rate, WAITING_TIME);
}

/* May free x. */
static void set_pause(struct connection *x, enum pause pause)
{
	bool waiting = pause != PAUSE_NONE;

	if (x->closing)
		return;
	if (pause == PAUSE_FLOOD) {
		x->deadline = next_line_at(x->owner);
		list_move_last(&x->owner->throttled, &x->link);
	} else if (pause == PAUSE_TURN) {
		list_move_last(&x->owner->parked, &x->link);
	} else {
		list_leave(&x->link);
	}
	if (x->waiting == waiting)
		return;
	x->waiting = waiting;
	if (connection_watch(x) < 0)
		connection_abandon(x, "Out of memory");
}

static ssize_t read_some(struct connection *x, char *data, size_t size)
{
	ssize_t n;

	if (x->tls)
		return tls_read(x->tls, data, size);
	do
		n = recv(x->fd, data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/*
 * What a closing one still sends is thrown away, without a look: there is nothing to decrypt. One
 * that does not stop is not read from until its time is over.
 */
static void throw_away(struct connection *x)
{
	/* MSG_TRUNC: not even copied. */
	ssize_t n = recv(x->fd, NULL, THROW_AWAY, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_abandon(x, "");
		return;
	}
	x->thrown_away += n;
	if (x->thrown_away < THROW_AWAY_MAX)
		return;
	x->waiting = true;
	if (connection_watch(x) < 0)
		connection_abandon(x, "");
}

void input_read(struct connection *x)
{
	static char data[READ_MAX + IRC_TAGS_MAX + IRC_LINE_MAX];
	size_t old = x->in_size, size, done = 0;
	enum pause pause = PAUSE_NONE;
	ssize_t n;

	if (!x->polite && !turn_takes_read(&x->owner->turn, now_monotonic()))
		return;
	if (x->closing) {
		throw_away(x);
		return;
	}
	memcpy(data, x->in ? x->in + x->in_start : "", old);
	n = read_some(x, data + old, READ_MAX);
	if (n <= 0 && n != -EAGAIN) {
		/* Who says goodbye in TLS is told goodbye (RFC 8446, 6.1). */
		if (n == 0 && x->tls)
			tls_end(x->tls);
		connection_abandon(x, n == 0         ? "Connection closed"
				      : n == -EPROTO ? "TLS error"
						     : strerror((int)-n));
		return;
	}
	size = old + MAX(n, 0);
	if (x->polite)
		turn_heard_polite(&x->owner->turn);
	if (n > 0)
		done = handle_lines(x, data, size, &pause);
	if (keep(x, data + done, size - done) < 0) {
		connection_abandon(x, "Out of memory");
		return;
	}
	x->polite = pause == PAUSE_NONE && n > 0 && memchr(data + old, '\n', n);
	if (pause == PAUSE_NONE && !x->polite && !takes_piece(x))
		pause = PAUSE_FLOOD;
	set_pause(x, pause);
}

/* In place: what waits is not copied for each of its lines. */
static void resume(struct connection *x)
{
	_cleanup_free_ char *data = TAKE_PTR(x->in);
	size_t start = x->in_start, size = x->in_size, done;
	enum pause pause = PAUSE_NONE;

	x->in_start = x->in_size = 0;
	done = handle_lines(x, data + start, size, &pause);
	if (pause != PAUSE_NONE) {
		x->in = TAKE_PTR(data);
		x->in_start = start + done;
		x->in_size = size - done;
	} else if (keep(x, data + start + done, size - done) < 0) {
		connection_abandon(x, "Out of memory");
		return;
	}
	set_pause(x, pause);
}

void input_resume(struct connections *c, uint64_t now)
{
	struct list *l, *last;

	while ((l = c->throttled.next) != &c->throttled &&
	       CONTAINER_OF(l, struct connection, link)->deadline <= now)
		list_move_last(&c->parked, l);
	last = c->parked.previous;
	for (unsigned i = 0; (l = c->parked.next) != &c->parked; i++) {
		if (!turn_takes_slice(&c->turn, i, now_monotonic()))
			return;
		resume(CONTAINER_OF(l, struct connection, link));
		if (l == last)
			return;
	}
}
