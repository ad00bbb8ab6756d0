/* SPDX-License-Identifier: MIT */
/*
 * Two admin processes, of which one leads and the other stands by. The room cannot start either
 * again: it is in a sandbox, and what it forks would be, too. So each looks after the other.
 * When the one that leads ends, its stand-in leads, and makes a stand-in of its own; when the
 * stand-in ends, the one that leads makes another.
 *
 *	the room --fork--> one that leads        (libfoster, daemon = true)
 *	   `-----fork----> its stand-in          (libfoster, daemon = true)
 *	                     `--CLONE_PARENT--> the next stand-in, a child of the room, too
 *
 * All are children of the room, which reaps them, and end with it, however it ends: those that
 * the room did not fork send it their guard, see stand_in_make().
 */
#ifndef FOSTER_CHAT_ADMIN_STAND_IN_H
#define FOSTER_CHAT_ADMIN_STAND_IN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of each of the two. */
struct admin_pair {
	int room;  /* to the room: packet.h; both hold it, the one that leads reads it */
	int other; /* to the other of the two; -1: there is none */
	bool stands_by;
	uint64_t leads_since; /* monotonic, whoever leads; 0: nobody has yet */
	uint64_t delay;       /* us; what the one that leads waits before it begins */
	uint64_t made_at;     /* the last stand-in */
};

/*
 * The stand-in's life: waits, and calls reload when the one that leads was told to. 0: it is to
 * lead now, after pair->delay; -EPIPE: the room has gone.
 */
int stand_in_wait(struct admin_pair *pair, void (*reload)(void *arg), void *arg);

/* Of the one that leads: when a stand-in is to be made, monotonic; USEC_INFINITY: there is one. */
uint64_t stand_in_due(const struct admin_pair *pair);

/*
 * Makes a stand-in, which returns from here as well, with pair->stands_by set: a copy of the
 * process, as after fork(2). 0 or -errno; then it is due again later.
 */
int stand_in_make(struct admin_pair *pair);

/* Of the one that leads: pair->other is readable, so it says that the stand-in has gone. */
void stand_in_gone(struct admin_pair *pair);

/* The stand-in's configuration is to be read again, too. */
void stand_in_reload(const struct admin_pair *pair);

/* 0 or -errno. Two ends, for the two. */
int stand_in_link(int ret_ends[2]);

#endif
