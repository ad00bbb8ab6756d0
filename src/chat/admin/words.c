/* SPDX-License-Identifier: MIT */
/* Words of the supervisor: see words.h. */
#include "chat/admin/words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

void words_add(char *buf, size_t size, const char *fmt, ...)
{
	size_t used = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	if (used < size)
		vsnprintf(buf + used, size - used, fmt, ap);
	va_end(ap);
}

const char *words_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t event_time(const json_t *event)
{
	struct tm tm = { 0 };
	const char *rest = strptime(words_of(event, "time"), "%Y-%m-%dT%H:%M:%S", &tm);
	time_t seconds = rest ? timegm(&tm) : -1;

	if (seconds < 0)
		return 0;
	return seconds * USEC_PER_SEC +
	       (*rest == '.' ? (uint64_t)(strtod(rest, NULL) * USEC_PER_SEC) : 0);
}

bool event_is_restart_at_once(const json_t *event)
{
	const char *state = words_of(event, "state");

	return json_integer_value(json_object_get(event, "attempts")) == 1 &&
	       (strcmp(state, "starting") == 0 || strcmp(state, "waiting") == 0);
}
