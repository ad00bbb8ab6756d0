/* SPDX-License-Identifier: MIT */
/*
 * What an earlier supervisor left behind: see adopt.h. A pid in the table may by now belong to
 * anybody: only a process whose identity is the recorded one is touched.
 */
#include "supervisor/adopt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/fd.h"
#include "base/log.h"
#include "supervisor/identity.h"
#include "supervisor/table.h"

#define LOGGER_LEAVES 1000 /* ms, at most */
#define LOGGER_ENDS   5000 /* the same, when it was killed */
#define MANAGER_ENDS  1000 /* the same */

static void mark_ended(struct table_slot *slot, uint32_t flags)
{
	slot->child.flags |= flags;
	slot->child.state = CHILD_EXITED;
	slot->child.status = 0;
}

/* 0, or -EPERM: it has become another user's, and cannot be ended. */
static int end_daemon(struct table_slot *slot)
{
	_cleanup_close_ int pidfd =
		identity_open(slot->child.pid, slot->pidfs_inode, slot->start_ticks);

	/* The kernel has done it already unless the child changed its credentials. */
	if (pidfd >= 0 && identity_pidfd_signal(pidfd, SIGKILL) == -EPERM) {
		log_warning("%s[%d]: a daemon that has become another user's cannot be ended: it "
			    "goes on",
			    slot->child.name, slot->child.pid);
		return -EPERM;
	}
	mark_ended(slot, CHILD_STATUS_UNKNOWN | CHILD_LEFT_OVER);
	return 0;
}

/* Killed between the fork and the note of its identity: the mark in its environment tells. */
static int open_child(struct supervisor *s, const struct table_slot *slot)
{
	if (slot->pidfs_inode || slot->start_ticks)
		return identity_open(slot->child.pid, slot->pidfs_inode, slot->start_ticks);
	return identity_open_marked(slot->child.pid, table_run_id(s->table), slot->child.instance);
}

/*
 * The logger of an earlier supervisor has gone on writing for those that live. The next one
 * takes the pipes over: this one is asked to leave, which takes it no longer than one write. One
 * that hangs in that, or was stopped, is killed. The two must not share a pipe: one that has died
 * in the middle of taking out what it has written goes on to the end of that when it has a
 * processor again, and would take out what nobody has written. So its end is waited for, but for
 * one that hangs in a write: it takes out nothing any more.
 */
static void dismiss_logger(struct supervisor *s, const struct table_slot *slot)
{
	_cleanup_close_ int pidfd = open_child(s, slot);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0 || identity_pidfd_signal(pidfd, SIGUSR1) < 0 ||
	    poll(&ended, 1, LOGGER_LEAVES) == 1)
		return;
	identity_pidfd_signal(pidfd, SIGKILL);
	poll(&ended, 1, LOGGER_ENDS);
}

/*
 * The manager of an earlier supervisor leaves by itself, unless it hangs: then it would wake up
 * some day and end, by their names, the daemons of today. What it had still to do is done anew.
 */
static void end_old_manager(struct table_manager *m)
{
	_cleanup_close_ int pidfd = identity_open(m->pid, m->pidfs_inode, m->start_ticks);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	if (pidfd >= 0 && identity_pidfd_signal(pidfd, SIGKILL) == 0)
		poll(&ended, 1, MANAGER_ENDS);
	*m = (struct table_manager){ 0 };
}

static int adopt(struct supervisor *s, uint32_t index, struct table_slot *slot)
{
	int pidfd = open_child(s, slot), error;

	if (pidfd == -ESRCH) { /* while nobody watched; the rest of its tree may still be there */
		mark_ended(slot, CHILD_STATUS_UNKNOWN | CHILD_LEFT_OVER);
		return 0;
	}
	if (pidfd >= 0)
		pidfd = supervisor_raise_fd(pidfd);
	error = pidfd < 0 ? pidfd : supervisor_watch(s, pidfd, EPOLLIN, WATCH_ADOPTED, index);
	if (error < 0)
		return log_error_errno(error, "%s[%d]: cannot be adopted", slot->child.name,
				       slot->child.pid);
	slot->pidfd = pidfd;
	slot->child.flags |= CHILD_ADOPTED;
	slot->child.state = CHILD_RUNNING;
	if (!slot->pidfs_inode && !slot->start_ticks)
		identity_take(slot->child.pid, &slot->pidfs_inode, &slot->start_ticks);
	return 0;
}

int adopt_left_behind(struct supervisor *s)
{
	uint32_t n;
	struct table_slot *slots = table_slots(s->table, &n);

	end_old_manager(table_manager(s->table));
	for (int64_t i = -1; (i = table_next_place(s->table, i)) >= 0;)
		*table_place(s->table, i) = (struct table_place){ .fd = -1 };
	for (uint32_t i = 0; i < n; i++) {
		struct table_slot *slot = &slots[i];
		bool alive = table_slot_is_alive(slot);

		slot->pidfd = slot->exec_fd = -1;
		slot->exec_watched = slot->starting = false;
		slot->stage = (struct stage){ 0 };
		if (slot->child.name[0] == '.') { /* foster's own */
			if (alive)
				dismiss_logger(s, slot);
			memset(&slot->child, 0, sizeof(slot->child));
		} else if (alive && (slot->child.flags & CHILD_DAEMON) && end_daemon(slot) == 0) {
			/* and the manager ends its tree */
		} else if (alive) {
			int error = adopt(s, i, slot);

			if (error < 0)
				return error;
		} else if (slot->child.name[0]) { /* the rest of its tree may still be there */
			slot->child.flags |= CHILD_LEFT_OVER;
		}
	}
	return 0;
}
