/* SPDX-License-Identifier: MIT */
/* Printing lines of logs: see log-print.h. */
#include "ctl/log-print.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "ctl/client.h"
#include "ctl/log-line.h"
#include "ctl/table.h"

static enum colour colour_of(size_t number)
{
	static const enum colour colours[] = { COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BOLD };

	return colours[number % ELEMENTSOF(colours)];
}

/* A service's own bytes: on a terminal nothing in them does anything. */
static void print_bytes(const struct ctl *ctl, const char *data, size_t size)
{
	_cleanup_free_ char *copy = NULL;

	if (ctl->width == 0) {
		fwrite(data, 1, size, stdout);
		return;
	}
	copy = malloc(size + 1);
	if (!copy)
		return;
	for (size_t i = 0; i < size; i++)
		copy[i] = data[i] ? data[i] : '?';
	copy[size] = '\0';
	print_disarmed(stdout, copy);
}

static void print_text(const struct ctl *ctl, const struct log_said *said)
{
	char time[64];

	if (said->time_size > 0) {
		snprintf(time, sizeof(time), "%.*s", (int)said->time_size, said->time);
		colour_print(stdout, ctl->colours, COLOUR_DIM, time);
		if (said->object || said->text > said->time + said->time_size)
			putchar(' ');
	}
	print_bytes(ctl, said->text, said->size);
}

/* The bytes of a text that is not valid UTF-8 stand beside it. */
static void add_text(json_t *object, const struct log_said *said)
{
	_cleanup_free_ char *valid = malloc(3 * said->size + 1),
			    *bytes = malloc(BASE64_SIZE(said->size) + 1);
	size_t n;

	if (!valid || !bytes)
		return;
	n = utf8_make_valid(valid, said->text, said->size);
	json_object_set_new(object, "line", json_stringn(valid, n));
	if (n != said->size || memcmp(valid, said->text, n) != 0) {
		base64_encode(bytes, said->text, said->size);
		json_object_set_new(object, "base64", json_string(bytes));
	} else if (said->base64) {
		json_object_set_new(object, "base64", json_string(said->base64));
	}
	if (said->partial)
		json_object_set_new(object, "partial", json_true());
}

static void print_json(const struct log_line *line, const struct log_said *said, const char *data,
		       size_t size)
{
	uint64_t time = log_line_time(data, size);
	json_t *object = json_pack("{s:s, s:s}", "service", line->service, "stream",
				   line->is_stderr ? "stderr" : "stdout");

	if (!object)
		return;
	add_text(object, said);
	if (time != LOG_TIME_NONE)
		json_object_set_new(object, "time_us", json_integer((json_int_t)time));
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static void print_name(const struct ctl *ctl, const struct log_line *line)
{
	_cleanup_free_ char *name = NULL;

	if (asprintf(&name, "%-*.*s", line->width, line->width, line->service) < 0)
		return;
	colour_print(stdout, ctl->colours, colour_of(line->colour), name);
	colour_print(stdout, ctl->colours, line->is_stderr ? COLOUR_RED : COLOUR_DIM,
		     line->is_stderr ? " ! " : " | ");
}

void log_print(const struct ctl *ctl, const struct log_line *line, const char *data, size_t size)
{
	struct log_said said;

	log_said(data, size, &line->style, &said);
	if (ctl->json) {
		print_json(line, &said, data, size);
	} else {
		if (line->width > 0)
			print_name(ctl, line);
		print_text(ctl, &said);
		putchar('\n');
	}
	log_said_clear(&said);
}
