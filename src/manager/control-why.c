/* SPDX-License-Identifier: MIT */
/* Why services are as they are, and what a shutdown waits for: see control.h. */
#include "manager/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/signals.h"
#include "base/units.h"
#include "manager/census.h"
#include "manager/depend.h"
#include "manager/logs.h"
#include "manager/service.h"
#include "manager/shutdown.h"

#define CHAIN_MAX     64 /* services that are waited for, down the whole chain */
#define PROCESSES_MAX 32 /* told of one service */

static json_t *names(struct service *const *list, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			array, json_pack("{s:s, s:s}", "name", list[i]->config->name, "state",
					 service_state_to_string(list[i]->machine.state)));
	return array;
}

/* How long ago, and how long until; null when there is no such moment. */
static json_t *ago(uint64_t then)
{
	uint64_t now = now_monotonic();

	return then && then <= now ? json_integer(now - then) : json_null();
}

static json_t *time_left(uint64_t deadline)
{
	uint64_t now = now_monotonic();

	if (deadline == USEC_INFINITY)
		return json_null();
	return json_integer(deadline > now ? deadline - now : 0);
}

/* --- who wanted it ---------------------------------------------------------------------- */

static void add_asker(json_t *object, const struct asker *by)
{
	bool person = by->pid > 0;

	json_object_set_new(object, "uid", person ? json_integer(by->uid) : json_null());
	json_object_set_new(object, "pid", person ? json_integer(by->pid) : json_null());
	json_object_set_new(object, "command", control_text_or_null(by->command));
	json_object_set_new(object, "service", control_text_or_null(by->service));
}

static json_t *wish_json(const struct service *s)
{
	struct wish wish = history_wish(&s->machine);
	json_t *object;

	if (wish.reason == REASON_NONE)
		return json_null();
	object = json_pack("{s:s, s:s, s:o, s:o}", "verb", machine_event_to_string(wish.verb),
			   "why", reason_to_string(wish.reason), "time",
			   control_wall_time(wish.when), "ago_us", ago(wish.when));
	add_asker(object, &wish.by);
	return object;
}

/* --- its ends --------------------------------------------------------------------------- */

static json_t *end_json(const struct end *end)
{
	bool ran = end->step == STEP_NONE && !end->unknown;
	bool signalled = ran && WIFSIGNALED(end->status);
	char text[REASON_TEXT_MAX];
	json_t *o = json_object();

	json_object_set_new(o, "time", control_wall_time(end->when));
	json_object_set_new(o, "ago_us", ago(end->when));
	json_object_set_new(o, "up_us", end->step ? json_null() : json_integer(end->up));
	json_object_set_new(o, "text", json_string(history_end_words(end, text, sizeof(text))));
	json_object_set_new(o, "why", json_string(reason_to_string(end->cause)));
	json_object_set_new(o, "exit_code",
			    ran && !signalled ? json_integer(WEXITSTATUS(end->status))
					      : json_null());
	json_object_set_new(o, "signal",
			    signalled ? json_string(signal_to_string(WTERMSIG(end->status)))
				      : json_null());
	json_object_set_new(o, "core_dumped", json_boolean(signalled && WCOREDUMP(end->status)));
	json_object_set_new(o, "unknown", json_boolean(end->unknown));
	json_object_set_new(o, "step",
			    end->step ? json_string(spawn_step_to_string(end->step)) : json_null());
	json_object_set_new(o, "errno", end->step ? json_integer(end->error) : json_null());
	json_object_set_new(o, "followed", json_string(service_state_to_string(end->followed)));
	json_object_set_new(o, "attempts", json_integer(end->attempts));
	return o;
}

static json_t *ends_json(const struct service *s)
{
	const struct history *h = s->machine.history;
	json_t *array = json_array();

	for (size_t i = 0; h && i < h->n_ends; i++)
		json_array_append_new(array, end_json(&h->ends[i]));
	return array;
}

/* --- what it waits for ------------------------------------------------------------------ */

/* In one word; NULL: for nothing. */
static const char *waits_for_what(const struct service *s)
{
	const struct machine *m = &s->machine;
	const struct service *other;

	if (m->state == STATE_WAITING)
		return "services";
	if (m->state == STATE_BACKOFF)
		return "restart";
	if (m->state == STATE_STOPPING)
		return m->main_ended ? "tree" : "end";
	if (!machine_is_active(m))
		return NULL;
	if (s->let_end)
		return "own-end";
	if (!m->desired_up || m->restart_wanted)
		return depend_awaited(s, &other, 1) ? "services" : "end";
	if (m->state == STATE_STARTING)
		return s->spawn_queued ? "turn" : "ready";
	return NULL;
}

