/* SPDX-License-Identifier: MIT */
/* The accounts in SQLite: see account-db.h. */
#include "config.h"

#include "chat/account-db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "chat/names.h"

#define BUSY_TIME  2000 /* ms */
#define NOTES_KEPT 1000

/*
 * What makes each version of the schema from the one before; user_version is how many were done. A
 * step that was released is never changed: the next change is another step.
 *
 * Names are kept as they were written, and by what alike names have in common (names.h), by which
 * they are found. Of two that were alike before step 3 only one is found by its name. The SCRAM
 * keys are those of RFC 5802: whoever reads them can test passwords, as with the hash.
 */
static const char *const steps[] = {
	"CREATE TABLE accounts(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
	" folded TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, hash TEXT NOT NULL,"
	" scram_salt BLOB NOT NULL, scram_iterations INTEGER NOT NULL,"
	" scram_stored BLOB NOT NULL, scram_server BLOB NOT NULL);"
	"CREATE TABLE nicks(folded TEXT PRIMARY KEY, value TEXT NOT NULL,"
	" account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE);"
	"CREATE TABLE certificates(folded TEXT PRIMARY KEY, value TEXT NOT NULL,"
	" account INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE);"
	"CREATE TABLE notes(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL,"
	" text TEXT NOT NULL, logged INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE secrets(value BLOB NOT NULL);"
	"INSERT INTO secrets VALUES(randomblob(" STRINGIFY(DB_SECRET_SIZE) "));",

	"CREATE TABLE klines(folded TEXT PRIMARY KEY, mask TEXT NOT NULL, reason TEXT NOT NULL,"
	" by TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL);",

	"UPDATE OR IGNORE accounts SET folded=name_key(name);"
	"UPDATE OR IGNORE nicks SET folded=name_key(value);",
};
#define SCHEMA_VERSION ((int)ELEMENTSOF(steps))

static const char *const tables[] = {
	[ACCOUNT_NICK] = "nicks", [ACCOUNT_CERTIFICATE] = "certificates"
};

struct account_db {
	sqlite3 *handle;
	char *path;
	uint8_t secret[DB_SECRET_SIZE];
	int64_t seen_version;
};

/* --- errors, statements ------------------------------------------------------------------- */

static int errno_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EUCLEAN;
	case SQLITE_CONSTRAINT: return -EEXIST;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_FULL: return -ENOSPC;
	default: return -EIO;
	}
}

static int fail(struct account_db *db, struct error *e)
{
	int code = sqlite3_extended_errcode(db->handle);

	return error_set(e, errno_of(code), "%s: %s", db->path, sqlite3_errmsg(db->handle));
}

static void finalize(sqlite3_stmt **statement)
{
	sqlite3_finalize(*statement);
}
#define _cleanup_statement_ _cleanup_(finalize) sqlite3_stmt *

static int prepare(struct account_db *db, const char *sql, sqlite3_stmt **ret, struct error *e)
{
	return sqlite3_prepare_v2(db->handle, sql, -1, ret, NULL) == SQLITE_OK ? 0 : fail(db, e);
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

static void bind_folded(sqlite3_stmt *s, int at, const char *name)
{
	char folded[ROOM_NICK_MAX + FINGERPRINT_SIZE + 1];
	size_t n;

	for (n = 0; name[n] && n + 1 < sizeof(folded); n++)
		folded[n] = name_fold(name[n]);
	folded[n] = '\0';
	bind_text(s, at, folded);
}

static void bind_key(sqlite3_stmt *s, int at, const char *name)
{
	char key[NAME_KEY_MAX];

	sqlite3_bind_text(s, at, key, (int)name_key(name, key), SQLITE_TRANSIENT);
}

/* 1: a row; 0: none; or -errno. */
static int step(struct account_db *db, sqlite3_stmt *s, struct error *e)
{
	switch (sqlite3_step(s)) {
	case SQLITE_ROW: return 1;
	case SQLITE_DONE: return 0;
	default: return fail(db, e);
	}
}

/* The rows that are left, of two texts each, until each() returns something else than 0. */
static int each_pair(struct account_db *db, sqlite3_stmt *s,
		     int (*each)(void *arg, const char *first, const char *second), void *arg,
		     struct error *e)
{
	int r = 0;

	while (r == 0 && (r = step(db, s, e)) > 0) {
		const char *first = (const char *)sqlite3_column_text(s, 0);
		const char *second = (const char *)sqlite3_column_text(s, 1);

		r = first && second ? each(arg, first, second) : 0;
	}
	return r;
}

static int execute(struct account_db *db, const char *sql, struct error *e)
{
	return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db, e);
}

