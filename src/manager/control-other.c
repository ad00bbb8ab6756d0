/* SPDX-License-Identifier: MIT */
/* Requests that are not about one service: see control.h. */
#include "manager/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "manager/events.h"
#include "manager/logs.h"
#include "manager/manager.h"
#include "manager/reload.h"
#include "manager/shutdown.h"

#define ANNOUNCE_MAX 4096

void control_events(struct call *call)
{
	uint64_t since;

	if (control_number(call, "since", 0, &since) < 0)
		return;
	events_subscribe(call->manager, call->request, since, control_text(call, "type"),
			 control_flag(call, "follow"));
}

static json_t *problems_json(const struct config_problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; i < problems->n; i++) {
		const struct config_problem *p = &problems->items[i];

		json_array_append_new(list,
				      json_pack("{s:o, s:i, s:o}", "file", control_string(p->file),
						"line", p->line, "text", control_string(p->text)));
	}
	return list;
}

static json_t *plan_json(const struct reload_plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->n; i++) {
		const struct reload_step *step = &plan->steps[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o}", "name", step->name, "action",
						reload_action_to_string(step->action), "differs",
						control_string(step->differs)));
	}
	return list;
}

void control_reload(struct call *call)
{
	struct config_problems problems = { 0 };
	struct reload_plan plan = { 0 };
	struct error e = { "" };
	bool dry_run = control_flag(call, "dry_run");
	int error;

	if (!dry_run)
		control_tell(call, "reload", NULL);
	error = reload(call->manager, dry_run, &call->asker, &plan, &problems, &e);
	if (error == 0)
		control_reply(call, HTTP_OK,
			      json_pack("{s:s, s:b, s:o}", "result", "ok", "dry_run", dry_run,
					"plan", plan_json(&plan)));
	else
		control_reply(call, error == -EINVAL ? HTTP_BADREQUEST : 409,
			      json_pack("{s:o, s:o}", "error", control_string(e.text), "problems",
					problems_json(&problems)));
	config_problems_clear(&problems);
	reload_plan_clear(&plan);
}

void control_shutdown_all(struct call *call)
{
	struct shutdown_how how = { .all = control_flag(call, "all"),
				    .join = control_flag(call, "join"),
				    .by = call->asker };

	control_tell(call, "shutdown", NULL);
	shutdown_follow(call->manager, call->request);
	shutdown_begin(call->manager, how);
}

void control_announce(struct call *call)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(call->request);
	size_t size = evbuffer_get_length(body);
	const char *data = (const char *)evbuffer_pullup(body, -1);
	json_error_t json_error;
	json_t *object = data ? json_loadb(data, size, 0, &json_error) : NULL;
	const char *text = json_string_value(json_object_get(object, "text"));
	size_t listeners;

	if (!text || !*text || strlen(text) > ANNOUNCE_MAX) {
		control_error(call, HTTP_BADREQUEST, "the body is {\"text\": \"...\"}",
			      "no text of at most %d bytes", ANNOUNCE_MAX);
		json_decref(object);
		return;
	}
	log_info("announcement of %s: %s", call->peer, text);
	listeners = events_announce(call->manager, text, call->peer);
	json_decref(object);
	if (listeners == 0)
		control_error(call, HTTP_SERVUNAVAIL, "is the chat room running? fosterctl status",
			      "nobody listens to announcements");
	else
		control_reply(call, HTTP_OK,
			      json_pack("{s:s, s:i}", "result", "ok", "listeners", (int)listeners));
}

void control_reopen(struct call *call)
{
	log_info("log files are opened anew, asked for by %s", call->peer);
	logs_reopen(call->manager);
	control_reply(call, HTTP_OK, json_pack("{s:s}", "result", "ok"));
}

void control_version(struct call *call)
{
	const struct manager *m = call->manager;

	control_reply(call, HTTP_OK,
		      json_pack("{s:s, s:i, s:i, s:i, s:i, s:I, s:s}", "version", PACKAGE_VERSION,
				"api", 1, "pid", (int)m->supervisor_pid, "manager_pid",
				(int)getpid(), "manager_generation", (int)m->generation,
				"orphans_reaped", (json_int_t)m->orphans.total, "config",
				m->config->config->path));
}
