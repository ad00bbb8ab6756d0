/* SPDX-License-Identifier: MIT */
/* The tree of a service: see tree.h. */
#include "manager/tree.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "manager/cgroup.h"
#include "manager/proc.h"
#include "manager/reserve.h"
#include "manager/service.h"

#define SWEEP_DELAY (20 * USEC_PER_MSEC) /* many ends at once are one look */
#define STOP_MAX    (2 * USEC_PER_SEC)   /* until all that is to be ended stands still */
#define END_MAX     (5 * USEC_PER_SEC)   /* until it has ended */
#define WATCHED_MAX 32                   /* members watched at a time, of a tree */
#define DEPTH_MAX   64                   /* parents that are gone up to the supervisor */

/* One process that is waited for. */
struct member {
	struct watch *watch;
	struct event *event;
	int pidfd;
};

/* When the rest of a tree is looked at: of an adopted one that takes a walk through /proc. */
enum due {
	DUE_NOT,
	DUE_LATER, /* with the next walk */
	DUE_NOW,   /* that one has been made */
};

/* The rest of one tree. */
struct watch {
	struct service *service;
	enum due due;
	struct member members[WATCHED_MAX];
	size_t n;
	struct watch *next;
};

/* A process, with all by which its tree is known but its parents. */
struct inhabitant {
	pid_t pid;
	struct proc_mark borne;
	pid_t session, group; /* looked at only without a mark in the environment */
};

/* All of the system's at one time, but ourselves. */
struct population {
	struct inhabitant *list;
	size_t n;
	int error; /* -errno: some may be missing; 0 */
};

struct trees {
	struct watch *watches;
	struct event *walk;         /* makes the looks that are due */
	struct population *of_turn; /* for the signals of this turn of the loop; NULL: none yet */
	struct event *turn_over;
	struct tree_mark *sweeps; /* to be ended at the next sweep */
	size_t n_sweeps;
	bool sweep_all; /* one of them was adopted: its orphans are not the supervisor's children */
	struct event *sweep_timer;
};

/* Asked for each process that is looked at; glibc no longer remembers it. */
static pid_t own_pid(void)
{
	static pid_t pid;

	if (!pid)
		pid = getpid();
	return pid;
}

static int collect(const struct service *s, struct pid_list *l);

bool trees_seem_empty(struct service *s)
{
	_cleanup_pids_ struct pid_list members = { 0 };

	if (s->in_cgroup)
		return cgroup_is_empty(s);
	if (s->taken) { /* its group may be another's */
		collect(s, &members);
		return members.n == 0;
	}
	/* Not s->pid: of one that ended between two managers that is gone already. */
	return s->tree_pid <= 0 || (kill(-s->tree_pid, 0) < 0 && errno == ESRCH);
}

/* --- who belongs to a tree -------------------------------------------------------------- */

static struct inhabitant meet(pid_t pid)
{
	struct inhabitant i = { .pid = pid, .borne = proc_mark(pid) };
	struct proc_stat st;

	if (!i.borne.in_environment && proc_stat(pid, &st) == 0) {
		i.session = st.session;
		i.group = st.pgrp;
	}
	return i;
}

static bool is_of(const struct manager *m, const struct inhabitant *i, const struct tree_mark *mark)
{
	if (i->borne.in_environment || proc_mark_is(&i->borne, m->run_id, mark->instance))
		return proc_mark_is(&i->borne, m->run_id, mark->instance);
	return mark->main > 0 && (i->session == mark->main || i->group == mark->main);
}

static bool belongs(const struct manager *m, pid_t pid, const struct tree_mark *mark)
{
	struct inhabitant i = meet(pid);

	return is_of(m, &i, mark);
}

static struct population *population_free(struct population *p)
{
	if (p)
		free(p->list);
	free(p);
	return NULL;
}

static void population_freep(struct population **p)
{
	population_free(*p);
}

