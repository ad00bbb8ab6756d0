/* SPDX-License-Identifier: MIT */
/* The admin child's own life: see child.h. */
#include "chat/admin/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "chat/admin/absence.h"
#include "chat/admin/admin.h"
#include "chat/admin/feed.h"
#include "chat/admin/operate.h"
#include "chat/admin/packet.h"
#include "chat/admin/stream.h"
#include "chat/admin/words.h"
#include "chat/chat-config.h"
#include "chat/utf8.h"

#define DELAY_FIRST 100 /* ms between attempts; the manager may be away for a moment */
#define DELAY_MAX   5000
#define SILENCE_MAX 10000 /* ms to connect and be answered */

/* since asks for what came while we were away. */
#define REQUEST                                  \
	"GET /v1/events?follow=1%s HTTP/1.1\r\n" \
	"Host: foster\r\n"                       \
	"Accept: application/x-ndjson\r\n"       \
	"\r\n"

struct child {
	const char *control, *path;
	int parent;
	int delay;                       /* ms */
	uint64_t last;                   /* the number of the last event */
	bool knows_last;                 /* else only what is to come is told */
	uint64_t asked_since, announced; /* at the start; what lies between was announced before */
	uint64_t began; /* realtime: an announcement before then was for those who were here then */
	bool told;      /* that the control socket cannot be reached */
	struct feed *feed;
	struct operate *operate;
	struct packet packet; /* the one that is being sent, or was received */
};

/* What a next child need not ask for: all before that was said. */
static uint64_t told(const struct child *c)
{
	uint64_t held = feed_first_held(c->feed);

	return held ? MIN(held - 1, c->last) : c->last;
}

/* Blocks until the parent has taken it: so what was read is never dropped. */
static void send_packet(struct child *c, enum packet_kind kind, const char *text)
{
	size_t size = utf8_cut(text, strlen(text), PACKET_TEXT_MAX);

	c->packet.kind = kind;
	c->packet.seq = told(c);
	c->packet.number = c->last;
	memcpy(c->packet.text, text, size);
	c->packet.text[size] = '\0';
	while (send(c->parent, &c->packet, packet_size(&c->packet), MSG_NOSIGNAL) < 0 &&
	       errno == EINTR)
		;
}

static void on_line(void *arg, const char *line, const char *tags)
{
	struct child *c = arg;

	snprintf(c->packet.tags, sizeof(c->packet.tags), "%s", tags);
	send_packet(c, PACKET_EVENT, line);
}

static void on_event(void *arg, const json_t *event)
{
	struct child *c = arg;
	const char *type = words_of(event, "type"), *text = words_of(event, "text");
	uint64_t seq = json_integer_value(json_object_get(event, "seq"));

	/* Less is no repetition: a manager began after the clock had been set back. */
	if (!*type || seq == 0 || seq == c->last)
		return;
	c->last = seq;
	c->knows_last = true;
	if (strcmp(type, "announce") != 0)
		feed_event(c->feed, now_monotonic(), now_realtime(), event);
	else if (*text && event_time(event) >= c->began &&
		 (seq <= c->asked_since || seq > c->announced))
		send_packet(c, PACKET_ANNOUNCEMENT, text);
}

/* --- what the parent says ------------------------------------------------------------------- */

static void on_question(struct child *c)
{
	struct packet *p = &c->packet;
	struct packet question = *p;
	char answer[PACKET_TEXT_MAX + 1];

	operate_answer(c->operate, &question, c->feed, answer, sizeof(answer));
	if (!*answer)
		return;
	p->id = question.id;
	p->since = question.since;
	p->in_channel = question.in_channel;
	memcpy(p->nick, question.nick, sizeof(p->nick));
	send_packet(c, PACKET_ANSWER, answer);
}

/* The parent has read it before, and found it right. */
static void reload(struct child *c)
{
	struct chat_config *config;
	struct error e;

	if (!c->path)
		return;
	if (chat_config_load(c->path, &config, &e) < 0) {
		log_error("admin: the rights of operators stay as they were: %s", e.text);
		return;
	}
	operate_configure(c->operate, &config->operators);
	chat_config_free(config);
}

