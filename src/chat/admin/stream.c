/* SPDX-License-Identifier: MIT */
/* The stream of events: see stream.h. */
#include "config.h"

#include "chat/admin/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/macro.h"

#define HEAD_MAX  8192
#define LINE_MAX  65536
#define CHUNK_MAX (1UL << 30)

#define DIGITS     "0123456789"
#define HEX_DIGITS DIGITS "abcdefABCDEF"
#define HEX_MAX    16 /* digits: what an unsigned long holds */

enum state {
	STATE_HEAD,       /* lines up to an empty one */
	STATE_CHUNK_SIZE, /* one line */
	STATE_CHUNK,      /* left bytes */
	STATE_CHUNK_END,  /* an empty line */
	STATE_PLAIN,      /* a body without chunks: all that comes */
};

struct stream {
	stream_event *on_event;
	void *arg;
	enum state state;
	bool answered, chunked, skipping;
	size_t head_size, left;
	char head[512]; /* one line of the head, or a chunk's size */
	size_t head_used;
	char *line; /* of the body */
	size_t used;
};

struct stream *stream_new(stream_event *on_event, void *arg)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s)
		s->line = malloc(LINE_MAX);
	if (!s || !s->line) {
		free(s);
		return NULL;
	}
	s->on_event = on_event;
	s->arg = arg;
	return s;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	free(s->line);
	free(s);
}

bool stream_answered(const struct stream *s)
{
	return s->answered;
}

/* What is no JSON object is no event. */
static void handle_event(struct stream *s)
{
	json_t *event = json_loadb(s->line, s->used, 0, NULL);

	if (json_is_object(event))
		s->on_event(s->arg, event);
	json_decref(event);
}

static void feed_body(struct stream *s, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\n') {
			if (!s->skipping && s->used > 0)
				handle_event(s);
			s->skipping = false;
			s->used = 0;
		} else if (s->used < LINE_MAX) {
			s->line[s->used++] = data[i];
		} else {
			s->skipping = true;
		}
	}
}

static int handle_status(struct stream *s, const char *line)
{
	static const char versions[][10] = { "HTTP/1.1 ", "HTTP/1.0 " };
	const char *code = line + sizeof(versions[0]) - 1;
	int number;

	if (strncmp(line, versions[0], sizeof(versions[0]) - 1) != 0 &&
	    strncmp(line, versions[1], sizeof(versions[1]) - 1) != 0)
		return -EPROTO;
	if (strspn(code, DIGITS) != 3 || (code[3] && code[3] != ' '))
		return -EPROTO;
	number = atoi(code);
	if (number == 401 || number == 403)
		return -EACCES;
	s->answered = number == 200;
	return s->answered ? 0 : -EPROTO;
}

static int handle_head_line(struct stream *s, const char *line, bool first)
{
	static const char encoding[] = "transfer-encoding:";

	if (first)
		return handle_status(s, line);
	if (line[0] == '\0')
		s->state = s->chunked ? STATE_CHUNK_SIZE : STATE_PLAIN;
	else if (strncasecmp(line, encoding, sizeof(encoding) - 1) == 0)
		s->chunked |= strcasestr(line, "chunked") != NULL;
	return 0;
}

static int handle_chunk_size(struct stream *s, const char *line)
{
	size_t digits = strspn(line, HEX_DIGITS);
	unsigned long size = strtoul(line, NULL, 16);

	if (digits == 0 || digits > HEX_MAX || size > CHUNK_MAX ||
	    (line[digits] && line[digits] != ';' && line[digits] != ' '))
		return -EPROTO;
	if (size == 0)
		return -ENODATA;
	s->left = size;
	s->state = STATE_CHUNK;
	return 0;
}

static int handle_line(struct stream *s, bool first)
{
	if (s->head_used > 0 && s->head[s->head_used - 1] == '\r')
		s->head_used--;
	s->head[s->head_used] = '\0';
	s->head_used = 0;
	switch (s->state) {
	case STATE_HEAD: return handle_head_line(s, s->head, first);
	case STATE_CHUNK_SIZE: return handle_chunk_size(s, s->head);
	default: break;
	}
	s->state = STATE_CHUNK_SIZE;
	return s->head[0] ? -EPROTO : 0;
}

/* One byte of what stands around the body. A header that is too long is cut. */
static int feed_frame(struct stream *s, char c)
{
	bool first = s->state == STATE_HEAD && !s->answered;

	if (c == '\0' || (s->state == STATE_HEAD && ++s->head_size > HEAD_MAX))
		return -EPROTO;
	if (c == '\n')
		return handle_line(s, first);
	if (s->head_used < sizeof(s->head) - 1)
		s->head[s->head_used++] = c;
	return 0;
}

int stream_feed(struct stream *s, const char *data, size_t size)
{
	while (size > 0) {
		size_t n = 1;
		int r;

		if (s->state == STATE_PLAIN || s->state == STATE_CHUNK) {
			n = s->state == STATE_CHUNK ? MIN(size, s->left) : size;
			feed_body(s, data, n);
			s->left -= s->state == STATE_CHUNK ? n : 0;
			if (s->state == STATE_CHUNK && s->left == 0)
				s->state = STATE_CHUNK_END;
		} else {
			r = feed_frame(s, *data);
			if (r < 0)
				return r;
		}
		data += n;
		size -= n;
	}
	return 0;
}
