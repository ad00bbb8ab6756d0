/* SPDX-License-Identifier: MIT */
/*
 * The end of the parent: what becomes of daemonic and other children when the program that
 * started them exits, is killed, or loses the thread that started them.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "libfoster/wait.h"
#include "process-support.h"

#define SURVIVE_MS 100 /* how long one looks at what should not happen */

static int pids[2]; /* the children's pids on their way to the test */
static int go[2];   /* and its word to the host, that they came */

/* --- children ------------------------------------------------------------------------------ */

static void ready(void)
{
	send_int(pids[1], getpid());
}

static int run_ready(void *arg)
{
	ready();
	return run_forever(NULL);
}

static int run_other_session(void *arg)
{
	signal(SIGTERM, SIG_IGN);
	setsid();
	ready();
	/* What foster's parts in the child hold open must not matter. */
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	return run_forever(NULL);
}

static int run_other_user(void *arg)
{
	if (geteuid() == 0)
		REQUIRE(setresuid(65534, 65534, 65534) == 0);
	ready();
	return run_forever(NULL);
}

static int run_stopped(void *arg)
{
	ready();
	raise(SIGSTOP);
	return run_forever(NULL);
}

static int run_exec(void *arg)
{
	ready();
	alarm(60);
	execlp("sleep", "sleep", "60", NULL);
	return 1;
}

/* --- hosts --------------------------------------------------------------------------------- */

struct cast {
	foster_process_run *run;
	bool daemon;
	bool in_thread; /* started by one that has ended since */
	void (*end)(void);
};

static void *start_one(void *arg)
{
	const struct cast *cast = arg;
	foster_process *p = foster_process_new(NULL, cast->run, NULL);

	REQUIRE(foster_process_set_daemon(p, cast->daemon) == 0);
	REQUIRE(foster_process_start(p) == 0);
	return p;
}

static void *start_one_and_tell(void *arg)
{
	int *tid = ((void **)arg)[1];

	*tid = gettid();
	return start_one(((void **)arg)[0]);
}

/* The kernel still ends a thread that pthread_join() has seen the end of. */
static foster_process *start_in_thread(const struct cast *cast)
{
	int tid;
	void *arg[] = { (void *)cast, &tid }, *process;
	pthread_t thread;
	char path[64];

	REQUIRE(pthread_create(&thread, NULL, start_one_and_tell, arg) == 0);
	REQUIRE(pthread_join(thread, &process) == 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d", tid);
	for (int ms = 0; access(path, F_OK) == 0; ms++) {
		REQUIRE(ms < DEADLINE_MS);
		poll(NULL, 0, 1);
	}
	return process;
}

static int play(void *arg)
{
	const struct cast *cast = arg;

	if (cast->in_thread)
		start_in_thread(cast);
	else
		start_one(arg);
	receive_int(go[0]);
	if (cast->end)
		cast->end();
	return run_forever(NULL);
}

static void end_by_exit(void)
{
	_exit(0);
}

static void end_by_term(void)
{
	raise(SIGTERM);
}

static void end_by_abort(void)
{
	prctl(PR_SET_DUMPABLE, 0); /* no core file */
	abort();
}

/* --- the parent dies ----------------------------------------------------------------------- */

/* Ends the host once the child is there; then tells whether the child ended too. */
static bool child_ends_with_host(struct cast *cast, int ms)
{
	pid_t host, child;
	bool ended;
	int fd;

	make_pipe(go);
	host = host_start(play, cast);
	child = receive_int(pids[0]);
	fd = watch(child);
	send_int(go[1], 0);
	if (!cast->end)
		kill(host, SIGKILL);
	host_wait(host);
	ended = ends_within(fd, ms);
	kill(child, SIGKILL);
	reap_orphan(child);
	close(fd);
	close_pipe(go);
	return ended;
}

/* Whatever the child does and whoever started it, SIGKILL to the parent ends it. */
static void test_daemonic_ends_with_killed_parent(void **state)
{
	foster_process_run *const runs[] = { run_ready, run_other_session, run_other_user,
					     run_stopped, run_exec };

	make_pipe(pids);
	for (size_t i = 0; i < ELEMENTSOF(runs); i++) {
		for (int in_thread = 0; in_thread < 2; in_thread++) {
			struct cast cast = { runs[i], true, in_thread };

			assert_true(child_ends_with_host(&cast, DEADLINE_MS));
		}
	}
	close_pipe(pids);
}

static void test_daemonic_ends_with_any_end(void **state)
{
	void (*const ends[])(void) = { end_by_exit, end_by_term, end_by_abort };

	make_pipe(pids);
	for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
		struct cast cast = { run_ready, true, false, ends[i] };

		assert_true(child_ends_with_host(&cast, DEADLINE_MS));
	}
	close_pipe(pids);
}

static void test_others_survive_killed_parent(void **state)
{
	struct cast cast = { run_ready, false };

	make_pipe(pids);
	assert_false(child_ends_with_host(&cast, SURVIVE_MS));
	close_pipe(pids);
}

/* The thread ends, the process goes on: so does the child. */
static void test_daemonic_survives_its_thread(void **state)
{
	struct cast cast = { run_ready, true, true };
	foster_process *p;

	make_pipe(pids);
	p = start_in_thread(&cast);
	assert_int_equal(receive_int(pids[0]), foster_process_pid(p));
	assert_int_equal(foster_process_join(p, SURVIVE_MS), -ETIMEDOUT);
	kill_and_free(p);
	close_pipe(pids);
}

