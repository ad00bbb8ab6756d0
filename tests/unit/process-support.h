/* SPDX-License-Identifier: MIT */
/*
 * What the tests of libfoster share. Each test runs between process_setup() and
 * process_teardown(), which fail it if it leaves a child, a zombie or a descriptor behind.
 */
#ifndef FOSTER_TESTS_PROCESS_SUPPORT_H
#define FOSTER_TESTS_PROCESS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "foster/process.h"

#define DEADLINE_MS 20000 /* for what should take no time: a failure, not a measurement */

int process_setup(void **state);
int process_teardown(void **state);
#define process_test(f) cmocka_unit_test_setup_teardown(f, process_setup, process_teardown)

/* Children's run functions. */
int run_return(void *arg);  /* returns *(int *)arg */
int run_forever(void *arg); /* until a signal */
int run_deaf(void *arg);    /* writes a byte to *(int *)arg, then ignores SIGTERM for ever */

/* Creates, asserts that it worked, starts. */
foster_process *started(const char *name, foster_process_run *run, void *arg);

/* Joins, asserts the exit code, frees. */
void finish(foster_process *process, int code);
void kill_and_free(foster_process *process);

/* An assertion that also works in a child: there it aborts, where cmocka's would jump. */
void require_true(bool condition, const char *what, const char *file, int line);
#define REQUIRE(condition) require_true(condition, #condition, __FILE__, __LINE__)

int count_fds(void);

/*
 * A host: a fork()ed process that plays the program using the library and may end in any way.
 * It calls play(arg), and whatever that returns is its _exit() code. The test becomes a
 * subreaper, so that orphans of the host can be waited for.
 */
pid_t host_start(int (*play)(void *), void *arg);
int host_wait(pid_t host); /* its wait status; fails after the deadline */

/* A pid of which a pidfd is taken at once: to see the end of what is not one's child. */
int watch(pid_t pid);
bool ends_within(int pidfd, int ms); /* closes nothing */
void reap_orphan(pid_t pid);         /* waits for it, within the deadline */

/* Pipes: sends and receives one int; receive fails after the deadline. */
void make_pipe(int ret_fds[2]);
void close_pipe(int fds[2]);
void send_int(int fd, int value);
int receive_int(int fd);
bool at_eof(int fd); /* within the deadline */

#endif
