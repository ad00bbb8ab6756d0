/* SPDX-License-Identifier: MIT */
/* Answers in words: see answer.h. */
#include "chat/admin/answer.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/admin/words.h"

#define SERVICES_SHOWN 10
#define STATES_MAX     12
#define ENDS_SHOWN     3
#define PROBLEMS_SHOWN 5
#define LOG_LINE       350

/* --- status --------------------------------------------------------------------------------- */

struct tally {
	const char *state;
	unsigned n;
};

static void count_state(struct tally *tallies, const char *state)
{
	for (int i = 0; i < STATES_MAX; i++) {
		if (!tallies[i].state)
			tallies[i].state = state;
		if (strcmp(tallies[i].state, state) == 0) {
			tallies[i].n++;
			return;
		}
	}
}

/* Up, and wanted to be; or down, and wanted to be that. */
static bool is_as_wanted(const json_t *service)
{
	const char *state = words_of(service, "state");

	if (strcmp(words_of(service, "desired"), "down") == 0)
		return strcmp(state, "stopped") == 0;
	return strcmp(state, "running") == 0 || strcmp(state, "exited") == 0;
}

static void add_service(const json_t *service, answer_redact *redact, void *arg, char *buf,
			size_t size)
{
	json_int_t pid = json_integer_value(json_object_get(service, "pid"));
	json_int_t restarts = json_integer_value(json_object_get(service, "restarts"));
	const json_t *uptime = json_object_get(service, "uptime_us");
	const char *state = words_of(service, "state"), *reason = words_of(service, "reason");
	char up[DURATION_TEXT_MAX], status[LOG_LINE];

	/* Its own words, as those of a log. */
	redact(arg, words_of(service, "status"), status, sizeof(status));

	words_add(buf, size, "%s: %s", words_of(service, "name"), state);
	if (pid > 0)
		words_add(buf, size, ", pid %" JSON_INTEGER_FORMAT, pid);
	if (json_is_integer(uptime))
		words_add(buf, size, ", up %s",
			  format_duration(up, sizeof(up), json_integer_value(uptime)));
	if (restarts > 0)
		words_add(buf, size, ", %" JSON_INTEGER_FORMAT " restart%s", restarts,
			  restarts == 1 ? "" : "s");
	/* Of one that runs it is the last end's. */
	if (*reason && strcmp(reason, state) != 0 && strcmp(state, "running") != 0)
		words_add(buf, size, ": %s", reason);
	if (*status)
		words_add(buf, size, " (%s)", status);
	words_add(buf, size, "\n");
}

void answer_services(const json_t *reply, const char *pattern, answer_redact *redact, void *arg,
		     char *buf, size_t size)
{
	const json_t *services = json_object_get(reply, "services"), *service;
	struct tally tallies[STATES_MAX] = { { NULL, 0 } };
	unsigned n = 0, shown = 0, unwell = 0;
	char rows[4096] = "";
	size_t i;

	json_array_foreach(services, i, service)
	{
		if (*pattern && fnmatch(pattern, words_of(service, "name"), 0) != 0)
			continue;
		n++;
		count_state(tallies, words_of(service, "state"));
		if (!*pattern && is_as_wanted(service))
			continue;
		unwell++;
		if (shown < SERVICES_SHOWN) {
			add_service(service, redact, arg, rows, sizeof(rows));
			shown++;
		}
	}
	buf[0] = '\0';
	if (n == 0) {
		words_add(buf, size, *pattern ? "no service '%s'" : "there are no services%s",
			  pattern);
		return;
	}
	if (n > 1) {
		words_add(buf, size, "%u services: ", n);
		for (i = 0; i < STATES_MAX && tallies[i].state; i++)
			words_add(buf, size, "%s%u %s", i ? ", " : "", tallies[i].n,
				  tallies[i].state);
		words_add(buf, size, "\n");
	} else if (!*pattern && unwell == 0) {
		add_service(json_array_get(services, 0), redact, arg, buf, size);
	}
	words_add(buf, size, "%s", rows);
	if (unwell > shown)
		words_add(buf, size, "and %u more\n", unwell - shown);
}

/* --- why ------------------------------------------------------------------------------------ */

static void add_wish(const json_t *wish, char *buf, size_t size)
{
	const json_t *ago = json_object_get(wish, "ago_us");
	char text[DURATION_TEXT_MAX];

	if (!json_is_object(wish))
		return;
	words_add(buf, size, "last asked for: %s (%s)", words_of(wish, "verb"),
		  words_of(wish, "why"));
	if (*words_of(wish, "command"))
		words_add(buf, size, " by %s", words_of(wish, "command"));
	if (json_is_integer(ago))
		words_add(buf, size, ", %s ago",
			  format_duration(text, sizeof(text), json_integer_value(ago)));
	words_add(buf, size, "\n");
}

static void add_names(const char *what, const json_t *list, char *buf, size_t size)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	words_add(buf, size, "%s:", what);
	json_array_foreach(list, i, item)
	{
		const char *name =
			json_is_string(item) ? json_string_value(item) : words_of(item, "name");

		if (i == SERVICES_SHOWN) {
			words_add(buf, size, " and %zu more", json_array_size(list) - i);
			break;
		}
		words_add(buf, size, "%s %s", i ? "," : "", name);
		if (*words_of(item, "state"))
			words_add(buf, size, " (%s)", words_of(item, "state"));
	}
	words_add(buf, size, "\n");
}

