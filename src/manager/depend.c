/* SPDX-License-Identifier: MIT */
/* The order among services: see depend.h. */
#include "manager/depend.h"

#include <errno.h>
#include <stdlib.h>

#include "base/strv.h"
#include "manager/service.h"

static struct service *first_queued, *last_queued;
static bool running;

static int add(struct service ***list, unsigned *n, struct service *s)
{
	struct service **bigger = realloc(*list, (*n + 1) * sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	*list = bigger;
	bigger[(*n)++] = s;
	return 0;
}

static int link_names(struct manager *m, struct service *s, char **names, bool needs)
{
	STRV_FOREACH(name, names) {
		struct service *other = manager_find(m, *name);
		int error;

		if (!other || other == s)
			continue;
		error = needs ? add(&s->requires, &s->n_requires, other)
			      : add(&s->after, &s->n_after, other);
		if (error == 0)
			error = needs ? add(&other->required_by, &other->n_required_by, s)
				      : add(&other->before, &other->n_before, s);
		if (error < 0)
			return error;
	}
	return 0;
}

void depend_unlink(struct service *s)
{
	free(s->requires);
	free(s->after);
	free(s->required_by);
	free(s->before);
	s->requires = s->after = s->required_by = s->before = NULL;
	s->n_requires = s->n_after = s->n_required_by = s->n_before = 0;
}

int depend_link_all(struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++)
		depend_unlink(m->services[i]);
	for (size_t i = 0; i < m->n_services; i++) {
		struct service *s = m->services[i];
		int error = link_names(m, s, s->config->requires, true);

		if (error == 0)
			error = link_names(m, s, s->config->after, false);
		if (error < 0)
			return error;
	}
	return 0;
}

/* For "after" alone it is enough that the other one has had its try. */
static bool has_settled(const struct service *s)
{
	switch (s->machine.state) {
	case STATE_WAITING:
	case STATE_STARTING: return false;
	case STATE_RUNNING:
	case STATE_STOPPING: return s->machine.desired_up && !s->machine.restart_wanted;
	default: return true;
	}
}

const struct service *depend_waits_for(const struct service *s)
{
	for (size_t i = 0; i < s->n_requires; i++) {
		if (!machine_satisfies(&s->requires[i] -> machine))
		return s->requires[i];
	}
	for (size_t i = 0; i < s->n_after; i++) {
		if (!has_settled(s->after[i]))
			return s->after[i];
	}
	return NULL;
}

/* It must stop before the other does, and is on its way. */
static bool holds(const struct service *s)
{
	return machine_is_active(&s->machine) &&
	       (!s->machine.desired_up || s->machine.restart_wanted);
}

struct awaited {
	const struct service **list;
	size_t n, max;
};

static void await(struct awaited *a, struct service **list, size_t n,
		  bool (*keeps_it)(const struct service *))
{
	for (size_t i = 0; i < n && a->n < a->max; i++) {
		if (keeps_it(list[i]))
			a->list[a->n++] = list[i];
	}
}

static bool is_missing(const struct service *s)
{
	return !machine_satisfies(&s->machine);
}

static bool has_not_settled(const struct service *s)
{
	return !has_settled(s);
}

size_t depend_awaited(const struct service *s, const struct service **ret, size_t max)
{
	const struct machine *m = &s->machine;
	struct awaited a = { .list = ret, .max = max };

	if (m->state == STATE_WAITING) {
		await(&a, s->requires, s->n_requires, is_missing);
		await(&a, s->after, s->n_after, has_not_settled);
	} else if (m->state != STATE_STOPPING && holds(s)) {
		await(&a, s->required_by, s->n_required_by, holds);
		await(&a, s->before, s->n_before, holds);
	}
	return a.n;
}

void depend_facts(const struct service *s, struct machine_facts *f)
{
	f->deps_ready = depend_waits_for(s) == NULL;
	f->held = s->let_end;
	for (size_t i = 0; i < s->n_required_by && !f->held; i++)
		f->held = holds(s->required_by[i]);
	for (size_t i = 0; i < s->n_before && !f->held; i++)
		f->held = holds(s->before[i]);
}

bool depend_is_stuck(const struct service *s)
{
	if (s->machine.state != STATE_WAITING)
		return false;
	for (size_t i = 0; i < s->n_requires; i++) {
		const struct machine *m = &s->requires[i] -> machine;

		if (m->state == STATE_FAILED || (m->state == STATE_STOPPED && !m->desired_up))
			return true;
	}
	return false;
}

static void enqueue(struct service **list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct service *s = list[i];

		if (s->queued)
			continue;
		s->queued = true;
		s->next_queued = NULL;
		if (last_queued)
			last_queued->next_queued = s;
		else
			first_queued = s;
		last_queued = s;
	}
}

void depend_changed(struct service *s)
{
	enqueue(s->required_by, s->n_required_by);
	enqueue(s->before, s->n_before);
	enqueue(s->requires, s->n_requires);
	enqueue(s->after, s->n_after);
}

void depend_run(struct manager *m)
{
	if (running)
		return; /* the run that is under way takes what was added */
	running = true;
	while (first_queued) {
		struct service *s = first_queued;

		first_queued = s->next_queued;
		if (!first_queued)
			last_queued = NULL;
		s->queued = false;
		service_event(s, EVENT_FACTS, (struct machine_facts){ 0 });
	}
	running = false;
}
