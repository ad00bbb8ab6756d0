/* SPDX-License-Identifier: MIT */
/* Messages to a socket: see packet-queue.h. */
#include "manager/packet-queue.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"

#define PACKET_SIZE 8192 /* of one that several messages share */
#define PACKET_FDS  32   /* at most, in one packet */

struct packet {
	struct packet *next;
	size_t size, room;
	size_t n_fds;
	int fds[PACKET_FDS]; /* owned */
	char data[];
};

struct packet_queue {
	int fd;
	const char *name;
	struct event *writable, *turn_over;
	struct packet *first, *last; /* closed: they wait for room in the socket */
	struct packet *open;         /* being filled; NULL: none is at hand */
};

static void on_writable(evutil_socket_t fd, short what, void *arg);
static void on_turn_over(evutil_socket_t fd, short what, void *arg);

struct packet_queue *packet_queue_new(struct event_base *base, int fd, const char *name)
{
	struct packet_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->fd = fd;
	q->name = name;
	q->writable = event_new(base, fd, EV_WRITE, on_writable, q);
	q->turn_over = event_new(base, -1, 0, on_turn_over, q);
	return q->writable && q->turn_over ? q : packet_queue_free(q);
}

/* What is in it has been sent, or is lost with it. */
static void empty(struct packet *p)
{
	while (p->n_fds > 0)
		fd_close(p->fds[--p->n_fds]);
	p->size = 0;
}

static struct packet *packet_free(struct packet *p)
{
	if (p)
		empty(p);
	free(p);
	return NULL;
}

static void drop_first(struct packet_queue *q)
{
	struct packet *p = q->first;

	q->first = p->next;
	if (!q->first)
		q->last = NULL;
	packet_free(p);
}

struct packet_queue *packet_queue_free(struct packet_queue *q)
{
	if (!q)
		return NULL;
	while (q->first)
		drop_first(q);
	packet_free(q->open);
	if (q->writable)
		event_free(q->writable);
	if (q->turn_over)
		event_free(q->turn_over);
	free(q);
	return NULL;
}

/* False when the socket is full. */
static bool send_now(struct packet_queue *q, const struct packet *p)
{
	ssize_t n = fd_send(q->fd, p->data, p->size, p->fds, p->n_fds, MSG_DONTWAIT);

	/* Also what speaks of memory, or of too many descriptors on their way, passes. */
	if (n == -EAGAIN || n == -ETOOMANYREFS || n == -ENOBUFS || n == -ENOMEM)
		return false;
	if (n < 0 && n != -EPIPE && n != -ECONNRESET)
		log_error_errno(n, "%s", q->name);
	return true;
}

/* The open packet goes: to the socket, or to the end of those that wait for it. */
static void close_open(struct packet_queue *q)
{
	struct packet *p = q->open;

	if (!p || p->size == 0)
		return;
	if (!q->first && send_now(q, p)) {
		empty(p);
		if (p->room != PACKET_SIZE)
			q->open = packet_free(p);
		return;
	}
	q->open = NULL;
	p->next = NULL;
	if (q->last)
		q->last->next = p;
	else
		q->first = p;
	q->last = p;
	event_add(q->writable, NULL);
}

static bool fits(const struct packet *p, size_t size, int fd)
{
	return p && p->size + size <= p->room && (fd < 0 || p->n_fds < PACKET_FDS);
}

static struct packet *open_packet(struct packet_queue *q, size_t size)
{
	size_t room = size > PACKET_SIZE ? size : PACKET_SIZE;

	packet_free(q->open);
	q->open = malloc(sizeof(*q->open) + room);
	if (q->open) {
		q->open->size = q->open->n_fds = 0;
		q->open->room = room;
	}
	return q->open;
}

void packet_queue_send(struct packet_queue *q, const void *data, size_t size, int fd)
{
	if (!fits(q->open, size, fd))
		close_open(q);
	if (!fits(q->open, size, fd) && !open_packet(q, size)) {
		log_error("%s: out of memory: a message is lost", q->name);
		fd_close(fd);
		return;
	}
	memcpy(q->open->data + q->open->size, data, size);
	q->open->size += size;
	if (fd >= 0)
		q->open->fds[q->open->n_fds++] = fd;
	event_active(q->turn_over, EV_WRITE, 0);
}

static void drain(struct packet_queue *q)
{
	while (q->first && send_now(q, q->first))
		drop_first(q);
	close_open(q);
}

/* Runs behind the events that are being handled now. */
static void on_turn_over(evutil_socket_t fd, short what, void *arg)
{
	close_open(arg);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct packet_queue *q = arg;

	drain(q);
	if (q->first)
		event_add(q->writable, NULL);
}

void packet_queue_flush(struct packet_queue *q, int timeout_ms)
{
	struct pollfd p = { .fd = q->fd, .events = POLLOUT };

	drain(q);
	while (q->first && poll(&p, 1, timeout_ms) > 0)
		drain(q);
}
