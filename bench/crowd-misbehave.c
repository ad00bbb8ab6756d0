/* SPDX-License-Identifier: MIT */
/*
 * Those who misbehave. Each kind is a row: what it does once it is connected, once it is
 * registered, and when its time has come. What the server says to it at its end is counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macro.h"
#include "crowd.h"

#define AGAIN         500000  /* us until one that was ended, or has gone, comes again */
#define LAST_LOOK     3000000 /* us */
#define DRIBBLE       1000000
#define REASONS       8
#define SHARES        20 /* of kinds[] together */
#define BLOCK         16384
#define GARBAGE_SENDS 20   /* datagrams a turn */
#define TURN          5000 /* us */

enum step {
	ABSENT,
	CONNECTING,
	REGISTERING,
	THERE,
	ENDED
};

struct rowdy {
	const struct kind *kind;
	int fd;
	enum step step;
	unsigned number, size;
	uint64_t due;   /* 0: never */
	char text[240]; /* the last that was read */
};

struct crowd {
	const struct options *o;
	struct rowdy *all;
	int epoll, datagrams;
	unsigned n_begun, under_way, n_failed;
	uint64_t now;
	bool done;
};

struct kind {
	const char *name;
	unsigned share;
	bool tls; /* at the port for TLS */
	bool registers;
	bool leaves; /* of its own will, and comes again */
	bool reads;
	bool floods;
	int receive_buffer;
	void (*arrived)(struct crowd *c, struct rowdy *r);
	void (*due)(struct crowd *c, struct rowdy *r);
};

struct tally {
	unsigned opened, ended;
	struct {
		char text[80];
		unsigned n;
	} reasons[REASONS];
};

static char block[4][BLOCK]; /* of floods */

static void end(struct crowd *c, struct rowdy *r);

