/* SPDX-License-Identifier: MIT */
/* Packets to a socket: see packet-queue.h. */
#include "manager/packet-queue.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

struct packet {
	struct packet *next;
	size_t size;
	int fd; /* owned; -1: none */
	char data[];
};

struct packet_queue {
	int fd;
	const char *name;
	struct event *writable;
	struct packet *first, *last;
};

static void on_writable(evutil_socket_t fd, short what, void *arg);

struct packet_queue *packet_queue_new(struct event_base *base, int fd, const char *name)
{
	struct packet_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->fd = fd;
	q->name = name;
	q->writable = event_new(base, fd, EV_WRITE, on_writable, q);
	return q->writable ? q : packet_queue_free(q);
}

static void drop_first(struct packet_queue *q)
{
	struct packet *p = q->first;

	q->first = p->next;
	if (!q->first)
		q->last = NULL;
	fd_close(p->fd);
	free(p);
}

struct packet_queue *packet_queue_free(struct packet_queue *q)
{
	if (!q)
		return NULL;
	while (q->first)
		drop_first(q);
	if (q->writable)
		event_free(q->writable);
	free(q);
	return NULL;
}

/* False when the socket is full. */
static bool send_now(struct packet_queue *q, const void *data, size_t size, int fd)
{
	ssize_t n = fd_send(q->fd, data, size, &fd, fd >= 0 ? 1 : 0, MSG_DONTWAIT);

	if (n == -EAGAIN || n == -ETOOMANYREFS) /* as many descriptors on their way as may be */
		return false;
	if (n < 0 && n != -EPIPE && n != -ECONNRESET)
		log_error_errno(n, "%s", q->name);
	return true;
}

static void keep(struct packet_queue *q, const void *data, size_t size, int fd)
{
	struct packet *p = malloc(sizeof(*p) + size);

	if (!p) {
		log_error("%s: out of memory: a message is lost", q->name);
		return;
	}
	p->next = NULL;
	p->size = size;
	p->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	memcpy(p->data, data, size);
	if (q->last)
		q->last->next = p;
	else
		q->first = p;
	q->last = p;
	event_add(q->writable, NULL);
}

void packet_queue_send(struct packet_queue *q, const void *data, size_t size, int fd)
{
	if (q->first || !send_now(q, data, size, fd))
		keep(q, data, size, fd);
}

static void drain(struct packet_queue *q)
{
	while (q->first && send_now(q, q->first->data, q->first->size, q->first->fd))
		drop_first(q);
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
