/* SPDX-License-Identifier: MIT */
/* Keeps a manager running: see keeper.h. */
#include "supervisor/keeper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/units.h"
#include "supervisor/identity.h"
#include "supervisor/manager-link.h"
#include "supervisor/spawn.h"
#include "supervisor/table.h"
#include "supervisor/upgrade.h"

#define RETRY_FIRST (50 * USEC_PER_MSEC)
#define RETRY_MAX   (10 * USEC_PER_SEC)
#define HEALTHY     (10 * USEC_PER_SEC)   /* a manager that lived so long was no failure */
#define PING_AFTER  (200 * USEC_PER_MSEC) /* without a word */
#define HUNG_AFTER  (5 * USEC_PER_SEC)
#define START_MAX   (60 * USEC_PER_SEC) /* until RUNNING: it may have to look up names */

/* Room for a whole message and then some: a burst of starts need not wait for each read. */
#define LINK_BUFFER (4 * LINK_MESSAGE_MAX)

static int make_link(int ends[2])
{
	int size = LINK_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		/* Above the administrator's limit where we may, else up to it. */
		if (setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	return 0;
}

static void record_manager(struct supervisor *s, pid_t pid)
{
	struct table_manager *m = table_manager(s->table);

	m->pid = pid;
	identity_take(pid, &m->pidfs_inode, &m->start_ticks);
}

int keeper_start(struct supervisor *s)
{
	_cleanup_close_ int theirs = -1;
	int ends[2], ours, error;
	pid_t pid;

	s->keeper.next_start = 0;
	error = make_link(ends);
	if (error < 0)
		return error;
	theirs = ends[1];
	ours = supervisor_raise_fd(ends[0]);
	if (ours < 0)
		return ours;
	pid = spawn_manager(s, theirs);
	if (pid < 0) {
		fd_close(ours);
		return pid;
	}
	record_manager(s, pid);
	error = supervisor_watch(s, ours, EPOLLIN, WATCH_LINK, 0);
	s->link_fd = ours;
	s->keeper.pid = pid;
	s->keeper.ready = false;
	s->keeper.unanswered = s->keeper.started = now_monotonic();
	s->keeper.pinged = s->keeper.ping_due = false;
	s->keeper.generation++;
	manager_link_open(s);
	return error;
}

static void plan_next(struct supervisor *s)
{
	uint64_t delay = 0, now = now_monotonic();

	if (now - s->keeper.started >= HEALTHY)
		s->keeper.failures = 0;
	if (s->keeper.failures > 0)
		delay = MIN(RETRY_FIRST << MIN(s->keeper.failures - 1, 16U), RETRY_MAX);
	s->keeper.failures++;
	s->keeper.next_start = now + delay;
}

static void log_end(const struct supervisor *s, int status)
{
	if (WIFSIGNALED(status))
		log_warning("foster-manager[%d]: killed by %s%s; the services go on, starting "
			    "the next one",
			    s->keeper.pid, signal_to_string(WTERMSIG(status)),
			    WCOREDUMP(status) ? " (core dumped)" : "");
	else
		log_warning("foster-manager[%d]: exit %d; the services go on, starting the next "
			    "one",
			    s->keeper.pid, WEXITSTATUS(status));
}

void keeper_ended(struct supervisor *s, int status)
{
	manager_link_finish(s);
	upgrade_manager_ended(s);
	if (s->upgrade.fresh)
		upgrade_fall_back(s, UPGRADE_FELL_BACK, status);
	if (!s->ending && !s->keeper.ever_ready) {
		/* It has said itself what is wrong. */
		s->ending = true;
		s->keep = true;
		s->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		if (WIFSIGNALED(status))
			log_error("foster-manager[%d]: killed by %s before it was up",
				  s->keeper.pid, signal_to_string(WTERMSIG(status)));
	}
	if (!s->ending && !s->upgrade.due) {
		log_end(s, status);
		plan_next(s);
	}
	s->keeper.pid = 0;
	s->keeper.unanswered = 0;
}

void keeper_ready(struct supervisor *s)
{
	s->keeper.ready = s->keeper.ever_ready = true;
	s->keeper.unanswered = 0;
	upgrade_confirm(s);
}

void keeper_expect_answer(struct supervisor *s)
{
	if (s->keeper.pid && !s->keeper.unanswered)
		s->keeper.unanswered = now_monotonic();
}

void keeper_heard(struct supervisor *s)
{
	/* Until it is up what it says is its start: that has a time of its own. */
	if (!s->keeper.ready)
		return;
	s->keeper.unanswered = 0;
	s->keeper.pinged = s->keeper.ping_due = false;
}

/* When something is to be done; 0: never. */
static uint64_t next_deadline(const struct keeper *k, bool ending)
{
	if (!k->pid)
		return ending ? 0 : k->next_start;
	if (!k->unanswered)
		return 0;
	if (!k->ready)
		return k->unanswered + START_MAX;
	return k->unanswered + (k->pinged ? HUNG_AFTER : PING_AFTER);
}

int keeper_timeout(const struct supervisor *s)
{
	uint64_t now, deadline = next_deadline(&s->keeper, s->ending);

	if (!deadline)
		return -1;
	now = now_monotonic();
	/* Rounded up: waking too early would only spin. */
	return deadline <= now ? 0 : (int)((deadline - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

/* It has not answered in time. */
static void lose_patience(struct supervisor *s)
{
	struct keeper *k = &s->keeper;

	if (k->ready && !k->pinged) {
		k->pinged = k->ping_due = true;
		k->unanswered = now_monotonic(); /* we may have been stopped, too */
		return;
	}
	log_error("foster-manager[%d]: no sign of life: it is killed", k->pid);
	kill(k->pid, SIGKILL); /* ours and not reaped: the pid is its own */
	k->unanswered = 0;
}

void keeper_run(struct supervisor *s)
{
	uint64_t deadline = next_deadline(&s->keeper, s->ending);
	int error;

	if (s->keeper.pid && deadline && deadline <= now_monotonic())
		lose_patience(s);
	if (s->keeper.pid || s->ending || !s->keeper.next_start ||
	    s->keeper.next_start > now_monotonic())
		return;
	error = keeper_start(s);
	if (error < 0) {
		log_error_errno(error, "cannot start foster-manager");
		s->keeper.started = now_monotonic();
		plan_next(s);
	}
}
