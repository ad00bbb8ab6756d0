/* SPDX-License-Identifier: MIT */
/* A service for people: see show.h. */
#include "ctl/show.h"

#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "ctl/member.h"

enum colour state_colour(const char *state)
{
	static const struct {
		const char *state;
		enum colour colour;
	} colours[] = {
		{ "running", COLOUR_GREEN },   { "failed", COLOUR_RED },
		{ "starting", COLOUR_YELLOW }, { "stopping", COLOUR_YELLOW },
		{ "waiting", COLOUR_YELLOW },  { "backoff", COLOUR_YELLOW },
		{ "stopped", COLOUR_DIM },     { "exited", COLOUR_DIM },
	};

	for (size_t i = 0; i < ELEMENTSOF(colours); i++) {
		if (strcmp(colours[i].state, state) == 0)
			return colours[i].colour;
	}
	return COLOUR_NONE;
}

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

/* A number as a cell; "-" for none. */
const char *number_text(char *buf, size_t size, int64_t number)
{
	if (number < 0)
		return "-";
	snprintf(buf, size, "%" PRId64, number);
	return buf;
}

const char *uptime_text(char *buf, size_t size, int64_t usec)
{
	return usec < 0 ? "-" : format_duration(buf, size, (uint64_t)usec);
}

const char *size_text(char *buf, size_t size, int64_t bytes)
{
	static const char units[] = "KMGT";
	double value = (double)bytes / 1024;
	const char *unit = units;

	if (bytes < 0)
		return "-";
	while (value >= 1024 && unit[1]) {
		value /= 1024;
		unit++;
	}
	snprintf(buf, size, unit == units || value >= 100 ? "%.0f%c" : "%.1f%c", value, *unit);
	return buf;
}

static bool has_run(const char *state, bool ready)
{
	return ready && strcmp(state, "exited") == 0;
}

int state_code(const char *state, bool ready)
{
	return strcmp(state, "running") == 0 || has_run(state, ready) ? EXIT_OK : EXIT_NOT_RUNNING;
}

static void print_label(const char *label)
{
	printf("%12s: ", label);
}

static void print_field(const json_t *service, const char *label, const char *key)
{
	const char *text = member_text(service, key);

	if (!text || !*text)
		return;
	print_label(label);
	print_disarmed(stdout, text);
	putchar('\n');
}

static void print_list_field(const json_t *service, const char *label, const char *key,
			     const char *separator)
{
	const json_t *list = json_object_get(service, key);
	json_t *element;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	print_label(label);
	json_array_foreach(list, i, element)
	{
		fputs(i ? separator : "", stdout);
		print_disarmed(stdout, json_is_string(element) ? json_string_value(element) : "?");
	}
	putchar('\n');
}

static void print_state(const struct ctl *ctl, const json_t *service)
{
	const char *state = or_dash(member_text(service, "state"));
	const char *since = member_text(service, "since");
	char buf[DURATION_TEXT_MAX];

	print_label("state");
	colour_print(stdout, ctl->colours, state_colour(state), state);
	if (strcmp(state, "running") == 0)
		fputs(member_true(service, "ready") ? ", ready" : ", not ready", stdout);
	if (member_text(service, "phase")) {
		fputs(", ", stdout);
		print_disarmed(stdout, member_text(service, "phase"));
	}
	if (has_run(state, member_true(service, "ready")))
		fputs(", its work is done", stdout);
	if (since)
		printf(" since %s", since);
	if (member_number(service, "uptime_us") >= 0)
		printf(", up %s",
		       uptime_text(buf, sizeof(buf), member_number(service, "uptime_us")));
	putchar('\n');
}

static void print_lines(const struct ctl *ctl, const json_t *service, const char *key,
			const char *title)
{
	const json_t *lines = json_object_get(service, key);
	json_t *line;
	size_t i;

	if (json_array_size(lines) == 0)
		return;
	putchar('\n');
	if (title)
		colour_print(stdout, ctl->colours, COLOUR_DIM, title);
	json_array_foreach(lines, i, line)
	{
		print_disarmed(stdout, json_is_string(line) ? json_string_value(line) : "?");
		putchar('\n');
	}
}

void show_service(const struct ctl *ctl, const json_t *service)
{
	const char *description = member_text(service, "description");
	char buf[DURATION_TEXT_MAX];

	colour_print(stdout, ctl->colours, COLOUR_BOLD, or_dash(member_text(service, "name")));
	if (description && *description) {
		fputs(" - ", stdout);
		print_disarmed(stdout, description);
	}
	putchar('\n');
	print_state(ctl, service);
	print_field(service, "reason", "reason");
	print_field(service, "next", "next");
	if (member_number(service, "pid") > 0) {
		print_label("pid");
		printf("%s\n", number_text(buf, sizeof(buf), member_number(service, "pid")));
	}
	print_field(service, "last end", "exit");
	print_field(service, "says", "status");
	if (member_number(service, "errno") > 0) {
		print_label("errno");
		printf("%s (%s)\n", number_text(buf, sizeof(buf), member_number(service, "errno")),
		       strerror(member_number(service, "errno")));
	}
	print_field(service, "pending", "pending");
	print_label("restarts");
	printf("%s\n", number_text(buf, sizeof(buf), member_number(service, "restarts")));
	print_label("daemon");
	printf("%s\n", member_true(service, "daemon") ? "yes" : "no");
	print_list_field(service, "requires", "requires", ", ");
	print_list_field(service, "after", "after", ", ");
	print_list_field(service, "command", "command", " ");
	print_field(service, "log file", "log_file");
	print_field(service, "errors file", "log_stderr_file");
	if (member_number(service, "log_dropped") > 0) {
		print_label("log dropped");
		printf("%s lines\n",
		       number_text(buf, sizeof(buf), member_number(service, "log_dropped")));
	}
	print_lines(ctl, service, "log", NULL);
	print_lines(ctl, service, "log_stderr", "standard error:\n");
}
