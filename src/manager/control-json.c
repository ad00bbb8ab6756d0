/* SPDX-License-Identifier: MIT */
/* A service as JSON: see control.h. */
#include "manager/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/units.h"
#include "manager/cgroup.h"
#include "manager/logs.h"
#include "manager/service.h"

/* Services say what they like; JSON is UTF-8: what is none becomes a question mark. */
json_t *control_string(const char *text)
{
	json_t *string = text ? json_string(text) : json_null();
	char *copy;

	if (string)
		return string;
	copy = strdup(text);
	for (char *p = copy, *end = copy + strlen(text); copy && p < end;) {
		uint32_t value;
		size_t n = utf8_decode(p, end - p, &value);

		if (n == 0)
			*p = '?';
		p += MAX(n, (size_t)1);
	}
	string = copy ? json_string(copy) : NULL;
	free(copy);
	return string ? string : json_string("(not text)");
}

static json_t *strings(char *const *v)
{
	json_t *array = json_array();

	for (; v && *v; v++)
		json_array_append_new(array, control_string(*v));
	return array;
}

/* The wall clock's time of a moment on the monotonic one, to the second. */
json_t *control_wall_time(uint64_t monotonic)
{
	time_t seconds = (now_realtime() - (now_monotonic() - monotonic)) / USEC_PER_SEC;
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

json_t *control_text_or_null(const char *text)
{
	return text && *text ? control_string(text) : json_null();
}

static void add_details(json_t *object, const struct service *s)
{
	char path[4096], errors[4096], group[4096];
	char *log = logs_path(s, false, path, sizeof(path));
	char *err = logs_path(s, true, errors, sizeof(errors));
	const struct service_config *c = s->config;
	bool objects = c->log_format == LOG_FORMAT_JSON;

	json_object_set_new(object, "requires", strings(c->requires));
	json_object_set_new(object, "after", strings(c->after));
	json_object_set_new(object, "command", strings(c->command));
	json_object_set_new(object, "directory", control_text_or_null(c->directory));
	json_object_set_new(object, "user", control_text_or_null(c->user));
	json_object_set_new(object, "adopted", json_boolean(s->adopted));
	json_object_set_new(object, "orphaned", json_boolean(s->orphaned));
	json_object_set_new(object, "cpu_us", json_integer(s->user_usec + s->system_usec));
	json_object_set_new(object, "max_rss", json_integer(s->max_rss));
	json_object_set_new(object, "cgroup",
			    control_text_or_null(cgroup_path(s, group, sizeof(group))));
	json_object_set_new(object, "log_file", control_text_or_null(log));
	json_object_set_new(object, "log", log ? control_tail(log, objects) : json_array());
	json_object_set_new(object, "log_type", json_string(log_type_to_string(c->log)));
	json_object_set_new(object, "log_format", json_string(log_format_to_string(c->log_format)));
	json_object_set_new(object, "log_timestamps",
			    json_string(log_stamps_to_string(c->log_timestamps)));
	json_object_set_new(object, "log_stderr_file", control_text_or_null(err));
	json_object_set_new(object, "log_stderr", err ? control_tail(err, objects) : json_array());
	json_object_set_new(object, "log_dropped", json_integer((json_int_t)logs_dropped(s)));
}

json_t *control_service_json(const struct service *s, bool full)
{
	char reason[REASON_TEXT_MAX], end[REASON_TEXT_MAX], next[REASON_TEXT_MAX];
	const struct machine *m = &s->machine;
	uint64_t now = now_monotonic();
	int code = machine_exit_code(m);
	bool up = s->pid > 0 && m->started;
	json_t *object = json_object();

	machine_reason(m, s->config, now, reason, sizeof(reason));
	json_object_set_new(object, "name", json_string(s->config->name));
	json_object_set_new(object, "description", control_text_or_null(s->config->description));
	json_object_set_new(object, "state", json_string(service_state_to_string(m->state)));
	json_object_set_new(object, "desired", json_string(m->desired_up ? "up" : "down"));
	json_object_set_new(object, "reason", control_string(reason));
	json_object_set_new(object, "ready",
			    json_boolean(m->state == STATE_RUNNING || service_has_run(s)));
	json_object_set_new(object, "pid", json_integer(s->pid));
	json_object_set_new(object, "uptime_us", up ? json_integer(now - m->started) : json_null());
	json_object_set_new(object, "since", control_wall_time(m->since));
	json_object_set_new(object, "restarts", json_integer(m->restarts));
	json_object_set_new(object, "daemon", json_boolean(service_is_daemon(s)));
	json_object_set_new(object, "next",
			    control_text_or_null(service_next(s, next, sizeof(next))));
	json_object_set_new(object, "exit_code", code >= 0 ? json_integer(code) : json_null());
	json_object_set_new(object, "exit", control_text_or_null(machine_end(m, end, sizeof(end))));
	json_object_set_new(object, "status", control_text_or_null(s->status));
	json_object_set_new(object, "phase",
			    m->said.phase && s->pid > 0
				    ? json_string(phase_to_string(m->said.phase))
				    : json_null());
	json_object_set_new(object, "errno",
			    m->said.error ? json_integer(m->said.error) : json_null());
	json_object_set_new(object, "pending", control_text_or_null(s->pending));
	if (full)
		add_details(object, s);
	return object;
}
