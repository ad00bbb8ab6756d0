/* SPDX-License-Identifier: MIT */
/*
 * Descendants: see descendants.h. The kernel's lists of children are followed, breadth first.
 * Such a list is exact only while the processes in it stand still; so it is for them to stop
 * (descendants_kill) or for the next call to find who was missed: one whose parent ended in the
 * middle of a walk is our own child by then.
 *
 * Numbers, no pidfds: one for each of a fork bomb's processes is more than a process may have.
 * Between the reading of a number and its signal lie microseconds, and what is killed has been
 * stopped before, so that its number cannot have become another's.
 */
#include "supervisor/descendants.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/macro.h"
#include "supervisor/proc.h"

#define FOUND_MAX   65536
#define CLIMB_MAX   1000 /* a chain that is longer is found when those above it are gone */
#define STOP_PASSES 20

static struct {
	pid_t pids[FOUND_MAX]; /* what does not fit is found when these are gone */
	size_t n;
	size_t running; /* of them, those that did not stand still yet */
	bool stop;      /* stop each before its children are looked for */
} found;

/* A zombie whose main thread alone has ended still runs, and forks. */
static bool is_dead(const struct proc_state *p)
{
	return p->state == 'X' || (p->state == 'Z' && p->threads <= 1);
}

static void add(int pid, void *arg)
{
	struct proc_state p = { .state = '?' };
	int error = proc_state(pid, &p);

	if (error == -ESRCH || is_dead(&p) || found.n == ELEMENTSOF(found.pids))
		return;
	/* Where /proc hides other users' processes it is kill(2) that knows whether this is one. */
	if (error < 0 && kill(pid, 0) < 0 && errno == ESRCH)
		return;
	if (found.stop && p.state != 'T' && p.state != 't' && kill(pid, SIGSTOP) == 0)
		found.running += p.state != 'Z';
	found.pids[found.n++] = pid;
}

static void add_children_of_thread(int thread, void *arg)
{
	const pid_t *pid = arg;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", *pid, thread);
	proc_each_number(path, add, NULL); /* a thread that is gone has given its children away */
}

static void add_children(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	proc_each_entry(path, add_children_of_thread, &pid);
}

static void add_descendant(int pid, void *arg)
{
	const pid_t *self = arg;
	struct proc_state p = { .parent = pid };

	for (int i = 0; i < CLIMB_MAX && p.parent > 1; i++) {
		if (proc_state(p.parent, &p) < 0)
			return;
		if (p.parent == *self) {
			add(pid, NULL);
			return;
		}
	}
}

/*
 * Kernels without CONFIG_PROC_CHILDREN have no such lists: each process is asked for its parents.
 */
static bool has_children_lists(pid_t self)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", self, self);
	return access(path, R_OK) == 0;
}

static int find(bool stop)
{
	pid_t self = getpid();

	if (!proc_usable())
		return -ENXIO;
	found.n = found.running = 0;
	found.stop = stop;
	if (!has_children_lists(self))
		return proc_each_entry("/proc", add_descendant, &self);
	add_children(self);
	for (size_t i = 0; i < found.n; i++)
		add_children(found.pids[i]);
	return 0;
}

int descendants_terminate(void)
{
	int error = find(false);

	/* All are found before the first is signalled: the children of one that ends at once would
	 * change places during the walk. */
	for (size_t i = 0; error == 0 && i < found.n; i++) {
		kill(found.pids[i], SIGTERM);
		kill(found.pids[i], SIGCONT);
	}
	return error;
}

int descendants_kill(void (*reap)(void *arg), void *arg, pid_t *ret_refused)
{
	int killed = 0, error = 0;

	/* A signal does not reach a fork that is under way: the next pass finds its child. */
	for (int pass = 0; pass < STOP_PASSES; pass++) {
		/* Those who fork and end, over and over, leave thousands of dead in our list, which
		 * make each pass longer, and take the pids of all. */
		reap(arg);
		error = find(true);
		if (error < 0)
			return error;
		if (found.running == 0)
			break;
	}
	for (size_t i = 0; i < found.n; i++) {
		if (kill(found.pids[i], SIGKILL) == 0) {
			killed++;
		} else if (errno == EPERM) {
			*ret_refused = found.pids[i];
			error = -EPERM;
		}
	}
	return killed > 0 ? killed : error;
}