/* NULL: out of memory. */
static struct population *population_take(void)
{
	_cleanup_pids_ struct pid_list all = { 0 };
	struct population *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->error = proc_all(&all);
	p->list = calloc(all.n + 1, sizeof(*p->list));
	if (!p->list)
		return population_free(p);
	for (size_t i = 0; i < all.n; i++) {
		if (all.pids[i] != own_pid())
			p->list[p->n++] = meet(all.pids[i]);
	}
	return p;
}

/* Adds what descends from those in the list already. */
static void add_descendants(struct pid_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		proc_children(l->pids[i], l);
}

/* The orphans among the supervisor's children that belong to the tree. */
static int add_orphans(const struct manager *m, const struct tree_mark *mark, struct pid_list *l)
{
	_cleanup_pids_ struct pid_list all = { 0 };
	int error = proc_children(m->supervisor_pid, &all);

	/* In a storm of forks the list never stands still: those that are seen will do, if any is. */
	if (error < 0 && error != -EAGAIN)
		return error;
	for (size_t i = 0; i < all.n; i++) {
		pid_t pid = all.pids[i];

		if (pid != own_pid() && !manager_find_pid(m, pid) && belongs(m, pid, mark))
			pid_list_add(l, pid);
	}
	return l->n > 0 ? 0 : error;
}

/* Without the kernel's lists of children: every process is looked at. 0 or -errno. */
static int add_all_marked(const struct manager *m, const struct population *p,
			  const struct tree_mark *mark, struct pid_list *l)
{
	_cleanup_(population_freep) struct population *now = p ? NULL : population_take();

	if (!p)
		p = now;
	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++) {
		if (p->list[i].pid != mark->main && is_of(m, &p->list[i], mark))
			pid_list_add(l, p->list[i].pid);
	}
	return p->error;
}

/*
 * The tree without its main process, as of the time of p, or of now when that is NULL. 0, or
 * -errno: there may be more of it.
 */
static int collect_from(const struct service *s, const struct population *p, struct pid_list *l)
{
	struct tree_mark mark = { s->instance, s->tree_pid };
	int error = 0;

	reserve_begin();
	if (s->pid > 0)
		proc_children(s->pid, l);
	/* The orphans of one that was adopted went to init: it is not below the supervisor. */
	if (s->adopted || add_orphans(s->manager, &mark, l) < 0)
		error = add_all_marked(s->manager, p, &mark, l);
	add_descendants(l);
	reserve_end();
	return error;
}

static int collect(const struct service *s, struct pid_list *l)
{
	return collect_from(s, NULL, l);
}

void trees_members(struct service *s, struct pid_list *l)
{
	if (s->in_cgroup)
		cgroup_pids(s, l);
	else
		collect(s, l);
}

/* Who runs as root may become anybody. */
static bool may_be_of(const struct service *s, pid_t pid)
{
	uid_t uid;

	if (s->config->uid == 0)
		return true;
	return proc_user(pid, &uid) == 0 && (uid == 0 || uid == geteuid() || uid == s->config->uid);
}

static bool is_marked_member(const struct service *s, pid_t pid)
{
	struct tree_mark mark = { s->instance, s->tree_pid };

	return belongs(s->manager, pid, &mark) && may_be_of(s, pid);
}

bool trees_contain(struct service *s, pid_t pid)
{
	_cleanup_pids_ struct pid_list members = { 0 };
	struct proc_stat st;

	if (s->in_cgroup) {
		cgroup_pids(s, &members);
		return pid_list_has(&members, pid);
	}
	for (int i = 0; i < DEPTH_MAX && pid > 1 && pid != s->manager->supervisor_pid; i++) {
		if (pid == s->pid)
			return true;
		if (proc_stat(pid, &st) < 0)
			return false;
		/* The orphans of one that was adopted are nobody's children that we know. */
		if (st.ppid == s->manager->supervisor_pid || s->adopted)
			return pid != own_pid() && is_marked_member(s, pid);
		pid = st.ppid;
	}
	return false;
}

