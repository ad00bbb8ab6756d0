/* SPDX-License-Identifier: MIT */
/* Packets and the SPAWN message: base/link.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/link.h"
#include "base/macro.h"

static char message[LINK_MESSAGE_MAX] __attribute__((aligned(8)));
static char *pointers[LINK_ARGS_MAX + 2];

/* The numbers of elements in the head of the message, which tests falsify. */
enum {
	AT_TYPE = 0,
	AT_SLOT = 8,
	AT_N_LIMITS = 52,
	AT_N_GROUPS = 56,
	AT_N_FDS = 60,
	AT_N_ARGS = 64,
	AT_N_ENV = 68,
	AT_NOTE_SIZE = 72,
	HEAD_SIZE = 88,
	AT_READY_FD = 80,
};

static char *argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)"", (char *)"a b", NULL };
static char *envp[] = { (char *)"LANG=C.UTF-8", (char *)"EMPTY=", NULL };
static char *no_strings[] = { NULL };
static const uint32_t groups[] = { 4, 27, UINT32_MAX };
static const uint32_t fds[] = { 100, LINK_PLACE_NULL };
static const struct spawn_limit limits[] = { { 7, 0, 1024, UINT64_MAX }, { 4, 0, 0, 0 } };
static const uint8_t note[] = { 1, 2, 3, 0, 255 };

static struct spawn_request full(void)
{
	return (struct spawn_request){
		.slot = 17,
		.daemon = true,
		.death_signal = 9,
		.change_user = true,
		.uid = 1000,
		.gid = UINT32_MAX - 1,
		.groups = groups,
		.n_groups = ELEMENTSOF(groups),
		.has_umask = true,
		.umask = 027,
		.has_nice = true,
		.nice = -20,
		.limits = limits,
		.n_limits = ELEMENTSOF(limits),
		.stdio = { LINK_PLACE_NULL, 5, LINK_PLACE_INHERIT },
		.fds = fds,
		.n_fds = ELEMENTSOF(fds),
		.name = "web",
		.directory = "/srv/web",
		.search = "/usr/bin:/bin",
		.cgroup = "web.service",
		.cgroup_place = 77,
		.program_place = 78,
		.ready_place = 99,
		.ready_fd = 5,
		.argv = argv,
		.envp = envp,
		.note = note,
		.note_size = sizeof(note),
	};
}

static struct spawn_request least(void)
{
	return (struct spawn_request){ .name = "",
				       .directory = "",
				       .search = "",
				       .cgroup = "",
				       .argv = argv + 3,
				       .envp = no_strings };
}

static size_t encode(const struct spawn_request *r)
{
	ssize_t size = link_encode_spawn(r, message, sizeof(message));

	assert_true(size >= HEAD_SIZE);
	return size;
}

static int decode(size_t size, struct spawn_request *ret)
{
	return link_decode_spawn(message, size, ret, pointers, ELEMENTSOF(pointers));
}

static void assert_strings_equal(char **a, char **b)
{
	for (; *a && *b; a++, b++)
		assert_string_equal(*a, *b);
	assert_null(*a);
	assert_null(*b);
}

