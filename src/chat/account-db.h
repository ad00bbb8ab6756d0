/* SPDX-License-Identifier: MIT */
/*
 * The accounts on disk, in SQLite: who has which password, certificates and further nicks. The
 * file is its owner's alone (0600), in WAL mode, so that fosterctl may change what the running
 * server reads. Every function may block, for two seconds where another writes: for the worker,
 * and for fosterctl's verbs. One thread at a time.
 *
 * Errors are said with file and reason in *e: -EBUSY (locked), -EROFS (read-only), -EUCLEAN
 * (damaged, or no database), -EEXIST, -ENOENT, -EIO.
 */
#ifndef FOSTER_CHAT_ACCOUNT_DB_H
#define FOSTER_CHAT_ACCOUNT_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "chat/credential.h"
#include "chat/room.h"

#define FINGERPRINT_SIZE 64 /* SHA-256 in hexadecimal */
#define DB_SECRET_SIZE   32

struct account_db;

struct account {
	char name[ROOM_NICK_MAX + 1];
	int64_t id, created; /* seconds since 1970 */
	struct credential credential;
};

/* What belongs to an account beside its name. */
enum account_thing {
	ACCOUNT_NICK,
	ACCOUNT_CERTIFICATE,
};

/* Makes the file, and its directory, when they are not there. */
int account_db_open(const char *path, struct account_db **ret, struct error *e);
void account_db_close(struct account_db *db);

/* Never the same for two databases, always for one: for what must not tell who has an account. */
const uint8_t *account_db_secret(const struct account_db *db);

/* True, too, the first time: another connection has changed something since the last call. */
bool account_db_has_changed(struct account_db *db);

/* Letters of either case. -ENOENT: no such account. */
int account_db_find(struct account_db *db, const char *name, struct account *ret, struct error *e);
/* Whose certificate or further nick it is. */
int account_db_find_owner(struct account_db *db, enum account_thing thing, const char *value,
			  struct account *ret, struct error *e);

/* -EEXIST: somebody has that name, or it is somebody's nick. */
int account_db_add(struct account_db *db, const char *name, const struct credential *credential,
		   int64_t now, struct error *e);
int account_db_set_password(struct account_db *db, const char *name,
			    const struct credential *credential, struct error *e);
int account_db_remove(struct account_db *db, const char *name, struct error *e);

int account_db_give(struct account_db *db, enum account_thing thing, const char *name,
		    const char *value, struct error *e);
int account_db_take(struct account_db *db, enum account_thing thing, const char *name,
		    const char *value, struct error *e);

/*
 * What an operator did, for the server's log: by says who. take_notes() hands over those that were
 * not yet, each once, and keeps the last thousand.
 */
int account_db_note(struct account_db *db, const char *by, const char *text, int64_t now,
		    struct error *e);
int account_db_take_notes(struct account_db *db,
			  int (*each)(void *arg, const char *by, const char *text), void *arg,
			  struct error *e);

/*
 * Who is kept out of the server. Of one mask there is one. until 0: for ever; expired ones are
 * gone.
 */
int account_db_add_kline(struct account_db *db, const struct room_kline *kline, struct error *e);
int account_db_remove_kline(struct account_db *db, const char *mask, bool *ret_was_there,
			    struct error *e);
int account_db_list_klines(struct account_db *db, uint64_t now,
			   int (*each)(void *arg, const struct room_kline *kline), void *arg,
			   struct error *e);

/* By name. each() returns 0 to go on. things: of all accounts, or of one (name not NULL). */
int account_db_list(struct account_db *db,
		    int (*each)(void *arg, const char *name, int64_t created), void *arg,
		    struct error *e);
int account_db_list_things(struct account_db *db, enum account_thing thing, const char *name,
			   int (*each)(void *arg, const char *name, const char *value), void *arg,
			   struct error *e);

#endif
