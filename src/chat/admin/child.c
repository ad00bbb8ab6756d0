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
#define ASK_AGAIN   1000  /* ms until the room is asked again where its admin child is to begin */

/* since asks for what came while we were away. */
#define REQUEST                                  \
	"GET /v1/events?follow=1%s HTTP/1.1\r\n" \
	"Host: foster\r\n"                       \
	"Accept: application/x-ndjson\r\n"       \
	"\r\n"

struct child {
	const char *control, *path;
	struct admin_pair pair;
	int delay;                       /* ms */
	bool briefed;                    /* by the room: what follows is known */
	uint64_t last;                   /* the number of the last event */
	bool knows_last;                 /* else only what is to come is told */
	uint64_t asked_since, announced; /* at the start; what lies between was announced before */
	uint64_t began; /* realtime: an announcement before then was for those who were here then */
	bool told;      /* that the control socket cannot be reached */
	bool alone;     /* it was told that no stand-in can be made */
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
	while (send(c->pair.room, &c->packet, packet_size(&c->packet), MSG_NOSIGNAL) < 0 &&
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
static void reload(void *arg)
{
	struct child *c = arg;
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

/* Up to where the events were told, by this one or another before it. */
static void take_state(struct child *c, const struct packet *p)
{
	if (c->briefed)
		return;
	c->last = p->seq;
	c->knows_last = c->last > 0;
	c->asked_since = c->last;
	c->announced = p->number;
	c->briefed = true;
}

/*
 * That the configuration is to be read again is passed on to the stand-in before it is taken from
 * the socket: whoever leads when the next question is read knows of it.
 */
static void pass_on_reload(struct child *c)
{
	uint32_t kind;

	if (recv(c->pair.room, &kind, sizeof(kind), MSG_DONTWAIT | MSG_PEEK) == sizeof(kind) &&
	    kind == PACKET_RELOAD)
		stand_in_reload(&c->pair);
}

/* 0, or -EPIPE: the parent has gone. */
static int hear_parent(struct child *c)
{
	struct packet *p = &c->packet;
	ssize_t n;

	pass_on_reload(c);
	n = recv(c->pair.room, p, sizeof(*p), MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -EPIPE;
	if (n == 0)
		return -EPIPE;
	if (!packet_is_whole(p, n))
		return 0;
	if (p->kind == PACKET_QUESTION)
		on_question(c);
	else if (p->kind == PACKET_STATE)
		take_state(c, p);
	else if (p->kind == PACKET_RELOAD)
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

/* What the stand-in's socket says, and what is due. In a stand-in that is made here: -EPIPE. */
static int look_after(struct child *c, bool other_speaks)
{
	int r;

	feed_tick(c->feed, now_monotonic());
	if (other_speaks)
		stand_in_gone(&c->pair);
	if (now_monotonic() < stand_in_due(&c->pair))
		return 0;
	r = stand_in_make(&c->pair);
	if (r < 0 && !c->alone)
		log_warning_errno(r, "admin: no stand-in can be made; tried again");
	c->alone = r < 0;
	return c->pair.stands_by ? -EPIPE : 0;
}

/*
 * Waits until fd (-1: none) is ready, or the room has told its state, ms at most, -1: for ever, and
 * does meanwhile what the parent asks and what is due. 0; -ETIMEDOUT; -EPIPE: we are not to lead
 * any more, for the parent has gone, or for we are the stand-in now.
 */
static int wait_for(struct child *c, int fd, short what, int ms)
{
	uint64_t until = ms < 0 ? USEC_INFINITY : now_monotonic() + ms * USEC_PER_MSEC;
	bool briefed = c->briefed;

	for (;;) {
		struct pollfd fds[] = { { .fd = c->pair.room, .events = POLLIN },
					{ .fd = fd, .events = what },
					{ .fd = c->pair.other, .events = POLLIN } };
		uint64_t due = MIN(feed_deadline(c->feed), stand_in_due(&c->pair));
		int n = poll(fds, ELEMENTSOF(fds), ms_until(MIN(until, due)));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (look_after(c, n > 0 && fds[2].revents) < 0)
			return -EPIPE;
		if (n > 0 && fds[0].revents && hear_parent(c) < 0)
			return -EPIPE;
		if ((n > 0 && fds[1].revents) || c->briefed != briefed)
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

/* Follows one connection to its end. -EPIPE as wait_for(); else why it has ended. */
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
}

static bool may_show(void *arg, const char *service)
{
	return operate_may_show(((struct child *)arg)->operate, service);
}

static void redact(void *arg, const char *line, char *buf, size_t size)
{
	operate_redact(((struct child *)arg)->operate, line, buf, size);
}

static int new_feed(struct child *c)
{
	const struct feed_output output = { on_line, may_show, redact, c };

	feed_free(c->feed);
	c->feed = feed_new(&output, now_realtime());
	return c->feed ? 0 : -ENOMEM;
}

/* What an earlier one has told is known to the room alone. 0 or -EPIPE. */
static int ask_state(struct child *c)
{
	int r = 0;

	c->briefed = false;
	while (!c->briefed && r != -EPIPE) {
		c->packet = (struct packet){ .kind = PACKET_HELLO };
		send(c->pair.room, &c->packet, packet_size(&c->packet), MSG_NOSIGNAL);
		/* One that was so busy that it could not answer is asked again. */
		r = wait_for(c, -1, 0, ASK_AGAIN);
	}
	return r == -EPIPE ? r : 0;
}

/* Until there is no room any more, or we are a stand-in. */
static void lead(struct child *c)
{
	prctl(PR_SET_NAME, "chatd: admin");
	c->delay = DELAY_FIRST;
	c->began = 0;
	if (new_feed(c) < 0) {
		log_error("admin: out of memory");
		return;
	}
	if (ask_state(c) < 0 || wait_for(c, -1, 0, c->pair.delay / USEC_PER_MSEC) == -EPIPE)
		return;
	if (!c->control)
		wait_for(c, -1, 0, -1);
	else if (!c->knows_last)
		look_back(c);
	while (c->control && attempt(c) == 0) {
		if (wait_for(c, -1, 0, c->delay) == -EPIPE)
			return;
		c->delay = MIN(c->delay * 2, DELAY_MAX);
	}
}

int child_run(const struct child_arguments *arguments)
{
	static struct child c;

	c.control = arguments->control;
	c.path = arguments->path;
	c.pair = arguments->pair;
	fd_close(arguments->not_ours);
	become_self();
	c.operate = operate_new(c.control, getenv("FOSTER_SERVICE"), &arguments->config->operators);
	if (!c.operate) {
		log_error("admin: out of memory");
		return EXIT_FAILURE;
	}
	for (;;) {
		if (c.pair.stands_by && stand_in_wait(&c.pair, reload, &c) < 0)
			break;
		lead(&c);
		if (!c.pair.stands_by)
			break;
	}
	feed_free(c.feed);
	operate_free(c.operate);
	return EXIT_SUCCESS;
}
