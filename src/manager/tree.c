/* SPDX-License-Identifier: MIT */
/* The tree of a service: see tree.h. */
#include "manager/tree.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/log.h"
#include "manager/cgroup.h"
#include "manager/inhabitant.h"
#include "manager/proc.h"
#include "manager/reserve.h"
#include "manager/service.h"

#define WATCHED_MAX 32 /* members watched at a time, of a tree */
#define DEPTH_MAX   64 /* parents that are gone up to the supervisor */

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

struct trees {
	struct watch *watches;
	struct event *walk;         /* makes the looks that are due */
	struct population *of_turn; /* for the signals of this turn of the loop; NULL: none yet */
	struct event *turn_over;
};

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

static bool belongs(const struct manager *m, pid_t pid, const struct tree_mark *mark)
{
	struct inhabitant i = inhabitant_meet(pid);

	return inhabitant_is_of(m, &i, mark);
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
		if (p->list[i].pid != mark->main && inhabitant_is_of(m, &p->list[i], mark))
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
	proc_add_descendants(l);
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
		_cleanup_close_ int fd = proc_open_live(g->pids.pids[i]);

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
		_cleanup_close_ int fd = proc_open_live(members.pids[i]);
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
	int fd = proc_open_live(pid);

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

int trees_init(struct manager *m)
{
	m->trees = calloc(1, sizeof(*m->trees));
	if (!m->trees)
		return -ENOMEM;
	m->trees->walk = event_new(m->base, -1, 0, on_walk, m);
	m->trees->turn_over = event_new(m->base, -1, 0, on_turn_over, m->trees);
	return m->trees->walk && m->trees->turn_over ? 0 : -ENOMEM;
}

void trees_shutdown(struct manager *m)
{
	struct trees *t = m->trees;

	if (!t)
		return;
	while (t->watches)
		drop_watch(t, t->watches);
	if (t->walk)
		event_free(t->walk);
	if (t->turn_over)
		event_free(t->turn_over);
	population_free(t->of_turn);
	free(t);
	m->trees = NULL;
}
