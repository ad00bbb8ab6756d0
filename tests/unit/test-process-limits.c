/* SPDX-License-Identifier: MIT */
/*
 * libfoster and what is scarce: descriptors that must not pile up or leak into children, closed
 * standard streams, no descriptors left, many starts, zombies.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "process-support.h"

/* --- descriptors --------------------------------------------------------------------------- */

static int run_count_fds(void *arg)
{
	return count_fds();
}

/* The children have as many descriptors as the parent had, however many siblings they have. */
static void test_fd_inflation(void **state)
{
	foster_process *siblings[20];
	int before = count_fds();

	for (size_t i = 0; i < ELEMENTSOF(siblings); i++) {
		siblings[i] = foster_process_new(NULL, run_forever, NULL);
		foster_process_set_daemon(siblings[i], i % 2);
		assert_int_equal(foster_process_start(siblings[i]), 0);
		finish(started(NULL, run_count_fds, NULL), before);
	}
	/* Those that have ended but are not freed have descriptors too. */
	for (size_t i = 0; i < ELEMENTSOF(siblings); i++) {
		foster_process_kill(siblings[i]);
		foster_process_join(siblings[i], -1);
	}
	finish(started(NULL, run_count_fds, NULL), before);
	for (size_t i = 0; i < ELEMENTSOF(siblings); i++)
		finish(siblings[i], -SIGKILL);
}

static int run_stdio_closed(void *arg)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			return 100 + fd;
	}
	return 0;
}

/* No descriptor of the library's takes the place of a standard stream. */
static int play_without_stdio(void *arg)
{
	char *const argv[] = { (char *)"sh", (char *)"-c",
			       (char *)"for f in 0 1 2; do [ ! -e /proc/$$/fd/$f ] || exit 9; done",
			       NULL };
	foster_process *p;

	for (int fd = 0; fd < 3; fd++)
		close(fd);
	for (int daemon = 0; daemon < 2; daemon++) {
		p = foster_process_new(NULL, run_stdio_closed, NULL);
		foster_process_set_daemon(p, daemon);
		/* The parent now holds a pidfd, and a guard. */
		if (foster_process_start(p) < 0 || run_stdio_closed(NULL) != 0)
			return 1;
		finish(p, 0);
		p = foster_process_new_exec(NULL, argv);
		foster_process_set_daemon(p, daemon);
		if (foster_process_start(p) < 0 || run_stdio_closed(NULL) != 0)
			return 2;
		finish(p, 0);
	}
	return 0;
}

static void test_without_stdio(void **state)
{
	assert_int_equal(host_wait(host_start(play_without_stdio, NULL)), 0);
}

/* Each step that needs a descriptor fails once; the object may be started again after. */
static void test_out_of_fds(void **state)
{
	foster_process *p = foster_process_new(NULL, run_forever, NULL);
	struct rlimit old, few;
	int room, r = -1;

	getrlimit(RLIMIT_NOFILE, &old);
	foster_process_set_daemon(p, true);
	for (room = 0; r < 0; room++) {
		int highest = dup(0);

		close(highest);
		few = old;
		few.rlim_cur = highest + room;
		setrlimit(RLIMIT_NOFILE, &few);
		r = foster_process_start(p);
		setrlimit(RLIMIT_NOFILE, &old);
		if (r < 0) {
			assert_int_equal(r, -EMFILE);
			assert_false(foster_process_is_alive(p));
			assert_int_equal(foster_process_pid(p), 0);
			assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		}
		assert_true(room < 10);
	}
	assert_true(room > 2);
	kill_and_free(p);
}

/* --- many ---------------------------------------------------------------------------------- */

#define BATCH 50

static void start_batch(foster_process *batch[BATCH])
{
	static int code;

	for (int i = 0; i < BATCH; i++) {
		batch[i] = foster_process_new(NULL, run_return, &code);
		foster_process_set_daemon(batch[i], i % 2);
		assert_int_equal(foster_process_start(batch[i]), 0);
	}
	for (int i = 0; i < BATCH; i++)
		finish(batch[i], 0);
}

/* mallinfo2() counts nothing under ASan, which has its own leak check. */
static void test_ten_thousand(void **state)
{
	foster_process *batch[BATCH];
	size_t memory;
	int fds;

	start_batch(batch);
	memory = mallinfo2().uordblks;
	fds = count_fds();
	for (int n = 0; n < 10000; n += BATCH)
		start_batch(batch);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	/* What stdio or a longer name may have taken, not 10,000 times anything. */
	assert_true(mallinfo2().uordblks < memory + 4096);
}

static int count_children(void)
{
	char path[64];
	FILE *file;
	int n = 0, pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "r");
	if (!file)
		return -1;
	while (fscanf(file, "%d", &pid) == 1)
		n++;
	fclose(file);
	return n;
}

/* Who starts and never asks again does not pile up zombies: a start reaps what has ended. */
static void test_no_pile_of_zombies(void **state)
{
	foster_process *p[100];
	int code = 0;

	if (count_children() < 0) {
		print_message(
			"skipped: needs /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN)\n");
		skip();
	}
	for (size_t i = 0; i < ELEMENTSOF(p); i++) {
		struct pollfd end = { .events = POLLIN };

		p[i] = started(NULL, run_return, &code);
		end.fd = foster_process_sentinel(p[i]);
		assert_int_equal(poll(&end, 1, DEADLINE_MS), 1);
		assert_true(count_children() <= 1);
	}
	for (size_t i = 0; i < ELEMENTSOF(p); i++)
		finish(p[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		process_test(test_fd_inflation),       process_test(test_without_stdio),
		process_test(test_out_of_fds),         process_test(test_ten_thousand),
		process_test(test_no_pile_of_zombies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
