/* SPDX-License-Identifier: MIT */
/*
 * How a daemonic child dies with its parent, whatever the parent dies of.
 *
 * PR_SET_PDEATHSIG, the usual answer, is tied to the thread that forked: a child started by a
 * worker thread would die with the worker. It is also lost when the child changes its
 * credentials or executes a setuid program. A thread or a process that watches the parent's
 * pidfd could do it, but the thread does not survive an exec in the child, and the process is
 * one more to start, to reap and to be killed itself.
 *
 * So the kernel does it, by signal-driven I/O. The parent holds both ends of a socket pair.
 * Each end has O_ASYNC, SIGKILL as its signal and the child as its owner, fcntl(2) F_SETSIG and
 * F_SETOWN. When the parent dies, by exit or by SIGKILL, the kernel closes both ends. The one
 * closed first hangs up the other, and a hang-up is an event: its owner gets the signal. Which
 * of them is closed first does not matter, as both carry it.
 *
 * What follows:
 *  - The descriptors are the process's, not a thread's.
 *  - Nothing has to survive in the child: it may exec, close all its descriptors, leave its
 *    session, change its user, or run a setuid program. (The right to signal is checked
 *    against the parent's uids at F_SETOWN: its effective or real uid must be the child's real
 *    or saved one, or be 0.)
 *  - The owner is kept as a reference, not a number: a later process that gets the pid is safe.
 *  - A fork()ed copy of the parent has copies of both ends, which would keep them open; the
 *    registry closes them in the copy. A copy made without fork()'s handlers (a bare clone(2)
 *    or _Fork()) keeps the child alive until the copy ends or executes something.
 *  - An exec in the parent closes both ends (CLOEXEC) and so ends the child: the new program
 *    would know nothing of it, and could not end it at its own end.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "libfoster/guard.h"
#include "libfoster/kernel.h"

static int arm_end(int fd, pid_t child)
{
	/* O_ASYNC last: from then on the rest must be in place. */
	if (fcntl(fd, F_SETSIG, SIGKILL) < 0 || fcntl(fd, F_SETOWN, child) < 0 ||
	    fcntl(fd, F_SETFL, O_ASYNC) < 0)
		return -errno;
	return 0;
}

int guard_arm(int ret_fds[2], pid_t child)
{
	int fds[2], r;

	r = socket_pair(fds);
	if (r < 0)
		return r;
	r = arm_end(fds[0], child);
	if (r == 0)
		r = arm_end(fds[1], child);
	if (r < 0) {
		fd_drop(&fds[0]);
		fd_drop(&fds[1]);
		return r;
	}
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}
