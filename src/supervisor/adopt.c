/* SPDX-License-Identifier: MIT */
/*
 * What an earlier supervisor left behind: see adopt.h. A pid in the table may by now belong to
 * anybody: only a process whose identity is the recorded one is touched.
 */
#include "supervisor/adopt.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/fd.h"
#include "base/log.h"
#include "supervisor/identity.h"
#include "supervisor/table.h"

#define LOGGER_LEAVES 1000 /* ms, at most */

static void mark_ended(struct table_slot *slot, uint32_t flags)
{
	slot->child.flags |= flags;
	slot->child.state = CHILD_EXITED;
	slot->child.status = 0;
}

static void end_daemon(struct table_slot *slot)
{
	_cleanup_close_ int pidfd =
		identity_open(slot->child.pid, slot->pidfs_inode, slot->start_ticks);

	/* The kernel has done it already unless the child changed its credentials. */
	if (pidfd >= 0)
		identity_pidfd_signal(pidfd, SIGKILL);
	mark_ended(slot, CHILD_STATUS_UNKNOWN | CHILD_LEFT_OVER);
}

/*
 * The logger of an earlier supervisor has gone on writing for those that live. The next one
 * takes the pipes over: this one is asked to leave, which takes it no longer than one write.
 */
static void dismiss_logger(const struct table_slot *slot)
{
	_cleanup_close_ int pidfd =
		identity_open(slot->child.pid, slot->pidfs_inode, slot->start_ticks);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	if (pidfd >= 0 && identity_pidfd_signal(pidfd, SIGUSR1) == 0)
		poll(&ended, 1, LOGGER_LEAVES);
}

static void adopt(struct supervisor *s, uint32_t index, struct table_slot *slot)
{
	int pidfd = identity_open(slot->child.pid, slot->pidfs_inode, slot->start_ticks);

	if (pidfd >= 0)
		pidfd = supervisor_raise_fd(pidfd);
	if (pidfd < 0) {
		mark_ended(slot, CHILD_STATUS_UNKNOWN);
		return;
	}
	slot->pidfd = pidfd;
	slot->child.flags |= CHILD_ADOPTED;
	slot->child.state = CHILD_RUNNING;
	if (supervisor_watch(s, pidfd, EPOLLIN, WATCH_ADOPTED, index) < 0)
		log_error("%s[%d]: adopted, but its end cannot be watched", slot->child.name,
			  slot->child.pid);
}

void adopt_left_behind(struct supervisor *s)
{
	uint32_t n, n_places;
	struct table_slot *slots = table_slots(s->table, &n);
	struct table_place *places = table_places(s->table, &n_places);

	for (uint32_t i = 0; i < n_places; i++) {
		memset(&places[i], 0, sizeof(places[i]));
		places[i].fd = -1;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct table_slot *slot = &slots[i];
		bool alive =
			slot->child.state == CHILD_FORKED || slot->child.state == CHILD_RUNNING;

		slot->pidfd = slot->exec_fd = -1;
		if (slot->child.name[0] == '.') { /* foster's own */
			if (alive)
				dismiss_logger(slot);
			memset(&slot->child, 0, sizeof(slot->child));
		} else if (alive && (slot->child.flags & CHILD_DAEMON)) {
			end_daemon(slot);
		} else if (alive) {
			adopt(s, i, slot);
		} else if (slot->child.flags & CHILD_DAEMON) {
			slot->child.flags |= CHILD_LEFT_OVER; /* its tree may still be there */
		}
	}
}
