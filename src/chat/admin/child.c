/* SPDX-License-Identifier: MIT */
/* The admin child's own life: see child.h. */
#include "chat/admin/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "chat/admin/admin.h"
#include "chat/admin/stream.h"
#include "chat/utf8.h"

#define DELAY_FIRST 100 /* ms between attempts; the manager may be away for a moment */
#define DELAY_MAX   5000
#define SILENCE_MAX 10000 /* ms to connect and be answered */

/* since asks for what came while we were away; nothing that is older than we are. */
#define REQUEST                                                \
	"GET /v1/events?follow=1&type=announce%s HTTP/1.1\r\n" \
	"Host: foster\r\n"                                     \
	"Accept: application/x-ndjson\r\n"                     \
	"\r\n"

struct child {
	const char *control;
	int parent;
	int delay;     /* ms */
	uint64_t last; /* the number of the last announcement */
	bool told;     /* that the control socket cannot be reached */
};

/* Blocks until the parent has taken it: so what was read is never dropped. */
static void on_announcement(void *arg, uint64_t seq, const char *text)
{
	struct child *c = arg;
	size_t size = strlen(text);

	if (size == 0 || (seq > 0 && seq <= c->last))
		return;
	c->last = MAX(c->last, seq);
	size = utf8_cut(text, size, ANNOUNCEMENT_MAX);
	while (send(c->parent, text, size, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

/*
 * Waits until fd (-1: none) is ready, ms at most, -1: for ever. 0; -ETIMEDOUT; -EPIPE: the parent has
 * gone.
 */
static int wait_for(const struct child *c, int fd, short what, int ms)
{
	struct pollfd fds[] = { { .fd = c->parent, .events = POLLIN },
				{ .fd = fd, .events = what } };
	uint64_t until = ms < 0 ? USEC_INFINITY : now_monotonic() + ms * USEC_PER_MSEC;

	for (;;) {
		uint64_t now = now_monotonic();
		int left = ms < 0 ? -1 : now < until ? (int)((until - now) / USEC_PER_MSEC) + 1 : 0;
		int n = poll(fds, 2, left);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[0].revents) /* the parent says nothing: it has closed */
			return -EPIPE;
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
	}
}

static int connect_control(const struct child *c)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char since[32] = "", request[256];
	int n;

	if (fd < 0)
		return -errno;
	if (strlen(c->control) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, c->control);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno; /* EAGAIN: its queue is full; later then */
	if (c->last > 0)
		snprintf(since, sizeof(since), "&since=%llu", (unsigned long long)c->last);
	n = snprintf(request, sizeof(request), REQUEST, since);
	if (send(fd, request, n, MSG_NOSIGNAL) != n)
		return -EIO;
	return TAKE_FD(fd);
}

/* Follows one connection to its end. -EPIPE: the parent has gone; else why it has ended. */
static int follow(struct child *c, int fd)
{
	_cleanup_(stream_freep) struct stream *stream = stream_new(on_announcement, c);
	char data[4096];

	if (!stream)
		return -ENOMEM;
	for (;;) {
		int r = wait_for(c, fd, POLLIN, stream_answered(stream) ? -1 : SILENCE_MAX);
		ssize_t n;

		if (r < 0)
			return r;
		n = recv(fd, data, sizeof(data), 0);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n == 0 ? -ECONNRESET : -errno;
		r = stream_feed(stream, data, n);
		if (r < 0)
			return r;
		if (stream_answered(stream)) {
			if (c->told)
				log_info("admin: follows %s again", c->control);
			c->told = false;
			c->delay = DELAY_FIRST;
		}
	}
}

/* The manager may be replaced at any time: losing it is ordinary, not reaching it is told once. */
static int attempt(struct child *c)
{
	_cleanup_close_ int fd = connect_control(c);
	int r = fd < 0 ? fd : follow(c, fd);

	if (r == -EPIPE)
		return r;
	if (!c->told && r != -ECONNRESET)
		c->told = log_line_errno(LOG_LEVEL_WARNING, r, "admin: %s", c->control) < 0;
	return 0;
}

static void become_self(void)
{
	sigset_t none;

	/* The parent takes its signals by descriptor; ours do what they do. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_IGN); /* may be sent to the group, to reload */
	prctl(PR_SET_NAME, "chatd: admin");
}

int child_run(const struct child_arguments *arguments)
{
	struct child c = { .control = arguments->control,
			   .parent = arguments->fd,
			   .delay = DELAY_FIRST };

	become_self();
	if (!c.control) {
		wait_for(&c, -1, 0, -1);
		return 0;
	}
	while (attempt(&c) == 0) {
		if (wait_for(&c, -1, 0, c.delay) == -EPIPE)
			break;
		c.delay = MIN(c.delay * 2, DELAY_MAX);
	}
	return 0;
}