/*
 * A pidfd of a process that still is a live member: opened first, then looked at again, so
 * that a pid that was reused meanwhile is not taken for it. -ESRCH: it is gone; other errors
 * say nothing of it.
 */
static int open_member(pid_t pid)
{
	_cleanup_close_ int fd = proc_pidfd(pid);
	struct proc_life life;
	int error;

	if (fd < 0)
		return fd == -EINVAL ? -ESRCH : fd;
	error = proc_life(pid, &life);
	if (error < 0)
		return error;
	return life.dead ? -ESRCH : TAKE_FD(fd);
}

/* --- signals ---------------------------------------------------------------------------- */

/* Those of the main process's group that are not signalled one by one. */
struct group_members {
	pid_t group;
	int signo;
	struct pid_list pids;
};

static void forget_group(struct service *s)
{
	if (s->in_group)
		pid_list_cleanup(&s->in_group->pids);
	free(s->in_group);
	s->in_group = NULL;
}

static void note_in_group(struct service *s, int signo, pid_t pid)
{
	if (!s->in_group)
		s->in_group = calloc(1, sizeof(*s->in_group));
	if (!s->in_group)
		return;
	s->in_group->group = s->pid;
	s->in_group->signo = signo;
	pid_list_add(&s->in_group->pids, pid);
}

bool tree_was_signalled(struct service *s, int signo, pid_t pid)
{
	struct proc_stat st;

	if (s->pid <= 0)
		return false;
	if (pid == s->pid)
		return true;
	if (s->adopted || s->taken || proc_stat(pid, &st) < 0 || st.pgrp != s->pid)
		return false;
	note_in_group(s, signo, pid);
	return true;
}

static bool has_left(struct service *s, pid_t pid)
{
	struct proc_stat st;

	return proc_stat(pid, &st) == 0 && st.pgrp != s->in_group->group && trees_contain(s, pid);
}

void trees_group_signalled(struct service *s)
{
	const struct group_members *g = s->in_group;

	for (size_t i = 0; g && i < g->pids.n; i++) {
		/* Opened first, then looked at: until then the number might become another's. */
		_cleanup_close_ int fd = open_member(g->pids.pids[i]);

		if (fd >= 0 && has_left(s, g->pids.pids[i]))
			proc_pidfd_signal(fd, g->signo);
	}
	forget_group(s);
}

static int signal_cgroup(struct service *s, int signo)
{
	if (signo == SIGKILL)
		return cgroup_kill(s->manager, s->config->name);
	return cgroup_signal(s, signo);
}

/* Of many that get one in the same turn of the loop /proc is walked through once. */
static const struct population *population_of_turn(const struct service *s)
{
	struct trees *t = s->manager->trees;

	if (!s->adopted)
		return NULL; /* its orphans are the supervisor's children: no walk */
	if (!t->of_turn) {
		reserve_begin();
		t->of_turn = population_take();
		reserve_end();
		event_active(t->turn_over, 0, 0);
	}
	return t->of_turn;
}

static void on_turn_over(evutil_socket_t fd, short what, void *arg)
{
	struct trees *t = arg;

	t->of_turn = population_free(t->of_turn);
}

void trees_signal(struct service *s, int signo)
{
	_cleanup_pids_ struct pid_list members = { 0 };

	forget_group(s);
	if (s->in_cgroup && signal_cgroup(s, signo) == 0)
		return;
	collect_from(s, population_of_turn(s), &members);
	reserve_begin();
	for (size_t i = 0; i < members.n; i++) {
		_cleanup_close_ int fd = open_member(members.pids[i]);
		int error;

		if (fd < 0 || tree_was_signalled(s, signo, members.pids[i]))
			continue;
		error = proc_pidfd_signal(fd, signo);
		if (error < 0 && error != -ESRCH)
			service_unsignalled(s, members.pids[i], signo, -error);
	}
	reserve_end();
}

