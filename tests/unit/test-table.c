/* SPDX-License-Identifier: MIT */
/* The supervisor's table: supervisor/table.h. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/macro.h"
#include "supervisor/table.h"

#define FILE_NAME "children"
#define BUCKETS   8192 /* of the index by pid: pids that far apart collide */

struct fixture {
	char path[64];
	int dir_fd;
	struct table *table;
};

static int setup(void **state)
{
	static struct fixture f;

	snprintf(f.path, sizeof(f.path), "/tmp/test-table-XXXXXX");
	assert_non_null(mkdtemp(f.path));
	f.dir_fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f.dir_fd >= 0);
	f.table = table_open(f.dir_fd);
	assert_non_null(f.table);
	table_tell_all(f.table);
	*state = &f;
	return 0;
}

static void drop_pids(struct table *t)
{
	uint32_t n;

	table_slots(t, &n);
	for (uint32_t i = 0; i < n; i++)
		table_set_pid(t, i, 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	drop_pids(f->table); /* the index is the process's, not the file's */
	table_remove(f->dir_fd);
	assert_int_equal(faccessat(f->dir_fd, FILE_NAME, F_OK, 0), -1);
	fd_close(f->dir_fd);
	rmdir(f->path);
	return 0;
}

/* --- slots and places ------------------------------------------------------------------- */

static void test_new_table_is_empty(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	uint32_t n;

	table_slots(f->table, &n);
	assert_int_equal(n, 0);
	assert_int_equal(table_next_place(f->table, -1), -1);
	assert_int_equal(table_pop_slot(f->table), -1);
	assert_int_equal(table_pop_place(f->table), -1);
	assert_true(table_run_id(f->table) != 0);
	assert_int_equal(fstatat(f->dir_fd, FILE_NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600); /* notes and names are nobody else's */
	assert_true(st.st_blocks * 512 < st.st_size / 4);
}

static void test_first_use(void **state)
{
	struct fixture *f = *state;
	uint32_t n;

	assert_null(table_slot(f->table, LINK_SLOTS));
	assert_null(table_slot(f->table, UINT32_MAX));
	assert_null(table_place(f->table, LINK_PLACES));
	assert_non_null(table_slot(f->table, LINK_SLOTS - 1));
	assert_non_null(table_place(f->table, LINK_PLACES - 1));
	table_slots(f->table, &n);
	assert_int_equal(n, LINK_SLOTS);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(table_slot(f->table, i)->pidfd, -1);
		assert_int_equal(table_slot(f->table, i)->exec_fd, -1);
	}
	assert_int_equal(table_next_place(f->table, -1), LINK_PLACES - 1);
	for (uint32_t i = 0; i < LINK_PLACES; i++)
		assert_int_equal(table_place(f->table, i)->fd, -1);
}

static void test_used_places(void **state)
{
	static const int64_t used[] = { 0, 1, 63, 64, 127, 200, LINK_PLACES - 1 };
	struct fixture *f = *state;
	int64_t place = -1;

	for (size_t i = ELEMENTSOF(used); i > 0; i--)
		table_place(f->table, used[i - 1]);
	for (size_t i = 0; i < ELEMENTSOF(used); i++) {
		place = table_next_place(f->table, place);
		assert_int_equal(place, used[i]);
	}
	assert_int_equal(table_next_place(f->table, place), -1);
}

static void test_instances_are_never_given_twice(void **state)
{
	struct fixture *f = *state;
	uint64_t first = table_next_instance(f->table);
	struct table *again;

	assert_int_equal(table_next_instance(f->table), first + 1);
	again = table_open(f->dir_fd);
	assert_int_equal(table_next_instance(again), first + 2);
}

/* --- the index by pid ------------------------------------------------------------------- */

static void assert_found(struct table *t, pid_t pid, int64_t slot)
{
	uint32_t found = UINT32_MAX;
	struct table_slot *s = table_find(t, pid, &found);

	if (slot < 0) {
		assert_null(s);
		return;
	}
	assert_ptr_equal(s, table_slot(t, slot));
	assert_int_equal(found, slot);
}

static void test_pids_that_collide(void **state)
{
	static const uint32_t removal[] = { 2, 0, 4, 1, 3 }; /* middle, ends, the rest */
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 5; i++) {
		table_slot(f->table, i);
		table_set_pid(f->table, i, 77 + i * BUCKETS);
	}
	for (uint32_t i = 0; i < 5; i++)
		assert_found(f->table, 77 + i * BUCKETS, i);
	assert_found(f->table, 77 + 5 * BUCKETS, -1);
	for (size_t i = 0; i < ELEMENTSOF(removal); i++) {
		table_set_pid(f->table, removal[i], 0);
		assert_found(f->table, 77 + removal[i] * BUCKETS, -1);
		for (size_t k = i + 1; k < ELEMENTSOF(removal); k++)
			assert_found(f->table, 77 + removal[k] * BUCKETS, removal[k]);
	}
}

