/* SPDX-License-Identifier: MIT */
/* Main processes that were not forked for their service: see main-process.h. */
#include "supervisor/main-process.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "supervisor/identity.h"
#include "supervisor/table.h"

/* True for an unreaped child of ours. */
static bool is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

void main_process_unwatch(struct supervisor *s, struct table_slot *slot)
{
	/* A child on its way may hold a copy: closing ours would not end the watch. */
	if (slot->pidfd >= 0)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, slot->pidfd, NULL);
	slot->pidfd = fd_close(slot->pidfd);
}

static bool may_be_taken(struct supervisor *s, const struct table_slot *slot,
			 const struct link_main *m)
{
	uint32_t other;

	return slot->child.instance == m->instance && m->pid > 1 && m->pid != s->pid &&
	       m->pid != s->keeper.pid && !table_find(s->table, m->pid, &other) &&
	       (slot->child.state == CHILD_RUNNING || slot->child.state == CHILD_EXITED);
}

/*
 * A pidfd of one that is no child of ours, watched; -1: it is our child. While its own pidfd
 * says that it has not been reaped, its pid is nobody else's.
 */
static int watch(struct supervisor *s, const struct link_main *m, int pidfd)
{
	_cleanup_close_ int copy = -1;
	int error = identity_pidfd_signal(pidfd, 0);

	if (error == -ESRCH)
		return error;
	if (is_child(m->pid))
		return -1;
	copy = supervisor_copy_fd(pidfd);
	error = copy < 0 ? copy : supervisor_watch(s, copy, EPOLLIN, WATCH_ADOPTED, m->slot);
	return error < 0 ? error : TAKE_FD(copy);
}

static int take(struct supervisor *s, struct table_slot *slot, const struct link_main *m, int fd)
{
	int pidfd;

	if (fd < 0 || !may_be_taken(s, slot, m))
		return -EINVAL;
	pidfd = watch(s, m, fd);
	if (pidfd < -1)
		return pidfd;
	main_process_unwatch(s, slot);
	slot->pidfd = pidfd;
	table_set_pid(s->table, m->slot, m->pid);
	identity_take(m->pid, &slot->pidfs_inode, &slot->start_ticks);
	if (slot->child.flags & CHILD_LEFT_OVER)
		slot->child.flags |= CHILD_ADOPTED;
	slot->child.flags &= ~(CHILD_STATUS_UNKNOWN | CHILD_LEFT_OVER);
	slot->child.flags |= CHILD_TAKEN;
	slot->child.status = 0;
	slot->child.state = CHILD_RUNNING;
	return 0;
}

void main_process_take(struct supervisor *s, const struct link_main *m, int pidfd)
{
	struct table_slot *slot = table_slot(s->table, m->slot);
	int error;

	if (!slot)
		return;
	error = take(s, slot, m, pidfd);
	slot->main_pid = m->pid;
	slot->main_error = -error;
	table_tell_slot(s->table, m->slot, TELL_MAIN_TAKEN);
	/* The end of the one before is not the service's any more. */
	if (error == 0)
		slot->tell &= ~TELL_EXITED;
}
