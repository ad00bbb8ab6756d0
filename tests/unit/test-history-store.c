/* SPDX-License-Identifier: MIT */
/* The history's journal and its database, in a directory of their own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/macro.h"
#include "chat/history-db.h"
#include "chat/history-journal.h"
#include "chat/history-record.h"

#define BOOT 77

static char directory[64], path[128];
static struct journal journal;
static struct history_db *db;
static struct history_answer found;
static struct error e;

static int start(void **state)
{
	snprintf(directory, sizeof(directory), "/tmp/foster-history-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/h.db", directory);
	assert_int_equal(journal_init(&journal, path), 0);
	assert_int_equal(journal_open(&journal, &e), 0);
	db = history_db_new(path);
	assert_non_null(db);
	return 0;
}

static int stop(void **state)
{
	char command[160];

	history_answer_clear(&found);
	history_db_free(db);
	journal_clear(&journal);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static void add_record(const char *channel, uint64_t number, uint64_t time, enum history_kind kind,
		       bool closed)
{
	char line[40];
	const struct history_record record = {
		.channel = channel,
		.id = { BOOT, number },
		.time = time,
		.kind = kind,
		.closed = closed,
		.tags = "+t=1",
		.tags_size = 4,
		.line = line,
		.line_size = snprintf(line, sizeof(line), "line %llu", (unsigned long long)number),
	};

	journal_add(&journal, &record);
}

static void add(uint64_t number, uint64_t time)
{
	add_record("#x", number, time, HISTORY_MESSAGE, false);
}

static int take(void)
{
	int fd, r = journal_write(&journal, &e);

	while (r == 0 && (fd = journal_begin_take(&journal)) >= 0) {
		r = history_db_take(db, fd, &e);
		if (r == 0)
			r = journal_end_take(&journal, &e);
	}
	return r;
}

static struct history_query *question(enum history_verb verb, uint32_t limit)
{
	static union {
		struct history_query q;
		char room[sizeof(struct history_query) + 2 * sizeof(struct history_target)];
	} u;

	memset(&u, 0, sizeof(u));
	u.q.verb = verb;
	u.q.limit = limit;
	u.q.boot = BOOT;
	u.q.until = UINT64_C(1) << 60;
	u.q.n_targets = 1;
	strcpy(u.q.targets[0].channel, "#x");
	return &u.q;
}

static struct history_point at_time(uint64_t time)
{
	return (struct history_point){ .kind = HISTORY_AT_TIME, .time = time };
}

static struct history_point at(uint64_t number)
{
	return (struct history_point){ .kind = HISTORY_AT_MESSAGE, .id = { BOOT, number } };
}

static int find(const struct history_query *q, uint64_t oldest)
{
	history_answer_clear(&found);
	return history_db_find(db, q, oldest, &found, &e);
}

/* The numbers of what was found, "1 2 3 ". */
static void expect_found(const struct history_query *q, const char *numbers)
{
	char text[400] = "";
	size_t n = 0;

	assert_int_equal(find(q, 0), 0);
	for (size_t i = 0; i < found.n_items; i++)
		n += snprintf(text + n, sizeof(text) - n, "%llu ",
			      (unsigned long long)found.items[i].id.number);
	assert_string_equal(text, numbers);
}

/* --- records --- */

static void test_records(void **state)
{
	char buf[HISTORY_RECORD_MAX], channel[HISTORY_CHANNEL_MAX + 1];
	const struct history_record in = { .channel = "#x",
					   .id = { 1, 2 },
					   .time = 3,
					   .kind = HISTORY_EVENT,
					   .closed = true,
					   .tags = "a=b",
					   .tags_size = 3,
					   .line = "line",
					   .line_size = 4 };
	struct history_record out;
	size_t size = history_record_encode(&in, buf, sizeof(buf));

	assert_int_equal(history_record_encode(&in, buf, size - 1), 0);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(history_record_decode(buf, i, &out, channel), 0);
	assert_int_equal(history_record_decode(buf, sizeof(buf), &out, channel), size);
	assert_string_equal(channel, "#x");
	assert_int_equal(out.id.boot, 1);
	assert_int_equal(out.id.number, 2);
	assert_int_equal(out.time, 3);
	assert_int_equal(out.kind, HISTORY_EVENT);
	assert_true(out.closed);
	assert_int_equal(out.tags_size, 3);
	assert_memory_equal(out.tags, "a=b", 3);
	assert_int_equal(out.line_size, 4);
	assert_memory_equal(out.line, "line", 4);
	/* Whatever byte is another one, it is seen. */
	for (size_t i = 0; i < size; i++) {
		buf[i] ^= 0x10;
		assert_true(history_record_decode(buf, size, &out, channel) <= 0);
		buf[i] ^= 0x10;
	}
}

