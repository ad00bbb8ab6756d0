/* SPDX-License-Identifier: MIT */
/*
 * Requests to the control socket, several at a time, each with its own connection. While the
 * manager is replaced by the next one the listener stays, so a connection may break but hardly
 * ever be refused: a broken exchange is made again until EXCHANGE_RECONNECT_MAX has passed.
 * What "again" means is the exchange's own: prepare() makes the request each time.
 */
#ifndef FOSTER_BASE_EXCHANGE_H
#define FOSTER_BASE_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/http.h"
#include "base/macro.h"
#include "base/units.h"

#define EXCHANGE_BODY_MAX      (256 << 20) /* bytes of one reply that are kept */
#define EXCHANGE_PARALLEL_MAX  64          /* connections open at one time */
#define EXCHANGE_RECONNECT_MAX (10 * USEC_PER_SEC)
#define EXCHANGE_PAUSE         (50 * USEC_PER_MSEC) /* before it is made again */

struct exchange;

enum exchange_next {
	EXCHANGE_OVER,
	EXCHANGE_AT_ONCE, /* make it again */
	EXCHANGE_LATER,   /* make it again after a pause */
};

struct exchange_ops {
	/*
	 * Sets e->request and e->request_size, which the engine frees. again is false the first
	 * time, then true: after a break, or because done() asked for it. 0 or -errno, which
	 * ends the exchange.
	 */
	int (*prepare)(struct exchange *e, bool again);

	/* A piece of a reply with status 200, instead of collecting it; NULL: collect. */
	http_body_handler *data;

	/* The reply is whole (error 0, status, body), or there is none (error). */
	enum exchange_next (*done)(struct exchange *e);

	/* No socket any more means that fosterd has ended, and ends the exchange, too. */
	bool ends_with_fosterd;
};

struct exchange {
	const struct exchange_ops *ops;
	void *user;
	uint64_t delay;  /* us before the first time */
	uint64_t pause;  /* us of EXCHANGE_LATER; 0: EXCHANGE_PAUSE */
	bool background; /* it is run as long as there are others; at most one of the list */

	char *request;
	size_t request_size;

	int status;
	char *body; /* NUL-terminated, when collected; "" when empty */
	size_t body_size;
	int error; /* -ENOENT, -ECONNREFUSED: no fosterd; -EPIPE: broken for too long; ... */

	struct {
		int state;
		int fd;
		size_t sent;
		size_t room;
		bool connected_once;
		uint64_t due;          /* when to connect; of a paused one */
		uint64_t broken_since; /* 0: it is not */
		struct http_reply reply;
	} private;
};

/*
 * Runs all of them to their end, but those in the background. deadline: CLOCK_MONOTONIC in
 * microseconds, after which the rest ends with -ETIMEDOUT; 0: none. Blocks.
 */
void exchange_run(const char *socket_path, struct exchange *list, size_t n, uint64_t deadline);

/* Frees what it holds; it can be used anew. */
void exchange_clear(struct exchange *e);

#endif
