/* SPDX-License-Identifier: MIT */
/* Events: see events.h. */
#include "manager/events.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "base/units.h"
#include "manager/control.h"
#include "manager/service.h"

#define RING         1024
#define UNREAD_MAX   (1U << 20) /* bytes that a follower may leave unread */
#define TYPE_SERVICE "service"

struct subscriber {
	struct evhttp_request *request;
	char type[16]; /* empty: all */
	struct events *events;
	struct subscriber *next;
};

struct event_line {
	uint64_t seq;
	char type[16];
	char *line; /* with its newline */
};

struct events {
	uint64_t last;
	struct event_line ring[RING];
	struct subscriber *subscribers;
};

int events_init(struct manager *m)
{
	m->events = calloc(1, sizeof(*m->events));
	if (!m->events)
		return -ENOMEM;
	/* Numbers grow over managers and over supervisors, so that a follower can go on. */
	m->events->last = now_realtime();
	return 0;
}

static void drop(struct subscriber *s)
{
	struct subscriber **p = &s->events->subscribers;

	while (*p && *p != s)
		p = &(*p)->next;
	if (*p)
		*p = s->next;
	free(s);
}

void events_shutdown(struct manager *m)
{
	struct events *e = m->events;

	if (!e)
		return;
	while (e->subscribers)
		drop(e->subscribers);
	for (size_t i = 0; i < RING; i++)
		free(e->ring[i].line);
	free(e);
	m->events = NULL;
}

static void rfc3339(char *buf, size_t size, uint64_t realtime)
{
	time_t seconds = realtime / USEC_PER_SEC;
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, size - n, ".%06uZ", (unsigned)(realtime % USEC_PER_SEC));
}

/* --- to subscribers --------------------------------------------------------------------- */

static bool wants(const struct subscriber *s, const struct event_line *line)
{
	return !s->type[0] || strcmp(s->type, line->type) == 0;
}

static bool reads_too_slowly(const struct subscriber *s)
{
	struct evhttp_connection *c = evhttp_request_get_connection(s->request);
	struct bufferevent *b = c ? evhttp_connection_get_bufferevent(c) : NULL;

	return b && evbuffer_get_length(bufferevent_get_output(b)) > UNREAD_MAX;
}

static void send_line(struct evhttp_request *request, const struct event_line *line)
{
	struct evbuffer *buffer = evbuffer_new();

	if (!buffer)
		return;
	evbuffer_add(buffer, line->line, strlen(line->line));
	evhttp_send_reply_chunk(request, buffer);
	evbuffer_free(buffer);
}

static size_t publish(struct events *e, const struct event_line *line)
{
	size_t told = 0;

	for (struct subscriber *s = e->subscribers, *next; s; s = next) {
		next = s->next;
		if (!wants(s, line))
			continue;
		if (reads_too_slowly(s)) {
			/* Closing calls on_closed(), which forgets the subscriber. */
			evhttp_connection_free(evhttp_request_get_connection(s->request));
			continue;
		}
		send_line(s->request, line);
		told++;
	}
	return told;
}

/* Takes the object; gives it its number and time. Returns how many were told. */
static size_t emit(struct manager *m, const char *type, json_t *object)
{
	struct events *e = m->events;
	struct event_line *line;
	char time[40], *text;

	if (!e || !object)
		return 0;
	rfc3339(time, sizeof(time), now_realtime());
	json_object_set_new(object, "seq", json_integer(++e->last));
	json_object_set_new(object, "time", json_string(time));
	json_object_set_new(object, "type", json_string(type));
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!text)
		return 0;
	line = &e->ring[e->last % RING];
	free(line->line);
	line->seq = e->last;
	snprintf(line->type, sizeof(line->type), "%s", type);
	if (asprintf(&line->line, "%s\n", text) < 0)
		line->line = NULL;
	free(text);
	return line->line ? publish(e, line) : 0;
}

/* --- what happens ----------------------------------------------------------------------- */

void events_service(struct service *s)
{
	char reason[REASON_TEXT_MAX];
	const struct machine *m = &s->machine;

	machine_reason(m, s->config, now_monotonic(), reason, sizeof(reason));
	emit(s->manager, TYPE_SERVICE,
	     json_pack("{s:s, s:s, s:s, s:i, s:i}", "service", s->config->name, "state",
		       service_state_to_string(m->state), "reason", reason, "pid", (int)s->pid,
		       "restarts", (int)m->restarts));
}

void events_note(struct manager *m, const char *type, const char *service, const char *text)
{
	emit(m, type, json_pack("{s:s*, s:s*}", "service", service, "text", text));
}

size_t events_announce(struct manager *m, const char *text, const char *by)
{
	return emit(m, "announce", json_pack("{s:s, s:s}", "text", text, "by", by));
}

/* --- subscribing ------------------------------------------------------------------------ */

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	struct subscriber *s = arg;

	control_request_closed(s->request);
	drop(s);
}

static void send_kept(struct events *e, struct evhttp_request *request, uint64_t since,
		      const struct subscriber *filter)
{
	uint64_t first = e->last >= RING ? e->last - RING + 1 : 1;

	for (uint64_t seq = MAX(first, since + 1); seq <= e->last; seq++) {
		const struct event_line *line = &e->ring[seq % RING];

		if (line->line && line->seq == seq && wants(filter, line))
			send_line(request, line);
	}
}

void events_subscribe(struct manager *m, struct evhttp_request *request, uint64_t since,
		      const char *type, bool follow)
{
	struct subscriber *s = calloc(1, sizeof(*s));

	if (!s) {
		evhttp_send_error(request, HTTP_INTERNAL, "out of memory");
		return;
	}
	s->events = m->events;
	s->request = request;
	snprintf(s->type, sizeof(s->type), "%s", type ? type : "");
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
			  "application/x-ndjson");
	evhttp_send_reply_start(request, HTTP_OK, "OK");
	/* Who follows announcements is told those to come: an old one is not said again. */
	if (since > 0 || !follow)
		send_kept(m->events, request, since, s);
	if (!follow) {
		evhttp_send_reply_end(request);
		free(s);
		return;
	}
	s->next = m->events->subscribers;
	m->events->subscribers = s;
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_closed, s);
}
