/* SPDX-License-Identifier: MIT */
/* Ending what is marked: see hunt.h. */
#include "manager/hunt.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "manager/inhabitant.h"
#include "manager/manager.h"
#include "manager/reserve.h"
#include "manager/service.h"

#define SWEEP_DELAY (20 * USEC_PER_MSEC) /* many ends at once are one look */
#define STOP_MAX    (2 * USEC_PER_SEC)   /* until all that is to be ended stands still */
#define END_MAX     (5 * USEC_PER_SEC)   /* until it has ended */

/* What is to be ended at the next sweep. */
struct hunts {
	struct tree_mark *marks;
	size_t n;
	bool everywhere; /* one was adopted: its orphans are not the supervisor's children */
	struct event *timer;
};

/* By the mark, else by the session and the group: one read of each, however many marks. */
static bool is_marked(const struct manager *m, pid_t pid, const struct tree_mark *marks, size_t n)
{
	struct inhabitant who = inhabitant_meet(pid);

	for (size_t i = 0; i < n; i++) {
		if (inhabitant_is_of(m, &who, &marks[i]))
			return true;
	}
	return false;
}

/* Kills those in the list that are alive; returns how many. */
static size_t kill_all(const struct pid_list *l)
{
	size_t killed = 0;

	for (size_t i = 0; i < l->n; i++) {
		_cleanup_close_ int fd = proc_open_live(l->pids[i]);
		int error = fd >= 0 ? proc_pidfd_signal(fd, SIGKILL) : -ESRCH;

		killed += error == 0;
		if (error == -EPERM)
			log_warning("process %d has become another user's: it is left", l->pids[i]);
	}
	return killed;
}

struct hunt {
	const struct manager *manager;
	const struct tree_mark *marks;
	size_t n;
	struct pid_list found; /* alive, and standing still but for those counted as moving */
	size_t moving;         /* stopped only now, or gone when we came: it may have a child */
	bool again;            /* not the first walk: what cannot be signalled was told of */
};

/*
 * Who waits in vfork(2) stops only when his child has executed or ended, and that one is stopped.
 * He has his signal, and does nothing before he acts on it.
 */
static bool waits_in_vfork(pid_t pid, const struct proc_life *life)
{
	_cleanup_pids_ struct pid_list children = { 0 };
	struct proc_life child;

	if (!life->blocked)
		return false;
	proc_children(pid, &children);
	for (size_t i = 0; i < children.n; i++) {
		if (proc_life(children.pids[i], &child) == 0 && child.stopped)
			return true;
	}
	return false;
}

/* What is stopped does not fork. */
static void stop_one(struct hunt *h, pid_t pid, bool by_mark)
{
	_cleanup_close_ int fd = proc_pidfd(pid);
	struct proc_life life;
	int error;

	if (fd < 0) {
		h->moving += fd == -ESRCH;
		return;
	}
	/* Looked at again: until now the number might have become another's. */
	if (proc_life(pid, &life) < 0 || life.dead ||
	    (by_mark && !is_marked(h->manager, pid, h->marks, h->n)))
		return;
	error = life.stopped ? 0 : proc_pidfd_signal(fd, SIGSTOP);
	if (error == -EPERM && !h->again)
		log_warning("process %d has become another user's: it is left", pid);
	if (error < 0)
		return;
	/* Of one without its main thread nobody can see whether the others stand still. */
	h->moving += !life.stopped && !life.headless && !waits_in_vfork(pid, &life);
	pid_list_add(&h->found, pid);
}

static void look_at(struct hunt *h, pid_t pid)
{
	struct proc_life life;

	/* Zombies first: of a bomb there are thousands. */
	if (pid <= 0 || pid == own_pid() || pid == h->manager->supervisor_pid ||
	    proc_life(pid, &life) < 0 || life.dead)
		return;
	if (is_marked(h->manager, pid, h->marks, h->n))
		stop_one(h, pid, true);
}