static int read_number(struct account_db *db, const char *sql, int64_t *ret, struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, sql, &s, e);

	if (r == 0)
		r = step(db, s, e);
	if (r < 0)
		return r;
	*ret = r > 0 ? sqlite3_column_int64(s, 0) : 0;
	return 0;
}

/* --- opening ------------------------------------------------------------------------------ */

/*
 * SQLite's other files get the mode and owner of this one. What root makes for another user's
 * server, in that one's directory, is that user's.
 */
static int make_file(const char *path, struct error *e)
{
	_cleanup_close_ int fd = -1;
	const char *slash = strrchr(path, '/');
	char directory[4096] = ".";
	struct stat st, above;
	bool made = false;
	int r = fd_make_directories(path, 0700);

	if (r < 0)
		return error_set_errno(e, r, "the directory of %s", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		made = true;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set_errno(e, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EINVAL, "%s: is no regular file", path);
	if (slash)
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path);
	/*
	 * In the sandbox root has nothing to give away with; he reads and writes it all the same.
	 */
	if (made && geteuid() == 0 && stat(directory, &above) == 0 &&
	    fchown(fd, above.st_uid, above.st_gid) < 0 && errno != EPERM)
		return error_set_errno(e, -errno, "%s", path);
	if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
		return error_set_errno(e, -errno, "%s: is open to others than its owner", path);
	return 0;
}

/* name_key(text), for the steps of the schema. */
static void key_in_sql(sqlite3_context *context, int n, sqlite3_value **values)
{
	const char *name = (const char *)sqlite3_value_text(values[0]);
	char key[NAME_KEY_MAX];

	if (name)
		sqlite3_result_text(context, key, (int)name_key(name, key), SQLITE_TRANSIENT);
}

static int make_step(struct account_db *db, int64_t version, struct error *e)
{
	char sql[64];
	int r = execute(db, steps[version], e);

	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", (int)version + 1);
	return r < 0 ? r : execute(db, sql, e);
}

static int make_schema(struct account_db *db, struct error *e)
{
	int64_t version;
	int r = read_number(db, "PRAGMA user_version", &version, e);

	if (r < 0 || version == SCHEMA_VERSION)
		return r;
	if (version > SCHEMA_VERSION || version < 0)
		return error_set(e, -EUCLEAN,
				 "%s: was made by a newer foster (schema %lld; this one knows %d)",
				 db->path, (long long)version, SCHEMA_VERSION);
	r = execute(db, "BEGIN IMMEDIATE", e);
	if (r < 0)
		return r;
	/* Another may have been faster. */
	r = read_number(db, "PRAGMA user_version", &version, e);
	while (r == 0 && version < SCHEMA_VERSION)
		r = make_step(db, version++, e);
	if (r == 0)
		r = execute(db, "COMMIT", e);
	if (r < 0)
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

static int check_whole(struct account_db *db, struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, "PRAGMA quick_check(1)", &s, e);
	const char *text;

	if (r == 0)
		r = step(db, s, e);
	if (r <= 0)
		return r;
	text = (const char *)sqlite3_column_text(s, 0);
	if (text && strcmp(text, "ok") != 0)
		return error_set(e, -EUCLEAN, "%s: is damaged: %s", db->path, text);
	return 0;
}

