/* SPDX-License-Identifier: MIT */
/*
 * The manager's services by name, by process and by slot, and the configurations that they
 * still need: what manager.h declares.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "manager/control.h"
#include "manager/depend.h"
#include "manager/fd-store.h"
#include "manager/logs.h"
#include "manager/manager.h"
#include "manager/report.h"
#include "manager/service.h"
#include "manager/supervisor-link.h"

struct config_ref *config_ref_new(struct config *config)
{
	struct config_ref *ref = calloc(1, sizeof(*ref));

	if (ref)
		*ref = (struct config_ref){ .config = config, .refs = 1 };
	return ref;
}

struct config_ref *config_ref_get(struct config_ref *ref)
{
	if (ref)
		ref->refs++;
	return ref;
}

struct config_ref *config_ref_put(struct config_ref *ref)
{
	if (ref && --ref->refs == 0) {
		config_free(ref->config);
		free(ref);
	}
	return NULL;
}

#define BUCKETS 4096

static struct service *by_name[BUCKETS], *by_pid[BUCKETS];

static unsigned name_bucket(const char *name)
{
	unsigned hash = 2166136261U;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash % BUCKETS;
}

void manager_index_name(struct manager *m)
{
	memset(by_name, 0, sizeof(by_name));
	for (size_t i = m->n_services; i > 0; i--) {
		struct service *s = m->services[i - 1];
		unsigned bucket = name_bucket(s->config->name);

		s->next_by_name = by_name[bucket];
		by_name[bucket] = s;
	}
}

struct service *manager_find(const struct manager *m, const char *name)
{
	struct service *s = by_name[name_bucket(name)];

	while (s && strcmp(s->config->name, name) != 0)
		s = s->next_by_name;
	return s;
}

void manager_index_pid(struct manager *m, struct service *s, pid_t old, pid_t new)
{
	struct service **p = &by_pid[(unsigned)old % BUCKETS];

	while (old > 0 && *p && *p != s)
		p = &(*p)->next_by_pid;
	if (old > 0 && *p)
		*p = s->next_by_pid;
	if (new > 0) {
		s->next_by_pid = by_pid[(unsigned)new % BUCKETS];
		by_pid[(unsigned)new % BUCKETS] = s;
	}
}

struct service *manager_find_pid(const struct manager *m, pid_t pid)
{
	struct service *s = pid > 0 ? by_pid[(unsigned)pid % BUCKETS] : NULL;

	while (s && s->pid != pid)
		s = s->next_by_pid;
	return s;
}

int manager_take_slot(struct manager *m, struct service *s)
{
	static uint32_t next; /* those below it were taken once: mostly they still are */

	for (uint32_t i = 0; i < LINK_SLOTS; i++) {
		uint32_t slot = (next + i) % LINK_SLOTS;

		if (m->by_slot[slot] || logs_hold_slot(m, slot))
			continue;
		next = slot + 1;
		s->slot = slot;
		m->by_slot[slot] = s;
		return 0;
	}
	return -ENOSPC;
}

void manager_free_slot(struct manager *m, struct service *s)
{
	if (s->slot == NO_SLOT)
		return;
	logs_forget(s);
	fd_store_clear(s);
	supervisor_link_forget(m, s->slot);
	m->by_slot[s->slot] = NULL;
	s->slot = NO_SLOT;
}

void manager_remove(struct manager *m, struct service *s)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (m->services[i] != s)
			continue;
		memmove(&m->services[i], &m->services[i + 1],
			(m->n_services - i - 1) * sizeof(*m->services));
		m->n_services--;
		break;
	}
	log_info("%s: forgotten: no configuration names it", s->config->name);
	control_service_gone(s);
	manager_index_name(m);
	manager_free_slot(m, s);
	service_free(s);
	depend_link_all(m);
	report_changed(m);
}
