/* SPDX-License-Identifier: MIT */
/* The worker's promises: order, threads, bounds, its end. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "chat/worker.h"

#define JOBS     100
#define TEST_MAX 8

static struct event_base *base;
static struct worker *worker;
static pthread_t loop;
static sem_t gate; /* what a closed job waits for */
static int ran[JOBS], n_ran, done[JOBS], n_done, n_cancelled;

struct job {
	struct worker_job job;
	int number;
	bool behind_gate, gives_another;
};

static void run(struct worker_job *j)
{
	struct job *job = (struct job *)j;

	assert_false(pthread_equal(pthread_self(), loop));
	if (job->behind_gate)
		sem_wait(&gate);
	ran[n_ran++] = job->number;
}

static int give(int number, bool behind_gate, bool gives_another);

static void on_done(struct worker_job *j)
{
	struct job *job = (struct job *)j;

	assert_true(pthread_equal(pthread_self(), loop));
	done[n_done++] = job->number;
	n_cancelled += job->job.cancelled;
	if (job->gives_another)
		give(job->number + 1, false, false);
	free(job);
}

static int give(int number, bool behind_gate, bool gives_another)
{
	struct job *job = calloc(1, sizeof(*job));
	int r;

	*job = (struct job){ .job = { .run = run, .done = on_done },
			     .number = number,
			     .behind_gate = behind_gate,
			     .gives_another = gives_another };
	r = worker_give(worker, &job->job);
	if (r < 0)
		free(job);
	return r;
}

static int start(void **state)
{
	n_ran = n_done = n_cancelled = 0;
	loop = pthread_self();
	sem_init(&gate, 0, 0);
	base = event_base_new();
	assert_non_null(base);
	assert_int_equal(worker_new(base, "test", TEST_MAX, &worker), 0);
	return 0;
}

static int stop(void **state)
{
	worker_free(worker);
	worker = NULL;
	event_base_free(base);
	sem_destroy(&gate);
	return 0;
}

static void turn_until_done(int n)
{
	while (n_done < n)
		assert_true(event_base_loop(base, EVLOOP_ONCE) >= 0);
}

static void jobs_are_run_in_order_and_done_in_the_loop(void **state)
{
	int given = 0;

	while (given < JOBS) {
		if (give(given, false, false) == 0)
			given++;
		else
			turn_until_done(n_done + 1);
	}
	turn_until_done(JOBS);
	for (int i = 0; i < JOBS; i++) {
		assert_int_equal(ran[i], i);
		assert_int_equal(done[i], i);
	}
	assert_int_equal(n_cancelled, 0);
	assert_int_equal(worker_count(worker), 0);
}

static void no_more_wait_than_allowed(void **state)
{
	int taken = 0;

	assert_int_equal(give(0, true, false), 0);
	/* One may be in the thread's hands already. */
	while (give(1 + taken, false, false) == 0)
		assert_true(++taken <= TEST_MAX);
	assert_true(taken >= TEST_MAX - 1);
	assert_int_equal(worker_count(worker), taken + 1);
	sem_post(&gate);
	turn_until_done(taken + 1);
	assert_int_equal(give(50, false, false), 0);
	turn_until_done(taken + 2);
}

static void a_done_may_give_the_next(void **state)
{
	assert_int_equal(give(7, false, true), 0);
	turn_until_done(2);
	assert_int_equal(done[0], 7);
	assert_int_equal(done[1], 8);
}

static void finish_runs_all_without_the_loop(void **state)
{
	for (int i = 0; i < TEST_MAX; i++)
		assert_int_equal(give(i, false, i == TEST_MAX - 1), 0);
	worker_finish(worker);
	assert_int_equal(n_done, TEST_MAX + 1);
	assert_int_equal(n_ran, TEST_MAX + 1);
	assert_int_equal(n_cancelled, 0);
}

static atomic_bool ending;

static bool loop_sleeps(void)
{
	char stat[512];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, stat, sizeof(stat) - 1);
	const char *state;

	close(fd);
	stat[n > 0 ? n : 0] = '\0';
	state = strrchr(stat, ')');
	return state && strncmp(state, ") S", 3) == 0;
}

/* Once the loop's thread, the process's first, waits in worker_free(). */
static void *open_gate(void *arg)
{
	while (!ending || !loop_sleeps())
		sched_yield();
	sem_post(&gate);
	return NULL;
}

/* The one that is being run ends; those that wait are never run, but told. */
static void the_end_drops_what_waits(void **state)
{
	pthread_t opener;

	for (int i = 0; i < 4; i++)
		assert_int_equal(give(i, i == 0, i == 3), 0);
	assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
	ending = true;
	worker_free(worker);
	worker = NULL;
	pthread_join(opener, NULL);
	assert_int_equal(n_done, 4);
	assert_true(n_ran <= 1);
	assert_int_equal(n_cancelled, 4 - n_ran);
	for (int i = 0; i < 4; i++)
		assert_int_equal(done[i], i);
	assert_int_equal(worker_new(base, "test", TEST_MAX, &worker), 0);
}

static sigset_t seen;

static void look_at_signals(struct worker_job *job)
{
	pthread_sigmask(SIG_SETMASK, NULL, &seen);
}

static void count_done(struct worker_job *job)
{
	n_done++;
}

static void the_thread_takes_no_signals(void **state)
{
	struct worker_job job = { .run = look_at_signals, .done = count_done };
	sigset_t mine;

	sigemptyset(&seen);
	assert_int_equal(worker_give(worker, &job), 0);
	turn_until_done(1);
	assert_int_equal(sigismember(&seen, SIGTERM), 1);
	assert_int_equal(sigismember(&seen, SIGHUP), 1);
	assert_int_equal(sigismember(&seen, SIGCHLD), 1);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(jobs_are_run_in_order_and_done_in_the_loop, start,
						stop),
		cmocka_unit_test_setup_teardown(no_more_wait_than_allowed, start, stop),
		cmocka_unit_test_setup_teardown(a_done_may_give_the_next, start, stop),
		cmocka_unit_test_setup_teardown(finish_runs_all_without_the_loop, start, stop),
		cmocka_unit_test_setup_teardown(the_end_drops_what_waits, start, stop),
		cmocka_unit_test_setup_teardown(the_thread_takes_no_signals, start, stop),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