static void test_slot_takes_another_pid(void **state)
{
	struct fixture *f = *state;

	table_slot(f->table, 3);
	table_set_pid(f->table, 3, 500);
	table_set_pid(f->table, 3, 500 + BUCKETS);
	assert_found(f->table, 500, -1);
	assert_found(f->table, 500 + BUCKETS, 3);
	table_set_pid(f->table, 3, 500 + BUCKETS);
	assert_found(f->table, 500 + BUCKETS, 3);
}

/* After its end the slot keeps the pid for the message; the pid may be another's by then. */
static void test_pid_of_an_ended_child_is_free(void **state)
{
	struct fixture *f = *state;

	table_slot(f->table, 1);
	table_set_pid(f->table, 0, 900);
	table_set_pid(f->table, 0, 0);
	table_slot(f->table, 0)->child.pid = 900;
	table_set_pid(f->table, 1, 900);
	assert_found(f->table, 900, 1);
	table_set_pid(f->table, 0, 0);
	assert_found(f->table, 900, 1);
}

static void test_many_pids(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < LINK_SLOTS; i++) {
		table_slot(f->table, i);
		table_set_pid(f->table, i, 1 + i * 7);
	}
	for (uint32_t i = 0; i < LINK_SLOTS; i += 2)
		table_set_pid(f->table, i, 0);
	for (uint32_t i = 0; i < LINK_SLOTS; i++)
		assert_found(f->table, 1 + i * 7, i % 2 ? (int64_t)i : -1);
}

/* --- the queues --------------------------------------------------------------------------- */

/* As the supervisor does: pop, tell, and it is told. */
static void assert_next_slot(struct table *t, int64_t slot, uint32_t tell)
{
	assert_int_equal(table_pop_slot(t), slot);
	if (slot < 0)
		return;
	assert_int_equal(table_slot(t, slot)->tell, tell);
	table_slot(t, slot)->tell = 0;
}

static void test_slots_are_told_in_order(void **state)
{
	struct fixture *f = *state;

	table_slot(f->table, 9);
	table_tell_slot(f->table, 5, TELL_SPAWNED);
	table_tell_slot(f->table, 9, TELL_EXITED);
	table_tell_slot(f->table, 5, TELL_STARTED); /* one turn, both news */
	table_tell_slot(f->table, 0, TELL_CHILD);
	assert_next_slot(f->table, 5, TELL_SPAWNED | TELL_STARTED);
	table_tell_slot(f->table, 5, TELL_EXITED); /* again, behind the others */
	assert_next_slot(f->table, 9, TELL_EXITED);
	assert_next_slot(f->table, 0, TELL_CHILD);
	assert_next_slot(f->table, 5, TELL_EXITED);
	assert_next_slot(f->table, -1, 0);
	table_tell_slot(f->table, 9, TELL_CHILD);
	assert_next_slot(f->table, 9, TELL_CHILD);
	assert_next_slot(f->table, -1, 0);
}

