/* SPDX-License-Identifier: MIT */
/* Connections to the control socket: see exchange.h. */
#include "base/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

enum state {
	PAUSED, /* until due; also before the first connection */
	SENDING,
	RECEIVING,
	ENDED,
};

void exchange_clear(struct exchange *e)
{
	free(e->request);
	free(e->body);
	if (e->private.state == SENDING || e->private.state == RECEIVING)
		fd_close(e->private.fd);
	e->request = e->body = NULL;
	e->request_size = e->body_size = 0;
	e->status = e->error = 0;
	memset(&e->private, 0, sizeof(e->private));
}

/* A path that is too long for a socket's address is reached through its directory. */
static int set_address(const char *path, struct sockaddr_un *ret, int *ret_directory)
{
	_cleanup_free_ char *directory = strdup(path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	ret->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(ret->sun_path)) {
		strcpy(ret->sun_path, path);
		return 0;
	}
	if (!slash)
		return directory ? -ENAMETOOLONG : -ENOMEM;
	*slash = '\0';
	*ret_directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_directory < 0)
		return -errno;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%.64s", *ret_directory,
		 slash + 1);
	return 0;
}

/* Connects, blocking while the listener's queue is full, then makes it non-blocking. */
static int open_connection(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int directory = -1;
	struct sockaddr_un address = { 0 };
	int r;

	if (fd < 0)
		return -errno;
	r = set_address(path, &address, &directory);
	if (r < 0)
		return r;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	r = fd_set_nonblock(fd, true);
	return r < 0 ? r : TAKE_FD(fd);
}

static void pause_until(struct exchange *e, uint64_t due)
{
	e->private.state = PAUSED;
	e->private.due = due;
}

static void reset_reply(struct exchange *e)
{
	memset(&e->private.reply, 0, sizeof(e->private.reply));
	free(e->body);
	e->body = NULL;
	e->body_size = e->private.room = 0;
	e->private.sent = 0;
	e->status = 0;
}

/* The exchange is over, one way or the other, unless done() wants it again. */
static void finish(struct exchange *e, int error)
{
	e->private.state = ENDED;
	e->private.broken_since = 0;
	e->error = error;
	e->status = e->private.reply.status;
	if (!e->body && error == 0)
		e->body = strdup("");
	if (e->body_size > 0 && e->body[e->body_size - 1] == '\n')
		e->body[--e->body_size] = '\0'; /* whoever prints it ends the line */
	switch (e->ops->done(e)) {
	case EXCHANGE_OVER: break;
	case EXCHANGE_AT_ONCE: pause_until(e, now_monotonic()); break;
	case EXCHANGE_LATER:
		pause_until(e, now_monotonic() + (e->pause ? e->pause : EXCHANGE_PAUSE));
		break;
	}
}

static void break_off(struct exchange *e, int error)
{
	uint64_t now = now_monotonic();

	if (!e->private.broken_since)
		e->private.broken_since = now;
	if (e->ops->ends_with_fosterd && (error == -ENOENT || error == -ECONNREFUSED))
		finish(e, error);
	else if (!e->private.connected_once ||
		 now - e->private.broken_since > EXCHANGE_RECONNECT_MAX)
		finish(e, e->private.connected_once ? -EPIPE : error);
	else
		pause_until(e, now + EXCHANGE_PAUSE);
}

static void start(struct exchange *e, const char *path)
{
	int r;

	free(e->request);
	e->request = NULL;
	reset_reply(e);
	r = e->ops->prepare(e, e->private.connected_once);
	if (r < 0) {
		finish(e, r);
		return;
	}
	e->private.fd = open_connection(path);
	if (e->private.fd < 0) {
		break_off(e, e->private.fd);
		return;
	}
	e->private.connected_once = true;
	e->private.state = SENDING;
}

static int collect(void *ctx, const char *data, size_t size)
{
	struct exchange *e = ctx;

	if (e->ops->data && e->private.reply.status == 200)
		return e->ops->data(e, data, size);
	if (e->body_size + size > EXCHANGE_BODY_MAX)
		return -EFBIG;
	if (e->body_size + size >= e->private.room) {
		size_t room = MAX(e->private.room * 2, e->body_size + size + 1);
		char *bigger = realloc(e->body, room);

		if (!bigger)
			return -ENOMEM;
		e->body = bigger;
		e->private.room = room;
	}
	memcpy(e->body + e->body_size, data, size);
	e->body_size += size;
	e->body[e->body_size] = '\0';
	return 0;
}

