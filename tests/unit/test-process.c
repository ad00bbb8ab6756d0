/* SPDX-License-Identifier: MIT */
/*
 * libfoster as one reads of it: attributes, start and join, names, exit codes, classes, what
 * parent and child share and do not share, and the errors.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/macro.h"
#include "process-support.h"

/* --- attributes and states ----------------------------------------------------------------- */

static void test_life(void **state)
{
	int answer = 7, code = -1000;
	foster_process *p = foster_process_new("worker", run_return, &answer), *one = NULL;

	assert_non_null(p);
	assert_string_equal(foster_process_name(p), "worker");
	assert_false(foster_process_daemon(p));
	assert_false(foster_process_is_alive(p));
	assert_int_equal(foster_process_pid(p), 0);
	assert_int_equal(foster_active_children(NULL, 0), 0);

	assert_int_equal(foster_process_start(p), 0);
	assert_true(foster_process_pid(p) > 0);
	assert_int_equal(foster_process_join(p, DEADLINE_MS), 0);
	assert_false(foster_process_is_alive(p));
	assert_int_equal(foster_active_children(&one, 1), 0);
	assert_null(one);
	assert_int_equal(foster_process_exitcode(p, &code), 0);
	assert_int_equal(code, 7);
	assert_int_equal(foster_process_join(p, 0), 0);
	assert_true(foster_process_pid(p) > 0);
	assert_int_equal(foster_process_terminate(p), 0);
	assert_int_equal(foster_process_free(p), 0);
}

static void test_alive(void **state)
{
	foster_process *p = started(NULL, run_forever, NULL), *listed[2] = { NULL, NULL };
	int code = -1000;

	assert_true(foster_process_is_alive(p));
	assert_int_equal(foster_active_children(listed, 2), 1);
	assert_ptr_equal(listed[0], p);
	assert_int_equal(foster_process_exitcode(p, &code), -EAGAIN);
	assert_int_equal(code, -1000);
	assert_int_equal(foster_process_join(p, 0), -ETIMEDOUT);
	assert_int_equal(foster_process_join(p, 20), -ETIMEDOUT);
	assert_true(foster_process_is_alive(p));
	assert_int_equal(foster_process_free(p), -EBUSY);
	assert_int_equal(foster_process_terminate(p), 0);
	finish(p, -SIGTERM);
}

static void test_kill(void **state)
{
	kill_and_free(started(NULL, run_forever, NULL));
}

static void test_many(void **state)
{
	foster_process *p[100], *listed[10];
	int code = 0;

	for (size_t i = 0; i < ELEMENTSOF(p); i++)
		p[i] = started(NULL, run_return, &code);
	for (size_t i = 0; i < ELEMENTSOF(p); i++)
		finish(p[i], 0);
	for (size_t i = 0; i < ELEMENTSOF(p); i++)
		p[i] = started(NULL, run_forever, NULL);
	assert_int_equal(foster_active_children(listed, ELEMENTSOF(listed)), ELEMENTSOF(p));
	for (size_t i = 0; i < ELEMENTSOF(p); i++)
		assert_int_equal(foster_process_terminate(p[i]), 0);
	for (size_t i = 0; i < ELEMENTSOF(p); i++)
		finish(p[i], -SIGTERM);
}

static void test_exit_codes(void **state)
{
	static const struct {
		int returned, code;
	} cases[] = { { 0, 0 }, { 1, 1 }, { 8, 8 }, { 255, 255 }, { 256, 0 }, { -1, 255 } };

	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		finish(started(NULL, run_return, (void *)&cases[i].returned), cases[i].code);
	finish(started(NULL, NULL, NULL), 0);
}

static int run_raise(void *arg)
{
	signal(*(int *)arg, SIG_DFL);
	raise(*(int *)arg);
	return 0;
}

static int run_exit(void *arg)
{
	_exit(9);
}

static void test_other_ends(void **state)
{
	int signals[] = { SIGINT, SIGUSR1, SIGKILL };

	for (size_t i = 0; i < ELEMENTSOF(signals); i++)
		finish(started(NULL, run_raise, &signals[i]), -signals[i]);
	finish(started(NULL, run_exit, NULL), 9);
}

