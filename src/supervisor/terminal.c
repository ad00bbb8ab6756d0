/* SPDX-License-Identifier: MIT */
/* The session's terminal: see terminal.h and the paragraphs on job control of credentials(7). */
#include "supervisor/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "supervisor/supervisor.h"

void terminal_open(struct terminal *t)
{
	/* Of our own, so that O_NONBLOCK is nobody else's. */
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	t->wanted = tcgetpgrp(STDIN_FILENO) >= 0; /* fails for any but the session's own */
	if (fd >= 0)
		t->fd = supervisor_raise_fd(fd);
	else
		t->fd = t->wanted ? supervisor_copy_fd(STDIN_FILENO) : -1;
}

/*
 * In a PID namespace that was made under us, the group that we were born in has no number, and
 * no other group of the outside has one. But the kernel refuses a read from the background,
 * with SIGTTIN blocked, even if it is one of nothing.
 */
static bool may_read(const struct terminal *t)
{
	char c;

	return read(t->fd, &c, 0) >= 0 || errno != EIO;
}

bool terminal_is_ours(const struct terminal *t)
{
	pid_t group = t->fd >= 0 ? tcgetpgrp(t->fd) : -1;

	return group >= 0 && group == getpgrp() && (group > 0 || may_read(t));
}

bool terminal_lend(struct terminal *t, pid_t group)
{
	if (!terminal_is_ours(t) || tcsetpgrp(t->fd, group) < 0)
		return false;
	t->wanted = t->lent = true;
	return true;
}

void terminal_take_back(struct terminal *t)
{
	/* A group without a number (see above) cannot be named; the shell out there, that waits
	 * for it, takes the terminal itself. */
	if (t->lent && getpgrp() > 0 && tcsetpgrp(t->fd, getpgrp()) == 0)
		t->lent = false;
}

void terminal_continued(struct terminal *t, pid_t group)
{
	if (t->wanted && terminal_lend(t, group))
		return;
	/* Somebody else has it now: not to be taken from him at the end. */
	if (t->lent && tcgetpgrp(t->fd) != group)
		t->lent = false;
}
