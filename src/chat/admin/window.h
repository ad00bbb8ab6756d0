/* SPDX-License-Identifier: MIT */
/*
 * How many lines people are told within a minute; the rest is counted, and told in one. Ends and
 * failures go before the rest, which may use half of the lines; what was before this room's time
 * has lines of its own; requests are counted apart, and what comes of one that was told is told in
 * any case. Pure: the time comes with each call, in microseconds of CLOCK_MONOTONIC.
 */
#ifndef FOSTER_CHAT_ADMIN_WINDOW_H
#define FOSTER_CHAT_ADMIN_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum news {
	NEWS_ENDED,
	NEWS_FAILED,
	NEWS_RUNNING,
	NEWS_STOPPED,
	NEWS_REQUEST,
	NEWS_OTHER,
	NEWS_KINDS
};

struct news_kind {
	enum news news;
	bool old;     /* it was before this room's time, or is told late */
	bool answers; /* it comes of a request that was told */
};

struct window {
	uint64_t began; /* 0: none has */
	/* Said in it; those of old news are the second ones. */
	unsigned lines[2], requests[2];
	unsigned counts[NEWS_KINDS];
	char names[NEWS_KINDS][256]; /* the first of each, with commas */
};

/* Is there a line for this one? If not it is counted; name may be "". */
bool window_takes(struct window *window, uint64_t now, struct news_kind kind, const char *name);

/* When it ends; USEC_INFINITY: there is none. */
uint64_t window_end(const struct window *window);

/* Ends it; in line what was counted, or "". */
void window_close(struct window *window, char *line, size_t size);

#endif
