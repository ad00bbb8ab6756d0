/* SPDX-License-Identifier: MIT */
/* Members of JSON objects: see member.h. */
#include "ctl/member.h"

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"

const char *member_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

json_int_t member_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

bool member_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void print_disarmed(FILE *f, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);

	if (!copy)
		return;
	text_disarm(copy);
	fputs(copy, f);
}