static void test_untold_goes_back_to_the_front(void **state)
{
	struct fixture *f = *state;

	table_slot(f->table, 2);
	table_tell_slot(f->table, 1, TELL_SPAWNED);
	assert_int_equal(table_pop_slot(f->table), 1); /* the last one: the queue is empty */
	table_unpop_slot(f->table, 1);
	table_tell_slot(f->table, 2, TELL_SPAWNED);
	assert_int_equal(table_pop_slot(f->table), 1);
	table_unpop_slot(f->table, 1);
	assert_next_slot(f->table, 1, TELL_SPAWNED);
	assert_next_slot(f->table, 2, TELL_SPAWNED);
	assert_next_slot(f->table, -1, 0);
}

static void test_places_are_told_in_order(void **state)
{
	struct fixture *f = *state;

	table_place(f->table, 8);
	table_tell_place(f->table, 8, 2);
	table_tell_place(f->table, 3, 1);
	table_tell_place(f->table, 8, 1);
	assert_int_equal(table_pop_place(f->table), 8);
	table_unpop_place(f->table, 8);
	assert_int_equal(table_pop_place(f->table), 8);
	assert_int_equal(table_place(f->table, 8)->tell, 3);
	table_place(f->table, 8)->tell = 0;
	assert_int_equal(table_pop_place(f->table), 3);
	table_place(f->table, 3)->tell = 0;
	assert_int_equal(table_pop_place(f->table), -1);
}

/* A new manager: all that is in use, and none of the old news. */
static void test_tell_all(void **state)
{
	struct fixture *f = *state;

	strcpy(table_slot(f->table, 4)->child.name, "web");
	strcpy(table_slot(f->table, 6)->child.name, "db");
	strcpy(table_place(f->table, 2)->name, "control");
	table_place(f->table, 5);
	table_tell_slot(f->table, 5, TELL_EXITED); /* free by now */
	table_tell_slot(f->table, 6, TELL_EXITED);
	table_tell_place(f->table, 5, 2);
	table_tell_all(f->table);
	assert_next_slot(f->table, 4, TELL_CHILD);
	assert_next_slot(f->table, 6, TELL_CHILD);
	assert_next_slot(f->table, -1, 0);
	assert_int_equal(table_pop_place(f->table), 2);
	assert_int_equal(table_place(f->table, 2)->tell, 1);
	assert_int_equal(table_pop_place(f->table), -1);
}

/* --- the file ----------------------------------------------------------------------------- */

static void fill(struct table *t)
{
	struct table_slot *slot = table_slot(t, 1);

	strcpy(slot->child.name, "web");
	slot->child.pid = 4711;
	slot->child.state = CHILD_RUNNING;
	slot->child.note_size = 3;
	memcpy(slot->child.note, "abc", 3);
	slot->pidfs_inode = 99;
	slot->start_ticks = 12345;
}

static void test_starting_is_a_queue(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < 3; i++)
		table_slot(f->table, i);
	assert_int_equal(table_first_starting(f->table), -1);
	table_push_starting(f->table, 2);
	table_push_starting(f->table, 0);
	table_push_starting(f->table, 2); /* it is in it already */
	assert_int_equal(table_first_starting(f->table), 2);
	table_pop_starting(f->table);
	table_push_starting(f->table, 2);
	assert_int_equal(table_first_starting(f->table), 0);
	table_pop_starting(f->table);
	assert_int_equal(table_first_starting(f->table), 2);
	/* It is the running supervisor's: the next one has forked nobody. */
	f->table = table_open(f->dir_fd);
	assert_int_equal(table_first_starting(f->table), -1);
}