static void test_sentinel(void **state)
{
	foster_process *p = foster_process_new(NULL, run_forever, NULL);
	struct pollfd end = { .events = POLLIN };

	assert_int_equal(foster_process_sentinel(p), -EINVAL);
	assert_int_equal(foster_process_start(p), 0);
	end.fd = foster_process_sentinel(p);
	assert_true(end.fd > 2);
	assert_true(fcntl(end.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(poll(&end, 1, 0), 0);
	assert_int_equal(foster_process_kill(p), 0);
	assert_int_equal(poll(&end, 1, DEADLINE_MS), 1);
	assert_int_equal(foster_process_join(p, 0), 0);
	/* Still the same, and still readable, after the join. */
	assert_int_equal(foster_process_sentinel(p), end.fd);
	assert_int_equal(poll(&end, 1, 0), 1);
	finish(p, -SIGKILL);
}

/* --- errors -------------------------------------------------------------------------------- */

static void test_errors_before_start(void **state)
{
	foster_process *p = foster_process_new(NULL, run_forever, NULL);
	int code;

	assert_int_equal(foster_process_join(p, -1), -EINVAL);
	assert_int_equal(foster_process_terminate(p), -EINVAL);
	assert_int_equal(foster_process_kill(p), -EINVAL);
	assert_int_equal(foster_process_exitcode(p, &code), -EINVAL);
	assert_int_equal(foster_process_free(p), 0);
	assert_int_equal(foster_process_free(NULL), 0);
}

static void test_errors_after_start(void **state)
{
	foster_process *p = started(NULL, run_forever, NULL);

	assert_int_equal(foster_process_start(p), -EBUSY);
	assert_int_equal(foster_process_set_daemon(p, true), -EBUSY);
	assert_false(foster_process_daemon(p));
	assert_int_equal(foster_process_join(p, -2), -EINVAL);
	assert_int_equal(foster_process_kill(p), 0);
	assert_int_equal(foster_process_join(p, -1), 0);
	assert_int_equal(foster_process_start(p), -EBUSY);
	assert_int_equal(foster_process_set_daemon(p, true), -EBUSY);
	finish(p, -SIGKILL);
}

static void test_bad_objects(void **state)
{
	char *const nothing[] = { NULL };
	foster_process_class cls = { .size = sizeof(cls) };

	errno = 0;
	assert_null(foster_process_new_exec(NULL, nothing));
	assert_int_equal(errno, EINVAL);
	assert_null(foster_process_new_exec(NULL, NULL));
	assert_null(foster_process_new_class(NULL, &cls, NULL));
	assert_null(foster_process_new_class(NULL, NULL, NULL));
	cls.run = (int (*)(foster_process *, void *))abort;
	cls.size--;
	errno = 0;
	assert_null(foster_process_new_class(NULL, &cls, NULL));
	assert_int_equal(errno, EINVAL);
}

static void test_main_process(void **state)
{
	foster_process *self = foster_current_process();
	int code;

	assert_string_equal(foster_process_name(self), "MainProcess");
	assert_int_equal(foster_process_pid(self), getpid());
	assert_true(foster_process_is_alive(self));
	assert_false(foster_process_daemon(self));
	assert_int_equal(foster_process_start(self), -ECHILD);
	assert_int_equal(foster_process_set_daemon(self, true), -ECHILD);
	assert_int_equal(foster_process_join(self, -1), -ECHILD);
	assert_int_equal(foster_process_exitcode(self, &code), -ECHILD);
	assert_int_equal(foster_process_sentinel(self), -ECHILD);
	assert_int_equal(foster_process_terminate(self), -ECHILD);
	assert_int_equal(foster_process_free(self), -EBUSY);
}

/* --- in the child -------------------------------------------------------------------------- */

struct family {
	foster_process *self, *sibling, *unstarted, *main;
};

/* Exit code: the number of the first thing that is not as it should be. */
#define CHECK(n, condition)       \
	do {                      \
		if (!(condition)) \
			return n; \
	} while (0)

static int run_look_around(void *arg)
{
	const struct family *f = arg;
	int code;

	CHECK(1, foster_current_process() == f->self);
	CHECK(2, foster_process_pid(f->self) == getpid());
	CHECK(3, foster_process_is_alive(f->self));
	CHECK(4, foster_process_free(f->self) == -EBUSY);
	CHECK(5, foster_process_join(f->self, -1) == -ECHILD);
	CHECK(6, foster_process_start(f->self) == -ECHILD);
	CHECK(7, foster_active_children(NULL, 0) == 0);
	CHECK(8, !foster_process_is_alive(f->sibling));
	CHECK(9, foster_process_join(f->sibling, -1) == -ECHILD);
	CHECK(10, foster_process_kill(f->sibling) == -ECHILD);
	CHECK(11, foster_process_exitcode(f->sibling, &code) == -ECHILD);
	CHECK(12, foster_process_sentinel(f->sibling) == -ECHILD);
	CHECK(13, foster_process_start(f->unstarted) == -ECHILD);
	CHECK(14, foster_process_set_daemon(f->unstarted, true) == -ECHILD);
	CHECK(15, foster_process_pid(f->sibling) > 0);
	CHECK(16, foster_process_free(f->sibling) == 0);
	CHECK(17, foster_process_free(f->main) == -EBUSY);
	CHECK(18, !foster_process_is_alive(f->main));
	return 0;
}

static void test_in_the_child(void **state)
{
	struct family f = {
		.sibling = started("sibling", run_forever, NULL),
		.unstarted = foster_process_new(NULL, run_forever, NULL),
		.main = foster_current_process(),
	};

	f.self = foster_process_new("curious", run_look_around, &f);
	assert_int_equal(foster_process_start(f.self), 0);
	finish(f.self, 0);
	assert_true(foster_process_is_alive(f.sibling));
	kill_and_free(f.sibling);
	foster_process_free(f.unstarted);
}

static int run_name_nested(void *arg)
{
	const char *parent = foster_process_name(foster_current_process());
	foster_process *named = foster_process_new("x", NULL, NULL);
	foster_process *p = foster_process_new(NULL, *(int *)arg ? run_name_nested : NULL, arg);
	char expected[100];
	int code;

	/* The second object of this process: "...:2". */
	snprintf(expected, sizeof(expected), "%s:2", parent);
	CHECK(1, strcmp(foster_process_name(p), expected) == 0);
	CHECK(2, foster_process_free(named) == 0);
	--*(int *)arg;
	CHECK(3, foster_process_start(p) == 0);
	CHECK(4, foster_process_join(p, -1) == 0);
	CHECK(5, foster_process_exitcode(p, &code) == 0);
	CHECK(6, foster_process_free(p) == 0);
	return code;
}

static void test_names(void **state)
{
	int depth = 3;
	foster_process *p = foster_process_new(NULL, NULL, NULL), *q;
	unsigned int n, m;

	assert_int_equal(sscanf(foster_process_name(p), "Process-%u", &n), 1);
	foster_process_free(foster_process_new("named", NULL, NULL));
	q = foster_process_new("", NULL, NULL);
	assert_int_equal(sscanf(foster_process_name(q), "Process-%u", &m), 1);
	assert_int_equal(m, n + 2);
	foster_process_free(p);
	foster_process_free(q);
	finish(started(NULL, run_name_nested, &depth), 0);
}

static int run_daemonic(void *arg)
{
	foster_process *p = foster_process_new(NULL, run_forever, NULL);

	CHECK(1, foster_process_daemon(foster_current_process()));
	CHECK(2, foster_process_daemon(p));
	CHECK(3, foster_process_set_daemon(p, false) == 0);
	CHECK(4, foster_process_start(p) == -EPERM);
	CHECK(5, foster_process_free(p) == 0);
	return 0;
}

static void test_daemonic_has_no_children(void **state)
{
	foster_process *p = foster_process_new(NULL, run_daemonic, NULL);

	assert_int_equal(foster_process_set_daemon(p, true), 0);
	assert_true(foster_process_daemon(p));
	assert_int_equal(foster_process_start(p), 0);
	finish(p, 0);
}

static int run_recurse(void *arg)
{
	int *depth = arg;
	foster_process *p[2];
	int sum = 1;

	if ((*depth)-- == 0)
		return 1;
	for (int i = 0; i < 2; i++) {
		p[i] = foster_process_new(NULL, run_recurse, depth);
		CHECK(200, foster_process_start(p[i]) == 0);
	}
	for (int i = 0; i < 2; i++) {
		int code = 0;

		CHECK(201, foster_process_join(p[i], -1) == 0);
		CHECK(202, foster_process_exitcode(p[i], &code) == 0);
		CHECK(203, foster_process_free(p[i]) == 0);
		sum += code;
	}
	return sum;
}

static void test_recursion(void **state)
{
	int depth = 3;

	finish(started(NULL, run_recurse, &depth), 15);
}

/* --- what is shared ------------------------------------------------------------------------ */

static int run_change(void *arg)
{
	int *value = arg;

	*value += 1;
	return *value;
}

/* Memory is copied: neither parent nor sibling sees what a child changes. */
static void test_memory_is_copied(void **state)
{
	int *value = malloc(sizeof(*value));

	*value = 10;
	finish(started(NULL, run_change, value), 11);
	assert_int_equal(*value, 10);
	finish(started(NULL, run_change, value), 11);
	*value = 20;
	finish(started(NULL, run_change, value), 21);
	free(value);
}

/* And the child has the value of the start, not what the parent makes of it later. */
static int run_tell(void *arg)
{
	int **go_and_value = arg;

	receive_int(*go_and_value[0]);
	return *go_and_value[1];
}

static void test_memory_of_the_start(void **state)
{
	int fds[2], value = 1;
	int *arg[] = { &fds[0], &value };
	foster_process *p;

	make_pipe(fds);
	p = started(NULL, run_tell, arg);
	value = 2;
	send_int(fds[1], 0);
	finish(p, 1);
	close_pipe(fds);
}

static int run_read_line(void *arg)
{
	char line[4];

	return read(*(int *)arg, line, 4) == 4 ? line[0] : 0;
}

/* A file opened before the start has one position for all. */
static void test_file_position_is_shared(void **state)
{
	int fd = memfd_create("lines", MFD_CLOEXEC);

	assert_int_equal(write(fd, "1..\n2..\n3..\n", 12), 12);
	lseek(fd, 0, SEEK_SET);
	finish(started(NULL, run_read_line, &fd), '1');
	finish(started(NULL, run_read_line, &fd), '2');
	assert_int_equal(run_read_line(&fd), '3');
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 12);
	close(fd);
}

/* --- a class of one's own ------------------------------------------------------------------ */

struct counter {
	int from, released;
	const char *seen_name;
};

static int counter_run(foster_process *process, void *self)
{
	struct counter *c = self;

	if (process != foster_current_process() ||
	    strcmp(foster_process_name(process), c->seen_name) != 0)
		return 0;
	return c->from + 1;
}

static void counter_release(void *self)
{
	struct counter *c = self;

	c->released++;
}

static void test_class(void **state)
{
	struct counter c = { .from = 41, .seen_name = "answer" };
	foster_process_class cls = {
		.size = sizeof(cls),
		.name = "Counter",
		.run = counter_run,
		.release = counter_release,
	};
	foster_process *p = foster_process_new_class("answer", &cls, &c);
	foster_process *q = foster_process_new_class(NULL, &cls, &c);

	/* It is read at once; what becomes of the struct later does not matter. */
	memset(&cls, 0xff, sizeof(cls));
	assert_non_null(p);
	assert_int_equal(strncmp(foster_process_name(q), "Counter-", 8), 0);
	assert_int_equal(foster_process_start(p), 0);
	finish(p, 42);
	assert_int_equal(c.released, 1);
	foster_process_free(q);
	assert_int_equal(c.released, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		process_test(test_life),
		process_test(test_alive),
		process_test(test_kill),
		process_test(test_many),
		process_test(test_exit_codes),
		process_test(test_other_ends),
		process_test(test_sentinel),
		process_test(test_errors_before_start),
		process_test(test_errors_after_start),
		process_test(test_bad_objects),
		process_test(test_main_process),
		process_test(test_in_the_child),
		process_test(test_names),
		process_test(test_daemonic_has_no_children),
		process_test(test_recursion),
		process_test(test_memory_is_copied),
		process_test(test_memory_of_the_start),
		process_test(test_file_position_is_shared),
		process_test(test_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
