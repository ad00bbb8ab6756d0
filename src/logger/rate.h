/* SPDX-License-Identifier: MIT */
/* How many lines a service may say: a bucket that holds one period's lines. Pure. */
#ifndef FOSTER_LOGGER_RATE_H
#define FOSTER_LOGGER_RATE_H

#include <stdint.h>

struct rate {
	uint64_t used; /* of the bucket: lines times the period */
	uint64_t last; /* us, when it was looked at */
};

/* How many lines may pass at now (us, any clock that only grows) where lines a period (us) may. */
uint64_t rate_left(struct rate *, uint64_t lines, uint64_t period, uint64_t now);

/* So many have passed. */
void rate_pass(struct rate *, uint64_t lines, uint64_t period, uint64_t passed);

#endif
