/* SPDX-License-Identifier: MIT */
/* The history's database: see history-db.h. */
#include "config.h"

#include "chat/history-db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
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
#define AHEAD        INT64_MAX

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
			       "PRAGMA journal_size_limit = 4194304;";

enum statement {
	ADD_CHANNEL,
	FIND_CHANNEL,
	ADD_MESSAGE,
	FIND_MESSAGE,
	SELECT_UP,
	SELECT_DOWN,
	STATEMENTS
};

/* Who asks may see it, and it lies between two places. The ends are not in it. */
#define SELECT                                                                               \
	"SELECT time, boot, number, kind, tags, line, id FROM message WHERE channel = ?1 "   \
	"AND (time, id) > (?2, ?3) AND (time, id) < (?4, ?5) AND kind <= ?6 AND time >= ?7 " \
	"AND (closed = 0 OR (boot = ?8 AND number > ?9)) AND NOT (boot = ?8 AND number > ?10) "

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

/* A place between messages, or one of them. */
struct place {
	int64_t time, id;
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

/* What went wrong last, in SQLite's words; which errno it is like. */
static int fail(struct history_db *db, struct error *e)
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
		return fail(db, e);
	format = number_of(db->sqlite, "PRAGMA user_version", 0);
	if (format > FORMAT)
		return error_set(e, -EPROTO, "%s: it was made by a newer release (format %lld)",
				 db->path, (long long)format);
	if (format < FORMAT && sqlite3_exec(db->sqlite, schema, NULL, NULL, NULL) != SQLITE_OK)
		return fail(db, e);
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(db->sqlite, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &db->statements[i], NULL) != SQLITE_OK)
			return fail(db, e);
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
	r = sqlite3_open_v2(db->path, &db->sqlite, flags, NULL) == SQLITE_OK ? 0 : fail(db, e);
	if (r == 0)
		r = set_up(db, e);
	if (r < 0)
		close_db(db);
	return r;
}

static void put_aside(struct history_db *db)
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

/* Opens it; a damaged one at the second go, as a new one. */
static int ready(struct history_db *db, struct error *e)
{
	int r = open_db(db, e);

	if (r != -EUCLEAN)
		return r;
	put_aside(db);
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

/* *ret is -1 when there is none. */
static int find_channel(struct history_db *db, const char *name, int64_t *ret)
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
		r = find_channel(db, name, &db->channel_id);
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
		return fail(db, e);
	while ((n = pread(fd, buf + have, CHUNK - have, at)) > 0) {
		at += n;
		have += n;
		n = add_records(db, buf, have, &rows);
		if (n < 0)
			return fail(db, e);
		have -= n;
		memmove(buf, buf + n, have);
	}
	if (n < 0)
		return error_set_errno(e, -errno, "%s: its journal", db->path);
	return execute(db, "COMMIT") < 0 ? fail(db, e) : 0;
}

int history_db_take(struct history_db *db, int fd, struct error *e)
{
	_cleanup_free_ char *buf = malloc(CHUNK);
	int r;

	if (!buf)
		return error_set(e, -ENOMEM, "out of memory");
	r = ready(db, e);
	if (r < 0)
		return r;
	r = take_file(db, fd, buf, e);
	if (r < 0) {
		db->channel[0] = '\0'; /* may be undone */
		execute(db, "ROLLBACK");
		/* A disk that was full, or a file that may be written again: begin anew then. */
		if (r == -EUCLEAN)
			put_aside(db);
		else
			close_db(db);
	}
	return r;
}

/* --- finding ------------------------------------------------------------------------------ */

/* An answer that grows. */
struct builder {
	struct history_answer *answer;
	size_t items_room, text_size, text_room;
};

static int add_text(struct builder *b, const char *text, uint32_t *ret)
{
	size_t size = strlen(text) + 1, room = b->text_room ? b->text_room : 4096;
	char *more;

	while (b->text_size + size > room)
		room *= 2;
	if (room != b->text_room) {
		more = realloc(b->answer->text, room);
		if (!more)
			return -ENOMEM;
		b->answer->text = more;
		b->text_room = room;
	}
	memcpy(b->answer->text + b->text_size, text, size);
	*ret = (uint32_t)b->text_size;
	b->text_size += size;
	return 0;
}