static void assert_request_equal(const struct spawn_request *a, const struct spawn_request *b)
{
	assert_int_equal(a->slot, b->slot);
	assert_int_equal(a->daemon, b->daemon);
	assert_int_equal(a->death_signal, b->death_signal);
	assert_int_equal(a->change_user, b->change_user);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->has_umask, b->has_umask);
	assert_int_equal(a->umask, b->umask);
	assert_int_equal(a->has_nice, b->has_nice);
	assert_int_equal(a->nice, b->nice);
	assert_memory_equal(a->stdio, b->stdio, sizeof(a->stdio));
	assert_int_equal(a->n_groups, b->n_groups);
	assert_int_equal(a->n_limits, b->n_limits);
	assert_int_equal(a->n_fds, b->n_fds);
	assert_int_equal(a->note_size, b->note_size);
	assert_int_equal(a->ready_place, b->ready_place);
	assert_int_equal(a->ready_fd, b->ready_fd);
	if (a->n_groups > 0)
		assert_memory_equal(a->groups, b->groups, a->n_groups * sizeof(*a->groups));
	if (a->n_limits > 0)
		assert_memory_equal(a->limits, b->limits, a->n_limits * sizeof(*a->limits));
	if (a->n_fds > 0)
		assert_memory_equal(a->fds, b->fds, a->n_fds * sizeof(*a->fds));
	if (a->note_size > 0)
		assert_memory_equal(a->note, b->note, a->note_size);
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->directory, b->directory);
	assert_string_equal(a->search, b->search);
	assert_string_equal(a->cgroup, b->cgroup);
	assert_int_equal(a->cgroup_place, b->cgroup_place);
	assert_int_equal(a->program_place, b->program_place);
	assert_strings_equal(a->argv, b->argv);
	assert_strings_equal(a->envp, b->envp);
}

static void round_trip(const struct spawn_request *r)
{
	struct spawn_request back;

	assert_int_equal(decode(encode(r), &back), 0);
	assert_request_equal(r, &back);
}

static void test_round_trip(void **state)
{
	struct spawn_request r = full();

	round_trip(&r);
	r = least();
	round_trip(&r);
}

static void test_flags_are_apart(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct spawn_request r = least();

		r.daemon = i == 0;
		r.change_user = i == 1;
		r.has_umask = i == 2;
		r.has_nice = i == 3;
		round_trip(&r);
	}
}

/* Whatever the arrays' lengths are, each is aligned for its elements. */
static void test_arrays_are_aligned(void **state)
{
	struct spawn_request r = full(), back;

	for (size_t i = 0; i < 27; i++) {
		r.n_limits = i % 3;
		r.n_groups = i / 3 % 3;
		r.n_fds = i / 9;
		assert_int_equal(decode(encode(&r), &back), 0);
		assert_int_equal((uintptr_t)back.limits % _Alignof(struct spawn_limit), 0);
		assert_int_equal((uintptr_t)back.groups % _Alignof(uint32_t), 0);
		assert_int_equal((uintptr_t)back.fds % _Alignof(uint32_t), 0);
	}
}

/* Each in a block of its own size, so that a sanitizer sees a byte too far. */
static void test_every_truncation_is_refused(void **state)
{
	struct spawn_request r = full(), back;
	size_t whole = encode(&r);

	for (size_t size = 0; size < whole; size++) {
		_cleanup_free_ char *cut = malloc(size ? size : 1);

		assert_non_null(cut);
		memcpy(cut, message, size);
		assert_int_equal(
			link_decode_spawn(cut, size, &back, pointers, ELEMENTSOF(pointers)),
			-EINVAL);
	}
}

static void test_every_size_of_buffer(void **state)
{
	struct spawn_request r = full();
	ssize_t whole = encode(&r);

	for (ssize_t size = 0; size < whole; size++) {
		_cleanup_free_ char *buf = malloc(size ? size : 1);

		assert_non_null(buf);
		assert_int_equal(link_encode_spawn(&r, buf, size), -E2BIG);
	}
	assert_int_equal(link_encode_spawn(&r, message, whole), whole);
}

/* --- limits ----------------------------------------------------------------------------- */

static int decode_with(size_t at, uint32_t value)
{
	struct spawn_request r = full(), back;
	size_t size = encode(&r);

	memcpy(message + at, &value, sizeof(value));
	return decode(size, &back);
}

