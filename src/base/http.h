/* SPDX-License-Identifier: MIT */
/*
 * As much of HTTP/1.1 as a client of foster's control socket needs: building a request, and
 * reading a reply piece by piece (Content-Length, chunked, or up to the end). Pure.
 */
#ifndef FOSTER_BASE_HTTP_H
#define FOSTER_BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define HTTP_LINE_MAX    8192 /* of a header */
#define HTTP_HEADERS_MAX 100

/* Everything but A-Z a-z 0-9 - . _ ~ as %XX. The caller's; NULL when out of memory. */
char *http_escape(const char *text);

/*
 * A whole request; body is JSON, or NULL for none. The caller's; NULL when out of memory.
 * target is written as it is: escape names before.
 */
char *http_request(const char *method, const char *target, const char *body, size_t *ret_size);

enum http_state {
	HTTP_STATUS_LINE,
	HTTP_HEADERS,
	HTTP_BODY, /* remaining bytes of Content-Length */
	HTTP_BODY_TO_END,
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK,
	HTTP_CHUNK_END,
	HTTP_TRAILER,
	HTTP_DONE,
};

struct http_reply {
	enum http_state state;
	int status; /* 200; 0 before it is known */
	bool chunked, has_length;
	uint64_t remaining; /* of the body or the chunk */
	size_t headers;
	char line[HTTP_LINE_MAX];
	size_t line_size;
};

/* Gets each piece of the body; what it returns below 0 ends the reading. */
typedef int http_body_handler(void *ctx, const char *data, size_t size);

/*
 * Takes the next bytes of the stream; start with a zeroed struct. 0, -EBADMSG when it is not
 * HTTP, or what the handler returned. Bytes behind the reply are ignored.
 */
int http_reply_feed(struct http_reply *reply, const char *data, size_t size,
		    http_body_handler *handler, void *ctx);

/* The stream has ended: 0 when the reply is whole, else -EPIPE. */
int http_reply_end(struct http_reply *reply);

#endif
