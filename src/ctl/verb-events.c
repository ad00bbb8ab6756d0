/* SPDX-License-Identifier: MIT */
/* fosterctl events: what happened, and with -f what happens. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "ctl/client.h"
#include "ctl/lines.h"

struct events {
	const struct ctl *ctl;
	int64_t since; /* the number of the last event; -1: none */
	struct json_lines lines;
	int code;
};

static int prepare(struct exchange *e, bool again)
{
	struct events *events = e->user;
	const char *follow = events->ctl->follow ? "?follow=1" : "";
	char target[128];

	json_lines_clear(&events->lines); /* half a line: it comes again */
	if (events->since >= 0)
		snprintf(target, sizeof(target), "/v1/events%s%csince=%" PRId64, follow,
			 *follow ? '&' : '?', events->since);
	else
		snprintf(target, sizeof(target), "/v1/events%s", follow);
	e->request = http_request("GET", target, NULL, &e->request_size);
	return e->request ? 0 : -ENOMEM;
}

static void print_member(const json_t *event, const char *before, const char *key)
{
	const char *text = member_text(event, key);

	if (!text || !*text)
		return;
	fputs(before, stdout);
	print_disarmed(stdout, text);
}

/* What it said last, of one that crashed. */
static void print_lines(const json_t *event)
{
	json_t *line;
	size_t i;

	json_array_foreach(json_object_get(event, "lines"), i, line)
	{
		fputs("    ", stdout);
		print_disarmed(stdout, json_is_string(line) ? json_string_value(line) : "?");
		putchar('\n');
	}
}

/*
 * "2026-11-23T21:10:05Z service web running, pid 12: reason", "... request web restart by
 * fosterctl, pid 12, for alice".
 */
static void print_event(const json_t *event)
{
	json_int_t pid = member_number(event, "pid");

	print_member(event, "", "time");
	print_member(event, " ", "type");
	print_member(event, " ", "service");
	print_member(event, " ", "state");
	print_member(event, " ", "verb");
	print_member(event, " by ", "command");
	if (pid > 0)
		printf(", pid %" JSON_INTEGER_FORMAT, pid);
	print_member(event, ", for ", "for");
	print_member(event, ": ", "reason");
	print_member(event, ": ", "text");
	putchar('\n');
	print_lines(event);
}

static int take_event(void *ctx, const char *line, const json_t *event)
{
	struct events *events = ctx;
	json_int_t seq = member_number(event, "seq");

	/* After a break the manager may begin a little earlier than it was asked to. */
	if (seq >= 0 && seq <= events->since)
		return 0;
	events->since = seq >= 0 ? seq : events->since;
	if (events->ctl->quiet)
		return 0;
	if (events->ctl->json)
		puts(line);
	else
		print_event(event);
	return ferror(stdout) ? -EIO : 0;
}

static int take_data(void *ctx, const char *data, size_t size)
{
	struct exchange *e = ctx;
	struct events *events = e->user;
	int r = json_lines_feed(&events->lines, data, size, take_event, events);

	if (r == 0 && fflush(stdout) != 0)
		return -EIO;
	return r;
}

static enum exchange_next done(struct exchange *e)
{
	struct events *events = e->user;

	if (e->error == 0 && e->status == 200)
		return events->ctl->follow ? EXCHANGE_LATER : EXCHANGE_OVER;
	if (e->error == -EIO) {
		events->code = EXIT_FAILED; /* nobody reads any more */
	} else {
		_cleanup_json_ json_t *json = e->error == 0 ? json_loads(e->body, 0, NULL) : NULL;

		events->code = client_check(events->ctl, NULL, e->error, e->status, json);
	}
	return EXCHANGE_OVER;
}

int verb_events(const struct ctl *ctl, char **args, size_t n)
{
	static const struct exchange_ops ops = { .prepare = prepare,
						 .data = take_data,
						 .done = done };
	struct events events = { .ctl = ctl, .since = -1 };
	struct exchange e = { .ops = &ops, .user = &events };

	if (ctl->since && parse_int(ctl->since, 0, INT64_MAX, &events.since) < 0) {
		complain("--since=%s: this takes the number of an event", ctl->since);
		return EXIT_USAGE;
	}
	exchange_run(ctl->socket_path, &e, 1, 0);
	exchange_clear(&e);
	json_lines_clear(&events.lines);
	return events.code;
}