static int add_item(struct builder *b, const struct history_item *item, const char *tags,
		    const char *line)
{
	struct history_answer *a = b->answer;
	struct history_item *more;
	int r;

	if (a->n_items == b->items_room) {
		size_t room = b->items_room ? b->items_room * 2 : 32;

		more = reallocarray(a->items, room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		a->items = more;
		b->items_room = room;
	}
	a->items[a->n_items] = *item;
	r = add_text(b, tags ? tags : "", &a->items[a->n_items].tags);
	if (r == 0)
		r = add_text(b, line ? line : "", &a->items[a->n_items].line);
	if (r == 0)
		a->n_items++;
	return r;
}

/* What stays the same from one select to the next. */
struct search {
	struct history_db *db;
	const struct history_query *q;
	const struct history_target *target;
	int64_t channel, oldest;
};

static const struct place beginning = { -1, -1 }, end = { AHEAD, AHEAD };

static sqlite3_stmt *bind_select(const struct search *s, bool up, struct place low,
				 struct place high, uint32_t limit)
{
	sqlite3_stmt *statement = s->db->statements[up ? SELECT_UP : SELECT_DOWN];
	const int64_t values[] = { s->channel,
				   low.time,
				   low.id,
				   high.time,
				   high.id,
				   s->q->events ? HISTORY_EVENT : HISTORY_MESSAGE,
				   s->oldest,
				   (int64_t)s->q->boot,
				   (int64_t)s->target->joined,
				   (int64_t)s->q->until,
				   limit };

	for (size_t i = 0; i < ELEMENTSOF(values); i++)
		sqlite3_bind_int64(statement, (int)i + 1, values[i]);
	return statement;
}

static void reverse(struct history_item *items, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct history_item item = items[i];

		items[i] = items[n - 1 - i];
		items[n - 1 - i] = item;
	}
}

/* At most limit between low and high, from below or from above; in order, in any case. */
static int collect(const struct search *s, struct builder *b, bool up, struct place low,
		   struct place high, uint32_t limit)
{
	sqlite3_stmt *statement = bind_select(s, up, low, high, limit);
	size_t first = b->answer->n_items;
	int code, r = 0;

	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct history_item item = {
			.time = (uint64_t)sqlite3_column_int64(statement, 0),
			.id = { (uint64_t)sqlite3_column_int64(statement, 1),
				(uint64_t)sqlite3_column_int64(statement, 2) },
			.event = sqlite3_column_int(statement, 3) == HISTORY_EVENT,
		};

		r = add_item(b, &item, (const char *)sqlite3_column_text(statement, 4),
			     (const char *)sqlite3_column_text(statement, 5));
	}
	sqlite3_reset(statement);
	if (!up)
		reverse(b->answer->items + first, b->answer->n_items - first);
	return r < 0 ? r : code == SQLITE_DONE ? 0 : -EIO;
}

/* -ENOENT: there is no such message. */
static int find_place(const struct search *s, const struct history_point *point, struct place *ret)
{
	sqlite3_stmt *find = s->db->statements[FIND_MESSAGE];
	int code;

	if (point->kind == HISTORY_AT_TIME) {
		/* Before all that was said then; just_after() is behind it. */
		*ret = (struct place){ (int64_t)point->time, -1 };
		return 0;
	}
	sqlite3_bind_int64(find, 1, s->channel);
	sqlite3_bind_int64(find, 2, (int64_t)point->id.boot);
	sqlite3_bind_int64(find, 3, (int64_t)point->id.number);
	code = sqlite3_step(find);
	if (code == SQLITE_ROW)
		*ret = (struct place){ sqlite3_column_int64(find, 0),
				       sqlite3_column_int64(find, 1) };
	sqlite3_reset(find);
	return code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -ENOENT : -EIO;
}

/* A time as a lower end: what was said at that very time is not after it. */
static struct place just_after(struct place place)
{
	return place.id < 0 ? (struct place){ place.time, AHEAD } : place;
}

static int around(const struct search *s, struct builder *b, struct place at)
{
	uint32_t before = s->q->limit / 2;
	/* The message itself is among those after. */
	struct place low = { at.time, at.id < 0 ? -1 : at.id - 1 };
	int r = collect(s, b, false, beginning, at, before);

	if (r < 0)
		return r;
	return collect(s, b, true, low, end, s->q->limit - (uint32_t)b->answer->n_items);
}

