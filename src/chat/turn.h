/* SPDX-License-Identifier: MIT */
/*
 * A turn of the loop, and who is heard in it. Those who say little, in whole lines, are heard as
 * soon as they are readable: the polite ones. The rest, who flood, are new, or never end a line,
 * wait for each other: they stay readable, and so come to their turn.
 *
 * Pure: times are CLOCK_MONOTONIC microseconds, given by the caller. All zero is a new turn.
 */
#ifndef FOSTER_CHAT_TURN_H
#define FOSTER_CHAT_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURN_TIME         500        /* us for those who have to wait for others */
#define TURN_SLICE_TIME   100        /* us for the lines of one of them */
#define TURN_BYTES_A_USEC 500        /* ten lines to a thousand at once cost hardly more than one */
#define TURN_SAID_MAX     (4U << 20) /* bytes, before all is written */
#define TURN_SLICES_MIN   2          /* however long it was; each moves on */
#define TURN_SLICES_MAX   64         /* each of them is written to */
#define TURN_READS_MIN    8          /* of those who wait, however long it was */

struct turn {
	uint64_t began; /* 0: nothing was heard in it yet */
	size_t said;    /* bytes to be written, since all was written the last time */
	uint32_t handshakes, reads;
	bool hurry; /* a polite one has said something */
	bool was_for_polite;
};

/* A part of it, for the lines of one. */
struct turn_slice {
	uint64_t began;
	size_t said;
};

/* With each event: the first of them begins it. */
static inline void turn_begin(struct turn *t, uint64_t now)
{
	if (t->began == 0)
		t->began = now;
}

static inline void turn_heard_polite(struct turn *t)
{
	t->hurry = true;
}

/*
 * The rest is not heard in a turn in which a polite one was, so that what he said is written at
 * once. While there is one in each turn that is every other turn, so nobody is left out.
 */
static inline bool turn_is_for_polite(const struct turn *t)
{
	return t->hurry && !t->was_for_polite;
}

static inline void turn_end(struct turn *t)
{
	*t = (struct turn){ .said = t->said, .was_for_polite = turn_is_for_polite(t) };
}

/* Whether the polite ones have waited long enough for the rest. */
static inline bool turn_is_over(const struct turn *t, uint64_t now)
{
	return now - t->began > TURN_TIME + t->said / TURN_BYTES_A_USEC;
}

static inline struct turn_slice turn_slice(const struct turn *t, uint64_t now)
{
	return (struct turn_slice){ now, t->said };
}

static inline bool turn_slice_is_over(const struct turn *t, const struct turn_slice *s,
				      uint64_t now)
{
	return t->said > TURN_SAID_MAX ||
	       now - s->began > TURN_SLICE_TIME + (t->said - s->said) / TURN_BYTES_A_USEC;
}

/* Whether one of the rest is read from in this turn. */
static inline bool turn_takes_read(struct turn *t, uint64_t now)
{
	return t->reads++ < TURN_READS_MIN || !turn_is_over(t, now);
}

/*
 * Whether a step of a TLS handshake is made in it: one that signs takes from 0.1 ms (ECDSA) to 1 ms
 * (RSA 2048), and a thousand may come at once.
 */
static inline bool turn_takes_handshake(struct turn *t, uint64_t now)
{
	return t->handshakes++ == 0 || !turn_is_over(t, now);
}

/* Whether, after so many slices of those who said too much, one more has a place in it. */
static inline bool turn_takes_slice(const struct turn *t, unsigned slices, uint64_t now)
{
	return slices < TURN_SLICES_MAX && (slices <= TURN_SLICES_MIN || !turn_is_over(t, now));
}

#endif
