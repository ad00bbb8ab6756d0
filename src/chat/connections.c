/* SPDX-License-Identifier: MIT */
/* The IRC connections: see connections.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"
#include "chat/connections-internal.h"

#define OUT_FIRST     2048 /* a burst's first buffer */
#define CLOSING_TIME  (2 * USEC_PER_SEC)
#define TRIM_ABOVE    (4U << 20) /* bytes */
#define TRIM_CROWD    256        /* connections */
#define TRIM_TIME     USEC_PER_SEC
#define ANSWERS_SHARE 8  /* of send_queue, for what one has asked for */
#define DROPS_A_TURN  16 /* each is told to all who shared a channel with it */
#define ENDS_A_TURN   64

static void on_event(int fd, short what, void *arg);

/* --- the table ---------------------------------------------------------------------------- */

static int grow_table(struct connections *c)
{
	size_t n = c->table_size ? c->table_size * 2 : 64;
	struct connection **table = reallocarray(c->table, n, sizeof(struct connection *));
	uint32_t *free_ids;

	if (!table)
		return -ENOMEM;
	c->table = table;
	free_ids = reallocarray(c->free_ids, n, sizeof(*free_ids));
	if (!free_ids)
		return -ENOMEM;
	c->free_ids = free_ids;
	/* The lowest number on top: the room's table stays small. */
	for (size_t id = n; id-- > c->table_size;) {
		table[id] = NULL;
		c->free_ids[c->n_free++] = (uint32_t)id;
	}
	c->table_size = n;
	return 0;
}

static void mark_dirty(struct connection *x)
{
	if (list_is_alone(&x->dirty))
		list_move_last(&x->owner->dirty, &x->dirty);
}

int connection_watch(struct connection *x)
{
	short what = EV_PERSIST | (x->waiting ? 0 : EV_READ) | (x->blocked ? EV_WRITE : 0);

	event_del(&x->event);
	if (what == EV_PERSIST)
		return 0;
	event_assign(&x->event, x->owner->base, x->fd, what, on_event, x);
	return event_add(&x->event, NULL) < 0 ? -ENOMEM : 0;
}

int connection_new(struct connections *c, int fd, const char *host, struct address_count *address,
		   bool tls)
{
	struct connection *x = calloc(1, sizeof(*x));

	if (!x || (c->n_free == 0 && grow_table(c) < 0))
		goto fail;
	x->owner = c;
	x->fd = fd;
	x->id = c->free_ids[c->n_free - 1];
	list_start(&x->link);
	list_start(&x->dirty);
	event_assign(&x->event, c->base, fd, EV_READ | EV_PERSIST, on_event, x);
	if (tls && secure_begin(x) < 0)
		goto fail;
	if (event_add(&x->event, NULL) < 0)
		goto fail;
	if (room_opened(c->room, x->id, host) < 0) {
		event_del(&x->event);
		goto fail;
	}
	x->address = address;
	c->table[x->id] = x;
	c->n_free--;
	c->count++;
	c->most = MAX(c->most, c->count);
	return 0;
fail:
	if (x)
		tls_free(x->tls);
	free(x);
	fd_close(fd);
	return -ENOMEM;
}

static void drop_output(struct connection *x)
{
	x->owner->queued -= x->out_end - x->out_start;
	free(TAKE_PTR(x->out));
	x->out_start = x->out_end = x->out_room = x->asked_for = 0;
}

static void connection_free(struct connection *x)
{
	struct connections *c = x->owner;

	event_del(&x->event);
	list_leave(&x->dirty);
	list_leave(&x->link);
	drop_output(x);
	free(x->in);
	tls_free(x->tls);
	fd_close(x->fd);
	address_release(c, x->address);
	c->table[x->id] = NULL;
	c->free_ids[c->n_free++] = x->id;
	c->count--;
	free(x);
}

void connection_abandon(struct connection *x, const char *reason)
{
	if (!x->closing)
		room_closed(x->owner->room, x->id, reason);
	connection_free(x);
}

/* --- output ------------------------------------------------------------------------------- */

static int make_room(struct connection *x, size_t size)
{
	size_t used = x->out_end - x->out_start, n = x->out_room ? x->out_room : OUT_FIRST;
	char *bigger;

	if (x->out_start > 0 && used + size <= x->out_room) {
		memmove(x->out, x->out + x->out_start, used);
		x->out_start = 0;
		x->out_end = used;
		return 0;
	}
	while (n < x->out_end + size)
		n *= 2;
	bigger = realloc(x->out, n);
	if (!bigger)
		return -ENOMEM;
	x->out = bigger;
	x->out_room = n;
	return 0;
}

/*
 * What it has asked for may be much more than what others say while it does not read: the list of
 * ten thousand channels, say. All of it stands in the queue before the first of it is written.
 */