static int between(const struct search *s, struct builder *b, struct place from, struct place to)
{
	bool up = from.time < to.time || (from.time == to.time && from.id <= to.id);

	if (up)
		return collect(s, b, true, just_after(from), to, s->q->limit);
	return collect(s, b, false, just_after(to), from, s->q->limit);
}

static int find_in_channel(struct search *s, struct builder *b)
{
	const struct history_query *q = s->q;
	struct place from = beginning, to = end;
	int r = 0;

	if (q->from.kind != HISTORY_NOWHERE)
		r = find_place(s, &q->from, &from);
	if (r == 0 && q->to.kind != HISTORY_NOWHERE)
		r = find_place(s, &q->to, &to);
	if (r < 0)
		return r;
	switch (q->verb) {
	case HISTORY_LATEST:
		return collect(s, b, false,
			       q->from.kind == HISTORY_NOWHERE ? beginning : just_after(from), end,
			       q->limit);
	case HISTORY_BEFORE: return collect(s, b, false, beginning, from, q->limit);
	case HISTORY_AFTER: return collect(s, b, true, just_after(from), end, q->limit);
	case HISTORY_AROUND: return around(s, b, from);
	case HISTORY_BETWEEN: return between(s, b, from, to);
	case HISTORY_TARGETS: break;
	}
	return -EINVAL;
}

/* When was something last said in the channel? */
static int find_last(struct search *s, struct history_item *ret)
{
	sqlite3_stmt *statement = bind_select(s, false, beginning, end, 1);
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		*ret = (struct history_item){ .time = (uint64_t)sqlite3_column_int64(statement,
										     0) };
	sqlite3_reset(statement);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -EIO;
}

static int compare_times(const void *a, const void *b)
{
	uint64_t one = ((const struct history_item *)a)->time;
	uint64_t other = ((const struct history_item *)b)->time;

	return one < other ? -1 : one > other;
}

static int find_targets(struct search *s, struct builder *b)
{
	const struct history_query *q = s->q;
	uint64_t low = MIN(q->from.time, q->to.time), high = MAX(q->from.time, q->to.time);
	struct history_answer *a = b->answer;

	for (size_t i = 0; i < q->n_targets; i++) {
		struct history_item item = { .time = 0 };
		int r = find_channel(s->db, q->targets[i].channel, &s->channel);

		s->target = &q->targets[i];
		if (r == 0 && s->channel >= 0)
			r = find_last(s, &item);
		if (r > 0 && item.time > low && item.time < high)
			r = add_item(b, &item, "", q->targets[i].channel);
		if (r < 0)
			return r;
	}
	if (a->n_items > 0)
		qsort(a->items, a->n_items, sizeof(a->items[0]), compare_times);
	if (a->n_items > q->limit) { /* the first ones as seen from where it starts */
		if (q->from.time > q->to.time)
			memmove(a->items, a->items + a->n_items - q->limit,
				q->limit * sizeof(a->items[0]));
		a->n_items = q->limit;
	}
	return 0;
}

int history_db_find(struct history_db *db, const struct history_query *q, uint64_t oldest,
		    struct history_answer *ret, struct error *e)
{
	struct history_answer answer = { .error = 0 };
	struct builder b = { .answer = &answer };
	struct search s = { .db = db, .q = q, .oldest = (int64_t)oldest };
	int r = ready(db, e);

	if (r < 0)
		return r;
	if (q->verb == HISTORY_TARGETS) {
		r = find_targets(&s, &b);
	} else {
		s.target = &q->targets[0];
		r = find_channel(db, s.target->channel, &s.channel);
		/* Nothing was ever kept: that is no error, unless a message is asked for. */
		if (r == 0)
			r = find_in_channel(&s, &b);
	}
	if (r < 0) {
		history_answer_clear(&answer);
		if (r == -EIO && (r = fail(db, e)) == -EUCLEAN)
			put_aside(db);
		if (r == -ENOMEM)
			error_set(e, r, "out of memory");
		return r;
	}
	*ret = answer;
	return 0;
}

void history_answer_clear(struct history_answer *answer)
{
	free(TAKE_PTR(answer->items));
	free(TAKE_PTR(answer->text));
	answer->n_items = 0;
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
	int r = ready(db, e);

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
		r = fail(db, e);
		close_db(db);
		return r;
	}
	*ret_oldest = (uint64_t)number_of(db->sqlite, oldest, 0);
	if (*ret_oldest == 0)
		*ret_oldest = UINT64_MAX;
	return 0;
}