static int read_secret(struct account_db *db, struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, "SELECT value FROM secrets", &s, e);

	if (r == 0)
		r = step(db, s, e);
	if (r < 0)
		return r;
	if (r == 0 || sqlite3_column_bytes(s, 0) != DB_SECRET_SIZE)
		return error_set(e, -EUCLEAN, "%s: is damaged: its secret is missing", db->path);
	memcpy(db->secret, sqlite3_column_blob(s, 0), DB_SECRET_SIZE);
	return 0;
}

static int set_up(struct account_db *db, struct error *e)
{
	int r;

	if (sqlite3_open_v2(db->path, &db->handle, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return fail(db, e);
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_TIME);
	if (sqlite3_create_function(db->handle, "name_key", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY,
				    NULL, key_in_sql, NULL, NULL) != SQLITE_OK)
		return fail(db, e);
	r = execute(db,
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
		    "PRAGMA trusted_schema=OFF; PRAGMA cache_size=-256; PRAGMA temp_store=MEMORY",
		    e);
	if (r == 0)
		r = make_schema(db, e);
	if (r == 0)
		r = check_whole(db, e);
	if (r == 0)
		r = read_secret(db, e);
	return r;
}

int account_db_open(const char *path, struct account_db **ret, struct error *e)
{
	struct account_db *db;
	int r = make_file(path, e);

	if (r < 0)
		return r;
	db = calloc(1, sizeof(*db));
	if (db)
		db->path = strdup(path);
	if (!db || !db->path) {
		free(db);
		return error_set(e, -ENOMEM, "out of memory");
	}
	db->seen_version = -1;
	r = set_up(db, e);
	if (r < 0) {
		account_db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

void account_db_close(struct account_db *db)
{
	if (!db)
		return;
	sqlite3_close(db->handle);
	free(db->path);
	free(db);
}

const uint8_t *account_db_secret(const struct account_db *db)
{
	return db->secret;
}

bool account_db_has_changed(struct account_db *db)
{
	struct error ignored;
	int64_t version;

	if (read_number(db, "PRAGMA data_version", &version, &ignored) < 0 ||
	    version == db->seen_version)
		return false;
	db->seen_version = version;
	return true;
}

/* --- reading ------------------------------------------------------------------------------ */

#define ACCOUNT_COLUMNS                                                                       \
	"a.id, a.name, a.created, a.hash, a.scram_salt, a.scram_iterations, a.scram_stored, " \
	"a.scram_server "

static bool copy_blob(sqlite3_stmt *s, int column, uint8_t *to, size_t max, size_t *ret_size)
{
	size_t size = sqlite3_column_bytes(s, column);

	if (size > max)
		return false;
	if (size > 0)
		memcpy(to, sqlite3_column_blob(s, column), size);
	*ret_size = size;
	return true;
}

static bool copy_text(sqlite3_stmt *s, int column, char *to, size_t room)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	return text && (size_t)snprintf(to, room, "%s", text) < room;
}

/* Somebody may have written anything into it. */
static int read_account(struct account_db *db, sqlite3_stmt *s, struct account *ret,
			struct error *e)
{
	struct scram_keys *scram = &ret->credential.scram;
	int64_t iterations = sqlite3_column_int64(s, 5);
	size_t stored, server;

	memset(ret, 0, sizeof(*ret));
	ret->id = sqlite3_column_int64(s, 0);
	ret->created = sqlite3_column_int64(s, 2);
	scram->iterations = (uint32_t)iterations;
	if (!copy_text(s, 1, ret->name, sizeof(ret->name)) ||
	    !name_is_nick(ret->name, ROOM_NICK_MAX) ||
	    !copy_text(s, 3, ret->credential.hash, sizeof(ret->credential.hash)) ||
	    !copy_blob(s, 4, scram->salt, sizeof(scram->salt), &scram->salt_size) ||
	    !copy_blob(s, 6, scram->stored, sizeof(scram->stored), &stored) ||
	    !copy_blob(s, 7, scram->server, sizeof(scram->server), &server) ||
	    stored != SCRAM_KEY_SIZE || server != SCRAM_KEY_SIZE || iterations < 1 ||
	    iterations > INT32_MAX)
		return error_set(e, -EUCLEAN, "%s: account %lld is damaged", db->path,
				 (long long)ret->id);
	return 0;
}

static int find(struct account_db *db, const char *sql, const char *key, struct account *ret,
		struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, sql, &s, e);

	if (r < 0)
		return r;
	bind_key(s, 1, key);
	r = step(db, s, e);
	if (r < 0)
		return r;
	if (r == 0)
		return error_set(e, -ENOENT, "there is no account \"%s\"", key);
	return read_account(db, s, ret, e);
}

int account_db_find(struct account_db *db, const char *name, struct account *ret, struct error *e)
{
	return find(db, "SELECT " ACCOUNT_COLUMNS "FROM accounts a WHERE a.folded=?1", name, ret,
		    e);
}

int account_db_find_owner(struct account_db *db, enum account_thing thing, const char *value,
			  struct account *ret, struct error *e)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "SELECT " ACCOUNT_COLUMNS "FROM %s t JOIN accounts a ON a.id=t.account "
		 "WHERE t.folded=?1",
		 tables[thing]);
	return find(db, sql, value, ret, e);
}