static void test_slots_survive_reopening(void **state)
{
	struct fixture *f = *state;
	uint64_t run_id = table_run_id(f->table);
	struct table *again;
	struct table_slot *slot;
	uint32_t n;

	fill(f->table);
	again = table_open(f->dir_fd);
	assert_non_null(again);
	assert_int_equal(table_run_id(again), run_id);
	slot = &table_slots(again, &n)[1];
	assert_int_equal(n, 2);
	assert_string_equal(slot->child.name, "web");
	assert_int_equal(slot->child.pid, 4711);
	assert_int_equal(slot->child.state, CHILD_RUNNING);
	assert_memory_equal(slot->child.note, "abc", 3);
	assert_int_equal(slot->pidfs_inode, 99);
	assert_int_equal(slot->start_ticks, 12345);
	f->table = again;
}

static void assert_new(struct fixture *f, uint64_t old_run_id)
{
	uint32_t n;

	f->table = table_open(f->dir_fd);
	assert_non_null(f->table);
	assert_true(table_run_id(f->table) != old_run_id);
	table_slots(f->table, &n);
	assert_int_equal(n, 0);
	/* What was in the slots is gone, too: it is used again from zero. */
	assert_int_equal(table_slot(f->table, 1)->child.name[0], '\0');
	assert_int_equal(table_slot(f->table, 1)->child.pid, 0);
}

/* The head of the file: magic, version, size of a slot, boot id, run id, last instance, used. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_SLOT_SIZE = 12,
	AT_BOOT_ID = 16,
	AT_RUN_ID = 56,
	AT_USED_SLOTS = 72,
};

static void test_a_strange_table_is_not_believed(void **state)
{
	static const struct {
		off_t at;
		uint32_t value;
	} strange[] = {
		{ AT_MAGIC, 0 },
		{ AT_VERSION, 0 },
		{ AT_VERSION, 1 },
		{ AT_VERSION, 99 },
		{ AT_SLOT_SIZE, 8 },
		{ AT_BOOT_ID, 0x30303030 },
		{ AT_BOOT_ID + 32, 0x7a7a7a7a },
		{ AT_USED_SLOTS, LINK_SLOTS + 1 },
		{ AT_USED_SLOTS, UINT32_MAX },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ELEMENTSOF(strange); i++) {
		_cleanup_close_ int fd = openat(f->dir_fd, FILE_NAME, O_RDWR | O_CLOEXEC);
		uint64_t run_id = table_run_id(f->table), in_file = 0;

		fill(f->table);
		assert_int_equal(pread(fd, &in_file, sizeof(in_file), AT_RUN_ID), sizeof(in_file));
		assert_int_equal(in_file, run_id); /* the offsets above hold */
		assert_int_equal(pwrite(fd, &strange[i].value, sizeof(uint32_t), strange[i].at),
				 sizeof(uint32_t));
		assert_new(f, run_id);
	}
}

static void test_a_wrong_size_is_not_believed(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(fstatat(f->dir_fd, FILE_NAME, &st, 0), 0);
	for (int i = -1; i <= 1; i += 2) {
		_cleanup_close_ int fd = openat(f->dir_fd, FILE_NAME, O_RDWR | O_CLOEXEC);
		uint64_t run_id = table_run_id(f->table);

		fill(f->table);
		assert_int_equal(ftruncate(fd, st.st_size + i), 0);
		assert_new(f, run_id);
	}
}

static void test_no_table_through_a_link(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(renameat(f->dir_fd, FILE_NAME, f->dir_fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", f->dir_fd, FILE_NAME), 0);
	assert_null(table_open(f->dir_fd));
	assert_int_equal(unlinkat(f->dir_fd, "elsewhere", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new_table_is_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_use, setup, teardown),
		cmocka_unit_test_setup_teardown(test_used_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_instances_are_never_given_twice, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_pids_that_collide, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot_takes_another_pid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pid_of_an_ended_child_is_free, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_many_pids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots_are_told_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_untold_goes_back_to_the_front, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_places_are_told_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tell_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_starting_is_a_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots_survive_reopening, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_strange_table_is_not_believed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_wrong_size_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_table_through_a_link, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