static json_t *what_json(const struct service *s)
{
	const char *what = waits_for_what(s);

	return what ? json_string(what) : json_null();
}

/* What is known of every service that is told of here. */
static json_t *state_json(const struct service *s)
{
	const struct machine *m = &s->machine;
	char reason[REASON_TEXT_MAX], next[REASON_TEXT_MAX];
	json_t *o = json_object();

	machine_reason(m, s->config, now_monotonic(), reason, sizeof(reason));
	service_next(s, next, sizeof(next));
	json_object_set_new(o, "name", json_string(s->config->name));
	json_object_set_new(o, "state", json_string(service_state_to_string(m->state)));
	json_object_set_new(o, "since", control_wall_time(m->since));
	json_object_set_new(o, "for_us", ago(m->since));
	json_object_set_new(o, "reason", control_string(reason));
	json_object_set_new(o, "desired", json_string(m->desired_up ? "up" : "down"));
	json_object_set_new(o, "pid", json_integer(s->pid));
	json_object_set_new(o, "next", control_text_or_null(next));
	json_object_set_new(o, "waits_for", what_json(s));
	json_object_set_new(o, "deadline_us", time_left(m->deadline));
	json_object_set_new(o, "ready_by", json_string(ready_type_to_string(s->config->ready)));
	json_object_set_new(o, "retry",
			    m->state == STATE_BACKOFF ? json_integer(m->attempts) : json_null());
	return o;
}

struct chain {
	const struct service *list[CHAIN_MAX];
	size_t n;
	json_t *array;
};

static bool is_in(const struct chain *chain, const struct service *s)
{
	for (size_t i = 0; i < chain->n; i++) {
		if (chain->list[i] == s)
			return true;
	}
	return false;
}

/* What one link of the chain waits for; each service comes once. */
static void extend(struct chain *chain, const struct service *s)
{
	const struct service *next[CHAIN_MAX];
	size_t n = depend_awaited(s, next, CHAIN_MAX);

	for (size_t i = 0; i < n && chain->n < CHAIN_MAX; i++) {
		json_t *object;

		if (is_in(chain, next[i]))
			continue;
		chain->list[chain->n++] = next[i];
		object = state_json(next[i]);
		json_object_set_new(object, "by", json_string(s->config->name));
		json_array_append_new(chain->array, object);
	}
}

/* Down to those that wait for no other service, nearest first. */
static json_t *chain_json(const struct service *s)
{
	struct chain chain = { .list = { s }, .n = 1, .array = json_array() };

	for (size_t i = 0; i < chain.n; i++)
		extend(&chain, chain.list[i]);
	return chain.array;
}

static json_t *awaited_json(const struct service *s)
{
	const struct service *list[CHAIN_MAX];
	size_t n = depend_awaited(s, list, CHAIN_MAX);

	return names((struct service **)list, n);
}

/* --- the processes that hold it --------------------------------------------------------- */

static json_t *processes_json(const struct service *s, const struct census *census)
{
	json_t *array = json_array();
	size_t n;
	const struct census_process *p = census_of(census, s, &n);

	for (size_t i = 0; i < MIN(n, (size_t)PROCESSES_MAX); i++)
		json_array_append_new(array,
				      json_pack("{s:i, s:o}", "pid", (int)p[i].pid, "command",
						control_string(p[i].usage.command)));
	return array;
}

/* --- one service ------------------------------------------------------------------------ */

static json_t *why_json(const struct service *s, const struct census *census)
{
	const struct machine *m = &s->machine;
	json_t *o = state_json(s);
	bool up = s->pid > 0 && m->started;

	json_object_set_new(o, "as_wanted", json_boolean(service_is_as_wanted(s)));
	json_object_set_new(o, "uptime_us", up ? ago(m->started) : json_null());
	json_object_set_new(o, "status", control_text_or_null(s->status));
	json_object_set_new(o, "restart",
			    json_string(restart_policy_to_string(s->config->restart)));
	json_object_set_new(o, "wish", wish_json(s));
	json_object_set_new(o, "waits", chain_json(s));
	json_object_set_new(o, "requires", names(s->requires, s->n_requires));
	json_object_set_new(o, "after", names(s->after, s->n_after));
	json_object_set_new(o, "required_by", names(s->required_by, s->n_required_by));
	json_object_set_new(o, "before", names(s->before, s->n_before));
	json_object_set_new(o, "ends", ends_json(s));
	json_object_set_new(o, "processes", census ? processes_json(s, census) : json_array());
	return o;
}

