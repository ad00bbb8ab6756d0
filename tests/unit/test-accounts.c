/* SPDX-License-Identifier: MIT */
/* Passwords, SCRAM, the database of accounts, and the host that answers the room's questions. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/units.h"
#include "chat/account-db.h"
#include "chat/accounts.h"
#include "chat/authenticate.h"
#include "base/base64.h"

#define FINGERPRINT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char directory[64], path[96];
static struct account_db *db;
static struct error e;

static int make_directory(void **state)
{
	strcpy(directory, "/tmp/test-accounts-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state/accounts.db", directory);
	return 0;
}

static int remove_directory(void **state)
{
	static const char *const names[] = { "/state/accounts.db", "/state/accounts.db-wal",
					     "/state/accounts.db-shm", "/state", "" };
	char name[128];

	account_db_close(db);
	db = NULL;
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		snprintf(name, sizeof(name), "%s%s", directory, names[i]);
		remove(name);
	}
	assert_int_equal(access(directory, F_OK), -1);
	return 0;
}

/* Cheap: what the hash costs is tested once. */
static const struct credential made = { .hash = "$y$j75$abc$def",
					.scram = { .salt = { 1, 2 },
						   .salt_size = 2,
						   .iterations = 4096,
						   .stored = { 3 },
						   .server = { 4 } } };

static int open_db(void **state)
{
	make_directory(state);
	if (account_db_open(path, &db, &e) < 0)
		fail_msg("%s", e.text);
	return 0;
}

/* --- base64, SCRAM ------------------------------------------------------------------------ */

static void base64_has_one_way_to_say_it(void **state)
{
	static const struct {
		const char *plain, *coded;
	} pairs[] = { { "", "" },
		      { "f", "Zg==" },
		      { "fo", "Zm8=" },
		      { "foo", "Zm9v" },
		      { "foob", "Zm9vYg==" },
		      { "fooba", "Zm9vYmE=" },
		      { "foobar", "Zm9vYmFy" } };
	static const char *const wrong[] = { "Z",        "Zg",   "Zg=",  "Zh==", "Zm9=",
					     "Zg==Zg==", "====", "Z===", "Zm9 ", "Zm9\n" };
	char text[16];
	uint8_t data[16];

	for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
		size_t size = strlen(pairs[i].plain);

		base64_encode(text, pairs[i].plain, size);
		assert_string_equal(text, pairs[i].coded);
		assert_int_equal(base64_decode(data, text, strlen(text)), size);
		assert_memory_equal(data, pairs[i].plain, size);
	}
	for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
		assert_int_equal(base64_decode(data, wrong[i], strlen(wrong[i])), -EINVAL);
}

#define FIRST       "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define OUR_NONCE   "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCE       "rOprNGfwEbeRWgbNEkqO" OUR_NONCE
#define PROOF       "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define FINAL       "c=biws,r=" NONCE ",p=" PROOF
#define OTHER_PROOF "eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static int begin(struct scram *s, const char *message, char name[SCRAM_NAME_MAX + 1])
{
	return scram_begin(s, message, strlen(message), name);
}

static void challenge(struct scram *s)
{
	struct scram_keys keys = { .iterations = 4096 };

	keys.salt_size = base64_decode(keys.salt, "W22ZaJ0SNY7soEsUEjb6gQ==", 24);
	assert_int_equal(scram_derive(&keys, "pencil", 6), 0);
	scram_challenge(s, &keys, OUR_NONCE);
}