static void test_limits_of_the_head(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
		int error;
	} cases[] = {
		{ AT_TYPE, LINK_NOTE, -EINVAL },
		{ AT_TYPE, UINT32_MAX, -EINVAL },
		{ AT_SLOT, LINK_SLOTS - 1, 0 },
		{ AT_SLOT, LINK_SLOTS, -EINVAL },
		{ AT_N_LIMITS, LINK_LIMITS_MAX, -EINVAL }, /* fewer bytes than that */
		{ AT_N_LIMITS, LINK_LIMITS_MAX + 1, -E2BIG },
		{ AT_N_GROUPS, LINK_GROUPS_MAX, -EINVAL },
		{ AT_N_GROUPS, LINK_GROUPS_MAX + 1, -E2BIG },
		{ AT_N_FDS, LINK_FDS_MAX, -EINVAL },
		{ AT_N_FDS, LINK_FDS_MAX + 1, -E2BIG },
		{ AT_N_ARGS, 0, -E2BIG },
		{ AT_N_ARGS, LINK_ARGS_MAX + 1, -E2BIG },
		{ AT_N_ARGS, UINT32_MAX, -E2BIG },
		{ AT_N_ENV, LINK_ARGS_MAX - 4, -EINVAL },
		{ AT_N_ENV, LINK_ARGS_MAX - 3, -E2BIG }, /* too many together */
		{ AT_N_ENV, UINT32_MAX, -E2BIG },
		{ AT_NOTE_SIZE, LINK_NOTE_MAX, -EINVAL },
		{ AT_NOTE_SIZE, LINK_NOTE_MAX + 1, -E2BIG },
		{ AT_NOTE_SIZE, UINT32_MAX, -E2BIG },
		{ AT_READY_FD, 0, 0 },
		{ AT_READY_FD, 1, 0 },
		{ AT_READY_FD, 4, -EINVAL }, /* that of a socket */
		{ AT_READY_FD, LINK_READY_MAX, 0 },
		{ AT_READY_FD, LINK_READY_MAX + 1, -EINVAL },
		{ AT_READY_FD, UINT32_MAX, -EINVAL },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		int error = decode_with(cases[i].at, cases[i].value);

		if (error != cases[i].error)
			fail_msg("byte %zu = %u: %d", cases[i].at, cases[i].value, error);
	}
}

static void test_name_has_room_for_its_nul(void **state)
{
	char name[LINK_NAME_MAX + 1];
	struct spawn_request r = least(), back;

	memset(name, 'n', sizeof(name));
	name[LINK_NAME_MAX - 1] = '\0';
	r.name = name;
	round_trip(&r);
	name[LINK_NAME_MAX - 1] = 'n';
	name[LINK_NAME_MAX] = '\0';
	assert_int_equal(decode(encode(&r), &back), -EINVAL);
}

/* As many of everything as the link allows, and one more argument. */
static void test_the_largest_request(void **state)
{
	static char *many[LINK_ARGS_MAX + 1];
	static uint32_t numbers[LINK_GROUPS_MAX];
	static struct spawn_limit all[LINK_LIMITS_MAX];
	static uint8_t bytes[LINK_NOTE_MAX];
	struct spawn_request r = full();

	for (size_t i = 0; i < LINK_ARGS_MAX - 2; i++)
		many[i] = (char *)"x";
	r.argv = many;
	r.groups = numbers;
	r.n_groups = LINK_GROUPS_MAX;
	r.limits = all;
	r.n_limits = LINK_LIMITS_MAX;
	r.fds = numbers;
	r.n_fds = LINK_FDS_MAX;
	r.ready_fd = LINK_READY_MAX;
	r.note = bytes;
	r.note_size = LINK_NOTE_MAX;
	round_trip(&r);
	many[LINK_ARGS_MAX - 2] = (char *)"x";
	assert_int_equal(link_encode_spawn(&r, message, sizeof(message)), -E2BIG);
}

static void test_room_for_pointers(void **state)
{
	struct spawn_request r = full(), back;
	size_t size = encode(&r), needed = 4 + 1 + 2 + 1;

	assert_int_equal(link_decode_spawn(message, size, &back, pointers, needed), 0);
	assert_int_equal(link_decode_spawn(message, size, &back, pointers, needed - 1), -E2BIG);
}