/* --- waiting for the end of a tree ------------------------------------------------------ */

static void drop_members(struct watch *w)
{
	while (w->n > 0) {
		struct member *member = &w->members[--w->n];

		event_free(member->event);
		fd_close(member->pidfd);
	}
}

static void drop_watch(struct trees *t, struct watch *w)
{
	for (struct watch **p = &t->watches; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			break;
		}
	}
	drop_members(w);
	free(w);
}

static void on_member_ended(evutil_socket_t fd, short what, void *arg);

/* False: it is gone. One that cannot be watched is looked for again when the tree is killed. */
static bool watch_member(struct watch *w, pid_t pid)
{
	struct member *member = &w->members[w->n];
	int fd = open_member(pid);

	if (fd < 0)
		return fd != -ESRCH;
	member->watch = w;
	member->pidfd = fd;
	member->event = event_new(w->service->manager->base, fd, EV_READ, on_member_ended, member);
	if (!member->event || event_add(member->event, NULL) < 0) {
		fd_close(fd);
		return true;
	}
	w->n++;
	return true;
}

/* Looks at the tree anew; true when nothing is left of it. p: as for collect_from(). */
static bool look(struct watch *w, const struct population *p)
{
	_cleanup_pids_ struct pid_list members = { 0 };
	bool empty;

	drop_members(w);
	empty = collect_from(w->service, p, &members) == 0;
	for (size_t i = 0; i < members.n && w->n < WATCHED_MAX; i++)
		empty = !watch_member(w, members.pids[i]) && empty;
	return empty;
}

/* Frees the watch when nothing is left. */
static void look_again(struct watch *w, const struct population *p)
{
	struct service *s = w->service;

	if (!look(w, p)) {
		if (s->machine.killed) /* what was born after the kill */
			trees_signal(s, SIGKILL);
		return;
	}
	drop_watch(s->manager->trees, w);
	service_event(s, EVENT_EMPTY, (struct machine_facts){ 0 });
}

static void look_later(struct watch *w)
{
	w->due = DUE_LATER;
	event_active(w->service->manager->trees->walk, 0, 0);
}

static void on_member_ended(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = ((struct member *)arg)->watch;

	if (!w->service->adopted)
		look_again(w, NULL);
	else
		look_later(w);
}

static struct watch *first_due(struct trees *t)
{
	struct watch *w = t->watches;

	while (w && w->due != DUE_NOW)
		w = w->next;
	return w;
}

/*
 * One walk through /proc for all that wait for one; what becomes due meanwhile waits for the next:
 * this one might not have met who is looked for.
 */
static void on_walk(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;
	struct trees *t = m->trees;
	_cleanup_(population_freep) struct population *p = NULL;
	struct watch *w;

	for (w = t->watches; w; w = w->next)
		w->due = w->due == DUE_LATER ? DUE_NOW : w->due;
	if (!first_due(t))
		return; /* forgotten meanwhile */
	reserve_begin();
	p = population_take();
	reserve_end();
	while ((w = first_due(t)) != NULL) {
		w->due = DUE_NOT;
		look_again(w, p);
	}
}

static void drop_watch_of(struct service *s)
{
	struct trees *t = s->manager->trees;

	for (struct watch *w = t ? t->watches : NULL, *next; w; w = next) {
		next = w->next;
		if (w->service == s)
			drop_watch(t, w);
	}
}

bool trees_watch(struct service *s)
{
	struct trees *t = s->manager->trees;
	struct watch *w;

	if (s->in_cgroup)
		return cgroup_watch(s);
	drop_watch_of(s);
	w = calloc(1, sizeof(*w));
	if (!w) {
		log_error("%s: out of memory: the rest of its tree is not waited for",
			  service_label(s));
		return true;
	}
	w->service = s;
	w->next = t->watches;
	t->watches = w;
	if (s->adopted) {
		look_later(w);
		return false;
	}
	if (!look(w, NULL))
		return false;
	drop_watch(t, w);
	return true;
}

