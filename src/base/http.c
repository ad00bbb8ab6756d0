/* SPDX-License-Identifier: MIT */
/* Requests and replies of HTTP/1.1: see http.h. */
#include "base/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

char *http_escape(const char *text)
{
	char *escaped = malloc(3 * strlen(text) + 1), *p = escaped;

	for (; escaped && *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 128 && isalnum(c)) || strchr("-._~", c))
			*p++ = (char)c;
		else
			p += sprintf(p, "%%%02X", c);
	}
	if (escaped)
		*p = '\0';
	return escaped;
}

char *http_request(const char *method, const char *target, const char *body, size_t *ret_size)
{
	size_t size = body ? strlen(body) : 0;
	char *request;
	int n;

	n = asprintf(&request,
		     "%s %s HTTP/1.1\r\nHost: foster\r\nConnection: close\r\n"
		     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		     method, target, size, body ? body : "");
	if (n < 0)
		return NULL;
	*ret_size = (size_t)n;
	return request;
}

static int take_status_line(struct http_reply *r)
{
	int status;

	if (strncmp(r->line, "HTTP/1.", 7) != 0 || sscanf(r->line + 7, "%*1d %3d", &status) != 1 ||
	    status < 100)
		return -EBADMSG;
	r->status = status;
	r->state = HTTP_HEADERS;
	return 0;
}

/* Digits only, unlike strtoull(), which takes signs and spaces. */
static int parse_size(const char *text, unsigned base, uint64_t *ret)
{
	uint64_t value = 0;
	const char *p = text;

	for (; isxdigit((unsigned char)*p); p++) {
		unsigned digit = isdigit((unsigned char)*p)
					 ? (unsigned)(*p - '0')
					 : (unsigned)(tolower((unsigned char)*p) - 'a') + 10;

		if (digit >= base || value > (UINT64_MAX - digit) / base)
			return -EBADMSG;
		value = value * base + digit;
	}
	/* a chunk's extensions, and white space, may follow */
	if (p == text || (*p && !strchr("; \t", *p)))
		return -EBADMSG;
	*ret = value;
	return 0;
}

static const char *header_value(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " \t");
}

static void end_of_headers(struct http_reply *r)
{
	if (r->status < 200) {
		*r = (struct http_reply){ 0 }; /* "100 Continue": the real one follows */
		return;
	}
	if (r->chunked)
		r->state = HTTP_CHUNK_SIZE;
	else if (r->status == 204 || r->status == 304 || (r->has_length && r->remaining == 0))
		r->state = HTTP_DONE;
	else
		r->state = r->has_length ? HTTP_BODY : HTTP_BODY_TO_END;
}

static int take_header(struct http_reply *r)
{
	const char *value;

	if (!r->line[0]) {
		end_of_headers(r);
		return 0;
	}
	if (++r->headers > HTTP_HEADERS_MAX)
		return -EBADMSG;
	value = header_value(r->line, "Content-Length");
	if (value) {
		r->has_length = true;
		return parse_size(value, 10, &r->remaining);
	}
	value = header_value(r->line, "Transfer-Encoding");
	if (value)
		r->chunked = strcasecmp(value, "chunked") == 0;
	return value && !r->chunked ? -EBADMSG : 0;
}

static int take_chunk_size(struct http_reply *r)
{
	int error = parse_size(r->line, 16, &r->remaining);

	if (error < 0)
		return error;
	r->state = r->remaining ? HTTP_CHUNK : HTTP_TRAILER;
	return 0;
}

static int take_line(struct http_reply *r)
{
	switch (r->state) {
	case HTTP_STATUS_LINE: return take_status_line(r);
	case HTTP_HEADERS: return take_header(r);
	case HTTP_CHUNK_SIZE: return take_chunk_size(r);
	case HTTP_CHUNK_END: r->state = HTTP_CHUNK_SIZE; return r->line[0] ? -EBADMSG : 0;
	case HTTP_TRAILER:
		if (!r->line[0])
			r->state = HTTP_DONE;
		return ++r->headers > HTTP_HEADERS_MAX ? -EBADMSG : 0;
	default: return -EBADMSG;
	}
}

/* Collects a line; on its end hands it on. The number of bytes used, or -EBADMSG. */
static ssize_t feed_line(struct http_reply *r, const char *data, size_t size)
{
	const char *newline = memchr(data, '\n', size);
	size_t n = newline ? (size_t)(newline - data) : size;
	int error;

	if (r->line_size + n >= sizeof(r->line) || memchr(data, '\0', n))
		return -EBADMSG;
	memcpy(r->line + r->line_size, data, n);
	r->line_size += n;
	if (!newline)
		return (ssize_t)n;
	if (r->line_size > 0 && r->line[r->line_size - 1] == '\r')
		r->line_size--;
	r->line[r->line_size] = '\0';
	r->line_size = 0;
	error = take_line(r);
	return error < 0 ? error : (ssize_t)n + 1;
}

static ssize_t feed_body(struct http_reply *r, const char *data, size_t size,
			 http_body_handler *handler, void *ctx)
{
	int error;

	if (r->state != HTTP_BODY_TO_END) {
		size = (size_t)MIN((uint64_t)size, r->remaining);
		r->remaining -= size;
	}
	error = handler(ctx, data, size);
	if (error < 0)
		return error;
	if (r->state == HTTP_BODY && r->remaining == 0)
		r->state = HTTP_DONE;
	if (r->state == HTTP_CHUNK && r->remaining == 0)
		r->state = HTTP_CHUNK_END;
	return (ssize_t)size;
}

int http_reply_feed(struct http_reply *reply, const char *data, size_t size,
		    http_body_handler *handler, void *ctx)
{
	while (size > 0 && reply->state != HTTP_DONE) {
		bool body = reply->state == HTTP_BODY || reply->state == HTTP_BODY_TO_END ||
			    reply->state == HTTP_CHUNK;
		ssize_t n = body ? feed_body(reply, data, size, handler, ctx)
				 : feed_line(reply, data, size);

		if (n < 0)
			return (int)n;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

int http_reply_end(struct http_reply *reply)
{
	if (reply->state == HTTP_BODY_TO_END)
		reply->state = HTTP_DONE;
	return reply->state == HTTP_DONE ? 0 : -EPIPE;
}
