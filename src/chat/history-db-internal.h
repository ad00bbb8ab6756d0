/* SPDX-License-Identifier: MIT */
/* What history-db.c (opening, taking in, pruning) and history-find.c share. */
#ifndef FOSTER_CHAT_HISTORY_DB_INTERNAL_H
#define FOSTER_CHAT_HISTORY_DB_INTERNAL_H

#include <limits.h>
#include <sqlite3.h>
#include <sys/types.h>

#include "chat/history-db.h"

enum statement {
	ADD_CHANNEL,
	FIND_CHANNEL,
	ADD_MESSAGE,
	FIND_MESSAGE,
	SELECT_UP,
	SELECT_DOWN,
	STATEMENTS
};

struct history_db {
	sqlite3 *sqlite; /* NULL: not open */
	sqlite3_stmt *statements[STATEMENTS];
	char *path;
	dev_t dev; /* which file it is */
	ino_t ino;
	char aside[PATH_MAX];
	/* The channel that was last added to. */
	char channel[HISTORY_CHANNEL_MAX + 1];
	int64_t channel_id;
};

/* Opens it; a damaged one at the second go, as a new one. */
int history_db_ready(struct history_db *db, struct error *e);
/* What went wrong last, in SQLite's words; which errno it is like: -EUCLEAN when it is damaged. */
int history_db_fail(struct history_db *db, struct error *e);
void history_db_set_aside(struct history_db *db);
/* *ret is -1 when there is none. */
int history_db_channel(struct history_db *db, const char *name, int64_t *ret);

#endif
