/* SPDX-License-Identifier: MIT */
/*
 * What is done to services, and those who wait for it: see control.h. A request that waits is
 * a waiter on one service or on several; each change of a service looks at those on it.
 */
#include "manager/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/signals.h"
#include "base/units.h"
#include "manager/depend.h"
#include "manager/handover.h"
#include "manager/service.h"
#include "manager/shutdown.h"

enum verb {
	VERB_START,
	VERB_STOP,
	VERB_RESTART,
	VERB_JOIN
};

/* One request that waits. */
struct waiter {
	struct manager *manager;
	struct evhttp_request *request;
	enum verb verb;
	bool bulk;    /* the reply is a list */
	bool no_wait; /* that it is under way is enough */
	struct service **services;
	uint64_t *instances; /* JOIN: of the process whose end is waited for */
	size_t n;
	struct event *timeout;
	struct waiter *next;
};

static struct waiter *waiters;

/* --- waiters ---------------------------------------------------------------------------- */

static void free_waiter(struct waiter *w)
{
	struct waiter **p = &waiters;

	while (*p && *p != w)
		p = &(*p)->next;
	if (*p)
		*p = w->next;
	if (w->timeout)
		event_free(w->timeout);
	free(w->services);
	free(w->instances);
	free(w);
}

void control_drop_waiters(void)
{
	while (waiters)
		free_waiter(waiters);
}

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	struct waiter *w = arg;

	control_request_closed(w->request);
	free_waiter(w);
}

/* True when what was asked for has come, or cannot come any more. */
static bool is_done(const struct waiter *w, size_t i)
{
	const struct service *s = w->services[i];
	const struct machine *m = &s->machine;

	switch (w->verb) {
	case VERB_STOP: return !machine_is_active(m) || m->desired_up; /* taken back by a start */
	case VERB_JOIN:
		if (w->instances[i])
			return (s->pid == 0 && !handover_is_under_way(s)) ||
			       s->instance != w->instances[i];
		/* Nothing ran when it was asked for: what is on its way is waited for. */
		return m->state != STATE_STARTING &&
		       (m->state != STATE_WAITING || service_is_settled(s));
	default: return service_is_settled(s) || m->state == STATE_BACKOFF;
	}
}

static const char *result_of(const struct waiter *w, size_t i)
{
	const struct machine *m = &w->services[i]->machine;

	if (!is_done(w, i))
		return w->no_wait ? "ok" : "timeout";
	switch (w->verb) {
	case VERB_STOP: return machine_is_active(m) ? "failed" : "ok";
	case VERB_JOIN: return m->ever_ended ? "ended" : "not-running";
	default: return m->state == STATE_RUNNING || m->state == STATE_EXITED ? "ok" : "failed";
	}
}

static json_t *result_json(const struct waiter *w, size_t i)
{
	const struct service *s = w->services[i];
	const struct machine *m = &s->machine;
	char reason[REASON_TEXT_MAX], end[REASON_TEXT_MAX];
	int code = machine_exit_code(m);

	service_next(s, reason, sizeof(reason));
	if (m->state != STATE_WAITING)
		machine_reason(m, s->config, now_monotonic(), reason, sizeof(reason));
	machine_end(m, end, sizeof(end));
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:o}", "name", s->config->name, "result",
			 result_of(w, i), "state", service_state_to_string(m->state), "reason",
			 reason, "pid", (int)s->pid, "exit_code",
			 code >= 0 ? json_integer(code) : json_null(), "exit",
			 *end ? json_string(end) : json_null());
}

static void finish(struct waiter *w)
{
	struct call call = { .manager = w->manager, .request = w->request };
	json_t *reply;

	if (w->bulk) {
		json_t *results = json_array();

		for (size_t i = 0; i < w->n; i++)
			json_array_append_new(results, result_json(w, i));
		reply = json_pack("{s:o}", "services", results);
	} else {
		reply = result_json(w, 0);
	}
	evhttp_connection_set_closecb(evhttp_request_get_connection(w->request), NULL, NULL);
	free_waiter(w);
	control_reply(&call, HTTP_OK, reply);
}

static bool all_done(const struct waiter *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (!is_done(w, i))
			return false;
	}
	return true;
}

static bool waits_for(const struct waiter *w, const struct service *s)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->services[i] == s)
			return true;
	}
	return false;
}

void control_service_changed(struct service *s)
{
	for (struct waiter *w = waiters, *next; w; w = next) {
		next = w->next;
		if (waits_for(w, s) && all_done(w))
			finish(w);
	}
}

