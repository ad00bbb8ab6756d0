/* SPDX-License-Identifier: MIT */
/*
 * Starting a process. The child, once forked, waits at a gate, a socket pair, until the parent
 * has opened its pidfd and armed its guard. So the child cannot end, and its pid cannot be
 * anybody else's, before there is a pidfd, even where the program ignores SIGCHLD or waits for
 * any child in another thread; a daemonic child does not run for a moment unguarded; and if the
 * parent dies in between, the child sees the gate hang up and leaves.
 *
 * The gate's child end is CLOEXEC: after the "go" it carries the errno of a failed exec back,
 * or hangs up, which means that the exec succeeded.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "libfoster/child.h"
#include "libfoster/exec-plan.h"
#include "libfoster/guard.h"
#include "libfoster/kernel.h"
#include "libfoster/wait.h"

static pthread_once_t exit_handler_once = PTHREAD_ONCE_INIT;

static void set_exit_handler(void)
{
	atexit(end_children);
}

/* NEW becomes STARTING: of two threads that start one object, one gets past here. */
static int claim(foster_process *process)
{
	struct registry *registry = registry_lock();
	int r = 0;

	if (!registry_owns(registry, process))
		r = -ECHILD;
	else if (process->state != PROCESS_NEW)
		r = -EBUSY;
	else if (registry->current->daemon)
		r = -EPERM;
	else
		r = socket_pair(process->gate);
	if (r == 0) {
		reap_some(registry);
		process->state = PROCESS_STARTING;
		list_append(&registry->active, &process->link);
	}
	registry_unlock();
	return r;
}

static void settle(foster_process *process, enum process_state state)
{
	registry_lock();
	process->state = state;
	fd_drop(&process->gate[0]);
	fd_drop(&process->gate[1]);
	if (state == PROCESS_NEW) {
		object_drop_fds(process, false);
		list_remove(&process->link);
		process->pid = 0;
	}
	registry_unlock();
}

/* In the parent, once the child waits at the gate. One step, seen from other threads' forks. */
static int take_charge(foster_process *process, pid_t pid)
{
	int r;

	registry_lock();
	fd_drop(&process->gate[1]);
	r = pidfd_of(pid);
	if (r >= 0) {
		process->pid = pid;
		process->pidfd = r;
		r = process->daemon ? guard_arm(process->guard, pid) : 0;
	}
	registry_unlock();
	return r;
}

static void open_gate(const foster_process *process)
{
	const char go = 1;

	/* Fails only if a third party killed the child already; its end will tell. */
	send(process->gate[0], &go, sizeof(go), MSG_NOSIGNAL);
}

/* By pid, as there may be no pidfd; it is our unreaped child, or nobody's (ECHILD). */
static void reap_failed(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Blocks until the exec is done: 0, or the error with which it failed. */
static int await_exec(const foster_process *process)
{
	ssize_t n;
	int err;

	do
		n = recv(process->gate[0], &err, sizeof(err), MSG_WAITALL);
	while (n < 0 && errno == EINTR);
	return n == sizeof(err) ? err : 0;
}

/*
 * All signals are blocked meanwhile: the program's handlers must not run in a child that has
 * not become itself yet.
 */
static pid_t fork_child(foster_process *process, struct child_context *context)
{
	sigset_t all;
	pid_t pid;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &context->mask);
	registry_set_starting(process);
	pid = fork();
	if (pid == 0)
		child_main(process, context);
	err = errno;
	registry_set_starting(NULL);
	pthread_sigmask(SIG_SETMASK, &context->mask, NULL);
	return pid < 0 ? -err : pid;
}

static int launch(foster_process *process, struct child_context *context)
{
	pid_t pid = fork_child(process, context);
	int r;

	if (pid < 0)
		return pid;
	r = take_charge(process, pid);
	if (r == 0) {
		open_gate(process);
		if (context->paths)
			r = await_exec(process);
	}
	if (r < 0) {
		registry_lock();
		fd_drop(&process->gate[0]); /* turns the child away, if it waits there */
		registry_unlock();
		reap_failed(pid);
	}
	return r;
}

static int start_claimed(foster_process *process, struct child_context *context)
{
	_cleanup_free_ char **paths = NULL;

	if (process->argv) {
		paths = exec_plan_paths(process->argv[0]);
		if (!paths)
			return -ENOMEM;
	}
	context->paths = paths;
	/* What is buffered now would be written by the child too. */
	flush_standard_streams();
	return launch(process, context);
}

int foster_process_start(foster_process *process)
{
	struct child_context context = { .paths = NULL };
	int r;

	r = claim(process);
	if (r < 0)
		return r;
	pthread_once(&exit_handler_once, set_exit_handler);
	/* Not to be cancelled with a child half started. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &context.cancel_state);
	r = start_claimed(process, &context);
	settle(process, r < 0 ? PROCESS_NEW : PROCESS_RUNNING);
	pthread_setcancelstate(context.cancel_state, NULL);
	return r;
}
