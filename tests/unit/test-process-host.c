/* SPDX-License-Identifier: MIT */
/*
 * libfoster in programs that make it hard: threads, copies made by fork(), signals, an ignored
 * SIGCHLD, somebody else's wait().
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "process-support.h"

/*
 * Linked with --wrap=ioctl: an old kernel, on which a pidfd does not tell an exit status, and one
 * that is asked just while the process loses its pid.
 */
static bool kernel_is_old, is_losing_pid;
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (kernel_is_old) {
		errno = ENOTTY;
		return -1;
	}
	if (is_losing_pid) {
		is_losing_pid = false;
		errno = ESRCH;
		return -1;
	}
	return __real_ioctl(fd, request, arg);
}

/* --- threads ------------------------------------------------------------------------------- */

#define THREADS 8
#define ROUNDS  25

static void *start_and_join(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int code = i;

		finish(started(NULL, run_return, &code), code);
	}
	return NULL;
}

static int play_threads(void *arg)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, start_and_join, NULL) == 0);
	/* Plain forks in between must find the lock in order, and leave the children alone. */
	for (int i = 0; i < ROUNDS; i++) {
		pid_t copy = fork();

		if (copy == 0)
			_exit(foster_active_children(NULL, 0) == 0 ? 0 : 1);
		REQUIRE(WEXITSTATUS(host_wait(copy)) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	REQUIRE(foster_active_children(NULL, 0) == 0);
	return 0;
}

static void test_threads(void **state)
{
	assert_int_equal(host_wait(host_start(play_threads, NULL)), 0);
}

static void *join_it(void *arg)
{
	return (void *)(intptr_t)foster_process_join(arg, DEADLINE_MS);
}

/* Several join one child: each returns, one reaps, all read the same status. */
static void test_threads_join_one(void **state)
{
	pthread_t threads[THREADS];

	for (int round = 0; round < ROUNDS; round++) {
		foster_process *p = started(NULL, run_forever, NULL);

		for (int i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, join_it, p);
		foster_process_terminate(p);
		for (int i = 0; i < THREADS; i++) {
			void *r;

			pthread_join(threads[i], &r);
			assert_int_equal((intptr_t)r, 0);
		}
		finish(p, -SIGTERM);
	}
}

static bool is_asleep(pid_t tid)
{
	char path[64], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %31s", text) != 1)
		text[0] = 0;
	fclose(file);
	return text[0] == 'S';
}

struct joiner {
	foster_process *process;
	int tid_pipe;
};

static void *tell_and_join(void *arg)
{
	const struct joiner *j = arg;

	send_int(j->tid_pipe, gettid());
	foster_process_join(j->process, -1);
	return NULL;
}

/* Who joins keeps the object from being freed; a cancelled thread does so no longer. */
static void test_cancelled_join(void **state)
{
	foster_process *p = started(NULL, run_forever, NULL);
	int fds[2], r = 0;
	struct joiner joiner = { .process = p };
	pthread_t thread;
	pid_t tid;

	make_pipe(fds);
	joiner.tid_pipe = fds[1];
	pthread_create(&thread, NULL, tell_and_join, &joiner);
	tid = receive_int(fds[0]);
	for (int ms = 0; ms < DEADLINE_MS && !is_asleep(tid); ms++)
		poll(NULL, 0, 1);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	foster_process_kill(p);
	assert_int_equal(foster_process_join(p, DEADLINE_MS), 0);
	r = foster_process_free(p);
	assert_int_equal(r, 0);
	close_pipe(fds);
}

/* --- copies -------------------------------------------------------------------------------- */

static int play_copy(void *arg)
{
	foster_process **p = arg;
	int code;

	REQUIRE(foster_active_children(NULL, 0) == 0);
	REQUIRE(!foster_process_is_alive(p[0]));
	REQUIRE(foster_process_join(p[0], -1) == -ECHILD);
	REQUIRE(foster_process_join(p[1], -1) == -ECHILD);
	REQUIRE(foster_process_terminate(p[0]) == -ECHILD);
	REQUIRE(foster_process_exitcode(p[0], &code) == -ECHILD);
	REQUIRE(foster_process_sentinel(p[0]) == -ECHILD);
	REQUIRE(foster_process_start(p[2]) == -ECHILD);
	REQUIRE(foster_process_pid(foster_current_process()) == getpid());
	/* It may have children of its own, and free its copies of the objects. */
	code = 3;
	finish(started(NULL, run_return, &code), 3);
	REQUIRE(foster_process_free(p[0]) == 0);
	/* exit() runs the library's handler in the copy, which must not touch p[1]. */
	exit(0);
}

static void test_copy_leaves_children_alone(void **state)
{
	foster_process *p[] = {
		started(NULL, run_forever, NULL),
		foster_process_new(NULL, run_forever, NULL),
		foster_process_new(NULL, run_forever, NULL),
	};

	foster_process_set_daemon(p[1], true);
	assert_int_equal(foster_process_start(p[1]), 0);
	assert_int_equal(host_wait(host_start(play_copy, p)), 0);
	assert_int_equal(foster_process_join(p[1], 0), -ETIMEDOUT);
	assert_true(foster_process_is_alive(p[0]));
	kill_and_free(p[0]);
	kill_and_free(p[1]);
	foster_process_free(p[2]);
}

/* --- signals and waits --------------------------------------------------------------------- */

static volatile sig_atomic_t ticks;

static void tick(int signo)
{
	ticks++;
}

/* Signals without SA_RESTART all along: start and join go on. */
static void test_interrupted(void **state)
{
	const struct sigaction action = { .sa_handler = tick }, old = { .sa_handler = SIG_DFL };
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { { 0, 0 }, { 0, 0 } };
	char *const argv[] = { (char *)"true", NULL };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 50 || ticks < 20; i++) {
		foster_process *p = foster_process_new_exec(NULL, argv);

		assert_int_equal(foster_process_start(p), 0);
		assert_int_equal(foster_process_join(p, -1), 0);
		finish(p, 0);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
}

static int run_mask(void *arg)
{
	sigset_t now;

	sigprocmask(SIG_BLOCK, NULL, &now);
	for (int signo = 1; signo < NSIG; signo++) {
		if (sigismember(&now, signo) == 1 && signo != SIGUSR2)
			return signo;
	}
	return sigismember(&now, SIGUSR2) ? 0 : 255;
}

/* A forked child has the thread's mask, and start leaves the thread's as it was. */
static void test_mask(void **state)
{
	sigset_t usr2, now;

	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_SETMASK, &usr2, NULL);
	finish(started(NULL, run_mask, NULL), 0);
	assert_int_equal(run_mask(NULL), 0);
	sigemptyset(&now);
	sigprocmask(SIG_SETMASK, &now, NULL);
}

