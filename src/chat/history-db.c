/* SPDX-License-Identifier: MIT */
/* The history's database: see history-db.h. */
#include "config.h"

#include "chat/history-db-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "chat/history-record.h"

#define FORMAT       1    /* of the tables: PRAGMA user_version */
#define BUSY_MS      2000 /* an admin's sqlite3 may hold it for a moment */
#define CHUNK        (256 * 1024)
#define ROWS_AT_ONCE 10000 /* in a transaction */

/*
 * closed: was said while not everybody could join. A message is the same when channel, boot and
 * number are; id only tells apart what was said in the same millisecond.
 */
static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE IF NOT EXISTS channel(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE IF NOT EXISTS message("
	"  id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, time INTEGER NOT NULL,"
	"  boot INTEGER NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL,"
	"  closed INTEGER NOT NULL, tags TEXT NOT NULL, line TEXT NOT NULL);"
	"CREATE UNIQUE INDEX IF NOT EXISTS message_id ON message(channel, boot, number);"
	"CREATE INDEX IF NOT EXISTS message_time ON message(channel, time, id);"
	"PRAGMA user_version = 1;"
	"COMMIT;";

/* A commit in WAL mode is a write(2) without a sync: it outlives this process, killed or not. */
static const char settings[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
			       "PRAGMA secure_delete = ON; PRAGMA cache_size = -1024;"
			       "PRAGMA temp_store = MEMORY;" /* the sandbox has no other place */
			       "PRAGMA journal_size_limit = 4194304;";

/* Who asks may see it, and it lies between two places. The ends are not in it. */
#define SELECT                                                                               \
	"SELECT time, boot, number, kind, tags, line, id FROM message WHERE channel = ?1 "   \
	"AND (time, id) > (?2, ?3) AND (time, id) < (?4, ?5) AND kind <= ?6 AND time >= ?7 " \
	"AND (closed <= ?12 OR (boot = ?8 AND number > ?9)) AND NOT (boot = ?8 AND number > ?10) "

static const char *const texts[STATEMENTS] = {
	[ADD_CHANNEL] = "INSERT OR IGNORE INTO channel(name) VALUES(?1)",
	[FIND_CHANNEL] = "SELECT id FROM channel WHERE name = ?1",
	[ADD_MESSAGE] = "INSERT OR IGNORE INTO message"
			"(channel, time, boot, number, kind, closed, tags, line) "
			"VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[FIND_MESSAGE] = "SELECT time, id FROM message "
			 "WHERE channel = ?1 AND boot = ?2 AND number = ?3",
	[SELECT_UP] = SELECT "ORDER BY time, id LIMIT ?11",
	[SELECT_DOWN] = SELECT "ORDER BY time DESC, id DESC LIMIT ?11",
};

/* --- opening ------------------------------------------------------------------------------ */

static void close_db(struct history_db *db)
{
	for (int i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(db->statements[i]);
		db->statements[i] = NULL;
	}
	sqlite3_close(TAKE_PTR(db->sqlite));
	db->channel[0] = '\0';
}

int history_db_fail(struct history_db *db, struct error *e)
{
	int code = db->sqlite ? sqlite3_errcode(db->sqlite) : SQLITE_NOMEM;
	int system = db->sqlite ? sqlite3_system_errno(db->sqlite) : 0;
	int r = code == SQLITE_NOMEM     ? -ENOMEM
		: code == SQLITE_FULL    ? -ENOSPC
		: code == SQLITE_CORRUPT ? -EUCLEAN
		: code == SQLITE_NOTADB  ? -EUCLEAN
					 : -EIO;

	error_set(e, r, "%s: %s", db->path,
		  db->sqlite ? sqlite3_errmsg(db->sqlite) : "out of memory");
	if (system != 0 && code != SQLITE_FULL && r == -EIO)
		error_set_errno(e, r = -system, "%s: %s", db->path, sqlite3_errmsg(db->sqlite));
	return r;
}

static int64_t number_of(sqlite3 *sqlite, const char *sql, int64_t otherwise)
{
	sqlite3_stmt *statement = NULL;
	int64_t n = otherwise;

	if (sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW)
		n = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return n;
}

static int set_up(struct history_db *db, struct error *e)
{
	struct stat st;
	int64_t format;

	sqlite3_busy_timeout(db->sqlite, BUSY_MS);
	sqlite3_extended_result_codes(db->sqlite, 0);
	if (sqlite3_exec(db->sqlite, settings, NULL, NULL, NULL) != SQLITE_OK)
		return history_db_fail(db, e);
	format = number_of(db->sqlite, "PRAGMA user_version", 0);
	if (format > FORMAT)
		return error_set(e, -EPROTO, "%s: it was made by a newer release (format %lld)",
				 db->path, (long long)format);
	if (format < FORMAT && sqlite3_exec(db->sqlite, schema, NULL, NULL, NULL) != SQLITE_OK)
		return history_db_fail(db, e);
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(db->sqlite, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &db->statements[i], NULL) != SQLITE_OK)
			return history_db_fail(db, e);
	}
	if (stat(db->path, &st) < 0)
		return error_set_errno(e, -errno, "%s", db->path);
	db->dev = st.st_dev;
	db->ino = st.st_ino;
	return 0;
}

/* SQLite would go on with the file that it has open, which nobody finds any more. */
static bool is_still_there(const struct history_db *db)
{
	struct stat st;

	return stat(db->path, &st) == 0 && st.st_dev == db->dev && st.st_ino == db->ino;
}

static int open_db(struct history_db *db, struct error *e)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	int fd, r;

	if (db->sqlite && is_still_there(db))
		return 0;
	close_db(db);
	/* What is said is for members, not for every user of the machine; SQLite gives the files
	 * beside it the same mode. */
	fd = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set_errno(e, -errno, "%s", db->path);
	fd_close(fd);
	r = sqlite3_open_v2(db->path, &db->sqlite, flags, NULL) == SQLITE_OK
		    ? 0
		    : history_db_fail(db, e);
	if (r == 0)
		r = set_up(db, e);
	if (r < 0)
		close_db(db);
	return r;
}