int account_db_list(struct account_db *db,
		    int (*each)(void *arg, const char *name, int64_t created), void *arg,
		    struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, "SELECT name, created FROM accounts ORDER BY folded", &s, e);

	while (r == 0 && (r = step(db, s, e)) > 0) {
		const char *name = (const char *)sqlite3_column_text(s, 0);

		r = name ? each(arg, name, sqlite3_column_int64(s, 1)) : 0;
	}
	return r;
}

int account_db_list_things(struct account_db *db, enum account_thing thing, const char *name,
			   int (*each)(void *arg, const char *name, const char *value), void *arg,
			   struct error *e)
{
	_cleanup_statement_ s = NULL;
	char sql[256];
	int r;

	snprintf(sql, sizeof(sql),
		 "SELECT a.name, t.value FROM %s t JOIN accounts a ON a.id=t.account%s "
		 "ORDER BY t.folded",
		 tables[thing], name ? " WHERE a.folded=?1" : "");
	r = prepare(db, sql, &s, e);
	if (r == 0 && name)
		bind_key(s, 1, name);
	return r < 0 ? r : each_pair(db, s, each, arg, e);
}

/* --- writing ------------------------------------------------------------------------------ */

static void bind_credential(sqlite3_stmt *s, int at, const struct credential *c)
{
	bind_text(s, at, c->hash);
	sqlite3_bind_blob(s, at + 1, c->scram.salt, c->scram.salt_size, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, at + 2, c->scram.iterations);
	sqlite3_bind_blob(s, at + 3, c->scram.stored, SCRAM_KEY_SIZE, SQLITE_TRANSIENT);
	sqlite3_bind_blob(s, at + 4, c->scram.server, SCRAM_KEY_SIZE, SQLITE_TRANSIENT);
}

/* What changed nothing found nothing. */
static int change(struct account_db *db, sqlite3_stmt *s, struct error *e)
{
	int r = step(db, s, e);

	return r < 0 ? r : sqlite3_changes(db->handle) > 0 ? 0 : -ENOENT;
}

/* -EEXIST: the name is an account's, or somebody's further nick. */
static int must_be_free(struct account_db *db, const char *name, struct error *e)
{
	struct account other;
	int r = account_db_find(db, name, &other, e);

	if (r == -ENOENT)
		r = account_db_find_owner(db, ACCOUNT_NICK, name, &other, e);
	if (r == 0)
		return error_set(e, -EEXIST, "\"%s\" belongs to the account \"%s\"", name,
				 other.name);
	return r == -ENOENT ? 0 : r;
}

