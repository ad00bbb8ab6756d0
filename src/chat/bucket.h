/* SPDX-License-Identifier: MIT */
/*
 * A token bucket: burst at once, then rate a second. Times are CLOCK_MONOTONIC microseconds,
 * given by the caller. A rate of 0 means no limit. All zero is a full bucket.
 */
#ifndef FOSTER_CHAT_BUCKET_H
#define FOSTER_CHAT_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

struct bucket {
	uint64_t since; /* when it would have been empty; tokens are the time since then */
};

/* Takes one token; false: there is none. */
static inline bool bucket_take(struct bucket *b, uint32_t rate, uint32_t burst, uint64_t now)
{
	uint64_t token, full;

	if (rate == 0)
		return true;
	token = UINT64_C(1000000) / rate;
	if (token == 0)
		token = 1;
	full = token * (burst ? burst : 1);
	if (b->since == 0 || b->since + full < now)
		b->since = now > full ? now - full : 1;
	if (b->since + token > now)
		return false;
	b->since += token;
	return true;
}

/* Takes tokens whether they are there or not: what is missing must come before the next one. */
static inline void bucket_charge(struct bucket *b, uint32_t rate, uint64_t tokens)
{
	if (rate > 0)
		b->since += tokens * MAX(UINT64_C(1000000) / rate, UINT64_C(1));
}

#endif