/* --- the journal --- */

static void reopen(void)
{
	journal_clear(&journal);
	assert_int_equal(journal_init(&journal, path), 0);
	assert_int_equal(journal_open(&journal, &e), 0);
}

static void test_what_was_left_is_taken_in_order(void **state)
{
	/* Killed: one file was being taken in, the other one had been written already. */
	add(1, 100);
	assert_int_equal(journal_write(&journal, &e), 0);
	assert_true(journal_begin_take(&journal) >= 0);
	add(2, 100);
	assert_int_equal(journal_write(&journal, &e), 0);
	reopen();
	add(3, 100);
	assert_int_equal(take(), 0);
	expect_found(question(HISTORY_LATEST, 9), "1 2 3 ");
	/* And the other way round. */
	add(4, 100);
	assert_int_equal(journal_write(&journal, &e), 0);
	assert_true(journal_begin_take(&journal) >= 0);
	add(5, 100);
	assert_int_equal(journal_write(&journal, &e), 0);
	reopen();
	reopen();
	assert_int_equal(take(), 0);
	expect_found(question(HISTORY_LATEST, 9), "1 2 3 4 5 ");
}

static void test_half_a_record_is_cut_off(void **state)
{
	off_t whole;

	for (uint64_t i = 1; i <= 2000; i++)
		add(i, i);
	assert_int_equal(journal_write(&journal, &e), 0);
	whole = journal.size[journal.current];
	assert_int_equal(write(journal.fd[journal.current], "half", 4), 4);
	reopen();
	assert_int_equal(journal.size[!journal.current], whole);
	assert_int_equal(journal.size[journal.current], 0);
	assert_int_equal(take(), 0);
	expect_found(question(HISTORY_LATEST, 2), "1999 2000 ");
}

static void test_nothing_is_kept_twice(void **state)
{
	int fd;

	add(1, 100);
	add(2, 100);
	assert_int_equal(journal_write(&journal, &e), 0);
	fd = journal_begin_take(&journal);
	assert_int_equal(history_db_take(db, fd, &e), 0);
	/* Killed before the file was emptied. */
	reopen();
	assert_int_equal(take(), 0);
	expect_found(question(HISTORY_LATEST, 9), "1 2 ");
}

static void test_a_journal_that_cannot_be_written(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), before = journal.fd[0];

	add(1, 100);
	journal.fd[0] = full;
	assert_int_equal(journal_write(&journal, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "h.db.journal-0: No space left on device"));
	for (uint64_t i = 2; i < 20000; i++)
		add(i, 100);
	assert_true(journal.lost > 0);
	assert_true(journal.pending_size <= 1 << 20);
	journal.fd[0] = before;
	fd_close(full);
	assert_int_equal(take(), 0);
	expect_found(question(HISTORY_BEFORE, 1), "");
	assert_int_equal(find(question(HISTORY_LATEST, 500), 0), 0);
	assert_int_equal(found.n_items, 500);
	assert_int_equal(journal.pending_room, 0); /* given back */
}

