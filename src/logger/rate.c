/* SPDX-License-Identifier: MIT */
/* The rate of lines: see rate.h. */
#include "logger/rate.h"

#include "base/macro.h"

uint64_t rate_left(struct rate *r, uint64_t lines, uint64_t period, uint64_t now)
{
	/* After a period it is empty, however long ago that was. */
	uint64_t passed = MIN(now - r->last, period);

	r->used -= MIN(passed * lines, r->used);
	r->last = now;
	return lines - MIN((r->used + period - 1) / period, lines);
}

void rate_pass(struct rate *r, uint64_t lines, uint64_t period, uint64_t passed)
{
	r->used = MIN(r->used + passed * period, lines * period);
}
