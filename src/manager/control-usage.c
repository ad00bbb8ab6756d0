/* SPDX-License-Identifier: MIT */
/* What services use, and all requests that need a census of processes: see control.h. */
#include "manager/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "manager/census.h"
#include "manager/service.h"

/* --- a request that waits for a census -------------------------------------------------- */

struct ask {
	struct manager *manager;
	struct evhttp_request *request;
	char service[CONFIG_NAME_MAX + 1]; /* it may be forgotten meanwhile; "": none */
	census_reply *print;
	unsigned arg;
	struct census_taker *taker;
};

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	struct ask *ask = arg;

	control_request_closed(ask->request);
	census_cancel(ask->taker);
	free(ask);
}

static void on_census(const struct census *census, void *arg)
{
	struct ask *ask = arg;
	struct call call = { .manager = ask->manager, .request = ask->request };

	evhttp_connection_set_closecb(evhttp_request_get_connection(ask->request), NULL, NULL);
	call.service = *ask->service ? manager_find(ask->manager, ask->service) : NULL;
	if (census && *ask->service && !call.service) {
		control_error(&call, HTTP_NOTFOUND, NULL, "no service '%s'", ask->service);
	} else {
		struct evbuffer *text = census ? evbuffer_new() : NULL;

		control_reply_printed(
			&call, text,
			text ? ask->print(ask->manager, call.service, ask->arg, census, text)
			     : -ENOMEM);
	}
	free(ask);
}

void control_reply_with_census(struct call *call, census_reply *print, unsigned arg)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	if (ask) {
		*ask = (struct ask){ .manager = call->manager,
				     .request = call->request,
				     .print = print,
				     .arg = arg };
		if (call->service)
			snprintf(ask->service, sizeof(ask->service), "%s",
				 call->service->config->name);
		ask->taker = census_take(call->manager, on_census, ask);
	}
	if (!ask || !ask->taker) {
		free(ask);
		control_out_of_memory(call, NULL);
		return;
	}
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->request), on_closed, ask);
}

/* --- usage ------------------------------------------------------------------------------ */

static json_t *usage_json(const struct service *s, const void *arg)
{
	const struct census *census = arg;
	uint64_t cpu = 0, rss = 0, tasks = 0;
	size_t n;
	const struct census_process *p = census_of(census, s, &n);

	for (size_t i = 0; i < n; i++) {
		cpu += p[i].usage.cpu;
		rss += p[i].usage.rss;
		tasks += p[i].usage.threads;
	}
	return json_pack("{s:s, s:s, s:i, s:i, s:I, s:I, s:i, s:I}", "name", s->config->name,
			 "state", service_state_to_string(s->machine.state), "pid", (int)s->pid,
			 "restarts", (int)s->machine.restarts, "cpu_us", (json_int_t)cpu, "rss",
			 (json_int_t)rss, "processes", (int)n, "tasks", (json_int_t)tasks);
}

static int print_usage(struct manager *m, struct service *service, unsigned arg,
		       const struct census *census, struct evbuffer *to)
{
	struct control_listing all = { .make = usage_json, .arg = census };

	if (evbuffer_add_printf(to, "{\"time_us\":%" PRIu64 ",\"services\":", now_monotonic()) <
		    0 ||
	    control_print_list(to, m, &all) < 0)
		return -ENOMEM;
	return evbuffer_add(to, "}", 1) < 0 ? -ENOMEM : 0;
}

void control_usage(struct call *call)
{
	control_reply_with_census(call, print_usage, 0);
}
