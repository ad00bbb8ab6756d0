/* SPDX-License-Identifier: MIT */
/*
 * The child's side of a start. It waits at the gate until the parent has opened its pidfd and
 * armed its guard; then it executes a program, or runs the caller's function and ends as a
 * multiprocessing child does: its own daemonic children terminated, all of them joined, the
 * standard streams flushed, _exit().
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libfoster/child.h"
#include "libfoster/exec-plan.h"
#include "libfoster/kernel.h"
#include "libfoster/registry.h"
#include "libfoster/wait.h"

/* What nobody sees: the parent has died, or gave the start up and reaps without looking. */
#define EXIT_TURNED_AWAY 127

/*
 * Only these two, as multiprocessing does. fflush(NULL) takes the lock of every stream, and
 * would wait for ever for a thread that sits in a read of one (getline on stdin, say). And as
 * the parent did not flush its other streams, the child must not: what they held at the fork
 * would be written twice.
 */
void flush_standard_streams(void)
{
	fflush(stdout);
	fflush(stderr);
}

static bool pass_gate(int fd)
{
	ssize_t n;
	char go;

	do
		n = recv(fd, &go, sizeof(go), 0);
	while (n < 0 && errno == EINTR);
	return n == sizeof(go);
}

static void reset_signals(void)
{
	const struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t none;

	/* KILL, STOP and libc's own two are refused, and are as they should be. */
	for (int signo = 1; signo < NSIG; signo++)
		sigaction(signo, &by_default, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static NORETURN void execute(foster_process *process, char *const paths[])
{
	int err;

	reset_signals();
	err = exec_plan_run(paths, process->argv);
	send(process->gate[1], &err, sizeof(err), MSG_NOSIGNAL);
	_exit(EXIT_TURNED_AWAY);
}

static int run(foster_process *process)
{
	if (process->class_run)
		return process->class_run(process, process->arg);
	return process->run ? process->run(process->arg) : 0;
}

void child_main(foster_process *process, const struct child_context *context)
{
	int code;

	if (!pass_gate(process->gate[1]))
		_exit(EXIT_TURNED_AWAY);
	if (context->paths)
		execute(process, context->paths);
	registry_become(process);
	fd_drop(&process->gate[1]);
	pthread_setcancelstate(context->cancel_state, NULL);
	pthread_sigmask(SIG_SETMASK, &context->mask, NULL);

	code = run(process);
	end_children();
	flush_standard_streams();
	_exit(code);
}