/* The example of RFC 7677, section 3. */
static void scram_as_in_its_rfc(void **state)
{
	char name[SCRAM_NAME_MAX + 1], final[SCRAM_MESSAGE_MAX];
	struct scram s;

	assert_int_equal(begin(&s, FIRST, name), 0);
	assert_string_equal(name, "user");
	challenge(&s);
	assert_string_equal(s.server_first, "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
	assert_int_equal(scram_final(&s, FINAL, strlen(FINAL), final), 0);
	assert_string_equal(final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

static void scram_refuses_what_is_wrong(void **state)
{
	static const char *const firsts[] = { "",
					      "n,,",
					      "n,,n=user",
					      "n,,n=,r=x",
					      "n,,r=x,n=user",
					      "n,,n=user,r=",
					      "n,,n=us=er,r=x",
					      "n,,m=ext,n=user,r=x",
					      "p=tls-unique,,n=user,r=x",
					      "x,,n=user,r=x",
					      "n,a=other,n=user,r=x",
					      "n,b,n=user,r=x",
					      "n,,n=us\xff"
					      "er,r=x",
					      "n,,n=user,r=x\n",
					      "n,,n=user,r=x y",
					      "n,,n=user,r=x,m=ext" };
	static const char *const finals[] = { "",
					      "c=biws,r=" NONCE,
					      "c=eSws,r=" NONCE ",p=" PROOF,
					      "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" PROOF,
					      "c=biws,r=" NONCE "x,p=" PROOF,
					      "r=" NONCE ",c=biws,p=" PROOF,
					      "c=biws,r=" NONCE ",p=" PROOF "AAAA",
					      "c=biws,r=" NONCE ",p=",
					      "c=biws,r=" NONCE ",m=ext,p=" PROOF };
	/* As long as a name may be, when it is written in the longest way. */
	static const char commas[] = "=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C"
				     "=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C=2C";
	char longest[SCRAM_MESSAGE_MAX + 1];
	char name[SCRAM_NAME_MAX + 1], final[SCRAM_MESSAGE_MAX];
	struct scram s;

	for (size_t i = 0; i < ELEMENTSOF(firsts); i++) {
		if (begin(&s, firsts[i], name) != -EINVAL)
			fail_msg("taken: %s", firsts[i]);
	}
	assert_int_equal(scram_begin(&s, FIRST "\0x", sizeof(FIRST) + 1, name), -EINVAL);
	assert_int_equal(begin(&s, "y,a=a=2Cb=3D,n=a=2Cb=3D,r=x,ext", name), 0);
	assert_string_equal(name, "a,b=");
	snprintf(longest, sizeof(longest), "n,a=%s%s,n=%s%s,r=x", commas, commas, commas, commas);
	assert_int_equal(begin(&s, longest, name), 0);
	assert_int_equal(strlen(name), SCRAM_NAME_MAX);
	assert_int_equal(begin(&s, FIRST, name), 0);
	challenge(&s);
	for (size_t i = 0; i < ELEMENTSOF(finals); i++) {
		if (scram_final(&s, finals[i], strlen(finals[i]), final) != -EINVAL)
			fail_msg("taken: %s", finals[i]);
	}
	assert_int_equal(scram_final(&s, "c=biws,r=" NONCE ",p=" OTHER_PROOF,
				     strlen("c=biws,r=" NONCE ",p=" OTHER_PROOF), final),
			 -EACCES);
}

/* --- passwords ---------------------------------------------------------------------------- */

static void passwords(void **state)
{
	struct credential c, other;

	assert_null(password_refusal("12345678", 8));
	assert_non_null(password_refusal("1234567", 7));
	assert_non_null(password_refusal("1234567\n", 8));
	assert_null(password_refusal("密码密码", 12));
	assert_non_null(strstr(password_refusal("\xff\xfe bytes", 8), "UTF-8"));
	assert_non_null(password_refusal("1234567\0", 8));
	assert_int_equal(credential_make(&c, "correct horse", 13), 0);
	assert_int_equal(strncmp(c.hash, "$y$", 3), 0);
	assert_true(credential_check(c.hash, "correct horse", 13));
	assert_false(credential_check(c.hash, "correct horsf", 13));
	assert_false(credential_check(c.hash, "correct hors", 12));
	assert_false(credential_check(c.hash, "correct horse\0", 14));
	assert_false(credential_check(NULL, "correct horse", 13));
	assert_false(credential_check("", "", 0));
	/* Gigabytes, and other hashes than ours. */
	assert_false(credential_check("$y$jFT$abc$x", "correct horse", 13));
	assert_false(credential_check("$1$abc$x", "correct horse", 13));
	/* Nothing of two equal passwords is equal. */
	assert_int_equal(credential_make(&other, "correct horse", 13), 0);
	assert_string_not_equal(c.hash, other.hash);
	assert_memory_not_equal(c.scram.salt, other.scram.salt, c.scram.salt_size);
	assert_memory_not_equal(c.scram.stored, other.scram.stored, SCRAM_KEY_SIZE);
	assert_in_range(c.scram.iterations, 4096, 1000000);
}

static void made_up_keys_do_not_change(void **state)
{
	struct scram_keys a, b;

	credential_make_up(&a, "Lily", "secret", 6);
	credential_make_up(&b, "lily", "secret", 6);
	assert_memory_equal(&a, &b, sizeof(a));
	credential_make_up(&b, "lilz", "secret", 6);
	assert_memory_not_equal(a.salt, b.salt, a.salt_size);
	credential_make_up(&b, "lily", "other", 5);
	assert_memory_not_equal(a.salt, b.salt, a.salt_size);
	assert_int_equal(a.iterations, b.iterations);
}

/* --- the database ------------------------------------------------------------------------- */

static void accounts_are_kept(void **state)
{
	struct account account;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(account_db_add(db, "Lily", &made, 1234, &e), 0);
	assert_int_equal(account_db_add(db, "lILY", &made, 1234, &e), -EEXIST);
	assert_string_equal(e.text, "\"lILY\" belongs to the account \"Lily\"");
	assert_int_equal(account_db_find(db, "tom", &account, &e), -ENOENT);
	account_db_close(db);
	assert_int_equal(account_db_open(path, &db, &e), 0);
	assert_int_equal(account_db_find(db, "LILY", &account, &e), 0);
	assert_string_equal(account.name, "Lily");
	assert_int_equal(account.created, 1234);
	assert_memory_equal(&account.credential, &made, sizeof(made));
	assert_int_equal(account_db_set_password(db, "tom", &made, &e), -ENOENT);
	assert_int_equal(account_db_remove(db, "lily", &e), 0);
	assert_int_equal(account_db_remove(db, "lily", &e), -ENOENT);
	assert_string_equal(e.text, "there is no account \"lily\"");
}

static void nicks_and_certificates_go_with_their_account(void **state)
{
	struct account account;

	assert_int_equal(account_db_add(db, "lily", &made, 1, &e), 0);
	assert_int_equal(account_db_add(db, "tom", &made, 1, &e), 0);
	assert_int_equal(account_db_give(db, ACCOUNT_NICK, "lily", "lil", &e), 0);
	assert_int_equal(account_db_give(db, ACCOUNT_NICK, "tom", "LIL", &e), -EEXIST);
	assert_int_equal(account_db_give(db, ACCOUNT_NICK, "tom", "lily", &e), -EEXIST);
	assert_int_equal(account_db_give(db, ACCOUNT_NICK, "jack", "j", &e), -ENOENT);
	assert_int_equal(account_db_add(db, "Lil", &made, 1, &e), -EEXIST);
	assert_int_equal(account_db_give(db, ACCOUNT_CERTIFICATE, "lily", FINGERPRINT, &e), 0);
	assert_int_equal(account_db_give(db, ACCOUNT_CERTIFICATE, "tom", FINGERPRINT, &e), -EEXIST);
	assert_int_equal(account_db_find_owner(db, ACCOUNT_CERTIFICATE, FINGERPRINT, &account, &e),
			 0);
	assert_string_equal(account.name, "lily");
	assert_int_equal(account_db_take(db, ACCOUNT_NICK, "tom", "lil", &e), -ENOENT);
	assert_int_equal(account_db_take(db, ACCOUNT_NICK, "lily", "lil", &e), 0);
	assert_int_equal(account_db_remove(db, "lily", &e), 0);
	assert_int_equal(account_db_find_owner(db, ACCOUNT_CERTIFICATE, FINGERPRINT, &account, &e),
			 -ENOENT);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void run_sql(const char *sql)
{
	sqlite3 *other;

	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	if (sqlite3_exec(other, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(other));
	sqlite3_close(other);
}

static void expect_no_open(int r, const char *reason)
{
	char text[256];

	account_db_close(db);
	db = NULL;
	snprintf(text, sizeof(text), "%s: %s", path, reason);
	assert_int_equal(account_db_open(path, &db, &e), r);
	assert_string_equal(e.text, text);
}

static void no_database_is_said_with_its_reason(void **state)
{
	account_db_close(db);
	db = NULL;
	write_file("this is no database, but it is long enough to be looked at as one, is it not? "
		   "its first hundred bytes are its header");
	expect_no_open(-EUCLEAN, "file is not a database");
}

static void a_newer_one_is_left_alone(void **state)
{
	run_sql("PRAGMA user_version=7");
	expect_no_open(-EUCLEAN, "was made by a newer foster (schema 7; this one knows 3)");
}

static void an_older_one_is_brought_up(void **state)
{
	const struct room_kline k = { "*@10.0.0.1", "a", "x", 1, 0 };
	struct account account;

	assert_int_equal(account_db_add(db, "lily", &made, 1, &e), 0);
	account_db_close(db);
	db = NULL;
	run_sql("DROP TABLE klines; PRAGMA user_version=1");
	assert_int_equal(account_db_open(path, &db, &e), 0);
	assert_int_equal(account_db_find(db, "lily", &account, &e), 0);
	assert_int_equal(account_db_add_kline(db, &k, &e), 0);
}

static void of_alike_names_one_is_an_account(void **state)
{
	struct account account;

	assert_int_equal(account_db_add(db, "josé", &made, 1, &e), 0);
	assert_int_equal(account_db_add(db, "JOSÉ", &made, 1, &e), -EEXIST);
	assert_int_equal(account_db_find(db, "JOSÉ", &account, &e), 0);
	assert_string_equal(account.name, "josé");
	assert_int_equal(account_db_give(db, ACCOUNT_NICK, "josé", "zoé", &e), 0);
	assert_int_equal(account_db_add(db, "ZOÉ", &made, 1, &e), -EEXIST);
	/* As it was before names beyond ASCII were folded. */
	account_db_close(db);
	db = NULL;
	run_sql("UPDATE accounts SET name='JOSÉ', folded='josÉ'; PRAGMA user_version=2");
	assert_int_equal(account_db_open(path, &db, &e), 0);
	assert_int_equal(account_db_find(db, "josé", &account, &e), 0);
	assert_string_equal(account.name, "JOSÉ");
}

static void a_damaged_account_is_not_believed(void **state)
{
	struct account account;

	assert_int_equal(account_db_add(db, "lily", &made, 1, &e), 0);
	run_sql("UPDATE accounts SET scram_stored=x'00'");
	assert_int_equal(account_db_find(db, "lily", &account, &e), -EUCLEAN);
	assert_non_null(strstr(e.text, "account 1 is damaged"));
	run_sql("UPDATE accounts SET scram_stored=zeroblob(32), name='a b'");
	assert_int_equal(account_db_find(db, "lily", &account, &e), -EUCLEAN);
}

static void a_locked_one_is_not_waited_for_long(void **state)
{
	struct account account;
	sqlite3 *other;

	assert_int_equal(account_db_add(db, "lily", &made, 1, &e), 0);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(account_db_add(db, "tom", &made, 1, &e), -EBUSY);
	assert_non_null(strstr(e.text, "database is locked"));
	assert_int_equal(account_db_find(db, "lily", &account, &e), 0); /* reading goes on */
	sqlite3_close(other);
	assert_int_equal(account_db_add(db, "tom", &made, 1, &e), 0);
}

static void files_of_others_are_closed_to_them(void **state)
{
	struct stat st;

	account_db_close(db);
	db = NULL;
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(account_db_open(path, &db, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	account_db_close(db);
	db = NULL;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(account_db_open(path, &db, &e), -ELOOP);
}

static char klines[1024];

static int take_kline(void *arg, const struct room_kline *k)
{
	size_t n = strlen(klines);

	snprintf(klines + n, sizeof(klines) - n, "%s %s %s %llu;", k->mask, k->reason, k->by,
		 (unsigned long long)k->until);
	return 0;
}

static void klines_are_kept(void **state)
{
	const struct room_kline first = { "*@10.0.0.1", "a", "x", 1, 0 };
	const struct room_kline again = { "*@10.0.0.1", "b", "y", 2, 50 };
	const struct room_kline other = { "a@Host", "c", "z", 3, 200 };
	bool was_there;

	assert_int_equal(account_db_add_kline(db, &first, &e), 0);
	assert_int_equal(account_db_add_kline(db, &other, &e), 0);
	assert_int_equal(account_db_add_kline(db, &again, &e), 0);
	klines[0] = '\0';
	assert_int_equal(account_db_list_klines(db, 10, take_kline, NULL, &e), 0);
	assert_string_equal(klines, "*@10.0.0.1 b y 50;a@Host c z 200;");
	klines[0] = '\0';
	assert_int_equal(account_db_list_klines(db, 60, take_kline, NULL, &e), 0);
	assert_string_equal(klines, "a@Host c z 200;");
	assert_int_equal(account_db_remove_kline(db, "a@host", &was_there, &e), 0);
	assert_true(was_there);
	assert_int_equal(account_db_remove_kline(db, "a@host", &was_there, &e), 0);
	assert_false(was_there);
	klines[0] = '\0';
	assert_int_equal(account_db_list_klines(db, 60, take_kline, NULL, &e), 0);
	assert_string_equal(klines, "");
}

static int take_note(void *arg, const char *by, const char *text)
{
	snprintf(arg, 64, "%s: %s", by, text);
	return 0;
}

static void notes_are_taken_once(void **state)
{
	char text[64] = "";

	assert_int_equal(account_db_note(db, "root", "added \"x\"", 1, &e), 0);
	assert_int_equal(account_db_take_notes(db, take_note, text, &e), 0);
	assert_string_equal(text, "root: added \"x\"");
	text[0] = '\0';
	assert_int_equal(account_db_take_notes(db, take_note, text, &e), 0);
	assert_string_equal(text, "");
}

/* --- the host ----------------------------------------------------------------------------- */

#define IDS 64

static struct event_base *base;
static struct room *room;
static struct accounts *accounts;
static struct room_config config;
static char told[IDS][4096];
static int order[IDS * 4], n_answers; /* of those that were told 903 or 904, by id */

static void on_send(void *arg, uint32_t id, const char *data, size_t size)
{
	size_t n = strlen(told[id]);

	assert_true(n + size < sizeof(told[id]));
	memcpy(told[id] + n, data, size);
	told[id][n + size] = '\0';
	if (strstr(told[id] + n, " 903 ") || strstr(told[id] + n, " 904 "))
		order[n_answers++] = (int)id;
}

static void on_close(void *arg, uint32_t id)
{
}

static void on_datagram(void *arg, const struct course_peer *peer, const char *data, size_t size)
{
}

static void on_ask(void *arg, const struct room_question *question)
{
	accounts_ask(accounts, question);
}

static int start_host(void **state)
{
	static const struct room_output output = { on_send, on_close, on_datagram, on_ask, NULL };
	struct credential real;

	open_db(state);
	assert_int_equal(credential_make(&real, "password", 8), 0);
	assert_int_equal(account_db_add(db, "Lily", &real, 1, &e), 0);
	config = (struct room_config){ .server_name = "srv",
				       .network = "net",
				       .version = "v",
				       .course_channel = "#chat",
				       .accounts = true,
				       .account_registration = true,
				       .plain_passwords = true,
				       .nick_protection = true,
				       .nick_length = 32,
				       .channels_per_user = 5,
				       .channels_max = 5 };
	memset(told, 0, sizeof(told));
	n_answers = 0;
	base = event_base_new();
	room = room_new(&config, &output);
	room_set_time(room, now_monotonic(), now_realtime());
	if (accounts_new(base, room, path, &accounts, &e) < 0)
		fail_msg("%s", e.text);
	return 0;
}

static int stop_host(void **state)
{
	accounts_free(accounts);
	room_free(room);
	event_base_free(base);
	remove_directory(state);
	return 0;
}

static void say(uint32_t id, const char *text)
{
	room_line(room, id, text, strlen(text));
}

static void come(uint32_t id, const char *host, const char *nick)
{
	char text[64];

	assert_int_equal(room_opened(room, id, host), 0);
	snprintf(text, sizeof(text), "NICK %s", nick);
	say(id, text);
	say(id, "USER x 0 * :x");
}

static void say_plain(uint32_t id, const char *name, const char *password)
{
	char plain[128], text[256] = "AUTHENTICATE ";
	size_t n;

	plain[0] = '\0';
	n = 1 + snprintf(plain + 1, sizeof(plain) - 1, "%s", name) + 1;
	n += snprintf(plain + n, sizeof(plain) - n, "%s", password);
	base64_encode(text + strlen(text), plain, n);
	say(id, "AUTHENTICATE PLAIN");
	say(id, text);
}

static void turn_until_told(uint32_t id, const char *text)
{
	while (!strstr(told[id], text))
		assert_true(event_base_loop(base, EVLOOP_ONCE) >= 0);
}

static void plain_by_the_host(void **state)
{
	come(0, "10.0.0.1", "tom");
	say_plain(0, "lily", "passworx");
	turn_until_told(0, " 904 tom ");
	say_plain(0, "nobody", "password");
	while (n_answers < 2)
		event_base_loop(base, EVLOOP_ONCE);
	assert_null(strstr(told[0], " 900 "));
	say_plain(0, "lily", "password");
	turn_until_told(0, ":srv 900 tom tom!~x@10.0.0.1 Lily :You are now logged in as Lily");
	turn_until_told(0, " 903 tom ");
}

/* Who tries many passwords does not hold up others. */
static void the_longest_unserved_place_is_next(void **state)
{
	char nick[16];
	int i;

	for (i = 0; i < 40; i++) {
		snprintf(nick, sizeof(nick), "t%d", i);
		come(i, "10.0.0.1", nick);
		say_plain(i, "lily", "wrong");
	}
	come(40, "10.0.0.2", "rose");
	say_plain(40, "lily", "password");
	turn_until_told(40, " 903 ");
	for (i = 0; order[i] != 40; i++)
		;
	assert_true(i <= 2);
	/* All the others are answered, too, but for one that left. */
	room_closed(room, 39, "gone");
	while (n_answers < 40)
		event_base_loop(base, EVLOOP_ONCE);
	assert_string_equal(told[39] + strlen(told[39]) - strlen("AUTHENTICATE +\r\n"),
			    "AUTHENTICATE +\r\n");
}

static void the_end_waits_for_nobody(void **state)
{
	for (int i = 0; i < 10; i++) {
		char nick[16];

		snprintf(nick, sizeof(nick), "t%d", i);
		come(i, "10.0.0.1", nick);
		say_plain(i, "lily", "wrong");
	}
	room_closed(room, 0, "gone"); /* the one that the worker has */
	room_closed(room, 1, "gone");
}

/* What was said just before the end is on disk after it. */
static void klines_are_kept_at_the_end(void **state)
{
	char mask[32], text[64];

	for (int i = 0; i < 20; i++) {
		const struct room_operation o = {
			.kind = ROOM_KLINE, .by = "x", .target = mask, .reason = "y", .at = 1 + i
		};

		snprintf(mask, sizeof(mask), "*@10.0.0.%d", i);
		accounts_keep_kline(accounts, &o);
	}
	accounts_free(accounts);
	accounts = NULL;
	klines[0] = '\0';
	assert_int_equal(account_db_list_klines(db, 0, take_kline, NULL, &e), 0);
	snprintf(text, sizeof(text), "%s y x 0;", mask);
	assert_non_null(strstr(klines, text));
}

static void registered_by_the_host(void **state)
{
	struct account account;

	come(0, "10.0.0.1", "tom");
	say(0, "REGISTER * * longenough");
	turn_until_told(0, ":srv REGISTER SUCCESS tom :");
	turn_until_told(0, " 900 tom ");
	assert_int_equal(account_db_find(db, "tom", &account, &e), 0);
	assert_true(credential_check(account.credential.hash, "longenough", 10));
	come(1, "10.0.0.2", "rose");
	say_plain(1, "TOM", "longenough");
	turn_until_told(1, " 903 rose ");
}

static void passwords_are_changed_by_the_host(void **state)
{
	struct account account;

	come(0, "10.0.0.1", "tom");
	say_plain(0, "lily", "password");
	turn_until_told(0, " 903 tom ");
	say(0, "PASSWD passworx longenough");
	turn_until_told(0, ":srv FAIL PASSWD WRONG_PASSWORD Lily :");
	say(0, "PASSWD password :long enough");
	turn_until_told(0, ":srv NOTE PASSWD SUCCESS Lily :");
	assert_int_equal(account_db_find(db, "lily", &account, &e), 0);
	assert_false(credential_check(account.credential.hash, "password", 8));
	assert_true(credential_check(account.credential.hash, "long enough", 11));
}

/* What another process changes is known without a restart. */
static void close_other(void)
{
	account_db_close(db);
	db = NULL;
}

static void changes_are_seen(void **state)
{
	come(0, "10.0.0.1", "tom");
	say_plain(0, "lily", "password");
	turn_until_told(0, " 903 tom ");
	assert_int_equal(account_db_add(db, "rose", &made, 1, &e), 0);
	close_other();
	for (;;) {
		say(0, "NICK rose");
		if (strstr(told[0], ":srv 433 tom rose :Nickname rose is an account's"))
			break;
		say(0, "NICK tom");
		told[0][0] = '\0';
		assert_true(event_base_loop(base, EVLOOP_ONCE) >= 0);
	}
	assert_int_equal(account_db_open(path, &db, &e), 0);
	assert_int_equal(account_db_remove(db, "lily", &e), 0);
	close_other();
	turn_until_told(0, ":srv 901 tom tom!~x@10.0.0.1 :You are now logged out");
}

static void a_locked_database_is_no_wrong_password(void **state)
{
	sqlite3 *other;

	come(0, "10.0.0.1", "tom");
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	say(0, "REGISTER * * longenough");
	turn_until_told(0, ":srv FAIL REGISTER TEMPORARILY_UNAVAILABLE tom :Try again later");
	sqlite3_exec(other, "DROP TABLE accounts; COMMIT", NULL, NULL, NULL);
	sqlite3_close(other);
	say_plain(0, "lily", "password");
	turn_until_told(0, " 904 tom :SASL authentication failed: it cannot be checked now");
}

int main(void)
{
#define WITH_DB(f)   cmocka_unit_test_setup_teardown(f, open_db, remove_directory)
#define WITH_HOST(f) cmocka_unit_test_setup_teardown(f, start_host, stop_host)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_has_one_way_to_say_it),
		cmocka_unit_test(scram_as_in_its_rfc),
		cmocka_unit_test(scram_refuses_what_is_wrong),
		cmocka_unit_test(passwords),
		cmocka_unit_test(made_up_keys_do_not_change),
		WITH_DB(accounts_are_kept),
		WITH_DB(nicks_and_certificates_go_with_their_account),
		WITH_DB(no_database_is_said_with_its_reason),
		WITH_DB(a_newer_one_is_left_alone),
		WITH_DB(an_older_one_is_brought_up),
		WITH_DB(of_alike_names_one_is_an_account),
		WITH_DB(a_damaged_account_is_not_believed),
		WITH_DB(a_locked_one_is_not_waited_for_long),
		WITH_DB(files_of_others_are_closed_to_them),
		WITH_DB(notes_are_taken_once),
		WITH_DB(klines_are_kept),
		WITH_HOST(plain_by_the_host),
		WITH_HOST(the_longest_unserved_place_is_next),
		WITH_HOST(the_end_waits_for_nobody),
		WITH_HOST(klines_are_kept_at_the_end),
		WITH_HOST(registered_by_the_host),
		WITH_HOST(passwords_are_changed_by_the_host),
		WITH_HOST(changes_are_seen),
		WITH_HOST(a_locked_database_is_no_wrong_password),
	};

	return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
