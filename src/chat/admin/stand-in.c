/* SPDX-License-Identifier: MIT */
/* The stand-in of the admin child: see stand-in.h. */
#include "chat/admin/stand-in.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/units.h"
#include "chat/admin/packet.h"

#define DELAY_FIRST (100 * USEC_PER_MSEC)
#define DELAY_MAX   (30 * USEC_PER_SEC)
#define GOOD_RUN    (60 * USEC_PER_SEC) /* after which the delay starts anew */
#define MAKE_AGAIN  USEC_PER_SEC        /* between one stand-in and the next */

int stand_in_link(int ret_ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_ends) < 0 ? -errno : 0;
}

/* --- standing by ---------------------------------------------------------------------------- */

/* At once the first time, then less and less often. */
static void take_over(struct admin_pair *pair)
{
	static uint64_t next_delay;
	uint64_t now = now_monotonic();

	if (pair->leads_since && now - pair->leads_since >= GOOD_RUN)
		next_delay = 0;
	pair->delay = next_delay;
	next_delay = MIN(MAX(next_delay * 2, DELAY_FIRST), DELAY_MAX);
	pair->leads_since = now + pair->delay;
	pair->other = fd_close(pair->other);
	pair->stands_by = false;
	pair->made_at = 0;
}

/* False: the one that leads has gone. */
static bool hear_other(const struct admin_pair *pair, void (*reload)(void *arg), void *arg)
{
	char what;
	ssize_t n = recv(pair->other, &what, sizeof(what), MSG_DONTWAIT);

	if (n > 0)
		reload(arg);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

int stand_in_wait(struct admin_pair *pair, void (*reload)(void *arg), void *arg)
{
	/* The room's words are not for us: of its end of the socket only the closing. */
	struct pollfd fds[] = { { .fd = pair->room, .events = 0 },
				{ .fd = pair->other, .events = POLLIN } };

	prctl(PR_SET_NAME, "chatd: stand-in");
	for (;;) {
		if (poll(fds, ELEMENTSOF(fds), -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents)
			return -EPIPE;
		if (fds[1].revents && !hear_other(pair, reload, arg)) {
			take_over(pair);
			return 0;
		}
	}
}

/* --- leading -------------------------------------------------------------------------------- */

void stand_in_reload(const struct admin_pair *pair)
{
	if (pair->other >= 0)
		send(pair->other, "r", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void stand_in_gone(struct admin_pair *pair)
{
	pair->other = fd_close(pair->other);
}

uint64_t stand_in_due(const struct admin_pair *pair)
{
	if (pair->other >= 0)
		return USEC_INFINITY;
	return pair->made_at ? pair->made_at + MAKE_AGAIN : 0;
}

static int arm(int fd)
{
	if (fcntl(fd, F_SETSIG, SIGKILL) < 0 || fcntl(fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(fd, F_SETFL, O_ASYNC) < 0)
		return -errno;
	return 0;
}

/*
 * Gives the room both ends of a socket pair, whose closing kills us, as libfoster's guard does with
 * those that the room forks itself. (PR_SET_PDEATHSIG would not do: the room may have become
 * another user, who may not signal us.) The room learns our pid by it, too.
 */
static int give_guard(const struct admin_pair *pair)
{
	static struct packet p = { .kind = PACKET_STAND_IN };
	int ends[2], r;
	ssize_t n;

	r = stand_in_link(ends);
	if (r < 0)
		return r;
	r = arm(ends[0]);
	if (r == 0)
		r = arm(ends[1]);
	p.id = getpid();
	if (r == 0) {
		do
			n = fd_send(pair->room, &p, packet_size(&p), ends, 2, 0);
		while (n == -EINTR);
		r = n < 0 ? (int)n : 0;
	}
	if (r == 0) {
		/* Before they are closed here, or it would be our own end. */
		fd_close(ends[0]);
		fd_close(ends[1]);
	}
	return r;
}

/* In the copy. */
static void begin_standing_by(struct admin_pair *pair, int other)
{
	pair->other = other;
	pair->stands_by = true;
	if (give_guard(pair) < 0)
		_exit(EXIT_FAILURE); /* the room has gone, or another is made later */
}

int stand_in_make(struct admin_pair *pair)
{
	int ends[2], r;
	long pid;

	pair->made_at = now_monotonic();
	r = stand_in_link(ends);
	if (r < 0)
		return r;
		/* libc's clone() wants a stack. All arguments but the flags are 0, so their order, which
	 * differs between machines, matters only where the flags are not the first: on s390. */
#ifdef __s390__
	pid = syscall(SYS_clone, 0, CLONE_PARENT | SIGCHLD, 0, 0, 0);
#else
	pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
#endif
	if (pid < 0) {
		r = -errno;
		fd_close(ends[0]);
		fd_close(ends[1]);
		return r;
	}
	fd_close(ends[pid == 0 ? 0 : 1]);
	if (pid == 0)
		begin_standing_by(pair, ends[1]);
	else
		pair->other = ends[0];
	return 0;
}
