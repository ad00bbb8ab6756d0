/* SPDX-License-Identifier: MIT */
/* A new configuration: see reload.h. */
#include "manager/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/enum-table.h"
#include "base/fd.h"
#include "base/log.h"
#include "manager/depend.h"
#include "manager/events.h"
#include "manager/history.h"
#include "manager/log-directory.h"
#include "manager/logs.h"
#include "manager/proc.h"
#include "manager/report.h"
#include "manager/service.h"
#include "manager/shutdown.h"
#include "manager/sockets.h"
#include "manager/supervisor-link.h"

static const char *const action_names[] = {
	[RELOAD_KEEP] = "keep", [RELOAD_START] = "start",     [RELOAD_RESTART] = "restart",
	[RELOAD_STOP] = "stop", [RELOAD_PENDING] = "pending",
};
ENUM_TABLE(reload_action, enum reload_action, action_names)

void reload_plan_clear(struct reload_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		free(plan->steps[i].differs);
	free(plan->steps);
	*plan = (struct reload_plan){ 0 };
}

void reload_save(struct manager *m)
{
	_cleanup_close_ int fd = memfd_create("foster-config", MFD_CLOEXEC);
	int error = fd < 0 ? -errno : config_source_save(m->source, fd);

	if (error < 0) {
		log_warning_errno(error, "cannot keep the configuration for the next manager");
		return;
	}
	supervisor_link_store(m, PLACE_CONFIG, "config", TAKE_FD(fd));
}

/* --- the plan --------------------------------------------------------------------------- */

static int add_step(struct reload_plan *plan, const char *name, enum reload_action action,
		    char *differs)
{
	struct reload_step *bigger = realloc(plan->steps, (plan->n + 1) * sizeof(*bigger));

	if (!bigger) {
		free(differs);
		return -ENOMEM;
	}
	plan->steps = bigger;
	bigger[plan->n] = (struct reload_step){ .action = action, .differs = differs };
	strncpy(bigger[plan->n++].name, name, CONFIG_NAME_MAX);
	return 0;
}

/* Against what the running instance was started with; for one that does not run, the last. */
static enum reload_action plan_known(const struct service *s, const struct config *new,
				     const struct service_config *c, char **ret_differs)
{
	bool active = machine_is_active(&s->machine);
	const struct config *old =
		active && s->started_with ? s->started_with->config : s->manager->config->config;
	const struct service_config *before = config_find_service(old, c->name);
	enum config_effect effect = EFFECT_NONE;

	*ret_differs = before ? config_diff_service(old, before, new, c, &effect) : NULL;
	if (!*ret_differs || !active || effect == EFFECT_NONE)
		return RELOAD_KEEP;
	return effect == EFFECT_PENDING ? RELOAD_PENDING : RELOAD_RESTART;
}

static int plan_service(struct manager *m, const struct config *new, const struct service_config *c,
			struct reload_plan *plan)
{
	const struct service *s = manager_find(m, c->name);
	char *differs = NULL;
	enum reload_action action;

	if (!s || s->orphaned)
		action = c->autostart || s ? RELOAD_START : RELOAD_KEEP;
	else
		action = plan_known(s, new, c, &differs);
	if (s && s->orphaned)
		action = RELOAD_PENDING;
	return add_step(plan, c->name, action, differs);
}

static int make_plan(struct manager *m, const struct config *new, struct reload_plan *plan)
{
	int error = 0;

	for (size_t i = 0; i < new->n_services &&error == 0; i++)
		error = plan_service(m, new, new->services[i], plan);
	for (size_t i = 0; i < m->n_services && error == 0; i++) {
		const struct service *s = m->services[i];

		if (!config_find_service(new, s->config->name) && !s->orphaned)
			error = add_step(plan, s->config->name, RELOAD_STOP, NULL);
	}
	return error;
}

/* --- doing it --------------------------------------------------------------------------- */

/* All that can fail for lack of memory, before anything changes. */
struct change {
	struct service **services; /* the new order, with room for those that must stop first */
	size_t n;
	struct config_ref *ref;
};

static int prepare(struct manager *m, struct config *new, struct change *ch)
{
	ch->services = calloc(new->n_services + m->n_services + 1, sizeof(*ch->services));
	if (!ch->services)
		return -ENOMEM;
	for (size_t i = 0; i < new->n_services; i++) {
		struct service *s = manager_find(m, new->services[i]->name);

		if (!s) {
			s = service_new(m, new->services[i]);
			if (!s || manager_take_slot(m, s) < 0) {
				service_free(s);
				return -ENOMEM;
			}
		}
		ch->services[ch->n++] = s;
	}
	for (size_t i = 0; i < m->n_services; i++) {
		if (!config_find_service(new, m->services[i]->config->name))
			ch->services[ch->n++] = m->services[i];
	}
	return 0;
}

static void undo(struct manager *m, struct change *ch)
{
	for (size_t i = 0; ch->services && i < ch->n; i++) {
		struct service *s = ch->services[i];

		if (manager_find(m, s->config->name) != s) {
			manager_free_slot(m, s);
			service_free(s);
		}
	}
	free(ch->services);
}

/*
 * A service whose section is gone keeps a configuration until it has stopped: its old one,
 * which started_with and old_config below keep alive.
 */