static void give(struct rowdy *r, const void *data, size_t size)
{
	send(r->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void say(struct rowdy *r, const char *text)
{
	give(r, text, strlen(text));
}

static void watch(struct crowd *c, struct rowdy *r, int how, uint32_t what)
{
	struct epoll_event e = { .events = what, .data.ptr = r };

	epoll_ctl(c->epoll, how, r->fd, &e);
}

/* --- what they do ------------------------------------------------------------------------- */

static void join_and_read_no_more(struct crowd *c, struct rowdy *r)
{
	char text[128];

	snprintf(text, sizeof(text), "JOIN %s\r\n", c->o->channel);
	say(r, text);
	watch(c, r, EPOLL_CTL_MOD, EPOLLRDHUP);
}

static void begin_a_line(struct crowd *c, struct rowdy *r)
{
	char text[128];

	snprintf(text, sizeof(text), "PRIVMSG %s :this line never en", c->o->channel);
	say(r, text);
	r->due = c->now + DRIBBLE;
}

static void dribble(struct crowd *c, struct rowdy *r)
{
	say(r, ".");
	r->due = c->now + DRIBBLE;
}

static void half_a_tag(struct crowd *c, struct rowdy *r)
{
	static char text[4000];

	memset(text, 't', sizeof(text));
	text[0] = '@';
	give(r, text, sizeof(text));
}

/* In the middle of registering; every second one with a reset. */
static void drop_soon(struct crowd *c, struct rowdy *r)
{
	say(r, "NICK nobody\r\nUSER nobody 0");
	r->due = c->now + TURN;
}

static void drop(struct crowd *c, struct rowdy *r)
{
	const struct linger none = { .l_onoff = 1, .l_linger = 0 };

	if (r->number / SHARES % 2)
		setsockopt(r->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	end(c, r);
}

static void drop_in_a_line(struct crowd *c, struct rowdy *r)
{
	begin_a_line(c, r);
	r->due = c->now + TURN;
}

/* A whole ClientHello of TLS 1.3, to which the server must answer with a signature. */
static size_t client_hello(uint8_t *to)
{
	static const uint8_t head[] = { 0x16, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3 };
	static const uint8_t middle[] = { 32, /* session id follows */ };
	static const uint8_t tail[] = {
		0, 2,  0x13, 1,  1, 0,     /* TLS_AES_128_GCM_SHA256; no compression */
		0, 0,                      /* size of the extensions: set below */
		0, 43, 0,    3,  2, 3,  4, /* supported_versions */
		0, 13, 0,    8,  0, 6,  4, 3,  8, 4,  4, 1, /* signature_algorithms */
		0, 10, 0,    4,  0, 2,  0, 29,              /* supported_groups: x25519 */
		0, 51, 0,    38, 0, 36, 0, 29, 0, 32,       /* key_share; the key follows */
	};
	uint8_t *p = to;
	size_t n;

	memcpy(p, head, sizeof(head));
	p += sizeof(head);
	memset(p, 7, 32); /* random */
	p += 32;
	memcpy(p, middle, sizeof(middle));
	p += sizeof(middle);
	memset(p, 8, 32);
	p += 32;
	memcpy(p, tail, sizeof(tail));
	n = sizeof(tail) - 8 + 32;
	p[6] = (uint8_t)(n >> 8);
	p[7] = (uint8_t)n;
	p += sizeof(tail);
	memset(p, 9, 32); /* any number is a key */
	p += 32;
	n = p - to - 5;
	to[3] = (uint8_t)(n >> 8);
	to[4] = (uint8_t)n;
	to[7] = (uint8_t)((n - 4) >> 8);
	to[8] = (uint8_t)(n - 4);
	return p - to;
}

static void greet_and_wait(struct crowd *c, struct rowdy *r)
{
	uint8_t hello[512];

	give(r, hello, client_hello(hello));
}

static void greet_halfway(struct crowd *c, struct rowdy *r)
{
	uint8_t hello[512];

	give(r, hello, client_hello(hello) / 2);
}

static void greet_with_garbage(struct crowd *c, struct rowdy *r)
{
	uint8_t garbage[128];

	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (uint8_t)rand();
	if (r->number / SHARES % 4)
		memcpy(garbage, "\x16\x03\x01\x00\x40", 5);
	give(r, garbage, sizeof(garbage));
}

/* Of 20 parts. The last takes what is left. */
static const struct kind kinds[] = {
	{ "reads-nothing", 1, .registers = true, .receive_buffer = 4096,
	  .arrived = join_and_read_no_more },
	{ "half-line", 2, .registers = true, .reads = true, .arrived = begin_a_line,
	  .due = dribble },
	{ "half-tag", 1, .reads = true, .arrived = half_a_tag },
	{ "flood", 1, .registers = true, .reads = true, .floods = true },
	{ "flood-unregistered", 1, .reads = true, .floods = true },
	{ "drop-registering", 1, .leaves = true, .arrived = drop_soon, .due = drop },
	{ "drop-line", 1, .registers = true, .leaves = true, .arrived = drop_in_a_line,
	  .due = drop },
	{ "tls-hello", 2, .tls = true, .reads = true, .arrived = greet_and_wait },
	{ "tls-half-hello", 2, .tls = true, .reads = true, .arrived = greet_halfway },
	{ "tls-garbage", 1, .tls = true, .reads = true, .arrived = greet_with_garbage },
	{ "silent", 7, .reads = true },
};
static struct tally tallies[ELEMENTSOF(kinds)];

static void make_blocks(void)
{
	static const char *const lines[] = { "PING flood\r\n",
					     "PRIVMSG nobody-of-this-nick :flood\r\n",
					     "WHO nobody*\r\n" };

	for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
		size_t n = strlen(lines[i]);

		for (size_t k = 0; k < BLOCK; k++)
			block[i][k] = lines[i][k % n];
	}
	memset(block[3], 'x', BLOCK); /* a line without an end */
}

/* As much as the server takes. What is cut in the middle is as good a flood. */
static void flood(struct rowdy *r)
{
	give(r, block[r->number / SHARES % ELEMENTSOF(block)], BLOCK);
}

/* --- their lives -------------------------------------------------------------------------- */

static const struct kind *kind_of(const struct options *o, unsigned number)
{
	unsigned part = number % SHARES;
	const struct kind *k = kinds;

	for (; part >= k->share; k++)
		part -= k->share;
	return k->tls && !o->tls_port ? &kinds[ELEMENTSOF(kinds) - 1] : k;
}

static struct tally *tally_of(const struct rowdy *r)
{
	return &tallies[r->kind - kinds];
}

static void count_reason(struct rowdy *r, const char *why)
{
	struct tally *t = tally_of(r);
	char text[sizeof(t->reasons[0].text)];
	const char *error = strstr(r->text, "ERROR :"), *open = error ? strchr(error, '(') : NULL;
	size_t n = 0;

	if (open)
		why = open + 1;
	for (; why[n] && why[n] != '\r' && why[n] != '"' && why[n] != '\\' && n + 1 < sizeof(text);
	     n++)
		text[n] = why[n];
	while (open && n > 0 && text[n - 1] == ')')
		n--;
	text[n] = '\0';
	t->ended++;
	for (size_t i = 0; i < REASONS; i++) {
		if (t->reasons[i].n == 0)
			memcpy(t->reasons[i].text, text, sizeof(text));
		if (strcmp(t->reasons[i].text, text) == 0) {
			t->reasons[i].n++;
			return;
		}
	}
}

static void end(struct crowd *c, struct rowdy *r)
{
	if (r->step == CONNECTING || r->step == REGISTERING)
		c->under_way--;
	close(r->fd);
	r->fd = -1;
	r->step = ENDED;
	r->due = c->o->again || r->kind->leaves ? c->now + AGAIN : 0;
}

static void begin(struct crowd *c, struct rowdy *r)
{
	unsigned port = r->kind->tls ? c->o->tls_port : ntohs(c->o->server.sin_port);

	r->due = 0;
	r->size = 0;
	r->text[0] = '\0';
	r->fd = connect_from(c->o, port, r->number + 1, r->kind->receive_buffer);
	if (r->fd < 0) {
		r->step = ENDED;
		r->due = c->now + AGAIN;
		c->n_failed++;
		return;
	}
	r->step = CONNECTING;
	c->under_way++;
	watch(c, r, EPOLL_CTL_ADD, EPOLLOUT);
}

static void arrive(struct crowd *c, struct rowdy *r)
{
	r->step = THERE;
	c->under_way--;
	if (r->kind->floods)
		watch(c, r, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	if (r->kind->arrived)
		r->kind->arrived(c, r);
}

static void on_connected(struct crowd *c, struct rowdy *r)
{
	char text[128];

	tally_of(r)->opened++;
	watch(c, r, EPOLL_CTL_MOD, EPOLLIN);
	if (!r->kind->registers) {
		arrive(c, r);
		return;
	}
	r->step = REGISTERING;
	snprintf(text, sizeof(text), "NICK bad%u\r\nUSER bad 0 * :bad\r\n", r->number);
	say(r, text);
}

/* Keeps the last bytes: the ERROR is among them. */
static void keep(struct rowdy *r, const char *data, size_t size)
{
	size_t max = sizeof(r->text) - 1, old;

	if (size > max) {
		data += size - max;
		size = max;
	}
	old = MIN(r->size, max - size);
	memmove(r->text, r->text + r->size - old, old);
	memcpy(r->text + old, data, size);
	r->size = (unsigned)(old + size);
	r->text[r->size] = '\0';
	for (size_t i = 0; i < r->size; i++) {
		if (!r->text[i])
			r->text[i] = '.';
	}
}

static bool read_some(struct crowd *c, struct rowdy *r)
{
	static char data[65536];
	ssize_t n = recv(r->fd, data, sizeof(data) - 1, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		count_reason(r, n == 0 ? "end" : strerror(errno));
		end(c, r);
		return false;
	}
	keep(r, data, n);
	data[n] = '\0';
	if (r->step == REGISTERING && (strstr(data, " 001 ") || strstr(data, " 004 ")))
		arrive(c, r);
	return true;
}

static void on_event(struct crowd *c, struct rowdy *r, uint32_t what)
{
	if (r->step == CONNECTING && (what & (EPOLLERR | EPOLLHUP))) {
		count_reason(r, "not accepted");
		end(c, r);
	} else if (r->step == CONNECTING) {
		on_connected(c, r);
	} else if (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		while (read_some(c, r))
			;
	} else if (what & EPOLLIN) {
		read_some(c, r);
	} else if (what & EPOLLOUT) {
		flood(r);
	}
}

static void on_due(struct crowd *c, struct rowdy *r)
{
	r->due = 0;
	if (r->step == ENDED)
		begin(c, r);
	else if (r->step == THERE && r->kind->due)
		r->kind->due(c, r);
}

static void throw_datagrams(struct crowd *c)
{
	static const char *const texts[] = { "L",     "C a",          "Q nobody", "\xff\xfe",
					     "L x y", "C bad0 hello", "nonsense" };
	struct sockaddr_in to = c->o->server;

	to.sin_port = htons((uint16_t)c->o->course_port);
	for (int i = 0; i < GARBAGE_SENDS && c->datagrams >= 0; i++) {
		const char *text = texts[(unsigned)rand() % ELEMENTSOF(texts)];

		sendto(c->datagrams, text, strlen(text), MSG_DONTWAIT, (struct sockaddr *)&to,
		       sizeof(to));
	}
}

/* --- the loop ----------------------------------------------------------------------------- */

static void look_at_times(struct crowd *c)
{
	while (c->n_begun < c->o->n && c->under_way < c->o->under_way) {
		struct rowdy *r = &c->all[c->n_begun];

		r->number = c->n_begun++;
		r->kind = kind_of(c->o, r->number);
		begin(c, r);
	}
	for (unsigned i = 0; i < c->n_begun; i++) {
		struct rowdy *r = &c->all[i];

		if (r->due && r->due <= c->now &&
		    (r->step != ENDED || c->under_way < c->o->under_way))
			on_due(c, r);
	}
	throw_datagrams(c);
}

static void loop(struct crowd *c)
{
	uint64_t start = clock_usec(), look_at = 0;
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	bool told = false;

	while (!c->done) {
		struct epoll_event events[256];
		int n = epoll_wait(c->epoll, events, ELEMENTSOF(events), TURN / 1000);

		c->now = clock_usec();
		for (int i = 0; i < n; i++)
			on_event(c, events[i].data.ptr, events[i].events);
		if (c->now < look_at)
			continue;
		look_at = c->now + TURN;
		look_at_times(c);
		if (!told && c->n_begun == c->o->n) {
			told = true;
			puts("all have come");
			fflush(stdout);
		}
		c->done = c->o->seconds > 0 ? (double)(c->now - start) > c->o->seconds * 1e6
					    : poll(&input, 1, 0) > 0;
	}
}

/* Those who read nothing do now: what the server has said to them at last, and that it has gone. */
static void read_what_waits(struct crowd *c)
{
	struct epoll_event events[256];
	uint64_t limit = clock_usec() + LAST_LOOK;
	unsigned left = 0;

	for (unsigned i = 0; i < c->n_begun; i++) {
		struct rowdy *r = &c->all[i];

		if (r->step == THERE && !r->kind->reads && !r->kind->leaves) {
			watch(c, r, EPOLL_CTL_MOD, EPOLLIN);
			left++;
		}
	}
	while (left > 0 && clock_usec() < limit) {
		int n = epoll_wait(c->epoll, events, ELEMENTSOF(events), TURN / 1000);

		for (int i = 0; i < n; i++) {
			struct rowdy *r = events[i].data.ptr;

			if (r->kind->reads || r->kind->leaves || r->step != THERE)
				continue;
			read_some(c, r);
			left -= r->step == ENDED;
		}
	}
}

static void print_tally(const struct tally *t, const char *name, const char *separator)
{
	printf("%s\"%s\": {\"opened\": %u, \"ended\": %u, \"reasons\": {", separator, name,
	       t->opened, t->ended);
	for (size_t i = 0; i < REASONS && t->reasons[i].n; i++)
		printf("%s\"%s\": %u", i ? ", " : "", t->reasons[i].text, t->reasons[i].n);
	printf("}}");
}

int run_misbehave(const struct options *o)
{
	struct crowd c = { .o = o, .datagrams = -1 };
	unsigned there = 0;

	signal(SIGPIPE, SIG_IGN);
	make_blocks();
	c.epoll = epoll_create1(EPOLL_CLOEXEC);
	c.all = calloc(o->n, sizeof(*c.all));
	if (c.epoll < 0 || !c.all)
		return 1;
	if (o->course_port)
		c.datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	loop(&c);
	if (!o->again)
		read_what_waits(&c);
	for (unsigned i = 0; i < c.n_begun; i++)
		there += c.all[i].step == THERE;
	printf("{\"connections\": %u, \"there\": %u, \"not_possible\": %u", o->n, there,
	       c.n_failed);
	for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
		print_tally(&tallies[i], kinds[i].name, ", ");
	puts("}");
	free(c.all);
	return 0;
}
