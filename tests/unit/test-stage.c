/* SPDX-License-Identifier: MIT */
/* Descriptors of children on their way: supervisor/stage.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "supervisor/stage.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* /dev/null at number or the next free one above. */
static int open_at(int number)
{
	_cleanup_close_ int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, number);

	assert_true(copy >= number);
	return copy;
}

static void test_copies_are_low_and_end(void **state)
{
	_cleanup_close_ int high = open_at(FD_BASE);
	struct stage stage = { 0 };
	int a = stage_copy(&stage, high, 10), b = stage_copy(&stage, high, 10);

	assert_true(a >= 10 && b > a && b < FD_BASE);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	stage_clear(&stage);
	assert_true(!is_open(a) && !is_open(b) && is_open(high));
	stage_clear(&stage); /* nothing is left to close */
	assert_true(is_open(high));
}

static void test_what_is_taken_ends_too(void **state)
{
	struct stage stage = { 0 };
	int low = open_at(70);

	assert_int_equal(stage_take(&stage, low), 0);
	stage_clear(&stage);
	assert_false(is_open(low));
}

static void test_high_numbers_are_refused(void **state)
{
	_cleanup_close_ int high = open_at(FD_BASE);
	struct stage stage = { 0 };

	assert_int_equal(stage_take(&stage, high), -EMFILE);
	assert_int_equal(stage_take(&stage, -1), -EMFILE);
	assert_int_equal(stage_copy(&stage, -1, 10), -EBADF);
	assert_int_equal(stage_copy(&stage, high, FD_BASE), -EMFILE);
	assert_false(is_open(FD_BASE + 1)); /* the copy that was too high is closed again */
	stage_clear(&stage);
	assert_true(is_open(high));
}

static void test_no_low_number_is_left(void **state)
{
	_cleanup_close_ int high = open_at(FD_BASE);
	struct stage stage = { 0 };
	int n = 0;

	while (stage_copy(&stage, high, 3) >= 0)
		n++;
	assert_in_range(n, FD_BASE - 16, FD_BASE);
	stage_clear(&stage);
	for (int fd = FD_BASE - 1; fd > FD_BASE - 16; fd--)
		assert_false(is_open(fd));
}

static void test_reserving_opens_nothing(void **state)
{
	stage_reserve(5);
	stage_reserve(5000);
	stage_reserve(-1);
	for (int fd = FD_BASE; fd < 20000; fd++)
		assert_false(is_open(fd));
}

/* What the child sees, and what it does to its own table, as its exit code. */
static int run_child(int low, int high, int note)
{
	int error = stage_leave();

	if (error < 0)
		return 10;
	if (!is_open(low) || is_open(high))
		return 11;
	/* All of this is its own: the parent's numbers stay as they are. */
	close(low);
	if (dup2(note, high) != high)
		return 12;
	return write(high, "x", 1) == 1 ? 0 : 13;
}

static void test_a_child_leaves(void **state)
{
	int low = open_at(60), high = open_at(FD_BASE + 5), note[2], status;
	char byte;
	pid_t pid;

	if (!stage_supported())
		skip(); /* close_range(2) is of Linux 5.9 */
	assert_int_equal(pipe2(note, O_CLOEXEC), 0);
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		_exit(run_child(low, high, note[1]));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(is_open(low) && is_open(high));
	assert_int_equal(write(high, "y", 1), 1); /* still /dev/null here */
	fd_close(note[1]);
	assert_int_equal(read(note[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	fd_close(note[0]);
	fd_close(low);
	fd_close(high);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies_are_low_and_end),
		cmocka_unit_test(test_what_is_taken_ends_too),
		cmocka_unit_test(test_high_numbers_are_refused),
		cmocka_unit_test(test_no_low_number_is_left),
		cmocka_unit_test(test_reserving_opens_nothing),
		cmocka_unit_test(test_a_child_leaves),
	};

	/* What was inherited may have any number. */
	for (int fd = 3; fd < 2 * FD_BASE; fd++)
		close(fd);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
