/* SPDX-License-Identifier: MIT */
/*
 * Reaping: see reap.h. One SIGCHLD may stand for many children (standard signals do not
 * queue), so each turn goes on until waitid(2) finds none. A service's end is written to the
 * table first and reaped then: a supervisor killed between the two loses no exit status.
 */
#include "supervisor/reap.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "supervisor/identity.h"
#include "supervisor/keeper.h"
#include "supervisor/main-process.h"
#include "supervisor/spawn.h"
#include "supervisor/table.h"
#include "supervisor/upgrade.h"

/* The status word of wait(2) from what waitid(2) gives. */
static int status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return W_EXITCODE(info->si_status & 0xff, 0);
	return info->si_status | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

static void record_exit(struct supervisor *s, uint32_t index, int status)
{
	struct table_slot *slot = table_slot(s->table, index);

	/* Its last word before exec, if there is one, is told before its end. */
	spawn_end_exec_pipe(s, index);
	main_process_unwatch(s, slot);
	slot->child.status = status;
	slot->child.state = CHILD_EXITED;
}

static void record_usage(struct link_child *child, const struct rusage *usage)
{
	child->user_usec = usage->ru_utime.tv_sec * UINT64_C(1000000) + usage->ru_utime.tv_usec;
	child->system_usec = usage->ru_stime.tv_sec * UINT64_C(1000000) + usage->ru_stime.tv_usec;
	child->max_rss = (uint64_t)usage->ru_maxrss * 1024;
}

/* From now on nothing that happens to the pid is the service's. */
static void tell_exit(struct supervisor *s, uint32_t index)
{
	struct table_slot *slot = table_slot(s->table, index);
	pid_t pid = slot->child.pid;

	table_set_pid(s->table, index, 0);
	slot->child.pid = pid; /* kept for the message; the index has forgotten it */
	table_tell_slot(s->table, index, TELL_EXITED);
}

static void reap_service(struct supervisor *s, uint32_t index, const siginfo_t *info)
{
	struct table_slot *slot = table_slot(s->table, index);
	struct rusage usage = { 0 };
	pid_t pid = info->si_pid;

	record_exit(s, index, status_of(info));
	if (wait4(pid, NULL, WNOHANG | __WALL, &usage) == pid)
		record_usage(&slot->child, &usage);
	tell_exit(s, index);
	s->service_ended = true;
}

static void reap_other(struct supervisor *s, pid_t pid)
{
	int status;

	upgrade_before_reaping(s, pid);
	if (waitpid(pid, &status, WNOHANG | __WALL) != pid)
		return;
	if (pid == s->keeper.pid) {
		keeper_ended(s, status);
		return;
	}
	if (upgrade_is_rehearsal(s, pid, status))
		return;
	s->orphans.total++;
	s->orphans.pid = pid;
	s->orphans.status = status;
	s->orphans_untold = true;
}

void reap_hinted(struct supervisor *s, pid_t pid)
{
	siginfo_t info = { 0 };
	uint32_t index;

	if (table_find(s->table, pid, &index) &&
	    waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	    info.si_pid == pid)
		reap_service(s, index, &info);
}

void reap_children(struct supervisor *s)
{
	for (;;) {
		siginfo_t info = { 0 };
		uint32_t index;

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0) {
			if (errno == EINTR)
				continue;
			return; /* ECHILD: there are none */
		}
		if (info.si_pid == 0)
			return;
		if (table_find(s->table, info.si_pid, &index))
			reap_service(s, index, &info);
		else
			reap_other(s, info.si_pid);
	}
}

void reap_adopted(struct supervisor *s, uint32_t index)
{
	struct table_slot *slot = table_slot(s->table, index);
	const pid_t pid = slot->child.pid;
	siginfo_t info = { 0 };
	int status = 0, error;

	/* The event may be that of a process whose place another has taken meanwhile. */
	if (slot->pidfd < 0 ||
	    poll(&(struct pollfd){ .fd = slot->pidfd, .events = POLLIN }, 1, 0) <= 0)
		return;
	/* One whose parent has ended since is our child by now. */
	if (identity_pidfd_signal(slot->pidfd, 0) == 0 &&
	    waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	    info.si_pid == pid) {
		reap_service(s, index, &info);
		return;
	}
	error = identity_exit_status(slot->pidfd, pid, &status);
	if (error < 0)
		slot->child.flags |= CHILD_STATUS_UNKNOWN;
	record_exit(s, index, status);
	tell_exit(s, index); /* its parent may leave it to us yet, unreaped */
}