static int print_why(struct manager *m, struct service *s, unsigned arg,
		     const struct census *census, struct evbuffer *to)
{
	return control_print(to, why_json(s, census));
}

void control_why(struct call *call)
{
	/* Who holds it is asked only of one that is to end. */
	if (call->service->machine.state == STATE_STOPPING)
		control_reply_with_census(call, print_why, 0);
	else
		control_reply(call, HTTP_OK, why_json(call->service, NULL));
}

/* --- all that are not as wanted --------------------------------------------------------- */

static bool is_not_as_wanted(const struct service *s, const void *arg)
{
	return !service_is_as_wanted(s);
}

static json_t *short_json(const struct service *s, const void *arg)
{
	json_t *object = state_json(s);

	json_object_set_new(object, "wish", wish_json(s));
	json_object_set_new(object, "awaits", awaited_json(s));
	return object;
}

void control_why_all(struct call *call)
{
	static const struct control_listing listing = { is_not_as_wanted, short_json, NULL };
	const struct manager *m = call->manager;
	struct evbuffer *text = evbuffer_new();
	int error = -ENOMEM;

	if (text)
		error = evbuffer_add_printf(text, "{\"total\":%zu,\"services\":", m->n_services);
	if (error >= 0)
		error = control_print_list(text, m, &listing);
	if (error >= 0)
		error = evbuffer_add(text, "}", 1);
	control_reply_printed(call, text, error);
}

/* --- what a shutdown waits for ---------------------------------------------------------- */

enum {
	BLOCKING_ALL = 1 << 0,
	BLOCKING_JOIN = 1 << 1,
};

struct blocking {
	const struct manager *manager;
	const struct shutdown_how *how;
	const struct census *census;
};

static bool is_blocking(const struct service *s, const void *arg)
{
	const struct blocking *b = arg;

	return shutdown_waits_for(b->manager, b->how, s);
}

/* It is left to its own end, or would be. */
static bool is_joined(const struct blocking *b, const struct service *s)
{
	if (shutdown_is_under_way(b->manager))
		return s->let_end;
	return b->how->join && !service_is_daemon(s);
}

static json_t *blocking_json(const struct service *s, const void *arg)
{
	const struct blocking *b = arg;
	json_t *object = short_json(s, NULL);

	json_object_set_new(object, "own_end", json_boolean(is_joined(b, s)));
	json_object_set_new(object, "processes", processes_json(s, b->census));
	return object;
}

static json_t *shutdown_asker_json(const struct manager *m)
{
	const struct shutdown_how *how = shutdown_asked(m);
	json_t *by = how ? json_object() : json_null();

	if (how)
		add_asker(by, &how->by);
	return by;
}

static const char *truth(bool yes)
{
	return yes ? "true" : "false";
}

/* All but the list, and the beginning of its member. */
static int print_shutdown(const struct manager *m, const struct shutdown_how *how,
			  struct evbuffer *to)
{
	if (evbuffer_add_printf(to,
				"{\"under_way\":%s,\"joining\":%s,\"all\":%s,\"join\":%s,\"by\":",
				truth(shutdown_is_under_way(m)), truth(shutdown_is_joining(m)),
				truth(how->all), truth(how->join)) < 0 ||
	    control_print(to, shutdown_asker_json(m)) < 0 ||
	    evbuffer_add_printf(to, ",\"main_job\":") < 0 ||
	    control_print(to, control_string(m->options.join)) < 0 ||
	    evbuffer_add_printf(to, ",\"services\":") < 0)
		return -ENOMEM;
	return 0;
}

static int print_blocking(struct manager *m, struct service *service, unsigned arg,
			  const struct census *census, struct evbuffer *to)
{
	struct shutdown_how asked = { .all = arg & BLOCKING_ALL, .join = arg & BLOCKING_JOIN };
	const struct shutdown_how *how = shutdown_asked(m) ? shutdown_asked(m) : &asked;
	struct blocking b = { m, how, census };
	struct control_listing listing = { is_blocking, blocking_json, &b };

	if (print_shutdown(m, how, to) < 0 || control_print_list(to, m, &listing) < 0)
		return -ENOMEM;
	return evbuffer_add(to, "}", 1) < 0 ? -ENOMEM : 0;
}

void control_blocking(struct call *call)
{
	control_reply_with_census(call, print_blocking,
				  (control_flag(call, "all") ? BLOCKING_ALL : 0) |
					  (control_flag(call, "join") ? BLOCKING_JOIN : 0));
}
