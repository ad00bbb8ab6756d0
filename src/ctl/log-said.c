/* SPDX-License-Identifier: MIT */
/* What a line of a log says: see log-said.h. */
#include "ctl/log-said.h"

#include <string.h>

#include "ctl/log-line.h"

/* One of foster-log's objects. False: it is something else, as the format was once another one. */
static bool read_object(const char *line, size_t size, struct log_said *ret)
{
	json_t *object =
		size > 0 && line[0] == '{' ? json_loadb(line, size, JSON_ALLOW_NUL, NULL) : NULL;
	const json_t *text = json_object_get(object, "text"),
		     *time = json_object_get(object, "time");
	size_t used;

	if (!json_is_string(text) || !json_is_string(time) ||
	    log_time_parse(json_string_value(time), json_string_length(time), &used) ==
		    LOG_TIME_NONE ||
	    used != json_string_length(time)) {
		json_decref(object);
		return false;
	}
	*ret = (struct log_said){
		.time = json_string_value(time),
		.time_size = used,
		.text = json_string_value(text),
		.size = json_string_length(text),
		.partial = json_is_true(json_object_get(object, "partial")),
		.base64 = json_string_value(json_object_get(object, "base64")),
		.object = object,
	};
	return true;
}

void log_said(const char *line, size_t size, const struct log_style *style, struct log_said *ret)
{
	size_t n = 0, blank;

	if (style->objects && read_object(line, size, ret))
		return;
	if (!style->stamped || log_time_parse(line, size, &n) == LOG_TIME_NONE)
		n = 0;
	blank = n > 0 && n < size && line[n] == ' ';
	*ret = (struct log_said){
		.time = line, .time_size = n, .text = line + n + blank, .size = size - n - blank
	};
}

void log_said_clear(struct log_said *s)
{
	json_decref(s->object);
	s->object = NULL;
}