void control_service_gone(struct service *s)
{
	for (struct waiter *w = waiters, *next; w; w = next) {
		next = w->next;
		if (waits_for(w, s))
			finish(w);
	}
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	finish(arg);
}

static struct waiter *new_waiter(struct call *call, enum verb verb, struct service **services,
				 size_t n, bool bulk)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w) {
		w->manager = call->manager;
		w->request = call->request;
		w->verb = verb;
		w->bulk = bulk;
		w->services = calloc(n + 1, sizeof(*w->services));
		w->instances = calloc(n + 1, sizeof(*w->instances));
		w->n = n;
		w->next = waiters;
		waiters = w;
	}
	if (!w || !w->services || !w->instances) {
		if (w)
			free_waiter(w);
		evhttp_send_error(call->request, HTTP_INTERNAL, "out of memory");
		return NULL;
	}
	memcpy(w->services, services, n * sizeof(*services));
	return w;
}

/* Replies now when it is done already, or nobody wants to wait. */
static void wait_or_finish(struct waiter *w, bool wait, uint64_t timeout)
{
	struct timeval tv = { timeout / USEC_PER_SEC, timeout % USEC_PER_SEC };

	w->no_wait = !wait;
	if (!wait || all_done(w)) {
		finish(w);
		return;
	}
	evhttp_connection_set_closecb(evhttp_request_get_connection(w->request), on_closed, w);
	if (timeout == USEC_INFINITY)
		return;
	w->timeout = evtimer_new(w->manager->base, on_timeout, w);
	if (!w->timeout || evtimer_add(w->timeout, &tv) < 0)
		finish(w);
}

/* --- spreading to those that it needs, and that need it ----------------------------------- */

struct spread {
	struct service **list;
	size_t n;
};

static bool is_in(const struct spread *l, const struct service *s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->list[i] == s)
			return true;
	}
	return false;
}

/*
 * s and all that it needs (or that need it), nearest first. A list of m->n_services has room
 * for all.
 */
static void spread(struct spread *l, struct service *s, bool to_required)
{
	size_t i = l->n;

	if (!is_in(l, s))
		l->list[l->n++] = s;
	for (; i < l->n; i++) {
		struct service *at = l->list[i];
		struct service **next = to_required ? at->requires : at->required_by;
		size_t n = to_required ? at->n_requires : at->n_required_by;

		for (size_t j = 0; j < n; j++) {
			if (!is_in(l, next[j]))
				l->list[l->n++] = next[j];
		}
	}
}

/* Through which service it came to another one. */
static struct asker through(const struct service *s, const struct asker *asker)
{
	struct asker a = *asker;

	snprintf(a.service, sizeof(a.service), "%s", s->config->name);
	return a;
}

static void start_needed(struct service *s, struct spread *l, const struct asker *asker)
{
	struct asker for_s = through(s, asker);

	l->n = 0;
	spread(l, s, true);
	for (size_t i = l->n; i > 0; i--) {
		struct service *at = l->list[i - 1];
		const struct machine *m = &at->machine;

		/* Also of one that is on its way down still. */
		if (at != s && (!m->desired_up || m->state == STATE_FAILED))
			service_ask(at, EVENT_START, REASON_DEPENDENT, &for_s);
	}
}

/* What it needs first, then itself. */
static void start_with_needed(struct service *s, struct spread *l, const struct asker *asker)
{
	start_needed(s, l, asker);
	service_ask(s, EVENT_START, REASON_COMMAND, asker);
}

/* Those that need it first: so it finds itself held by them. */
static void stop_with_dependents(struct service *s, struct spread *l, const struct asker *asker)
{
	struct asker for_s = through(s, asker);

	l->n = 0;
	spread(l, s, false);
	for (size_t i = l->n; i > 0; i--) {
		struct service *at = l->list[i - 1];

		at->let_end = false; /* also where a shutdown would have waited for its own end */
		if (at == s)
			service_ask(at, EVENT_STOP, REASON_COMMAND, asker);
		else if (at->machine.desired_up)
			service_ask(at, EVENT_STOP, REASON_DEPENDENCY, &for_s);
	}
}

static void restart_with_dependents(struct service *s, struct spread *l, const struct asker *asker)
{
	struct asker for_s = through(s, asker);

	start_needed(s, l, asker); /* of one that is stopped, a restart is a start */
	l->n = 0;
	spread(l, s, false);
	for (size_t i = l->n; i > 0; i--) {
		struct service *at = l->list[i - 1];

		if (at == s)
			service_ask(at, EVENT_RESTART, REASON_COMMAND, asker);
		else if (machine_is_active(&at->machine))
			service_ask(at, EVENT_RESTART, REASON_DEPENDENCY, &for_s);
	}
}

