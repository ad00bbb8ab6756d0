/* SPDX-License-Identifier: MIT */
/*
 * The well-behaved members. A message's time is from before its send() until the kernel had it for
 * the other client, by the kernel's own stamp: how long this process takes to read a thousand
 * sockets is not the server's doing. It goes on sending while the server is late, so nothing is
 * left out. One whose lines came together with the next has the later one's stamp.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macro.h"
#include "crowd.h"

#define GRACE          (20 * UINT64_C(1000000)) /* for what is still to come after the last was sent */
#define ROOM_FOR_LINES 16384

enum step {
	CONNECTING,
	REGISTERING,
	JOINING,
	JOINED,
	GONE
};

struct member {
	int fd;
	enum step step;
	unsigned number;
	uint32_t *last; /* of each sender: the number of its last message, from 1 */
	size_t size;
	char text[ROOM_FOR_LINES]; /* a line that is not whole yet */
};

struct crowd {
	const struct options *o;
	struct member *members;
	int epoll;
	unsigned n_begun, n_joined, n_gone;
	uint32_t *said; /* by each */
	uint32_t *times;
	size_t n_times, sent, wanted, disordered;
};

static void watch(struct crowd *c, struct member *m, int how, uint32_t what)
{
	struct epoll_event e = { .events = what, .data.ptr = m };

	epoll_ctl(c->epoll, how, m->fd, &e);
}

static void gone(struct crowd *c, struct member *m, const char *why)
{
	if (m->step == GONE)
		return;
	fprintf(stderr, "member %u has been disconnected: %s\n", m->number, why);
	close(m->fd);
	m->step = GONE;
	c->n_gone++;
}

static void say(struct crowd *c, struct member *m, const char *text)
{
	ssize_t n = (ssize_t)strlen(text);

	if (m->step != GONE && send(m->fd, text, n, MSG_NOSIGNAL) != n)
		gone(c, m, strerror(errno));
}

static void begin(struct crowd *c)
{
	struct member *m = &c->members[c->n_begun];

	m->number = c->n_begun++;
	m->fd = connect_from(c->o, ntohs(c->o->server.sin_port), m->number, 0);
	m->last = calloc(c->o->n, sizeof(*m->last));
	if (m->fd < 0 || !m->last) {
		perror("member");
		exit(1);
	}
	setsockopt(m->fd, SOL_SOCKET, SO_TIMESTAMP, &(int){ 1 }, sizeof(int));
	watch(c, m, EPOLL_CTL_ADD, EPOLLOUT);
}

static void on_connected(struct crowd *c, struct member *m)
{
	char text[128];

	m->step = REGISTERING;
	watch(c, m, EPOLL_CTL_MOD, EPOLLIN);
	snprintf(text, sizeof(text), "NICK good%u\r\nUSER good 0 * :good\r\n", m->number);
	say(c, m, text);
}

static void on_message(struct crowd *c, struct member *m, const char *text, uint64_t at)
{
	unsigned long long sent_at;
	unsigned sender, number;

	if (sscanf(text, "good %u %u %llu", &sender, &number, &sent_at) != 3 || sender >= c->o->n)
		return;
	if (number != ++m->last[sender]) {
		fprintf(stderr, "member %u has %u of member %u after %u\n", m->number, number,
			sender, m->last[sender] - 1);
		m->last[sender] = number;
		c->disordered++;
	}
	if (c->n_times < c->wanted)
		c->times[c->n_times++] = at > sent_at ? (uint32_t)(at - sent_at) : 0;
}

static void on_line(struct crowd *c, struct member *m, char *line, uint64_t at)
{
	char text[600], *said;

	if (strncmp(line, "PING", 4) == 0) {
		snprintf(text, sizeof(text), "PONG%.500s\r\n", line + 4);
		say(c, m, text);
	} else if (strncmp(line, "ERROR", 5) == 0) {
		gone(c, m, line);
	} else if (m->step == REGISTERING && strstr(line, " 001 ")) {
		m->step = JOINING;
		snprintf(text, sizeof(text), "JOIN %s\r\n", c->o->channel);
		say(c, m, text);
	} else if (m->step == JOINING && strstr(line, " 366 ")) {
		m->step = JOINED;
		c->n_joined++;
	} else if ((said = strstr(line, " PRIVMSG ")) && (said = strchr(said, ':'))) {
		on_message(c, m, said + 1, at);
	}
}