void history_db_set_aside(struct history_db *db)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char from[PATH_MAX], to[PATH_MAX];
	unsigned long long now = (unsigned long long)time(NULL);

	close_db(db);
	for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
		snprintf(from, sizeof(from), "%s%s", db->path, ends[i]);
		snprintf(to, sizeof(to), "%s.damaged-%llu%s", db->path, now, ends[i]);
		if (rename(from, to) == 0 && i == 0)
			snprintf(db->aside, sizeof(db->aside), "%s", to);
	}
}

int history_db_ready(struct history_db *db, struct error *e)
{
	int r = open_db(db, e);

	if (r != -EUCLEAN)
		return r;
	history_db_set_aside(db);
	return open_db(db, e);
}

struct history_db *history_db_new(const char *path)
{
	struct history_db *db = calloc(1, sizeof(*db));

	if (db)
		db->path = strdup(path);
	if (!db || !db->path) {
		history_db_free(db);
		return NULL;
	}
	return db;
}

void history_db_free(struct history_db *db)
{
	if (!db)
		return;
	close_db(db);
	free(db->path);
	free(db);
}

const char *history_db_put_aside(struct history_db *db)
{
	static char name[PATH_MAX];

	memcpy(name, db->aside, sizeof(name));
	db->aside[0] = '\0';
	return name;
}

/* --- taking in ---------------------------------------------------------------------------- */

static int run(struct history_db *db, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);

	sqlite3_reset(statement);
	return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : -EIO;
}

int history_db_channel(struct history_db *db, const char *name, int64_t *ret)
{
	sqlite3_stmt *find = db->statements[FIND_CHANNEL];
	int code;

	sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
	code = sqlite3_step(find);
	*ret = code == SQLITE_ROW ? sqlite3_column_int64(find, 0) : -1;
	sqlite3_reset(find);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : -EIO;
}

static int set_channel(struct history_db *db, const char *name)
{
	int r;

	if (strcmp(db->channel, name) == 0)
		return 0;
	db->channel[0] = '\0';
	sqlite3_bind_text(db->statements[ADD_CHANNEL], 1, name, -1, SQLITE_STATIC);
	r = run(db, db->statements[ADD_CHANNEL]);
	if (r == 0)
		r = history_db_channel(db, name, &db->channel_id);
	if (r == 0)
		snprintf(db->channel, sizeof(db->channel), "%s", name);
	return r;
}

static int add(struct history_db *db, const struct history_record *record)
{
	sqlite3_stmt *s = db->statements[ADD_MESSAGE];
	int r = set_channel(db, record->channel);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, db->channel_id);
	sqlite3_bind_int64(s, 2, (int64_t)record->time);
	sqlite3_bind_int64(s, 3, (int64_t)record->id.boot);
	sqlite3_bind_int64(s, 4, (int64_t)record->id.number);
	sqlite3_bind_int(s, 5, record->kind);
	sqlite3_bind_int(s, 6, record->closed);
	sqlite3_bind_text(s, 7, record->tags, (int)record->tags_size, SQLITE_STATIC);
	sqlite3_bind_text(s, 8, record->line, (int)record->line_size, SQLITE_STATIC);
	return run(db, s);
}