/* No two starts share one, whatever the run, and it limits nothing. */
static void test_limit_marks(void **state)
{
	enum {
		RUNS = 30,
		STARTS = 300
	};
	static uint64_t marks[RUNS * STARTS];
	size_t n = 0;

	for (uint64_t run = 0; run < RUNS; run++) {
		for (uint64_t start = 1; start <= STARTS; start++)
			marks[n++] = link_limit_mark(run, start);
	}
	for (size_t i = 0; i < n; i++) {
		assert_true(marks[i] >= LINK_LIMIT_MARK_MIN && marks[i] < INT64_MAX);
		for (size_t k = 0; k < i; k++)
			assert_true(marks[k] != marks[i]);
	}
}

static void test_steps_have_names(void **state)
{
	for (int i = STEP_NONE; i <= STEP_EXEC; i++)
		assert_int_equal(spawn_step_from_string(spawn_step_to_string(i)), i);
	assert_null(spawn_step_to_string(STEP_EXEC + 1));
	assert_string_equal(spawn_step_to_string(STEP_DIRECTORY), "chdir");
}

/* --- packets ---------------------------------------------------------------------------- */

static size_t put_header(size_t offset, uint32_t type, uint32_t size)
{
	struct link_header header = { type, size };

	memcpy(message + offset, &header, sizeof(header));
	return offset + size;
}

static void test_messages_of_a_packet(void **state)
{
	struct spawn_request r = full();
	size_t offset = 0, size = put_header(0, LINK_RUNNING, sizeof(struct link_header));

	size = put_header(size, LINK_DROP, sizeof(struct link_place));
	size += link_encode_spawn(&r, message + size, sizeof(message) - size);
	assert_int_equal(link_next(message, size, &offset)->type, LINK_RUNNING);
	assert_int_equal(link_next(message, size, &offset)->type, LINK_DROP);
	assert_int_equal(link_next(message, size, &offset)->type, LINK_SPAWN);
	assert_int_equal(offset, size);
	assert_null(link_next(message, size, &offset));
	assert_int_equal(offset, size);
}

static void test_what_is_no_message(void **state)
{
	static const uint32_t sizes[] = { 0, 4, 7, 12, 40, UINT32_MAX, UINT32_MAX - 7 };

	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		size_t offset = put_header(0, LINK_RUNNING, 16);

		put_header(offset, LINK_RUNNING, sizes[i]);
		assert_null(link_next(message, 48, &offset));
		assert_int_equal(offset, 16);
	}
	for (size_t size = 0; size < 8; size++) {
		size_t offset = 0;

		put_header(0, LINK_RUNNING, 8);
		assert_null(link_next(message, size, &offset));
		assert_int_equal(offset, 0);
	}
}

/* One side leaves with something unread: what it sent before is read by the other all the same. */
static void test_last_words_before_a_reset(void **state)
{
	char buf[8];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(fd_send(ends[0], "unread", 6, NULL, 0, 0), 6);
	assert_int_equal(fd_send(ends[1], "exit", 4, NULL, 0, 0), 4);
	close(ends[1]);
	assert_int_equal(fd_receive(ends[0], buf, sizeof(buf), NULL, NULL, MSG_DONTWAIT), 4);
	assert_memory_equal(buf, "exit", 4);
	assert_int_equal(fd_receive(ends[0], buf, sizeof(buf), NULL, NULL, MSG_DONTWAIT), 0);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_flags_are_apart),
		cmocka_unit_test(test_arrays_are_aligned),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_every_size_of_buffer),
		cmocka_unit_test(test_limits_of_the_head),
		cmocka_unit_test(test_name_has_room_for_its_nul),
		cmocka_unit_test(test_the_largest_request),
		cmocka_unit_test(test_room_for_pointers),
		cmocka_unit_test(test_limit_marks),
		cmocka_unit_test(test_steps_have_names),
		cmocka_unit_test(test_messages_of_a_packet),
		cmocka_unit_test(test_what_is_no_message),
		cmocka_unit_test(test_last_words_before_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
