/* SPDX-License-Identifier: MIT */
/* A census of processes: see census.h. */
#include "manager/census.h"

#include <dirent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"
#include "manager/service.h"

#define AT_A_TIME 64 /* processes: about two milliseconds */

struct census_taker {
	struct manager *manager;
	struct census census;
	DIR *proc;
	struct event *next;
	census_done *done;
	void *arg;
};

void census_cancel(struct census_taker *t)
{
	if (!t)
		return;
	if (t->proc)
		closedir(t->proc);
	if (t->next)
		event_free(t->next);
	free(t->census.list);
	free(t);
}

/* --- whose a process is ----------------------------------------------------------------- */

static int by_pid(const void *a, const void *b)
{
	const struct census_process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static int by_owner(const void *a, const void *b)
{
	const struct census_process *x = a, *y = b;
	uintptr_t left = (uintptr_t)x->owner, right = (uintptr_t)y->owner;

	return left != right ? (left > right) - (left < right) : by_pid(a, b);
}

const struct census_process *census_of(const struct census *c, const struct service *s,
				       size_t *ret_n)
{
	size_t low = 0, high = c->n, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uintptr_t)c->list[middle].owner < (uintptr_t)s)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < c->n && c->list[end].owner == s; end++)
		;
	*ret_n = end - low;
	return end > low ? &c->list[low] : NULL;
}

static struct census_process *find(const struct census *c, pid_t pid)
{
	struct census_process key = { .pid = pid };

	return bsearch(&key, c->list, c->n, sizeof(*c->list), by_pid);
}

static bool is_of(const struct service *s, const struct census_process *p)
{
	return s->tree_pid > 0 && machine_is_active(&s->machine) &&
	       (p->usage.stat.session == s->tree_pid || p->usage.stat.pgrp == s->tree_pid);
}

/* An orphan, or what descends from none of ours: by its mark, else by session and group. */
static struct service *find_by_mark(const struct manager *m, const struct census_process *p)
{
	struct proc_mark borne = proc_mark(p->pid);
	bool marked = borne.in_environment || borne.limit;

	for (size_t i = 0; i < m->n_services; i++) {
		struct service *s = m->services[i];

		if (marked ? s->instance && proc_mark_is(&borne, m->run_id, s->instance)
			   : is_of(s, p))
			return s;
	}
	return NULL;
}

/* The orphans of an adopted service went elsewhere when the supervisor that had them died. */
static bool any_adopted(const struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (m->services[i]->adopted && machine_is_active(&m->services[i]->machine))
			return true;
	}
	return false;
}

struct settling {
	const struct manager *manager;
	const struct census *census;
	pid_t self;
};

/* True when it needs no look at its parent. */
static bool settle_root(const struct settling *st, struct census_process *p)
{
	const struct manager *m = st->manager;
	struct service *s = manager_find_pid(m, p->pid);
	pid_t ppid = p->usage.stat.ppid;
	bool ours = p->pid == m->supervisor_pid || p->pid == st->self;

	if (!s && !ours && ppid != m->supervisor_pid && find(st->census, ppid) && ppid > 1)
		return false;
	if (!s && !ours && ppid == m->supervisor_pid)
		s = find_by_mark(m, p);
	p->owner = s;
	p->settled = true;
	return true;
}

/*
 * Up to the first one whose owner is known, then down again. The list was not read at one
 * moment: parents may form a circle, which no path longer than the list survives.
 */
static void settle(const struct settling *st, struct census_process *p)
{
	struct census_process *top = p;
	size_t steps = 0;

	while (!top->settled && !settle_root(st, top) && steps++ < st->census->n)
		top = find(st->census, top->usage.stat.ppid);
	for (; p != top && !p->settled; p = find(st->census, p->usage.stat.ppid)) {
		p->owner = top->owner;
		p->settled = true;
	}
}

static void look_everywhere(const struct manager *m, struct census *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!c->list[i].owner)
			c->list[i].owner = find_by_mark(m, &c->list[i]);
	}
}

static void settle_all(struct census_taker *t)
{
	struct settling st = { t->manager, &t->census, getpid() };

	if (t->census.n == 0)
		return;
	qsort(t->census.list, t->census.n, sizeof(*t->census.list), by_pid);
	for (size_t i = 0; i < t->census.n; i++)
		settle(&st, &t->census.list[i]);
	if (any_adopted(t->manager))
		look_everywhere(t->manager, &t->census);
	qsort(t->census.list, t->census.n, sizeof(*t->census.list), by_owner);
}

/* --- reading ---------------------------------------------------------------------------- */

static int add(struct census *c, pid_t pid)
{
	struct proc_usage usage;

	if (proc_usage(pid, &usage) < 0 || usage.stat.state == 'Z' || usage.stat.state == 'X')
		return 0;
	if (c->n == c->room) {
		size_t room = MAX(c->room * 2, (size_t)AT_A_TIME);
		struct census_process *bigger = reallocarray(c->list, room, sizeof(*bigger));

		if (!bigger)
			return -1;
		c->list = bigger;
		c->room = room;
	}
	c->list[c->n++] = (struct census_process){ .pid = pid, .usage = usage };
	return 0;
}

/* 1: there is more; 0: that was all; -1: out of memory. */
static int read_some(struct census_taker *t)
{
	for (int i = 0; i < AT_A_TIME;) {
		struct dirent *e = readdir(t->proc);
		char *end;
		long pid = e ? strtol(e->d_name, &end, 10) : 0;

		if (!e)
			return 0;
		if (pid <= 0 || *end)
			continue;
		if (add(&t->census, pid) < 0)
			return -1;
		i++;
	}
	return 1;
}

/* A timer, not an active event: so descriptors get their turn in between. */
static int go_on_later(struct census_taker *t)
{
	static const struct timeval now = { 0, 0 };

	return evtimer_add(t->next, &now);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct census_taker *t = arg;
	int more = read_some(t);

	if (more > 0 && go_on_later(t) == 0)
		return;
	if (more == 0)
		settle_all(t);
	t->done(more == 0 ? &t->census : NULL, t->arg);
	census_cancel(t);
}

struct census_taker *census_take(struct manager *m, census_done *done, void *arg)
{
	struct census_taker *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	*t = (struct census_taker){ .manager = m, .done = done, .arg = arg };
	t->proc = opendir("/proc");
	t->next = evtimer_new(m->base, on_next, t);
	if (t->proc && t->next && go_on_later(t) == 0)
		return t;
	census_cancel(t);
	return NULL;
}
