/* SPDX-License-Identifier: MIT */
/*
 * What the operators' channel is told of the services: each event of the supervisor becomes a line,
 * as long as people can read that. A service that ends again and again is folded into one line a
 * minute until it stays up; more lines than a few in a minute become one that counts them
 * (window.h). Pure but for memory: the time comes with each call, in microseconds of
 * CLOCK_MONOTONIC.
 */
#ifndef FOSTER_CHAT_ADMIN_FEED_H
#define FOSTER_CHAT_ADMIN_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct feed;

struct feed_output {
	/*
	 * A line for the channel; tags as room_operators_say() takes them. Valid during the call.
	 */
	void (*say)(void *arg, const char *line, const char *tags);
	/* May this service's log be shown? If so, a whole line of it as it may be, cut to size. */
	bool (*may_show)(void *arg, const char *service);
	void (*redact)(void *arg, const char *line, char *buf, size_t size);
	void *arg;
};

/* realtime is that of now: what was before is old news. NULL: out of memory. */
struct feed *feed_new(const struct feed_output *output, uint64_t realtime);
void feed_free(struct feed *feed);

/* One event of the supervisor; realtime is that of now: of what is older it says when it was. */
void feed_event(struct feed *feed, uint64_t now, uint64_t realtime, const json_t *event);

/* Somebody takes care of it: no more of its ends until it runs again. False: it has not ended. */
bool feed_acknowledge(struct feed *feed, const char *service);

/* Says what is due; when to call next: USEC_INFINITY for never. */
void feed_tick(struct feed *feed, uint64_t now);
uint64_t feed_deadline(const struct feed *feed);

/* The number of the first event that waits to be said; 0: none does. */
uint64_t feed_first_held(const struct feed *feed);

static inline void feed_freep(struct feed **feed)
{
	feed_free(*feed);
}

#endif
