/* SPDX-License-Identifier: MIT */
/* Whose a process is: see inhabitant.h. */
#include "manager/inhabitant.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "manager/manager.h"

pid_t own_pid(void)
{
	static pid_t pid;

	if (!pid)
		pid = getpid();
	return pid;
}

struct inhabitant inhabitant_meet(pid_t pid)
{
	struct inhabitant i = { .pid = pid, .borne = proc_mark(pid) };
	struct proc_stat st;

	if (!i.borne.in_environment && proc_stat(pid, &st) == 0) {
		i.session = st.session;
		i.group = st.pgrp;
	}
	return i;
}

bool inhabitant_is_of(const struct manager *m, const struct inhabitant *i,
		      const struct tree_mark *mark)
{
	if (i->borne.in_environment || proc_mark_is(&i->borne, m->run_id, mark->instance))
		return proc_mark_is(&i->borne, m->run_id, mark->instance);
	return mark->main > 0 && (i->session == mark->main || i->group == mark->main);
}

struct population *population_free(struct population *p)
{
	if (p)
		free(p->list);
	free(p);
	return NULL;
}

void population_freep(struct population **p)
{
	population_free(*p);
}

struct population *population_take(void)
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
			p->list[p->n++] = inhabitant_meet(all.pids[i]);
	}
	return p;
}
