/* SPDX-License-Identifier: MIT */
/*
 * What the files of the connections share: accept.c lets in, input.c takes lines, connections.c
 * writes and keeps the table.
 */
#ifndef FOSTER_CHAT_CONNECTIONS_INTERNAL_H
#define FOSTER_CHAT_CONNECTIONS_INTERNAL_H

#include <event2/event_struct.h>
#include <stdbool.h>

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

#define NOT_DIRTY UINT32_MAX

struct connection {
	struct event event;
	struct connections *owner;
	struct list link; /* in waiting or closing, or alone */
	struct address_count *address;
	char *in;  /* what was read and not handled: part of a line, or lines that must wait */
	char *out; /* from out_start to out_end is to be written */
	struct tls *tls; /* NULL: plain text */
	struct bucket flood;
	uint64_t deadline; /* of closing */
	uint32_t in_size, out_start, out_end, out_room;
	uint32_t dirty_at; /* where in dirty, or NOT_DIRTY */
	uint32_t id;
	int fd;
	bool blocked;  /* the kernel takes no more: wait until it is writable */
	bool overflow; /* to be dropped: did not read */
	bool waiting;  /* not read from: flood, or so much was said that others come first */
	bool skipping; /* the rest of a line that is too long */
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
	struct connection **dirty; /* those that connections_flush() must look at */
	uint32_t *free_ids;
	size_t table_size, n_free, n_dirty, count;
	struct hash_table addresses;
	struct list waiting, closing;
	struct event *timer;
	uint64_t timer_at;
	struct {
		struct event event;
		int fd;
		bool tls;
	} listeners[2 * SOCKETS_MAX]; /* with TLS and without */
	size_t n_listeners;
	struct tls_context *tls; /* for those who come; may be NULL */
	uint32_t handshakes;     /* steps of them in this turn */
	uint64_t accept_again, warned_at;
	int spare_fd;
	bool resume_soon; /* somebody waits only until this turn's output is written */
	/* Bytes: waiting to be written; said in this turn; the most since memory was given back. */
	size_t queued, turn, peak;
	uint64_t trim_at;
};

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
void input_read(struct connection *x);    /* may free x */
void input_resume(struct connections *c); /* those who had to wait, once round */

#endif