static int insert_account(struct account_db *db, const char *name, const struct credential *c,
			  int64_t now, struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db,
			"INSERT INTO accounts(name, folded, created, hash, scram_salt,"
			" scram_iterations, scram_stored, scram_server)"
			" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
			&s, e);

	if (r < 0)
		return r;
	bind_text(s, 1, name);
	bind_key(s, 2, name);
	sqlite3_bind_int64(s, 3, now);
	bind_credential(s, 4, c);
	return step(db, s, e);
}

/* Ends a transaction that r says the fate of. */
static int end(struct account_db *db, int r, struct error *e)
{
	if (r == 0)
		r = execute(db, "COMMIT", e);
	if (r < 0)
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int account_db_add(struct account_db *db, const char *name, const struct credential *credential,
		   int64_t now, struct error *e)
{
	int r = execute(db, "BEGIN IMMEDIATE", e);

	if (r < 0)
		return r;
	r = must_be_free(db, name, e);
	if (r == 0)
		r = insert_account(db, name, credential, now, e);
	return end(db, r, e);
}

int account_db_set_password(struct account_db *db, const char *name,
			    const struct credential *credential, struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db,
			"UPDATE accounts SET hash=?2, scram_salt=?3, scram_iterations=?4,"
			" scram_stored=?5, scram_server=?6 WHERE folded=?1",
			&s, e);

	if (r < 0)
		return r;
	bind_key(s, 1, name);
	bind_credential(s, 2, credential);
	r = change(db, s, e);
	return r == -ENOENT ? error_set(e, r, "there is no account \"%s\"", name) : r;
}

int account_db_remove(struct account_db *db, const char *name, struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, "DELETE FROM accounts WHERE folded=?1", &s, e);

	if (r < 0)
		return r;
	bind_key(s, 1, name);
	r = change(db, s, e);
	return r == -ENOENT ? error_set(e, r, "there is no account \"%s\"", name) : r;
}

static int insert_thing(struct account_db *db, enum account_thing thing, int64_t account,
			const char *value, struct error *e)
{
	_cleanup_statement_ s = NULL;
	char sql[128];
	int r;

	snprintf(sql, sizeof(sql), "INSERT INTO %s(folded, value, account) VALUES(?1, ?2, ?3)",
		 tables[thing]);
	r = prepare(db, sql, &s, e);
	if (r < 0)
		return r;
	bind_key(s, 1, value);
	bind_text(s, 2, value);
	sqlite3_bind_int64(s, 3, account);
	r = step(db, s, e);
	return r == -EEXIST ? error_set(e, r, "\"%s\" belongs to an account already", value) : r;
}

int account_db_give(struct account_db *db, enum account_thing thing, const char *name,
		    const char *value, struct error *e)
{
	struct account account;
	int r = execute(db, "BEGIN IMMEDIATE", e);

	if (r < 0)
		return r;
	if (thing == ACCOUNT_NICK)
		r = must_be_free(db, value, e);
	if (r == 0)
		r = account_db_find(db, name, &account, e);
	if (r == 0)
		r = insert_thing(db, thing, account.id, value, e);
	return end(db, r, e);
}

int account_db_take(struct account_db *db, enum account_thing thing, const char *name,
		    const char *value, struct error *e)
{
	_cleanup_statement_ s = NULL;
	char sql[160];
	int r;

	snprintf(sql, sizeof(sql),
		 "DELETE FROM %s WHERE folded=?1 AND account=(SELECT id FROM accounts"
		 " WHERE folded=?2)",
		 tables[thing]);
	r = prepare(db, sql, &s, e);
	if (r < 0)
		return r;
	bind_key(s, 1, value);
	bind_key(s, 2, name);
	r = change(db, s, e);
	return r == -ENOENT ? error_set(e, r, "\"%s\" does not belong to \"%s\"", value, name) : r;
}