static void swap(struct manager *m, struct config *new, struct change *ch)
{
	struct config_ref *old = m->config;

	for (size_t i = 0; i < ch->n; i++) {
		struct service *s = ch->services[i];
		const struct service_config *c = config_find_service(new, s->config->name);

		if (!c) {
			if (!s->removed_with && !s->orphaned)
				s->removed_with = config_ref_get(old);
			continue;
		}
		s->config = c;
		s->orphaned = s->to_be_removed = false;
		s->removed_with = config_ref_put(s->removed_with);
		free(s->own_config);
		s->own_config = NULL;
	}
	free(m->services);
	m->services = ch->services;
	m->n_services = ch->n;
	m->config = ch->ref;
	manager_index_name(m);
	depend_link_all(m);
	config_ref_put(old);
}

static void set_pending(struct service *s, const char *differs)
{
	free(s->pending);
	s->pending = differs ? strdup(differs) : NULL;
	service_send_note(s, false);
}

/* Policy options hold at once, those of a running process from its next start. */
static void apply_step(struct manager *m, const struct reload_step *step, const struct asker *asker)
{
	struct service *s = manager_find(m, step->name);

	if (step->differs)
		logs_changed(s);
	switch (step->action) {
	case RELOAD_KEEP:
		if (step->differs)
			service_arm(s);
		if (s->pending)
			set_pending(s, NULL);
		break;
	case RELOAD_START: service_ask(s, EVENT_START, REASON_ADDED, asker); break;
	case RELOAD_RESTART: service_ask(s, EVENT_RESTART, REASON_CHANGED, asker); break;
	case RELOAD_PENDING: set_pending(s, step->differs); break;
	case RELOAD_STOP:
		service_ask(s, EVENT_STOP, REASON_REMOVED, asker);
		if (!machine_is_active(&s->machine))
			service_removed(s);
		break;
	}
}

static int apply(struct manager *m, struct config *new, struct config_source *source,
		 const struct reload_plan *plan, const struct asker *asker, struct error *e)
{
	struct change ch = { 0 };
	bool elsewhere = log_directory_differs(m, new);
	int error = sockets_bind(m, new, e);

	if (error < 0)
		return error;
	if (elsewhere && (error = log_directory_make(m, new)) < 0) {
		sockets_rollback(m);
		return error_set(e, error, "log-directory: %s; nothing was changed",
				 strerror(-error));
	}
	error = prepare(m, new, &ch);
	ch.ref = error < 0 ? NULL : config_ref_new(new);
	if (!ch.ref) {
		undo(m, &ch);
		sockets_rollback(m);
		return error_set(e, -ENOMEM, "out of memory");
	}
	swap(m, new, &ch);
	sockets_commit(m, new);
	config_source_free(m->source);
	m->source = source;
	reload_save(m);
	if (elsewhere)
		log_info("reload: logs go to %s from now on", m->log_directory);
	for (size_t i = 0; elsewhere && i < m->n_services; i++)
		logs_changed(m->services[i]);
	for (size_t i = 0; i < plan->n; i++)
		apply_step(m, &plan->steps[i], asker);
	return 0;
}

static int load(struct manager *m, struct config_source **ret_source, struct config **ret_config,
		struct config_problems *problems, struct error *e)
{
	struct config_source *source = config_source_new();
	struct config *new = source ? config_load(m->options.config_path, source, problems) : NULL;

	if (!new) {
		config_source_free(source);
		return problems->n > 0 ? error_set(e, -EINVAL,
						   "the configuration has errors; "
						   "nothing was changed")
				       : error_set(e, -ENOMEM, "out of memory");
	}
	*ret_source = source;
	*ret_config = new;
	return 0;
}

static int plan_and_apply(struct manager *m, bool dry_run, const struct asker *asker,
			  struct reload_plan *plan, struct config_problems *problems,
			  struct error *e)
{
	struct config_source *source = NULL;
	struct config *new = NULL;
	int error;

	if (shutdown_is_under_way(m))
		return error_set(e, -EBUSY, "a shutdown is under way");
	error = load(m, &source, &new, problems, e);
	if (error < 0)
		return error;
	error = make_plan(m, new, plan);
	if (error == 0 && !dry_run) {
		error = apply(m, new, source, plan, asker, e);
		if (error == 0) {
			events_note(m, "reload", NULL, "the configuration was reloaded");
			return 0;
		}
	}
	config_free(new);
	config_source_free(source);
	return error;
}

int reload(struct manager *m, bool dry_run, const struct asker *asker, struct reload_plan *plan,
	   struct config_problems *problems, struct error *e)
{
	int error;

	if (dry_run)
		return plan_and_apply(m, true, asker, plan, problems, e);
	report_reloading(m);
	error = plan_and_apply(m, false, asker, plan, problems, e);
	report_reloaded(m, error == 0);
	return error;
}

void reload_by_signal(struct manager *m, int sender)
{
	struct asker asker = proc_asker(sender);
	struct config_problems problems = { 0 };
	struct reload_plan plan = { 0 };
	struct error e = { "" };
	int error = reload(m, false, &asker, &plan, &problems, &e);

	for (size_t i = 0; i < problems.n; i++)
		log_error("%s:%d: %s", problems.items[i].file, problems.items[i].line,
			  problems.items[i].text);
	if (error < 0)
		log_error("reload: %s", e.text);
	for (size_t i = 0; error == 0 && i < plan.n; i++) {
		if (plan.steps[i].action != RELOAD_KEEP || plan.steps[i].differs)
			log_info("reload: %s: %s%s%s", plan.steps[i].name,
				 reload_action_to_string(plan.steps[i].action),
				 plan.steps[i].differs ? ": " : "",
				 plan.steps[i].differs ? plan.steps[i].differs : "");
	}
	config_problems_clear(&problems);
	reload_plan_clear(&plan);
}