static int play_with_copy(void *arg)
{
	start_one(arg);
	if (fork() == 0)
		run_ready(NULL);
	return run_forever(NULL);
}

/* A copy of the parent that lives on does not keep the child alive. */
static void test_copy_does_not_protect(void **state)
{
	struct cast cast = { run_ready, true };
	pid_t host, found[2];
	int fds[2], n_ended;

	make_pipe(pids);
	host = host_start(play_with_copy, &cast);
	for (int i = 0; i < 2; i++) {
		found[i] = receive_int(pids[0]);
		fds[i] = watch(found[i]);
	}
	kill(host, SIGKILL);
	host_wait(host);
	/* Which of the two is the copy is not known; one ends, the other does not. */
	assert_int_equal(
		poll((struct pollfd[]){ { fds[0], POLLIN }, { fds[1], POLLIN } }, 2, DEADLINE_MS),
		1);
	n_ended = ends_within(fds[0], 0) + ends_within(fds[1], 0);
	assert_int_equal(n_ended, 1);
	for (int i = 0; i < 2; i++) {
		kill(found[i], SIGKILL);
		reap_orphan(found[i]);
		close(fds[i]);
	}
	close_pipe(pids);
}

static void kill_parent(void)
{
	kill(getppid(), SIGKILL);
}

/* The parent gets no further than its fork(), so that the gate stays shut. */
static void wait_for_death(void)
{
	run_forever(NULL);
}

static int play_killed_by_fork(void *arg)
{
	pthread_atfork(NULL, wait_for_death, kill_parent);
	start_one(arg);
	return 0;
}

/* The parent dies before the child is past the gate: the child leaves without having run. */
static void test_parent_dies_in_start(void **state)
{
	for (int daemon = 0; daemon < 2; daemon++) {
		struct cast cast = { run_ready, daemon };

		make_pipe(pids);
		assert_int_equal(WTERMSIG(host_wait(host_start(play_killed_by_fork, &cast))),
				 SIGKILL);
		close(pids[1]);
		assert_true(at_eof(pids[0]));
		close(pids[0]);
		for (int ms = 0; waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD; ms++) {
			assert_true(ms < DEADLINE_MS);
			poll(NULL, 0, 1);
		}
	}
}

/* --- a normal exit ------------------------------------------------------------------------- */

static void bye(int signo)
{
	send_int(pids[1], signo);
	_exit(0);
}

static int run_polite(void *arg)
{
	signal(SIGTERM, bye);
	return run_ready(NULL);
}

static int run_slow(void *arg)
{
	ready();
	poll(NULL, 0, SURVIVE_MS);
	send_int(pids[1], -1);
	return 0;
}

static int play_exit(void *arg)
{
	struct cast cast = { run_polite, true };

	start_one(&cast);
	receive_int(pids[0]);
	cast = (struct cast){ run_slow, false };
	start_one(&cast);
	receive_int(pids[0]);
	exit(4);
}

/* run_polite() by SIGTERM and run_slow() by itself, whichever was first. */
static void assert_both_ended(void)
{
	int first = receive_int(pids[0]), second = receive_int(pids[0]);

	assert_true((first == SIGTERM && second == -1) || (first == -1 && second == SIGTERM));
}

/* exit(): the daemonic one gets SIGTERM, the other is waited for. */
static void test_exit(void **state)
{
	make_pipe(pids);
	assert_int_equal(WEXITSTATUS(host_wait(host_start(play_exit, NULL))), 4);
	assert_both_ended();
	close(pids[1]);
	assert_true(at_eof(pids[0]));
	close(pids[0]);
}

static int play_exit_deaf(void *arg)
{
	foster_process *p = foster_process_new(NULL, run_deaf, &pids[1]);

	end_grace_ms = 30;
	foster_process_set_daemon(p, true);
	foster_process_start(p);
	receive_int(pids[0]);
	exit(0);
}

/* A daemonic child that ignores SIGTERM holds the exit up for a while only. */
static void test_exit_with_deaf_child(void **state)
{
	make_pipe(pids);
	assert_int_equal(host_wait(host_start(play_exit_deaf, NULL)), 0);
	close(pids[1]);
	assert_true(at_eof(pids[0]));
	close(pids[0]);
}

static int run_parent(void *arg)
{
	struct cast cast = { run_polite, true };

	start_one(&cast);
	receive_int(pids[0]);
	cast = (struct cast){ run_slow, false };
	start_one(&cast);
	receive_int(pids[0]);
	return 3;
}

/* The return of a run() ends the child's own children in the same way. */
static void test_end_of_child_with_children(void **state)
{
	make_pipe(pids);
	finish(started(NULL, run_parent, NULL), 3);
	assert_both_ended();
	close_pipe(pids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		process_test(test_daemonic_ends_with_killed_parent),
		process_test(test_daemonic_ends_with_any_end),
		process_test(test_others_survive_killed_parent),
		process_test(test_daemonic_survives_its_thread),
		process_test(test_copy_does_not_protect),
		process_test(test_parent_dies_in_start),
		process_test(test_exit),
		process_test(test_exit_with_deaf_child),
		process_test(test_end_of_child_with_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