static void test_two_servers(void **state)
{
	struct journal other;
	int status;
	pid_t pid = fork();

	/* Locks are a process's own. */
	if (pid == 0) {
		if (journal_init(&other, path) < 0)
			_exit(2);
		_exit(journal_open(&other, &e) == -EBUSY ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- finding --- */

static void ten_messages(void)
{
	/* Two of them in each millisecond: 100 100 101 101 ... */
	for (uint64_t i = 0; i < 10; i++)
		add(i + 1, 100 + i / 2);
	add_record("#other", 11, 101, HISTORY_MESSAGE, false);
	assert_int_equal(take(), 0);
}

static void test_verbs_by_time(void **state)
{
	struct history_query *q;

	ten_messages();
	expect_found(question(HISTORY_LATEST, 3), "8 9 10 ");
	q = question(HISTORY_LATEST, 9);
	q->from = at_time(103);
	expect_found(q, "9 10 ");
	q = question(HISTORY_BEFORE, 3);
	q->from = at_time(103);
	expect_found(q, "4 5 6 ");
	q = question(HISTORY_AFTER, 3);
	q->from = at_time(101);
	expect_found(q, "5 6 7 ");
	q = question(HISTORY_AROUND, 4);
	q->from = at_time(102);
	expect_found(q, "3 4 5 6 ");
	q = question(HISTORY_BETWEEN, 3);
	q->from = at_time(100);
	q->to = at_time(104);
	expect_found(q, "3 4 5 ");
	q->from = at_time(104);
	q->to = at_time(100);
	expect_found(q, "6 7 8 ");
	q->to = at_time(104);
	expect_found(q, "");
}

static void test_verbs_by_message(void **state)
{
	struct history_query *q;

	ten_messages();
	q = question(HISTORY_LATEST, 9);
	q->from = at(7);
	expect_found(q, "8 9 10 ");
	q = question(HISTORY_BEFORE, 2);
	q->from = at(4);
	expect_found(q, "2 3 ");
	q = question(HISTORY_AFTER, 2);
	q->from = at(3);
	expect_found(q, "4 5 ");
	q = question(HISTORY_AROUND, 5);
	q->from = at(6);
	expect_found(q, "4 5 6 7 8 ");
	q->limit = 1;
	expect_found(q, "6 ");
	q->limit = 6;
	q->from = at(1);
	expect_found(q, "1 2 3 4 5 6 ");
	q = question(HISTORY_BETWEEN, 9);
	q->from = at(3);
	q->to = at(6);
	expect_found(q, "4 5 ");
	q->from = at(6);
	q->to = at(3);
	expect_found(q, "4 5 ");
	q->limit = 1;
	expect_found(q, "5 ");
	q->from = at(99);
	assert_int_equal(find(q, 0), -ENOENT);
	q->from = at(11); /* of another channel */
	assert_int_equal(find(q, 0), -ENOENT);
}

static void test_the_whole_of_a_message(void **state)
{
	ten_messages();
	expect_found(question(HISTORY_LATEST, 1), "10 ");
	assert_string_equal(found.text + found.items[0].line, "line 10");
	assert_string_equal(found.text + found.items[0].tags, "+t=1");
	assert_int_equal(found.items[0].time, 104);
	assert_int_equal(found.items[0].id.boot, BOOT);
	assert_false(found.items[0].event);
}

static void test_who_may_see_what(void **state)
{
	struct history_query *q = question(HISTORY_LATEST, 99);

	add(1, 100);
	add_record("#x", 2, 101, HISTORY_MESSAGE, true);
	add_record("#x", 3, 102, HISTORY_EVENT, false);
	add_record("#x", 4, 103, HISTORY_MESSAGE, true);
	add(5, 104);
	assert_int_equal(take(), 0);
	q->targets[0].joined = 3;
	expect_found(q, "1 4 5 ");
	q->events = true;
	expect_found(q, "1 3 4 5 ");
	q->targets[0].joined = 1;
	expect_found(q, "1 2 3 4 5 ");
	q->until = 4;
	expect_found(q, "1 2 3 4 ");
	/* After a restart nobody was there: all numbers are of another boot. */
	q->boot = BOOT + 1;
	expect_found(q, "1 3 5 ");
	q->targets[0].all = true;
	expect_found(q, "1 2 3 4 5 ");
	q->targets[0].all = false;
	assert_int_equal(find(q, 103), 0);
	assert_int_equal(found.n_items, 1);
}

static void test_a_channel_without_history(void **state)
{
	struct history_query *q = question(HISTORY_LATEST, 99);

	expect_found(q, "");
	q->from = at(1);
	assert_int_equal(find(q, 0), -ENOENT);
}

static void test_targets(void **state)
{
	struct history_query *q = question(HISTORY_TARGETS, 9);

	add(1, 100);
	add_record("#y", 2, 50, HISTORY_MESSAGE, false);
	add_record("#y", 3, 200, HISTORY_EVENT, false);
	assert_int_equal(take(), 0);
	q->n_targets = 2;
	strcpy(q->targets[1].channel, "#y");
	q->from = at_time(0);
	q->to = at_time(1000);
	assert_int_equal(find(q, 0), 0);
	assert_int_equal(found.n_items, 2);
	assert_string_equal(found.text + found.items[0].line, "#y");
	assert_int_equal(found.items[0].time, 50);
	assert_string_equal(found.text + found.items[1].line, "#x");
	q->limit = 1;
	assert_int_equal(find(q, 0), 0);
	assert_string_equal(found.text + found.items[0].line, "#y");
	q->from = at_time(1000);
	q->to = at_time(0);
	assert_int_equal(find(q, 0), 0);
	assert_int_equal(found.n_items, 1);
	assert_string_equal(found.text + found.items[0].line, "#x");
	q->from = at_time(100); /* at that very time is not between */
	assert_int_equal(find(q, 0), 0);
	assert_string_equal(found.text + found.items[0].line, "#y");
}

/* --- keeping it --- */

static void test_pruning(void **state)
{
	struct history_retention keep = { .messages = 4 };
	uint64_t oldest;

	ten_messages();
	assert_int_equal(history_db_prune(db, &keep, 1000, &oldest, &e), 0);
	expect_found(question(HISTORY_LATEST, 99), "7 8 9 10 ");
	assert_int_equal(oldest, 101); /* of #other */
	keep.age = 1000 - 104;
	assert_int_equal(history_db_prune(db, &keep, 1000, &oldest, &e), 0);
	expect_found(question(HISTORY_LATEST, 99), "9 10 ");
	assert_int_equal(oldest, 104);
	keep.age = 1;
	assert_int_equal(history_db_prune(db, &keep, 1000, &oldest, &e), 0);
	assert_int_equal(oldest, UINT64_MAX);
	add(12, 2000); /* its channel is made anew */
	assert_int_equal(take(), 0);
	expect_found(question(HISTORY_LATEST, 99), "12 ");
}

static void test_a_damaged_database_is_put_aside(void **state)
{
	static const char garbage[8192] = "this is no database";
	const char *aside;
	int fd;

	ten_messages();
	history_db_free(db);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
	fd_close(fd);
	db = history_db_new(path);
	add(20, 500);
	assert_int_equal(take(), 0);
	aside = history_db_put_aside(db);
	assert_non_null(strstr(aside, "h.db.damaged-"));
	assert_int_equal(access(aside, F_OK), 0);
	assert_string_equal(history_db_put_aside(db), "");
	expect_found(question(HISTORY_LATEST, 99), "20 ");
}

static void test_a_database_that_is_removed_is_begun_anew(void **state)
{
	ten_messages();
	assert_int_equal(unlink(path), 0);
	add(20, 500);
	assert_int_equal(take(), 0);
	assert_int_equal(access(path, F_OK), 0);
	expect_found(question(HISTORY_LATEST, 99), "20 ");
}

static void test_files_are_for_their_owner_alone(void **state)
{
	static const char *const names[] = { "", ".journal-0", ".journal-1", "-wal", "-shm" };
	struct stat st;
	char name[160];

	ten_messages();
	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		snprintf(name, sizeof(name), "%s%s", path, names[i]);
		assert_int_equal(stat(name, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

static void test_a_newer_format_is_refused(void **state)
{
	sqlite3 *sqlite;

	ten_messages();
	history_db_free(db);
	assert_int_equal(sqlite3_open(path, &sqlite), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sqlite, "PRAGMA user_version = 9", NULL, NULL, NULL), 0);
	sqlite3_close(sqlite);
	db = history_db_new(path);
	add(20, 500);
	assert_true(take() < 0);
	assert_non_null(strstr(e.text, "made by a newer release"));
}

static void test_what_cannot_be_opened(void **state)
{
	history_db_free(db);
	db = history_db_new("/nowhere/h.db");
	add(1, 100);
	assert_int_equal(take(), -ENOENT);
	assert_string_equal(e.text, "/nowhere/h.db: No such file or directory");
	assert_true(find(question(HISTORY_LATEST, 1), 0) < 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_records),
		TEST(test_what_was_left_is_taken_in_order),
		TEST(test_half_a_record_is_cut_off),
		TEST(test_nothing_is_kept_twice),
		TEST(test_a_journal_that_cannot_be_written),
		TEST(test_two_servers),
		TEST(test_verbs_by_time),
		TEST(test_verbs_by_message),
		TEST(test_the_whole_of_a_message),
		TEST(test_who_may_see_what),
		TEST(test_a_channel_without_history),
		TEST(test_targets),
		TEST(test_pruning),
		TEST(test_a_damaged_database_is_put_aside),
		TEST(test_a_database_that_is_removed_is_begun_anew),
		TEST(test_files_are_for_their_owner_alone),
		TEST(test_a_newer_format_is_refused),
		TEST(test_what_cannot_be_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
