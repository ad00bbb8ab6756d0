/* SPDX-License-Identifier: MIT */
/* libfoster and standard I/O: what is flushed, when, by whom; and the exit handlers. */
#include "config.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process-support.h"

static FILE *notes; /* of the parent, with something in its buffer */

static int run_print(void *arg)
{
	printf("child ");
	fprintf(stderr, "child-error ");
	return 0;
}

static void print_handler(void)
{
	printf("handler ");
}

static int play_print(void *arg)
{
	int *out = arg;

	dup2(out[1], STDOUT_FILENO);
	dup2(out[1], STDERR_FILENO);
	notes = fdopen(dup(out[1]), "w");
	setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	atexit(print_handler);
	printf("parent ");
	fprintf(notes, "notes ");
	finish(started(NULL, run_print, NULL), 0);
	exit(0);
}

/* What each wrote comes out once, and the parent's exit handlers are the parent's. */
static void test_streams(void **state)
{
	char text[200] = "";
	int out[2];
	ssize_t n;

	make_pipe(out);
	assert_int_equal(host_wait(host_start(play_print, out)), 0);
	n = read(out[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	assert_non_null(strstr(text, "parent child-error child "));
	assert_non_null(strstr(text, "notes "));
	assert_int_equal(strlen(text), strlen("parent child-error child handler notes "));
	close_pipe(out);
}

static int play_broken_stdout(void *arg)
{
	int fds[2];

	make_pipe(fds);
	signal(SIGPIPE, SIG_IGN);
	dup2(fds[1], STDOUT_FILENO);
	dup2(fds[1], STDERR_FILENO);
	close_pipe(fds);
	finish(started(NULL, run_print, NULL), 0);
	return 0;
}

static void test_broken_stdout(void **state)
{
	assert_int_equal(host_wait(host_start(play_broken_stdout, NULL)), 0);
}

static void *read_line(void *arg)
{
	char line[10];

	fgets(line, sizeof(line), arg);
	return NULL;
}

/* A thread that sits in a read of a stream holds its lock; start must not want it. */
static void test_stream_reader(void **state)
{
	int fds[2];
	FILE *file;
	pthread_t thread;

	make_pipe(fds);
	file = fdopen(fds[0], "r");
	pthread_create(&thread, NULL, read_line, file);
	for (int ms = 0; ftrylockfile(file) == 0 && ms < DEADLINE_MS; ms++) {
		funlockfile(file);
		poll(NULL, 0, 1);
	}
	finish(started(NULL, NULL, NULL), 0);
	assert_int_equal(write(fds[1], "x\n", 2), 2);
	pthread_join(thread, NULL);
	fclose(file);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		process_test(test_streams),
		process_test(test_broken_stdout),
		process_test(test_stream_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