/*
 * While the directory is read, a few names at a time, not from a list of it: who is born meanwhile
 * has a higher number mostly, and is met on the way.
 */
static void stop_marked(struct hunt *h)
{
	_cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char names[512];
	size_t marked, all;
	ssize_t size;

	h->found.n = h->moving = 0;
	while (proc >= 0 && (size = getdents64(proc, names, sizeof(names))) > 0) {
		for (ssize_t at = 0; at < size;) {
			const struct dirent64 *e = (const struct dirent64 *)(names + at);

			look_at(h, atoi(e->d_name));
			at += e->d_reclen;
		}
	}
	marked = h->found.n;
	proc_add_descendants(&h->found);
	/* Each once, and those only that are alive: one is added for one that was read, at most. */
	all = h->found.n;
	h->found.n = marked;
	for (size_t i = marked; i < all; i++)
		stop_one(h, h->found.pids[i], false);
	h->again = true;
}

void hunt_down(struct manager *m, const struct tree_mark *marks, size_t n)
{
	struct hunt h = { .manager = m, .marks = marks, .n = n };
	uint64_t start = now_monotonic();
	struct sched_param urgent = { .sched_priority = 1 }, usual = { 0 };
	int policy = sched_getscheduler(0);

	if (n == 0)
		return;
	reserve_begin();
	sched_getparam(0, &usual);
	/* A bomb has many processes, and we are one. */
	sched_setscheduler(0, SCHED_FIFO, &urgent);
	do {
		stop_marked(&h);
		/* All are to stand still before the first is killed. */
		if (h.moving == 0 || now_monotonic() - start >= STOP_MAX)
			kill_all(&h.found);
		poll(NULL, 0, 1); /* on a single processor they need it to stop, or to end */
	} while ((h.found.n > 0 || h.moving > 0) && now_monotonic() - start < END_MAX);
	sched_setscheduler(0, policy, &usual);
	reserve_end();
	if (h.found.n > 0)
		log_error("%zu processes of daemons that have ended are left", h.found.n);
	pid_list_cleanup(&h.found);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;
	struct hunts *h = m->hunts;
	_cleanup_pids_ struct pid_list all = { 0 }, found = { 0 };

	reserve_begin();
	if (h->everywhere || proc_children(m->supervisor_pid, &all) < 0)
		proc_all(&all);
	for (size_t i = 0; i < all.n; i++) {
		pid_t pid = all.pids[i];

		if (pid != own_pid() && pid != m->supervisor_pid && !manager_find_pid(m, pid) &&
		    is_marked(m, pid, h->marks, h->n))
			pid_list_add(&found, pid);
	}
	proc_add_descendants(&found);
	kill_all(&found);
	reserve_end();
	h->n = 0;
	h->everywhere = false;
}

void hunt_later(struct service *s)
{
	static const struct timeval delay = { 0, SWEEP_DELAY };
	struct hunts *h = s->manager->hunts;
	struct tree_mark *bigger;

	if (s->tree_pid <= 0 || s->in_cgroup) /* it was seen to be empty, and all were in it */
		return;
	bigger = realloc(h->marks, (h->n + 1) * sizeof(*bigger));
	if (!bigger)
		return;
	h->marks = bigger;
	h->marks[h->n++] = (struct tree_mark){ s->instance, s->tree_pid };
	h->everywhere |= s->adopted;
	if (!evtimer_pending(h->timer, NULL))
		evtimer_add(h->timer, &delay);
}

int hunt_init(struct manager *m)
{
	m->hunts = calloc(1, sizeof(*m->hunts));
	if (!m->hunts)
		return -ENOMEM;
	m->hunts->timer = evtimer_new(m->base, on_sweep, m);
	return m->hunts->timer ? 0 : -ENOMEM;
}

void hunt_shutdown(struct manager *m)
{
	if (!m->hunts)
		return;
	if (m->hunts->timer)
		event_free(m->hunts->timer);
	free(m->hunts->marks);
	free(m->hunts);
	m->hunts = NULL;
}
