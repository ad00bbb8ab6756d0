/* SPDX-License-Identifier: MIT */
/*
 * The answer to a request for events: HTTP/1.1, its body chunked or not, a JSON object a
 * line. A pure parser that is fed bytes as they come. Bounded: a head of 8 KiB, chunks of 1 GiB
 * with at most 16 digits, lines of 64 KiB; a longer line is passed over.
 */
#ifndef FOSTER_CHAT_ADMIN_STREAM_H
#define FOSTER_CHAT_ADMIN_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct stream;

/* event is borrowed. */
typedef void stream_event(void *arg, const json_t *event);

struct stream *stream_new(stream_event *on_event, void *arg); /* NULL: no memory */
void stream_free(struct stream *stream);

/*
 * 0; -ENODATA: the body is complete; -EACCES: 401 or 403; -EPROTO: another status than 200, or
 * what is not HTTP. After an error the stream is of no more use.
 */
int stream_feed(struct stream *stream, const char *data, size_t size);

bool stream_answered(const struct stream *stream); /* 200 came */

static inline void stream_freep(struct stream **stream)
{
	stream_free(*stream);
}

#endif
