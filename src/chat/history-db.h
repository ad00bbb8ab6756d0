/* SPDX-License-Identifier: MIT */
/*
 * The history's database (SQLite). It blocks: only the history's thread uses it, once it is
 * there. A database that is no longer where it was, deleted or replaced, is opened anew; one that
 * is damaged is put aside, as FILE.damaged-TIME, and a new one begun.
 */
#ifndef FOSTER_CHAT_HISTORY_DB_H
#define FOSTER_CHAT_HISTORY_DB_H

#include "base/error.h"
#include "chat/history-types.h"

struct history_db;

struct history_retention {
	uint64_t age;      /* ms; 0: no limit */
	uint32_t messages; /* of a channel; 0: no limit */
};

/* Opens nothing yet. NULL when out of memory. */
struct history_db *history_db_new(const char *path);
void history_db_free(struct history_db *db);

/*
 * Takes in all whole records of the file fd, those that are there already excepted, so that it may
 * be called again with the same file. 0 or -errno with the reason: then it has to be.
 */
int history_db_take(struct history_db *db, int fd, struct error *e);

/* What is older than oldest (ms) is not seen. 0; -ENOENT: no such message; -errno. */
int history_db_find(struct history_db *db, const struct history_query *q, uint64_t oldest,
		    struct history_answer *ret, struct error *e);

/*
 * Removes what is too old or too much. *ret_oldest: the time of the oldest message that is left,
 * in ms; UINT64_MAX: none is.
 */
int history_db_prune(struct history_db *db, const struct history_retention *keep, uint64_t now,
		     uint64_t *ret_oldest, struct error *e);

/* Was a damaged one put aside since the last time that this was asked? Its new name, or "". */
const char *history_db_put_aside(struct history_db *db);

void history_answer_clear(struct history_answer *answer);

#endif