/* --- notes -------------------------------------------------------------------------------- */

int account_db_note(struct account_db *db, const char *by, const char *text, int64_t now,
		    struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, "INSERT INTO notes(at, by, text) VALUES(?1, ?2, ?3)", &s, e);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, now);
	bind_text(s, 2, by);
	bind_text(s, 3, text);
	return step(db, s, e);
}

static int read_notes(struct account_db *db, int64_t last,
		      int (*each)(void *arg, const char *by, const char *text), void *arg,
		      struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, "SELECT by, text FROM notes WHERE logged=0 AND id<=?1 ORDER BY id", &s,
			e);

	if (r == 0)
		sqlite3_bind_int64(s, 1, last);
	return r < 0 ? r : each_pair(db, s, each, arg, e);
}

int account_db_take_notes(struct account_db *db,
			  int (*each)(void *arg, const char *by, const char *text), void *arg,
			  struct error *e)
{
	char sql[256];
	int64_t last;
	int r = read_number(db, "SELECT max(id) FROM notes WHERE logged=0", &last, e);

	if (r < 0 || last == 0)
		return r;
	r = read_notes(db, last, each, arg, e);
	if (r < 0)
		return r;
	snprintf(sql, sizeof(sql),
		 "UPDATE notes SET logged=1 WHERE logged=0 AND id<=%lld;"
		 "DELETE FROM notes WHERE logged=1 AND id<=%lld-" STRINGIFY(NOTES_KEPT),
		 (long long)last, (long long)last);
	return execute(db, sql, e);
}

/* --- K-lines ------------------------------------------------------------------------------ */

int account_db_add_kline(struct account_db *db, const struct room_kline *k, struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, "INSERT OR REPLACE INTO klines VALUES(?1, ?2, ?3, ?4, ?5, ?6)", &s, e);

	if (r < 0)
		return r;
	bind_folded(s, 1, k->mask);
	bind_text(s, 2, k->mask);
	bind_text(s, 3, k->reason);
	bind_text(s, 4, k->by);
	sqlite3_bind_int64(s, 5, (int64_t)k->at);
	sqlite3_bind_int64(s, 6, (int64_t)k->until);
	return step(db, s, e);
}

/* One that is not there is removed, too: it had expired. */
int account_db_remove_kline(struct account_db *db, const char *mask, bool *ret_was_there,
			    struct error *e)
{
	_cleanup_statement_ s = NULL;
	int r = prepare(db, "DELETE FROM klines WHERE folded=?1", &s, e);

	if (r < 0)
		return r;
	bind_folded(s, 1, mask);
	r = step(db, s, e);
	*ret_was_there = r >= 0 && sqlite3_changes(db->handle) > 0;
	return r;
}

static int read_kline(sqlite3_stmt *s, struct room_kline *k)
{
	*k = (struct room_kline){ .mask = (const char *)sqlite3_column_text(s, 0),
				  .reason = (const char *)sqlite3_column_text(s, 1),
				  .by = (const char *)sqlite3_column_text(s, 2),
				  .at = (uint64_t)sqlite3_column_int64(s, 3),
				  .until = (uint64_t)sqlite3_column_int64(s, 4) };
	return k->mask && k->reason && k->by && strchr(k->mask, '@') ? 0 : -EINVAL;
}

int account_db_list_klines(struct account_db *db, uint64_t now,
			   int (*each)(void *arg, const struct room_kline *kline), void *arg,
			   struct error *e)
{
	_cleanup_statement_ s = NULL;
	struct room_kline k;
	int r = prepare(db,
			"SELECT mask, reason, by, at, until FROM klines WHERE until=0 OR until>?1"
			" ORDER BY at",
			&s, e);

	if (r == 0)
		sqlite3_bind_int64(s, 1, (int64_t)now);
	while (r == 0 && (r = step(db, s, e)) > 0)
		r = read_kline(s, &k) == 0 ? each(arg, &k) : 0;
	return r;
}
