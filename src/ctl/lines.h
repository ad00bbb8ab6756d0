/* SPDX-License-Identifier: MIT */
/* A stream of JSON documents, one a line, that comes in pieces. */
#ifndef FOSTER_CTL_LINES_H
#define FOSTER_CTL_LINES_H

#include <jansson.h>
#include <stddef.h>

#define LINE_MAX_SIZE (1 << 20)

/* Gets each line that is a JSON object, as text too. Below 0 ends the stream. */
typedef int json_line_handler(void *ctx, const char *line, const json_t *json);

struct json_lines {
	char *text; /* of a line whose end has not come */
	size_t size;
};

/* 0, what the handler returned, -ENOMEM, or -EBADMSG when a line is too long or no object. */
int json_lines_feed(struct json_lines *lines, const char *data, size_t size,
		    json_line_handler *handler, void *ctx);
void json_lines_clear(struct json_lines *lines);

#endif