static void (*const do_verb[])(struct service *, struct spread *, const struct asker *) = {
	[VERB_START] = start_with_needed,
	[VERB_STOP] = stop_with_dependents,
	[VERB_RESTART] = restart_with_dependents,
};

static const char *const verb_words[] = {
	[VERB_START] = "start",
	[VERB_STOP] = "stop",
	[VERB_RESTART] = "restart",
};

/* All services that the verb without a name means. */
static size_t all_of(struct manager *m, enum verb verb, struct service **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_services; i++) {
		struct service *s = m->services[i];

		if (verb == VERB_START ? s->config->autostart
				       : machine_is_active(&s->machine) || s->machine.desired_up)
			ret[n++] = s;
	}
	return n;
}

static void act(struct call *call, enum verb verb)
{
	struct manager *m = call->manager;
	_cleanup_free_ struct service **list = calloc(m->n_services + 1, sizeof(*list));
	_cleanup_free_ struct service **room = calloc(m->n_services + 1, sizeof(*room));
	struct spread l = { .list = room };
	struct waiter *w;
	size_t n = 1;

	if (!list || !room) {
		evhttp_send_error(call->request, HTTP_INTERNAL, "out of memory");
		return;
	}
	if (verb != VERB_STOP && shutdown_is_under_way(m)) {
		control_error(call, 409, NULL, "a shutdown is under way");
		return;
	}
	if (verb != VERB_STOP && call->service &&
	    (call->service->orphaned || call->service->removed_with)) {
		control_error(call, 409, "it can be stopped", "%s is in no configuration any more",
			      call->service->config->name);
		return;
	}
	list[0] = call->service;
	if (!call->service)
		n = all_of(m, verb, list);
	w = new_waiter(call, verb, list, n, !call->service);
	if (!w)
		return;
	/* The waiter is looked at when all is under way, not in the middle of it. */
	waiters = w->next;
	control_tell(call, verb_words[verb], call->service);
	for (size_t i = 0; i < n; i++)
		do_verb[verb](list[i], &l, &call->asker);
	w->next = waiters;
	waiters = w;
	wait_or_finish(w, !control_text(call, "wait") || control_flag(call, "wait"), USEC_INFINITY);
}

/* --- the requests ----------------------------------------------------------------------- */

void control_start(struct call *call)
{
	act(call, VERB_START);
}

void control_stop(struct call *call)
{
	act(call, VERB_STOP);
}

void control_restart(struct call *call)
{
	act(call, VERB_RESTART);
}

static json_t *list_json(const struct service *s, const void *arg)
{
	return control_service_json(s, false);
}

void control_list(struct call *call)
{
	static const struct control_listing all = { .make = list_json };
	struct evbuffer *text = evbuffer_new();
	int error = text ? evbuffer_add_printf(text, "{\"services\":") : -ENOMEM;

	if (error >= 0)
		error = control_print_list(text, call->manager, &all);
	if (error >= 0)
		error = evbuffer_add(text, "}", 1);
	control_reply_printed(call, text, error);
}

void control_show(struct call *call)
{
	control_reply(call, HTTP_OK, control_service_json(call->service, true));
}

void control_signal(struct call *call)
{
	const char *name = control_text(call, "signal");
	int signo = name ? signal_from_string(name) : -EINVAL;

	if (signo < 0) {
		control_error(call, HTTP_BADREQUEST, "a name such as HUP, or a number",
			      name ? "'%s' is no signal" : "no signal was given", name ? name : "");
		return;
	}
	control_tell(call, signal_to_string(signo), call->service);
	if (service_signal(call->service, signo, control_flag(call, "whole")) < 0)
		control_error(call, 409, NULL, "%s does not run", call->service->config->name);
	else
		control_reply(call, HTTP_OK,
			      json_pack("{s:s, s:s, s:i}", "name", call->service->config->name,
					"result", "ok", "pid", (int)call->service->pid));
}

void control_join(struct call *call)
{
	uint64_t timeout;
	struct waiter *w;

	if (control_number(call, "timeout_us", USEC_INFINITY, &timeout) < 0)
		return;
	w = new_waiter(call, VERB_JOIN, &call->service, 1, false);
	if (!w)
		return;
	w->instances[0] = call->service->pid > 0 ? call->service->instance : 0;
	wait_or_finish(w, true, timeout);
}