static int execute(struct history_db *db, const char *sql)
{
	return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

/* Adds the whole records in data. The bytes that they take, or -errno. */
static ssize_t add_records(struct history_db *db, const char *data, size_t size, size_t *rows)
{
	char channel[HISTORY_CHANNEL_MAX + 1];
	struct history_record record;
	size_t done = 0;
	ssize_t n;

	while ((n = history_record_decode(data + done, size - done, &record, channel)) > 0) {
		if (add(db, &record) < 0)
			return -EIO;
		done += n;
		if (++*rows % ROWS_AT_ONCE == 0 &&
		    (execute(db, "COMMIT") < 0 || execute(db, "BEGIN IMMEDIATE") < 0))
			return -EIO;
	}
	/* What is no record ends the file: a write that was not finished. */
	return n < 0 ? (ssize_t)size : (ssize_t)done;
}

static int take_file(struct history_db *db, int fd, char *buf, struct error *e)
{
	size_t rows = 0, have = 0;
	off_t at = 0;
	ssize_t n;

	if (execute(db, "BEGIN IMMEDIATE") < 0)
		return history_db_fail(db, e);
	while ((n = pread(fd, buf + have, CHUNK - have, at)) > 0) {
		at += n;
		have += n;
		n = add_records(db, buf, have, &rows);
		if (n < 0)
			return history_db_fail(db, e);
		have -= n;
		memmove(buf, buf + n, have);
	}
	if (n < 0)
		return error_set_errno(e, -errno, "%s: its journal", db->path);
	return execute(db, "COMMIT") < 0 ? history_db_fail(db, e) : 0;
}

int history_db_take(struct history_db *db, int fd, struct error *e)
{
	_cleanup_free_ char *buf = malloc(CHUNK);
	int r;

	if (!buf)
		return error_set(e, -ENOMEM, "out of memory");
	r = history_db_ready(db, e);
	if (r < 0)
		return r;
	r = take_file(db, fd, buf, e);
	if (r < 0) {
		db->channel[0] = '\0'; /* may be undone */
		execute(db, "ROLLBACK");
		/* A disk that was full, or a file that may be written again: begin anew then. */
		if (r == -EUCLEAN)
			history_db_set_aside(db);
		else
			close_db(db);
	}
	return r;
}

/* --- pruning ------------------------------------------------------------------------------ */

static int execute_with(struct history_db *db, const char *sql, int64_t value)
{
	sqlite3_stmt *statement = NULL;
	int r = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL) == SQLITE_OK ? 0 : -EIO;

	if (r == 0)
		sqlite3_bind_int64(statement, 1, value);
	if (r == 0)
		r = run(db, statement);
	sqlite3_finalize(statement);
	return r;
}

int history_db_prune(struct history_db *db, const struct history_retention *keep, uint64_t now,
		     uint64_t *ret_oldest, struct error *e)
{
	/* Both by the index of channel and time, a channel at a time. */
	static const char too_old[] = "DELETE FROM message WHERE id IN (SELECT m.id FROM channel c "
				      "JOIN message m ON m.channel = c.id AND m.time < ?1)";
	static const char too_many[] =
		"DELETE FROM message WHERE id IN (SELECT m.id FROM channel c "
		"JOIN message m ON m.channel = c.id AND (m.time, m.id) <= "
		"(SELECT n.time, n.id FROM message n WHERE n.channel = c.id "
		"ORDER BY n.time DESC, n.id DESC LIMIT 1 OFFSET ?1))";
	static const char empty[] = "DELETE FROM channel WHERE NOT EXISTS "
				    "(SELECT 1 FROM message m WHERE m.channel = channel.id)";
	static const char oldest[] = "SELECT min((SELECT min(m.time) FROM message m "
				     "WHERE m.channel = c.id)) FROM channel c";
	int r = history_db_ready(db, e);

	if (r < 0)
		return r;
	if (keep->age)
		r = execute_with(db, too_old, (int64_t)(now - MIN(keep->age, now)));
	if (r == 0 && keep->messages)
		r = execute_with(db, too_many, keep->messages);
	if (r == 0)
		r = execute(db, empty);
	db->channel[0] = '\0';
	if (r < 0) {
		r = history_db_fail(db, e);
		close_db(db);
		return r;
	}
	*ret_oldest = (uint64_t)number_of(db->sqlite, oldest, 0);
	if (*ret_oldest == 0)
		*ret_oldest = UINT64_MAX;
	return 0;
}