static void send_more(struct exchange *e)
{
	ssize_t n = send(e->private.fd, e->request + e->private.sent,
			 e->request_size - e->private.sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		/* A server that refuses early may have answered before it closed: read on. */
		e->private.state = RECEIVING;
		return;
	}
	e->private.sent += (size_t)n;
	if (e->private.sent == e->request_size)
		e->private.state = RECEIVING;
}

static void receive_more(struct exchange *e)
{
	static char buffer[128 << 10];
	ssize_t n = recv(e->private.fd, buffer, sizeof(buffer), 0);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		r = http_reply_feed(&e->private.reply, buffer, (size_t)n, collect, e);
		if (r == 0 && e->private.reply.state != HTTP_DONE)
			return;
	} else {
		r = http_reply_end(&e->private.reply);
	}
	e->private.fd = fd_close(e->private.fd);
	if (r == -EPIPE)
		break_off(e, r);
	else
		finish(e, r);
}

static bool is_open(const struct exchange *e)
{
	return e->private.state == SENDING || e->private.state == RECEIVING;
}

/* Connects those that are due, as many as may be open. When the next one is due; 0: none is. */
static uint64_t start_due(const char *path, struct exchange *list, size_t n)
{
	uint64_t now = now_monotonic(), next = 0;
	size_t open = 0;

	for (size_t i = 0; i < n; i++)
		open += is_open(&list[i]) && !list[i].background;
	for (size_t i = 0; i < n; i++) {
		struct exchange *e = &list[i];

		if (e->private.state != PAUSED || (open >= EXCHANGE_PARALLEL_MAX && !e->background))
			continue;
		if (e->private.due <= now)
			start(e, path);
		open += is_open(e) && !e->background;
		if (e->private.state == PAUSED)
			next = next ? MIN(next, e->private.due) : e->private.due;
	}
	return next;
}

static int wait_time(uint64_t next, uint64_t deadline)
{
	uint64_t now = now_monotonic(), until = next;

	if (deadline && (!until || deadline < until))
		until = deadline;
	if (!until)
		return -1;
	return until <= now ? 0 : (int)MIN((until - now) / USEC_PER_MSEC + 1, (uint64_t)60000);
}

/* One round of waiting; the exchanges that have something to do do it. */
static void poll_open(struct exchange *list, size_t n, int timeout)
{
	struct pollfd fds[EXCHANGE_PARALLEL_MAX + 1];
	struct exchange *of[EXCHANGE_PARALLEL_MAX + 1];
	nfds_t n_fds = 0;

	for (size_t i = 0; i < n && n_fds < ELEMENTSOF(fds); i++) {
		if (!is_open(&list[i]))
			continue;
		of[n_fds] = &list[i];
		fds[n_fds++] =
			(struct pollfd){ .fd = list[i].private.fd,
					 .events = list[i].private.state == SENDING ? POLLOUT
										    : POLLIN };
	}
	if (poll(fds, n_fds, timeout) <= 0)
		return;
	for (nfds_t i = 0; i < n_fds; i++) {
		if (!fds[i].revents)
			continue;
		if (of[i]->private.state == SENDING)
			send_more(of[i]);
		else
			receive_more(of[i]);
	}
}

static void time_out(struct exchange *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].private.state == ENDED)
			continue;
		if (is_open(&list[i]))
			list[i].private.fd = fd_close(list[i].private.fd);
		list[i].private.state = ENDED;
		list[i].error = -ETIMEDOUT;
		list[i].ops->done(&list[i]); /* whatever it wants: the time is up */
	}
}

static bool all_ended(const struct exchange *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].private.state != ENDED && !list[i].background)
			return false;
	}
	return true;
}

void exchange_run(const char *socket_path, struct exchange *list, size_t n, uint64_t deadline)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].delay)
			list[i].private.due = now_monotonic() + list[i].delay;
	}
	for (;;) {
		uint64_t next = start_due(socket_path, list, n);

		if (all_ended(list, n))
			return;
		if (deadline && now_monotonic() >= deadline) {
			time_out(list, n);
			return;
		}
		poll_open(list, n, wait_time(next, deadline));
	}
}
