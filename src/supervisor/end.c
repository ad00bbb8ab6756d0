/* SPDX-License-Identifier: MIT */
/* The supervisor's end: see end.h. */
#include "supervisor/end.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/logger.h"
#include "base/units.h"
#include "supervisor/descendants.h"
#include "supervisor/identity.h"
#include "supervisor/proc.h"
#include "supervisor/reap.h"
#include "supervisor/table.h"

#define FINAL_STOP_WAIT (5 * USEC_PER_SEC)

static int signal_one(const struct table_slot *slot, int signo)
{
	if (slot->pidfd >= 0)
		return identity_pidfd_signal(slot->pidfd, signo);
	if (kill(-slot->child.pid, signo) == 0)
		return 0;
	return kill(slot->child.pid, signo) < 0 ? -errno : 0;
}

/* Signals the children that must not outlive us; returns how many there are. */
static unsigned signal_daemons(struct supervisor *s, int signo)
{
	uint32_t n;
	struct table_slot *slots = table_slots(s->table, &n);
	unsigned alive = 0;
	int error;

	for (uint32_t i = 0; i < n; i++) {
		if (!table_slot_is_alive(&slots[i]) ||
		    (s->keep && !(slots[i].child.flags & CHILD_DAEMON)))
			continue;
		error = signal_one(&slots[i], signo);
		/* One that has become another user's nobody waits for. */
		if (error != -EPERM && error != -ESRCH)
			alive++;
	}
	return alive;
}

static bool anything_left(struct supervisor *s)
{
	uint32_t n;
	struct table_slot *slots = table_slots(s->table, &n);

	for (uint32_t i = 0; i < n; i++) {
		if (table_slot_is_alive(&slots[i]) && slots[i].child.name[0] != '.')
			return true;
	}
	return false;
}

static void reap_ended(void *arg)
{
	reap_children(arg);
}

/*
 * Who wiped its environment and left its session, without a cgroup, is nobody's: but now all are
 * to go, and whom we adopted is below us.
 */
static void sweep(struct supervisor *s)
{
	uint64_t deadline = now_monotonic() + FINAL_STOP_WAIT;
	struct pollfd poll_fd = { .fd = s->signal_fd, .events = POLLIN };
	pid_t refused = 0;
	int killed;

	while ((killed = descendants_kill(reap_ended, s, &refused)) > 0 &&
	       now_monotonic() < deadline) {
		poll(&poll_fd, 1, 10);
		supervisor_read_signals(s);
		reap_children(s);
	}
	if (killed == -EPERM)
		log_warning("process %d is left: it may not be signalled", refused);
}

/* --- without a manager ------------------------------------------------------------------ */

struct remains {
	struct supervisor *supervisor;
	int killed;
};

static const struct table_slot *slot_of(struct supervisor *s, uint64_t instance)
{
	uint32_t n;
	const struct table_slot *slots = table_slots(s->table, &n);

	for (uint32_t i = 0; i < n; i++) {
		if (slots[i].child.name[0] && slots[i].child.instance == instance)
			return &slots[i];
	}
	return NULL;
}

static void kill_remains(int pid, void *arg)
{
	struct remains *r = arg;
	struct supervisor *s = r->supervisor;
	uint64_t instance = identity_marked_instance(pid, table_run_id(s->table));
	const struct table_slot *slot = instance ? slot_of(s, instance) : NULL;
	_cleanup_close_ int pidfd = -1;

	if (!slot || !(slot->child.flags & CHILD_DAEMON))
		return;
	pidfd = identity_open_marked(pid, table_run_id(s->table), instance);
	if (pidfd >= 0 && identity_pidfd_signal(pidfd, SIGKILL) == 0)
		r->killed++;
}

/* The rest of the daemons' trees. With a manager it is his to find them, and he knows more ways. */
static void end_remains(struct supervisor *s)
{
	uint64_t deadline = now_monotonic() + FINAL_STOP_WAIT;
	struct remains r = { .supervisor = s };

	do {
		r.killed = 0;
		proc_each_entry("/proc", kill_remains, &r);
		reap_children(s);
	} while (r.killed > 0 && now_monotonic() < deadline);
}

/* --- all of it -------------------------------------------------------------------------- */

void end_all(struct supervisor *s)
{
	uint64_t deadline = now_monotonic() + FINAL_STOP_WAIT;
	_cleanup_close_ int dir_fd = open(s->run_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pollfd poll_fd = { .fd = s->signal_fd, .events = POLLIN };

	signal_daemons(s, SIGTERM);
	while (signal_daemons(s, 0) > 0 && now_monotonic() < deadline) {
		poll(&poll_fd, 1, 100);
		supervisor_read_signals(s);
		reap_children(s);
	}
	if (signal_daemons(s, SIGKILL) > 0)
		poll(&poll_fd, 1, 1000);
	supervisor_read_signals(s);
	reap_children(s);
	if (s->sweep)
		sweep(s);
	if (s->without_manager)
		end_remains(s);
	if (!anything_left(s) && dir_fd >= 0) {
		table_remove(dir_fd);
		unlinkat(dir_fd, LOGGER_MEMORY_FILE, 0);
		unlinkat(dir_fd, "control", 0);
		unlinkat(dir_fd, "notify", 0);
		unlinkat(dir_fd, "lock", 0);
	}
}
