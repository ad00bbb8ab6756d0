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
#include "chat/turn.h"

/* How many connections an address has; gone with the last of them. */
struct address_count {
	struct hash_node node;
	uint8_t key[9]; /* family, then 4 bytes of IPv4 or the 8 of an IPv6 network */
	uint32_t n;
};

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
	uint32_t asked_for;   /* of what is to be written; in which order is not known */
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
	struct turn turn;
	struct connection *asking; /* what it is sent now it has asked for; else NULL */
	uint64_t accept_again, warned_at;
	int spare_fd;
	/* Bytes: waiting to be written; the most since memory was given back. */
	size_t queued, peak;
	size_t most; /* connections since memory was given back */
	uint64_t trim_at;
};

/* To be called with each event. */
void connections_turn(struct connections *c);

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
