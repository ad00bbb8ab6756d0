/* SPDX-License-Identifier: MIT */
/* JSON documents from a stream: see lines.h. */
#include "ctl/lines.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

void json_lines_clear(struct json_lines *lines)
{
	free(lines->text);
	*lines = (struct json_lines){ 0 };
}

static int append(struct json_lines *lines, const char *data, size_t size)
{
	char *bigger;

	if (lines->size + size > LINE_MAX_SIZE)
		return -EBADMSG;
	bigger = realloc(lines->text, lines->size + size + 1);
	if (!bigger)
		return -ENOMEM;
	lines->text = bigger;
	memcpy(bigger + lines->size, data, size);
	lines->size += size;
	bigger[lines->size] = '\0';
	return 0;
}

static int take_line(struct json_lines *lines, json_line_handler *handler, void *ctx)
{
	json_t *json;
	int r;

	if (strspn(lines->text, " \t\r") == lines->size)
		return 0;
	json = json_loads(lines->text, 0, NULL);
	r = json_is_object(json) ? handler(ctx, lines->text, json) : -EBADMSG;
	json_decref(json);
	return r;
}

int json_lines_feed(struct json_lines *lines, const char *data, size_t size,
		    json_line_handler *handler, void *ctx)
{
	while (size > 0) {
		const char *newline = memchr(data, '\n', size);
		size_t n = newline ? (size_t)(newline - data) : size;
		int r = append(lines, data, n);

		if (r < 0)
			return r;
		if (!newline)
			return 0;
		r = take_line(lines, handler, ctx);
		json_lines_clear(lines);
		if (r < 0)
			return r;
		data += n + 1;
		size -= n + 1;
	}
	return 0;
}