static int play_ignoring(void *arg)
{
	int code = 5;
	bool told = *(bool *)arg;
	struct sigaction action = { .sa_handler = SIG_IGN };

	kernel_is_old = !told;
	for (int i = 0; i < 200; i++) {
		foster_process *p;
		int got = -1000, r;

		/* Both ways not to be left with zombies. */
		action.sa_handler = i % 2 ? SIG_IGN : SIG_DFL;
		action.sa_flags = i % 2 ? 0 : SA_NOCLDWAIT;
		sigaction(SIGCHLD, &action, NULL);
		p = started(NULL, run_return, &code);
		is_losing_pid = told && i % 4 < 2;
		REQUIRE(foster_process_join(p, DEADLINE_MS) == 0);
		REQUIRE(!is_losing_pid);
		REQUIRE(!foster_process_is_alive(p));
		REQUIRE(foster_active_children(NULL, 0) == 0);
		r = foster_process_exitcode(p, &got);
		REQUIRE(told ? r == 0 && got == 5 : r == -ENODATA);
		REQUIRE(foster_process_terminate(p) == 0);
		REQUIRE(foster_process_free(p) == 0);
	}
	return 0;
}

/* True where this kernel tells the status of a process that somebody else reaped. */
static bool kernel_tells(void)
{
	int code = 5, got = 0;
	foster_process *p = started(NULL, run_return, &code);
	bool tells;

	REQUIRE(waitpid(foster_process_pid(p), NULL, 0) > 0);
	REQUIRE(foster_process_join(p, DEADLINE_MS) == 0);
	tells = foster_process_exitcode(p, &got) == 0;
	REQUIRE(!tells || got == 5);
	REQUIRE(foster_process_free(p) == 0);
	return tells;
}

static void test_sigchld_ignored(void **state)
{
	bool told = kernel_tells(), never = false;

	assert_int_equal(host_wait(host_start(play_ignoring, &told)), 0);
	assert_int_equal(host_wait(host_start(play_ignoring, &never)), 0);
}

static atomic_bool thief_may_go;

static void *wait_for_any(void *arg)
{
	while (!thief_may_go) {
		if (waitpid(-1, NULL, 0) < 0)
			sched_yield();
	}
	return NULL;
}

/* A thread that reaps whatever it finds: all processes end, none is alive for ever. */
static int play_robbed(void *arg)
{
	bool tells = *(bool *)arg;
	pthread_t thief;

	thief_may_go = false;
	kernel_is_old = !tells;
	REQUIRE(pthread_create(&thief, NULL, wait_for_any, NULL) == 0);
	for (int i = 0; i < 200; i++) {
		int code = 6, got = -1000, r;
		foster_process *p = started(NULL, run_return, &code);

		REQUIRE(foster_process_join(p, DEADLINE_MS) == 0);
		REQUIRE(!foster_process_is_alive(p));
		r = foster_process_exitcode(p, &got);
		REQUIRE((r == 0 && got == 6) || (r == -ENODATA && !tells));
		REQUIRE(foster_process_free(p) == 0);
	}
	thief_may_go = true;
	REQUIRE(pthread_join(thief, NULL) == 0);
	return 0;
}

static void test_reaped_by_another(void **state)
{
	bool tells = kernel_tells(), never = false;

	assert_int_equal(host_wait(host_start(play_robbed, &tells)), 0);
	assert_int_equal(host_wait(host_start(play_robbed, &never)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		process_test(test_threads),         process_test(test_threads_join_one),
		process_test(test_cancelled_join),  process_test(test_copy_leaves_children_alone),
		process_test(test_interrupted),     process_test(test_mask),
		process_test(test_sigchld_ignored), process_test(test_reaped_by_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
