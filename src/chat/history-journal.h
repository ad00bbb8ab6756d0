/* SPDX-License-Identifier: MIT */
/*
 * The history's journal: two files, of which one is written and one is taken in. Records go first
 * to memory, and by journal_write() to the file, whole or not at all.
 *
 *	write -> [current]	swap: when the other one is empty
 *	take in <- [other]	emptied when that was committed
 */
#ifndef FOSTER_CHAT_HISTORY_JOURNAL_H
#define FOSTER_CHAT_HISTORY_JOURNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "chat/history-types.h"

#define JOURNAL_MAX (64U << 20) /* bytes of a file; beyond, nothing more is kept */

struct journal {
	char *path; /* of the database; the files are PATH.journal-0 and -1 */
	int fd[2];
	off_t size[2];
	int current;
	char *pending;
	size_t pending_size, pending_room, pending_records;
	unsigned long long lost; /* records that found no place */
};

int journal_init(struct journal *j, const char *path); /* opens nothing; 0 or -ENOMEM */
void journal_clear(struct journal *j);

static inline bool journal_is_open(const struct journal *j)
{
	return j->fd[0] >= 0;
}

/*
 * Opens the files, cuts off what is no whole record, and makes the older one the other one. 0 or
 * -errno: -EBUSY when another process has them.
 */
int journal_open(struct journal *j, struct error *e);

/* To memory; what has no place there is lost. */
void journal_add(struct journal *j, const struct history_record *record);
/* To the file. -errno: it stays in memory, and may be tried again. */
int journal_write(struct journal *j, struct error *e);

/* The file to be taken in, or -1: there is nothing. It stays the same until it is emptied. */
int journal_begin_take(struct journal *j);
int journal_end_take(struct journal *j, struct error *e); /* it is: empties it */

#endif