static bool has_room(const struct connection *x, size_t size)
{
	const size_t max = x->owner->limits->send_queue, waiting = x->out_end - x->out_start;
	const size_t asked_for = MIN(x->asked_for, waiting), said = waiting - asked_for;

	if (x == x->owner->asking)
		return asked_for + size <= max * ANSWERS_SHARE;
	return said + size <= max;
}

void connections_send(struct connections *c, uint32_t id, const char *data, size_t size)
{
	struct connection *x = c->table[id];

	if (x->closing || x->overflow || x->shaking_hands)
		return;
	if (!x->blocked) /* else on_event() goes on */
		mark_dirty(x);
	if (!has_room(x, size) || (x->blocked && c->queued > c->limits->send_queue_total) ||
	    (x->out_end + size > x->out_room && make_room(x, size) < 0)) {
		x->overflow = true;
		mark_dirty(x);
		return;
	}
	memcpy(x->out + x->out_end, data, size);
	x->out_end += size;
	if (x == c->asking)
		x->asked_for += size;
	c->queued += size;
	c->turn.said += size;
}

void connections_answer_begin(struct connections *c, uint32_t id)
{
	c->asking = id < c->table_size ? c->table[id] : NULL;
}

void connections_answer_end(struct connections *c)
{
	c->asking = NULL;
}

void connections_close(struct connections *c, uint32_t id)
{
	struct connection *x = c->table[id];

	x->closing = true;
	x->waiting = false;
	free(TAKE_PTR(x->in));
	x->in_start = x->in_size = 0;
	x->deadline = now_monotonic() + CLOSING_TIME;
	list_move_last(&c->closing, &x->link);
	mark_dirty(x);
}