/* 0, or -EPIPE: the parent has gone. */
static int hear_parent(struct child *c)
{
	struct packet *p = &c->packet;
	ssize_t n = recv(c->parent, p, sizeof(*p), MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -EPIPE;
	if (n == 0)
		return -EPIPE;
	if (packet_is_whole(p, n) && p->kind == PACKET_QUESTION)
		on_question(c);
	else if (packet_is_whole(p, n) && p->kind == PACKET_RELOAD)
		reload(c);
	return 0;
}

/* --- following ------------------------------------------------------------------------------ */

static int ms_until(uint64_t until)
{
	uint64_t now = now_monotonic();

	if (until == USEC_INFINITY)
		return -1;
	return until > now ? (int)MIN((until - now) / USEC_PER_MSEC + 1, 1000000U) : 0;
}

/*
 * Waits until fd (-1: none) is ready, ms at most, -1: for ever, and does meanwhile what the parent
 * asks and what is due. 0; -ETIMEDOUT; -EPIPE: the parent has gone.
 */
static int wait_for(struct child *c, int fd, short what, int ms)
{
	struct pollfd fds[] = { { .fd = c->parent, .events = POLLIN },
				{ .fd = fd, .events = what } };
	uint64_t until = ms < 0 ? USEC_INFINITY : now_monotonic() + ms * USEC_PER_MSEC;

	for (;;) {
		int n = poll(fds, 2, ms_until(MIN(until, feed_deadline(c->feed))));

		if (n < 0 && errno != EINTR)
			return -errno;
		feed_tick(c->feed, now_monotonic());
		if (n > 0 && fds[0].revents && hear_parent(c) < 0)
			return -EPIPE;
		if (n > 0 && fds[1].revents)
			return 0;
		if (until != USEC_INFINITY && now_monotonic() >= until)
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
	if (c->knows_last)
		snprintf(since, sizeof(since), "&since=%llu", (unsigned long long)c->last);
	n = snprintf(request, sizeof(request), REQUEST, since);
	if (send(fd, request, n, MSG_NOSIGNAL) != n)
		return -EIO;
	return TAKE_FD(fd);
}

/* Follows one connection to its end. -EPIPE: the parent has gone; else why it has ended. */
static int follow(struct child *c, int fd)
{
	_cleanup_(stream_freep) struct stream *stream = stream_new(on_event, c);
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

/* Of a new room: its end, and what came behind it, was not told. */
static void look_back(struct child *c)
{
	const char *own = getenv("FOSTER_SERVICE");

	if (!own || !*own || absence_find(c->control, own, &c->last) < 0)
		return;
	c->knows_last = true;
	c->last = MAX(c->last, 1U); /* 0 would be none but those to come */
	c->began = now_realtime();
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

static bool may_show(void *arg, const char *service)
{
	return operate_may_show(((struct child *)arg)->operate, service);
}

static void redact(void *arg, const char *line, char *buf, size_t size)
{
	operate_redact(((struct child *)arg)->operate, line, buf, size);
}

static int set_up(struct child *c, const struct child_arguments *arguments)
{
	struct feed_output output = { on_line, may_show, redact, c };

	c->operate = operate_new(c->control, &arguments->config->operators);
	c->feed = c->operate ? feed_new(&output) : NULL;
	return c->feed ? 0 : -ENOMEM;
}

int child_run(const struct child_arguments *arguments)
{
	static struct child c;

	c.control = arguments->control;
	c.path = arguments->path;
	c.parent = arguments->fd;
	c.last = arguments->last;
	c.knows_last = c.last > 0;
	c.asked_since = c.last;
	c.announced = arguments->announced;
	c.delay = DELAY_FIRST;
	become_self();
	if (set_up(&c, arguments) < 0) {
		log_error("admin: out of memory");
		return EXIT_FAILURE;
	}
	if (!c.control)
		wait_for(&c, -1, 0, -1);
	else if (!c.knows_last)
		look_back(&c);
	while (c.control && attempt(&c) == 0) {
		if (wait_for(&c, -1, 0, c.delay) == -EPIPE)
			break;
		c.delay = MIN(c.delay * 2, DELAY_MAX);
	}
	feed_free(c.feed);
	operate_free(c.operate);
	return EXIT_SUCCESS;
}
