/* SPDX-License-Identifier: MIT */
/*
 * Waiting for children, by their pidfds only: a bare pid may be somebody else's by the time it
 * is used. Waiting is done without the lock, reaping with it, so that of several threads that
 * join one child the first records the status and the others find it.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/macro.h"
#include "libfoster/kernel.h"
#include "libfoster/wait.h"

#define REAP_AT_ONCE 32

int end_grace_ms = 10000;

static bool is_over(const foster_process *process)
{
	return process->state == PROCESS_ENDED || process->state == PROCESS_LOST;
}

void process_refresh(struct registry *registry, foster_process *process)
{
	int r;

	if (process->state != PROCESS_RUNNING)
		return;
	r = pidfd_reap(process->pidfd, &process->status);
	if (r == 0)
		return;
	if (r < 0)
		r = pidfd_exit_info(process->pidfd, &process->status);
	process->state = r < 0 ? PROCESS_LOST : PROCESS_ENDED;
	fd_drop(&process->guard[0]);
	fd_drop(&process->guard[1]);
	list_remove(&process->link);
	list_append(&registry->ended, &process->link);
}

void reap_some(struct registry *registry)
{
	const struct link *last = registry->active.prev;

	for (int i = 0; i < REAP_AT_ONCE && !list_empty(&registry->active); i++) {
		struct link *l = registry->active.next;

		/* To the end first: what is looked at next time are the others. */
		list_remove(l);
		list_append(&registry->active, l);
		process_refresh(registry, CONTAINER_OF(l, foster_process, link));
		if (l == last)
			break;
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Milliseconds until the deadline, by now_ms(), as poll(2) wants them; one of -1 is never. */
static int left_until(int64_t deadline)
{
	int64_t left;

	if (deadline < 0)
		return -1;
	left = deadline - now_ms();
	return left < 0 ? 0 : (int)MIN(left, INT_MAX);
}

/* The state after a look, under the lock for a moment. */
static bool has_ended(foster_process *process)
{
	struct registry *registry = registry_lock();
	bool over;

	process_refresh(registry, process);
	over = is_over(process);
	registry_unlock();
	return over;
}

/* False at the deadline. */
static bool wait_for(foster_process *process, int64_t deadline)
{
	struct pollfd end = { .fd = process->pidfd, .events = POLLIN };
	int n = 0;

	while (!has_ended(process)) {
		int left = left_until(deadline);

		if (left == 0)
			return false;
		/*
		 * A child that a debugger traces may be at its end, and its pidfd readable,
		 * while only the debugger can reap it: look again, but do not spin.
		 */
		if (n > 0)
			poll(NULL, 0, left < 0 ? 10 : MIN(left, 10));
		else
			n = poll(&end, 1, left);
	}
	return true;
}

static void leave_join(void *arg)
{
	foster_process *process = arg;

	registry_lock();
	process->joining--;
	registry_unlock();
}

/* The caller has counted itself in process->joining. -ETIMEDOUT or 0. */
static int join_counted(foster_process *process, int64_t deadline)
{
	bool over;

	pthread_cleanup_push(leave_join, process);
	over = wait_for(process, deadline);
	pthread_cleanup_pop(1);
	return over ? 0 : -ETIMEDOUT;
}

/* Under the lock: 0, or why nothing can be asked of this process. */
static int check_started(const struct registry *registry, const foster_process *process)
{
	if (!registry_owns(registry, process))
		return -ECHILD;
	if (process->state == PROCESS_NEW || process->state == PROCESS_STARTING)
		return -EINVAL;
	return 0;
}

int foster_process_join(foster_process *process, int timeout_ms)
{
	struct registry *registry;
	int r;

	if (timeout_ms < -1)
		return -EINVAL;
	registry = registry_lock();
	r = check_started(registry, process);
	if (r == 0)
		process->joining++;
	registry_unlock();
	if (r < 0)
		return r;
	return join_counted(process, timeout_ms < 0 ? -1 : now_ms() + timeout_ms);
}

bool foster_process_is_alive(foster_process *process)
{
	struct registry *registry = registry_lock();
	bool alive = process == registry->current;

	if (!alive && registry_owns(registry, process)) {
		process_refresh(registry, process);
		alive = process->state == PROCESS_RUNNING;
	}
	registry_unlock();
	return alive;
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int foster_process_exitcode(foster_process *process, int *ret_code)
{
	struct registry *registry = registry_lock();
	int r = check_started(registry, process);

	if (r == 0) {
		process_refresh(registry, process);
		if (process->state == PROCESS_ENDED)
			*ret_code = exit_code(process->status);
		else
			r = process->state == PROCESS_LOST ? -ENODATA : -EAGAIN;
	}
	registry_unlock();
	return r;
}

static int send_signal(foster_process *process, int signo)
{
	struct registry *registry = registry_lock();
	int r = check_started(registry, process);

	if (r == 0 && process->state == PROCESS_RUNNING)
		r = pidfd_signal(process->pidfd, signo);
	registry_unlock();
	return r == -ESRCH ? 0 : r;
}

int foster_process_terminate(foster_process *process)
{
	return send_signal(process, SIGTERM);
}

int foster_process_kill(foster_process *process)
{
	return send_signal(process, SIGKILL);
}

size_t foster_active_children(foster_process **ret_processes, size_t max)
{
	struct registry *registry = registry_lock();
	size_t n = 0;

	for (struct link *l = registry->active.next, *next; l != &registry->active; l = next) {
		foster_process *p = CONTAINER_OF(l, foster_process, link);

		next = l->next;
		process_refresh(registry, p);
		if (p->state != PROCESS_RUNNING)
			continue;
		if (n < max)
			ret_processes[n] = p;
		n++;
	}
	registry_unlock();
	return n;
}

static void signal_daemonic(int signo)
{
	struct registry *registry = registry_lock();

	for (struct link *l = registry->active.next; l != &registry->active; l = l->next) {
		foster_process *p = CONTAINER_OF(l, foster_process, link);

		if (p->daemon && p->state == PROCESS_RUNNING)
			pidfd_signal(p->pidfd, signo);
	}
	registry_unlock();
}

/* A child that is alive, counted as joined; NULL: none. Of the daemonic ones only, or of all. */
static foster_process *pick_child(bool daemonic)
{
	struct registry *registry = registry_lock();
	foster_process *picked = NULL;

	for (struct link *l = registry->active.next; l != &registry->active; l = l->next) {
		foster_process *p = CONTAINER_OF(l, foster_process, link);

		if (p->state != PROCESS_RUNNING || (daemonic && !p->daemon))
			continue;
		p->joining++;
		picked = p;
		break;
	}
	registry_unlock();
	return picked;
}

/* -ETIMEDOUT when one of them still lives at the deadline. */
static int join_children(bool daemonic, int64_t deadline)
{
	foster_process *process;
	int r = 0;

	while (r == 0 && (process = pick_child(daemonic)))
		r = join_counted(process, deadline);
	return r;
}

void end_children(void)
{
	/* A child that ignores SIGTERM must not hold its parent up for ever. */
	signal_daemonic(SIGTERM);
	if (join_children(true, now_ms() + end_grace_ms) < 0)
		signal_daemonic(SIGKILL);
	join_children(false, -1);
}