static ssize_t write_some(struct connection *x, const char *data, size_t size)
{
	ssize_t n;

	if (x->tls)
		return tls_write(x->tls, data, size);
	n = send(x->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/* Writes what the kernel takes. 0: all is out; -EAGAIN; -errno: the connection has failed. */
static int write_out(struct connection *x)
{
	while (x->out_start < x->out_end) {
		ssize_t n = write_some(x, x->out + x->out_start, x->out_end - x->out_start);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		x->asked_for -= (uint64_t)n * x->asked_for / (x->out_end - x->out_start);
		x->out_start += n;
		x->owner->queued -= n;
	}
	drop_output(x);
	return 0;
}

/*
 * Closed by a reset: else the kernel would keep what was written for a peer that does not read it,
 * for minutes after it was dropped.
 */
static void leave_nothing(struct connection *x)
{
	const struct linger none = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

/* It hears and says no more; the room is told when its turn has come. */
static void doom(struct connection *x)
{
	drop_output(x);
	leave_nothing(x);
	x->blocked = false;
	x->waiting = true;
	list_move_last(&x->owner->doomed, &x->link);
	if (connection_watch(x) < 0)
		connection_abandon(x, "Out of memory");
}

static void flush_one(struct connection *x)
{
	bool was_blocked = x->blocked;
	int r;

	if (x->overflow && !x->closing) {
		doom(x);
		return;
	}
	if (x->blocked && !x->closing)
		return; /* on_event() goes on */
	r = write_out(x);
	if (r < 0 && r != -EAGAIN) {
		connection_abandon(x, strerror(-r));
		return;
	}
	x->blocked = r == -EAGAIN;
	if (r == 0 && x->closing && !x->shut) {
		if (x->tls && !x->shaking_hands)
			tls_end(x->tls);
		shutdown(x->fd, SHUT_WR);
		x->shut = true;
	}
	if ((x->blocked != was_blocked || x->closing) && connection_watch(x) < 0)
		connection_abandon(x, "Out of memory");
}

/* In order: those who said little were heard first. */
static void flush_dirty(struct connections *c)
{
	while (!list_is_alone(&c->dirty)) {
		struct connection *x = CONTAINER_OF(c->dirty.next, struct connection, dirty);

		list_leave(&x->dirty);
		flush_one(x);
	}
}

/* Dropping one is told to others, who become dirty by it. */
static void flush_all(struct connections *c)
{
	c->peak = MAX(c->peak, c->queued);
	flush_dirty(c);
	for (int i = 0; i < DROPS_A_TURN && !list_is_alone(&c->doomed); i++) {
		connection_abandon(CONTAINER_OF(c->doomed.next, struct connection, link),
				   "Send queue exceeded");
		flush_dirty(c);
	}
	c->turn.said = 0;
}

/* --- events ------------------------------------------------------------------------------- */

void connections_turn(struct connections *c)
{
	uint64_t now = now_monotonic();

	turn_begin(&c->turn, now);
	room_set_time(c->room, now, now_realtime());
}

static void on_event(int fd, short what, void *arg)
{
	struct connection *x = arg;

	if (!x->polite && what == EV_READ && turn_is_for_polite(&x->owner->turn))
		return;
	connections_turn(x->owner);
	if (x->shaking_hands && !x->closing) {
		secure_step(x);
		return;
	}
	if (what & EV_WRITE) {
		x->blocked = false;
		mark_dirty(x);
		if (connection_watch(x) < 0) {
			connection_abandon(x, "Out of memory");
			return;
		}
	}
	if (what & EV_READ)
		input_read(x);
}

/* --- time --------------------------------------------------------------------------------- */

/* The peer has taken all that the kernel was given, and so sees the end that comes after it. */
static bool is_read(const struct connection *x)
{
	int waiting;

	return ioctl(x->fd, SIOCOUTQ, &waiting) < 0 || waiting == 0;
}

/* A thousand of them have the same deadline: the rest has it in the next turns. */
static void end_closing(struct connections *c, uint64_t now)
{
	for (int i = 0; i < ENDS_A_TURN && !list_is_alone(&c->closing); i++) {
		struct connection *x = CONTAINER_OF(c->closing.next, struct connection, link);

		if (x->deadline > now)
			return;
		if (!x->shut || !is_read(x))
			leave_nothing(x);
		connection_free(x);
	}
}

static void give_memory_back(struct connections *c, uint64_t now)
{
	if (c->trim_at == 0 || now < c->trim_at)
		return;
	c->trim_at = 0;
	c->peak = c->queued;
	c->most = c->count;
	malloc_trim(0);
}

static void on_timer(int fd, short what, void *arg)
{
	struct connections *c = arg;
	uint64_t now = now_monotonic();

	c->timer_at = 0;
	connections_turn(c);
	flush_all(c); /* what those said who need not wait comes before what those say who must */
	input_resume(c, now);
	end_closing(c, now);
	give_memory_back(c, now);
	accept_resume(c, now);
}

static bool has_memory_to_give_back(const struct connections *c)
{
	return (c->peak > TRIM_ABOVE && c->queued < c->peak / 4) ||
	       (c->most > TRIM_CROWD && c->count < c->most / 4);
}

static uint64_t first_deadline(const struct list *head)
{
	return list_is_alone(head) ? USEC_INFINITY
				   : CONTAINER_OF(head->next, struct connection, link)->deadline;
}

/* One timer for all; none when nothing is due. */
static void set_timer(struct connections *c)
{
	uint64_t now = now_monotonic(), at;
	struct timeval wait;

	if (c->trim_at == 0 && has_memory_to_give_back(c))
		c->trim_at = now + TRIM_TIME;
	at = MIN(first_deadline(&c->throttled), first_deadline(&c->closing));
	if (!list_is_alone(&c->parked) || !list_is_alone(&c->doomed))
		at = now;
	if (c->trim_at)
		at = MIN(at, c->trim_at);
	if (c->accept_again)
		at = MIN(at, c->accept_again);
	if (at == USEC_INFINITY || (c->timer_at && c->timer_at <= at))
		return;
	c->timer_at = at;
	at = at > now ? at - now : 0;
	wait = (struct timeval){ .tv_sec = at / USEC_PER_SEC, .tv_usec = at % USEC_PER_SEC };
	evtimer_add(c->timer, &wait);
}

void connections_flush(struct connections *c)
{
	turn_end(&c->turn);
	if (!list_is_alone(&c->dirty) || !list_is_alone(&c->doomed))
		flush_all(c);
	set_timer(c);
}

/* --- as a whole --------------------------------------------------------------------------- */

struct connections *connections_new(struct event_base *base, struct room *room,
				    const struct connections_limits *limits,
				    const struct hash_key *secret)
{
	struct connections *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->base = base;
	c->room = room;
	c->limits = limits;
	c->secret = *secret;
	list_start(&c->parked);
	list_start(&c->throttled);
	list_start(&c->doomed);
	list_start(&c->dirty);
	list_start(&c->closing);
	c->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	c->timer = evtimer_new(base, on_timer, c);
	if (!c->timer || hash_init(&c->addresses) < 0) {
		connections_free(c);
		return NULL;
	}
	return c;
}

void connections_free(struct connections *c)
{
	if (!c)
		return;
	connections_stop_listening(c);
	for (size_t id = 0; id < c->table_size; id++) {
		if (c->table[id])
			connection_free(c->table[id]);
	}
	if (c->timer)
		event_free(c->timer);
	hash_clear(&c->addresses);
	fd_close(c->spare_fd);
	free(c->table);
	free(c->free_ids);
	free(c);
}

void connections_set_limits(struct connections *c, const struct connections_limits *limits)
{
	c->limits = limits;
}

void connections_set_tls(struct connections *c, struct tls_context *context)
{
	c->tls = context;
}

size_t connections_count(const struct connections *c)
{
	return c->count;
}