void trees_forget(struct service *s)
{
	cgroup_unwatch(s);
	drop_watch_of(s);
	forget_group(s);
}

/* --- ending what is marked -------------------------------------------------------------- */

/* By the mark, else by the session and the group: one read of each, however many marks. */
static bool is_marked(const struct manager *m, pid_t pid, const struct tree_mark *marks, size_t n)
{
	struct inhabitant who = meet(pid);

	for (size_t i = 0; i < n; i++) {
		if (is_of(m, &who, &marks[i]))
			return true;
	}
	return false;
}

/* Kills those in the list that are alive; returns how many. */
static size_t kill_all(const struct pid_list *l)
{
	size_t killed = 0;

	for (size_t i = 0; i < l->n; i++) {
		_cleanup_close_ int fd = open_member(l->pids[i]);
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
	add_descendants(&h->found);
	/* Each once, and those only that are alive: one is added for one that was read, at most. */
	all = h->found.n;
	h->found.n = marked;
	for (size_t i = marked; i < all; i++)
		stop_one(h, h->found.pids[i], false);
	h->again = true;
}

void trees_end_marked(struct manager *m, const struct tree_mark *marks, size_t n)
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
	struct trees *t = m->trees;
	_cleanup_pids_ struct pid_list all = { 0 }, found = { 0 };

	reserve_begin();
	if (t->sweep_all || proc_children(m->supervisor_pid, &all) < 0)
		proc_all(&all);
	for (size_t i = 0; i < all.n; i++) {
		pid_t pid = all.pids[i];

		if (pid != own_pid() && pid != m->supervisor_pid && !manager_find_pid(m, pid) &&
		    is_marked(m, pid, t->sweeps, t->n_sweeps))
			pid_list_add(&found, pid);
	}
	add_descendants(&found);
	kill_all(&found);
	reserve_end();
	t->n_sweeps = 0;
	t->sweep_all = false;
}

void trees_sweep(struct service *s)
{
	static const struct timeval delay = { 0, SWEEP_DELAY };
	struct trees *t = s->manager->trees;
	struct tree_mark *bigger;

	if (s->tree_pid <= 0 || s->in_cgroup) /* it was seen to be empty, and all were in it */
		return;
	bigger = realloc(t->sweeps, (t->n_sweeps + 1) * sizeof(*bigger));
	if (!bigger)
		return;
	t->sweeps = bigger;
	t->sweeps[t->n_sweeps++] = (struct tree_mark){ s->instance, s->tree_pid };
	t->sweep_all |= s->adopted;
	if (!evtimer_pending(t->sweep_timer, NULL))
		evtimer_add(t->sweep_timer, &delay);
}

int trees_init(struct manager *m)
{
	m->trees = calloc(1, sizeof(*m->trees));
	if (!m->trees)
		return -ENOMEM;
	m->trees->sweep_timer = evtimer_new(m->base, on_sweep, m);
	m->trees->walk = event_new(m->base, -1, 0, on_walk, m);
	m->trees->turn_over = event_new(m->base, -1, 0, on_turn_over, m->trees);
	return m->trees->sweep_timer && m->trees->walk && m->trees->turn_over ? 0 : -ENOMEM;
}

void trees_shutdown(struct manager *m)
{
	struct trees *t = m->trees;

	if (!t)
		return;
	while (t->watches)
		drop_watch(t, t->watches);
	if (t->sweep_timer)
		event_free(t->sweep_timer);
	if (t->walk)
		event_free(t->walk);
	if (t->turn_over)
		event_free(t->turn_over);
	population_free(t->of_turn);
	free(t->sweeps);
	free(t);
	m->trees = NULL;
}
