/* SPDX-License-Identifier: MIT */
/* libfoster's processes that execute a program: PATH, errors of the exec, what is inherited. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macro.h"
#include "libfoster/exec-plan.h"
#include "process-support.h"

static int start_argv(foster_process **ret, const char *const argv[])
{
	*ret = foster_process_new_exec(NULL, (char *const *)argv);
	REQUIRE(*ret);
	return foster_process_start(*ret);
}

/* Starts a shell on the script, with "a b" as its one argument. */
static foster_process *shell(const char *script)
{
	const char *const argv[] = { "sh", "-c", script, "sh", "a b", NULL };
	foster_process *p;

	REQUIRE(start_argv(&p, argv) == 0);
	return p;
}

static void test_runs(void **state)
{
	finish(shell("exit 7"), 7);
	finish(shell("[ $# = 1 ] && [ \"$1\" = 'a b' ]"), 0);
	finish(shell("kill -KILL $$"), -SIGKILL);
	finish(shell("[ \"$HOME\" = \"$(sed -z -n 's/^HOME=//p' /proc/$PPID/environ)\" ]"), 0);
}

static void test_terminate(void **state)
{
	foster_process *p = shell("exec sleep 60");

	assert_true(foster_process_is_alive(p));
	assert_int_equal(foster_process_terminate(p), 0);
	finish(p, -SIGTERM);
}

/* --- finding the program ------------------------------------------------------------------- */

static void assert_paths(const char *path, const char *program, const char *const expected[])
{
	char **paths;
	size_t i;

	if (path)
		setenv("PATH", path, 1);
	else
		unsetenv("PATH");
	paths = exec_plan_paths(program);
	assert_non_null(paths);
	for (i = 0; expected[i]; i++)
		assert_string_equal(paths[i], expected[i]);
	assert_null(paths[i]);
	free(paths);
}

static void test_paths(void **state)
{
	char *old = strdup(getenv("PATH"));

	assert_paths("/a:/b/c", "x", (const char *const[]){ "/a/x", "/b/c/x", NULL });
	assert_paths(":/a:", "x", (const char *const[]){ "x", "/a/x", "x", NULL });
	assert_paths("", "x", (const char *const[]){ "x", NULL });
	assert_paths("/a:/b", "./x", (const char *const[]){ "./x", NULL });
	assert_paths("/a:/b", "", (const char *const[]){ "", NULL });
	assert_paths(NULL, "x", (const char *const[]){ "/bin/x", "/usr/bin/x", NULL });
	setenv("PATH", old, 1);
	free(old);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

/* A failed exec is told by start, leaves no child, and the object may be started again. */
static void test_failures(void **state)
{
	char directory[] = "/tmp/foster-exec-XXXXXX", path[100], below[120];
	const char *const argv[] = { path, NULL }, *const argv_below[] = { below, NULL };
	foster_process *p, *q;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/program", directory);
	snprintf(below, sizeof(below), "%s/program", path);

	assert_int_equal(start_argv(&p, argv), -ENOENT);
	assert_false(foster_process_is_alive(p));
	assert_int_equal(foster_process_pid(p), 0);
	assert_int_equal(foster_process_join(p, -1), -EINVAL);
	write_file(path, "no format that is known", 0644);
	assert_int_equal(foster_process_start(p), -EACCES);
	chmod(path, 0755);
	assert_int_equal(foster_process_start(p), -ENOEXEC);
	assert_int_equal(start_argv(&q, argv_below), -ENOENT);
	foster_process_free(q);
	write_file(path, "#!/bin/sh\nexit 3\n", 0755);
	assert_int_equal(foster_process_set_daemon(p, true), 0);
	assert_int_equal(foster_process_start(p), 0);
	finish(p, 3);
	unlink(path);
	rmdir(directory);
}

static void test_search(void **state)
{
	char directory[] = "/tmp/foster-exec-XXXXXX", path[100], *old = strdup(getenv("PATH"));
	const char *const argv[] = { "foster-test-program", NULL }, *const empty[] = { "", NULL };
	foster_process *p;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/foster-test-program", directory);
	setenv("PATH", directory, 1);
	assert_int_equal(start_argv(&p, empty), -ENOENT);
	foster_process_free(p);
	assert_int_equal(start_argv(&p, argv), -ENOENT);
	/* A file that may not be executed is worth more of an error than its absence. */
	write_file(path, "#!/bin/sh\nexit 5\n", 0644);
	assert_int_equal(foster_process_start(p), -EACCES);
	chmod(path, 0755);
	assert_int_equal(foster_process_start(p), 0);
	finish(p, 5);
	setenv("PATH", old, 1);
	free(old);
	unlink(path);
	rmdir(directory);
}

/* --- what is inherited --------------------------------------------------------------------- */

/*
 * No signal blocked, none ignored, whatever the program does. But 32 and 33 are libc's own, whose
 * posix_spawn() leaves them ignored in what it starts, as make does start this test.
 */
static void test_signals(void **state)
{
	/* By the shell itself: while it starts another program, it blocks signals. */
	const char *script = "while read name value; do case $name$value in "
			     "SigIgn:*0180000000) ;; SigBlk:*[!0]* | SigIgn:*[!0]*) exit 1 ;; "
			     "esac; done </proc/self/status";
	sigset_t mask, old;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, &old);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	finish(shell(script), 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static int count_inheritable_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);

		n += flags >= 0 && !(flags & FD_CLOEXEC);
	}
	return n;
}

/* What the program did not make CLOEXEC, and nothing of the library's or of a sibling's. */
static void test_fds(void **state)
{
	/* The glob itself has the directory open. */
	const char *script = "set -- /proc/$$/fd/*; exit $(($# - 1))";
	int expected = count_inheritable_fds();
	foster_process *siblings[3];

	finish(shell(script), expected);
	for (size_t i = 0; i < ELEMENTSOF(siblings); i++) {
		siblings[i] = foster_process_new(NULL, run_forever, NULL);
		foster_process_set_daemon(siblings[i], true);
		assert_int_equal(foster_process_start(siblings[i]), 0);
	}
	finish(shell(script), expected);
	for (size_t i = 0; i < ELEMENTSOF(siblings); i++)
		kill_and_free(siblings[i]);
}

/* --- threads ------------------------------------------------------------------------------- */

static void *exec_some(void *arg)
{
	const char *const missing[] = { "/nonexistent/program", NULL };

	for (int i = 0; i < 20; i++) {
		foster_process *p;

		finish(shell("exit 2"), 2);
		REQUIRE(start_argv(&p, missing) == -ENOENT);
		REQUIRE(foster_process_free(p) == 0);
	}
	return NULL;
}

static int play_threads(void *arg)
{
	pthread_t threads[4];

	for (size_t i = 0; i < ELEMENTSOF(threads); i++)
		REQUIRE(pthread_create(&threads[i], NULL, exec_some, NULL) == 0);
	for (size_t i = 0; i < ELEMENTSOF(threads); i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	return 0;
}

static void test_threads(void **state)
{
	assert_int_equal(host_wait(host_start(play_threads, NULL)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		process_test(test_runs),   process_test(test_terminate),
		process_test(test_paths),  process_test(test_failures),
		process_test(test_search), process_test(test_signals),
		process_test(test_fds),    process_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
