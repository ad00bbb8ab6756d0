/* SPDX-License-Identifier: MIT */
/*
 * What the files of the connections share: accept.c lets in, input.c takes lines, connections.c
 * writes and keeps the table.
 */
#ifndef FOSTER_CHAT_CONNECTIONS_INTERNAL_H
#define FOSTER_CHAT_CONNECTIONS_INTERNAL_H

#include <event2/event_struct.h>
#include <stdbool.h>

#include "base/units.h"
#include "chat/bucket.h"
#include "chat/connections.h"
#include "chat/list.h"
#include "chat/listen.h"
#include "chat/tls.h"

/* How many connections an address has; gone with the last of them. */
struct address_count {
	struct hash_node node;
	uint8_t key[9]; /* family, then 4 bytes of IPv4 or the 8 of an IPv6 network */
	uint32_t n;
};

#define TURN_TIME    500 /* us for those who have to wait for others */
#define BYTES_A_USEC 500

struct connection {
	struct event event;
	struct connections *owner;
	struct list link;  /* in parked, throttled, doomed or closing, or alone */
	struct list dirty; /* in dirty, or alone */
	struct address_count *address;
	char *in; /* from in_start, what was not handled: part of a line, or lines that must wait */
	char *out;       /* from out_start to out_end is to be written */
	struct tls *tls; /* NULL: plain text */
	struct bucket flood;
	uint64_t deadline; /* of closing; when throttled: of the next line */
	uint32_t in_start, in_size, out_start, out_end, out_room;
	uint32_t thrown_away; /* bytes that came while closing */
	uint32_t id;
	int fd;
	bool blocked;   /* the kernel takes no more: wait until it is writable */
	bool polite;    /* what it said last was whole lines, and not too many */
	bool overflow;  /* to be dropped: did not read */
	bool waiting;   /* not read from: in parked, throttled or doomed, or closing and too loud */
	uint8_t pieces; /* reads that brought no whole line */
	bool skipping;  /* the rest of a line that is too long */
	bool closing;
	bool shut;          /* the sending side */
	bool shaking_hands; /* TLS is not there yet: what the room says is thrown away */
	bool greeted;       /* the first byte was looked at: it is TLS */
};

struct connections {
	struct event_base *base;
	struct room *room;
	const struct connections_limits *limits;
	struct hash_key secret;
	struct connection **table; /* by id */
	uint32_t *free_ids;
	size_t table_size, n_free, count;
	struct hash_table addresses;
	/* Those who come after the others; who said too much; who did not read; who are to go. */
	struct list parked, throttled, doomed, closing;
	struct list dirty; /* those that connections_flush() must look at */
	struct event *timer;
	uint64_t timer_at;
	struct {
		struct event event;
		int fd;
		bool tls;
	} listeners[2 * SOCKETS_MAX]; /* with TLS and without */
	size_t n_listeners;
	struct tls_context *tls; /* for those who come; may be NULL */
	/* In this turn of the loop: when it began, or 0; handshakes and impolite reads so far. */
	uint64_t turn_began;
	uint32_t handshakes, impolite;
	/* A polite one has said something: the others wait for the next turn, which is for them. */
	bool hurry, was_in_hurry;
	uint64_t accept_again, warned_at;
	int spare_fd;
	/* Bytes: waiting to be written; said in this turn; the most since memory was given back. */
	size_t queued, turn, peak;
	size_t most; /* connections since memory was given back */
	uint64_t trim_at;
};

/*
 * Whether those in this turn of the loop that were here already, and say little, have waited long
 * enough for the rest: who says too much, who is new, who never says a whole line. limit is in us;
 * what was delivered has its own time, as ten lines to a thousand members at once cost hardly more
 * than one. since, said: when that began, and c->turn then.
 */
static inline bool is_over(const struct connections *c, uint64_t since, size_t said, uint64_t limit)
{
	return now_monotonic() - since > limit + (c->turn - said) / BYTES_A_USEC;
}

static inline bool turn_is_over(const struct connections *c)
{
	return is_over(c, c->turn_began, 0, TURN_TIME);
}

/*
 * Whether one who must wait is left alone: he stays readable, and so comes to his turn. After many
 * turns in a row with something to write that is every other one, so nobody is left out.
 */
static inline bool turn_is_for_polite(const struct connections *c)
{
	return c->hurry && !c->was_in_hurry;
}

/* To be called with each event. */
void turn_begin(struct connections *c);

/* accept.c */
void accept_resume(struct connections *c, uint64_t now);
void address_release(struct connections *c, struct address_count *address);

/* connections.c; takes fd over in any case. -ENOMEM */
int connection_new(struct connections *c, int fd, const char *host, struct address_count *address,
		   bool tls);

/* The peer is gone, or not worth waiting for: tells the room unless it knows, and frees. */
void connection_abandon(struct connection *x, const char *reason);
/* Waits for what the connection's state asks for. 0 or -ENOMEM. */
int connection_watch(struct connection *x);

/* secure.c */
int secure_begin(struct connection *x); /* -ENOMEM */
void secure_step(struct connection *x); /* of the handshake; may free x */

/* input.c */
void input_read(struct connection *x);                  /* may free x */
void input_resume(struct connections *c, uint64_t now); /* some of those who had to wait */

#endif
