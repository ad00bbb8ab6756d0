/* SPDX-License-Identifier: MIT */
/*
 * The history: keeps what the room says is to be kept, and finds it again. Two stages:
 *
 *	history_keep() -> memory -> a journal, by one write(2) a turn -> the database, by a thread
 *
 * What is promised, and why it holds:
 *
 * Nothing that was delivered is lost when this process is killed, in whatever way. history_write()
 * is called before anything of a turn is sent (TCP at the turn's end, a datagram at once), and a
 * write(2) that has returned lies in the kernel, which outlives the process. The next process takes
 * the journal in before it answers the first question. What the journal has only in part was not
 * sent.
 *
 * Nothing is kept twice. There are two journal files: one is written, the other is taken in, and is
 * emptied when that is committed. A kill between the two takes the file in once more; but a
 * message's id is unique in the database, which ignores what it has.
 *
 * Nothing waits for the disk but that one write(2), which waits only when the kernel has more dirty
 * pages than it wants. So there is no sync: when the machine itself loses power, the last seconds
 * are lost (30 s, by Linux's defaults); the database stays whole.
 *
 * When the disk is full, or the database cannot be written: the room goes on, and so does the
 * journal as long as it may (JOURNAL_MAX); what finds no place is delivered and not kept, and
 * counted. It is said once, and once when it is over: it is tried again by itself.
 */
#ifndef FOSTER_CHAT_HISTORY_H
#define FOSTER_CHAT_HISTORY_H

#include <event2/event.h>

#include "chat/history-types.h"

struct history;

struct history_limits {
	uint64_t age;      /* us; 0: no limit */
	uint32_t messages; /* of a channel; 0: no limit */
};

struct history_events {
	/* Both are the history's; never called from within history_fetch(). */
	void (*answer)(void *arg, const struct history_query *query,
		       const struct history_answer *answer);
	void *arg;
};

/*
 * path: the database; the journal lies beside it. What cannot be opened is tried again later, for
 * a full disk must not keep a room from starting. NULL when out of memory. limits are the
 * caller's, until others are set.
 */
struct history *history_new(struct event_base *base, const char *path,
			    const struct history_limits *limits,
			    const struct history_events *events);
/* Takes all in that was kept, and waits for it. Questions are not answered any more. */
void history_free(struct history *history);
void history_set_limits(struct history *history, const struct history_limits *limits);

/* Of these, NULL is passed over. */
void history_keep(struct history *history, const struct history_record *record);
void history_write(struct history *history);    /* before anything that was kept is sent */
void history_end_turn(struct history *history); /* the same, and what else is to be done */

/* Takes the query (from malloc()) over when it returns 0; -EAGAIN: too many wait already. */
int history_fetch(struct history *history, struct history_query *query);

/* What is wrong now, in a few words, or NULL. */
const char *history_trouble(const struct history *history);

#endif