/* When the kernel got the last byte of what was read. */
static ssize_t receive(int fd, char *to, size_t size, uint64_t *ret_at)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct timeval))];
	} control;
	struct iovec iov = { to, size };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &h, MSG_DONTWAIT);
	struct cmsghdr *cm = n > 0 ? CMSG_FIRSTHDR(&h) : NULL;
	struct timeval t;

	*ret_at = clock_usec();
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_TIMESTAMP) {
		memcpy(&t, CMSG_DATA(cm), sizeof(t));
		*ret_at = t.tv_sec * UINT64_C(1000000) + t.tv_usec;
	}
	return n;
}

static void on_readable(struct crowd *c, struct member *m)
{
	char *line = m->text, *end;
	uint64_t at;
	ssize_t n = receive(m->fd, m->text + m->size, sizeof(m->text) - m->size, &at);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		gone(c, m, n == 0 ? "the end" : strerror(errno));
		return;
	}
	m->size += n;
	while (m->step != GONE && (end = memchr(line, '\n', m->text + m->size - line))) {
		*end = '\0';
		on_line(c, m, line, at);
		line = end + 1;
	}
	m->size -= line - m->text;
	memmove(m->text, line, m->size);
	if (m->size == sizeof(m->text))
		gone(c, m, "a line without an end");
}

static void turn(struct crowd *c, int wait)
{
	struct epoll_event events[256];
	int n = epoll_wait(c->epoll, events, ELEMENTSOF(events), wait);

	for (int i = 0; i < n; i++) {
		struct member *m = events[i].data.ptr;

		if (m->step == CONNECTING)
			on_connected(c, m);
		else if (m->step != GONE)
			on_readable(c, m);
	}
}

static void say_next(struct crowd *c)
{
	unsigned number = c->sent % c->o->n;
	char text[256];

	c->said[number]++;
	c->sent++;
	snprintf(text, sizeof(text),
		 "PRIVMSG %s :good %u %u %llu xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", c->o->channel,
		 number, c->said[number], (unsigned long long)clock_usec());
	say(c, &c->members[number], text);
}

static void come_in(struct crowd *c)
{
	uint64_t limit = clock_usec() + 6 * GRACE;

	while (c->n_joined + c->n_gone < c->o->n && clock_usec() < limit) {
		while (c->n_begun < c->o->n && c->n_begun - c->n_joined < c->o->under_way)
			begin(c);
		turn(c, 100);
	}
}

static void speak(struct crowd *c, size_t messages)
{
	uint64_t start = clock_usec(), interval = 1000000 / c->o->rate, limit;

	while (c->sent < messages) {
		uint64_t now = clock_usec(), due = start + c->sent * interval;

		if (now >= due) {
			say_next(c);
			continue;
		}
		turn(c, (int)((due - now + 999) / 1000));
	}
	limit = clock_usec() + GRACE;
	while (c->n_times < c->wanted && c->n_gone == 0 && clock_usec() < limit)
		turn(c, 100);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double at_share(const struct crowd *c, double share)
{
	return c->n_times ? c->times[(size_t)((double)(c->n_times - 1) * share)] / 1e3 : 0;
}

static void print(const struct crowd *c)
{
	qsort(c->times, c->n_times, sizeof(*c->times), compare);
	printf("{\"members\": %u, \"sent\": %zu, \"received\": %zu, \"lost\": %zu, \"disordered\": "
	       "%zu, "
	       "\"disconnected\": %u, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
	       c->o->n, c->sent, c->n_times, c->wanted - c->n_times, c->disordered, c->n_gone,
	       at_share(c, 0.5), at_share(c, 0.99), at_share(c, 1));
}

static int meet(struct crowd *c, size_t messages)
{
	come_in(c);
	if (c->n_joined < c->o->n) {
		fprintf(stderr, "%u of %u members have come in\n", c->n_joined, c->o->n);
		return 1;
	}
	speak(c, messages);
	print(c);
	return c->n_times < c->wanted || c->disordered || c->n_gone;
}

int run_members(const struct options *o)
{
	size_t messages = (size_t)(o->rate * o->seconds);
	struct crowd c = { .o = o, .wanted = messages * (o->n - 1) };
	int r = 1;

	signal(SIGPIPE, SIG_IGN);
	c.epoll = epoll_create1(EPOLL_CLOEXEC);
	c.members = calloc(o->n, sizeof(*c.members));
	c.said = calloc(o->n, sizeof(*c.said));
	c.times = calloc(c.wanted + 1, sizeof(*c.times));
	if (c.epoll >= 0 && c.members && c.said && c.times)
		r = meet(&c, messages);
	for (unsigned i = 0; i < c.n_begun; i++)
		free(c.members[i].last);
	free(c.members);
	free(c.said);
	free(c.times);
	return r;
}