static void add_ends(const json_t *ends, char *buf, size_t size)
{
	const json_t *end;
	char text[DURATION_TEXT_MAX];
	size_t i;

	json_array_foreach(ends, i, end)
	{
		json_int_t ago = json_integer_value(json_object_get(end, "ago_us"));

		if (i == ENDS_SHOWN)
			break;
		words_add(buf, size, "%s%s, %s ago",
			  i ? "; " : "last ends: ", words_of(end, "text"),
			  format_duration(text, sizeof(text), ago));
	}
	if (i > 0)
		words_add(buf, size, "\n");
}

void answer_why(const json_t *reply, answer_redact *redact, void *arg, char *buf, size_t size)
{
	const char *next = words_of(reply, "next"), *waits = words_of(reply, "waits_for");

	buf[0] = '\0';
	add_service(reply, redact, arg, buf, size);
	if (*waits)
		words_add(buf, size, "waits for: %s\n", waits);
	if (*next)
		words_add(buf, size, "next: %s\n", next);
	add_wish(json_object_get(reply, "wish"), buf, size);
	add_ends(json_object_get(reply, "ends"), buf, size);
	add_names("requires", json_object_get(reply, "requires"), buf, size);
	add_names("required by", json_object_get(reply, "required_by"), buf, size);
}

/* --- log ------------------------------------------------------------------------------------ */

void answer_log(const json_t *reply, unsigned n, answer_redact *redact, void *arg, char *buf,
		size_t size)
{
	const json_t *lines = json_object_get(reply, "log_stderr");
	size_t all;

	if (!json_is_array(lines) || json_array_size(lines) == 0)
		lines = json_object_get(reply, "log");
	all = json_array_size(lines);
	buf[0] = '\0';
	for (size_t i = all > n ? all - n : 0; i < all; i++) {
		const char *line = json_string_value(json_array_get(lines, i));
		char text[LOG_LINE];

		redact(arg, line ? line : "", text, sizeof(text));
		words_add(buf, size, "%s| %s\n", words_of(reply, "name"), text);
	}
	if (!*buf)
		words_add(buf, size, "%s: nothing in its log", words_of(reply, "name"));
}

/* --- what was done -------------------------------------------------------------------------- */

/* The state of the moment may be one of before: a restart that has begun still runs. */
static bool is_reached(const char *verb, const char *state)
{
	bool ended = strcmp(state, "stopped") == 0 || strcmp(state, "exited") == 0 ||
		     strcmp(state, "failed") == 0;

	if (strcmp(verb, "stop") == 0)
		return ended;
	return strcmp(verb, "start") == 0 && (strcmp(state, "running") == 0 || ended);
}

void answer_result(const json_t *reply, int status, const char *verb, char *buf, size_t size)
{
	const char *error = words_of(reply, "error"), *state = words_of(reply, "state");

	buf[0] = '\0';
	if (status == 200 && *words_of(reply, "name") && is_reached(verb, state))
		words_add(buf, size, "%s: %s: %s", words_of(reply, "name"), verb, state);
	else if (status == 200 && *words_of(reply, "name"))
		words_add(buf, size, "%s: %s: under way", words_of(reply, "name"), verb);
	else if (status == 200)
		words_add(buf, size, "%s: done", verb);
	else
		words_add(buf, size, "%s: %s", verb, *error ? error : "refused");
}

/* --- reload --------------------------------------------------------------------------------- */

static void add_plan(const json_t *plan, char *buf, size_t size)
{
	const json_t *step;
	unsigned kept = 0, shown = 0, more = 0;
	size_t i;

	json_array_foreach(plan, i, step)
	{
		const char *differs = words_of(step, "differs");

		if (strcmp(words_of(step, "action"), "keep") == 0)
			kept++;
		else if (shown == SERVICES_SHOWN)
			more++;
		else if (++shown > 0)
			words_add(buf, size, "%s %s%s%s%s\n", words_of(step, "action"),
				  words_of(step, "name"), *differs ? " (" : "", differs,
				  *differs ? ")" : "");
	}
	if (more > 0)
		words_add(buf, size, "and %u more\n", more);
	words_add(buf, size, "keep %u service%s\n", kept, kept == 1 ? "" : "s");
}

static void add_problems(const json_t *problems, answer_redact *redact, void *arg, char *buf,
			 size_t size)
{
	const json_t *problem;
	size_t i;

	json_array_foreach(problems, i, problem)
	{
		json_int_t line = json_integer_value(json_object_get(problem, "line"));
		char text[LOG_LINE];

		if (i == PROBLEMS_SHOWN) {
			words_add(buf, size, "and %zu more\n", json_array_size(problems) - i);
			break;
		}
		/* It may show what the file says. */
		redact(arg, words_of(problem, "text"), text, sizeof(text));
		words_add(buf, size, "%s", words_of(problem, "file"));
		if (line > 0)
			words_add(buf, size, ":%" JSON_INTEGER_FORMAT, line);
		words_add(buf, size, ": %s\n", text);
	}
}

void answer_reload(const json_t *reply, int status, answer_redact *redact, void *arg, char *buf,
		   size_t size)
{
	answer_result(reply, status, "reload", buf, size);
	words_add(buf, size, "\n");
	if (status == 200)
		add_plan(json_object_get(reply, "plan"), buf, size);
	else
		add_problems(json_object_get(reply, "problems"), redact, arg, buf, size);
}
