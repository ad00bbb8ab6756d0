/* SPDX-License-Identifier: MIT */
/* Events: see events.h. */
#include "manager/events.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
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

/*
 * One event. Most are read by nobody: those of services are kept as they are, and become text
 * when somebody asks.
 */
struct event_line {
	uint64_t seq, time; /* us, realtime */
	char type[16];
	char *line;    /* with its newline; NULL: to be made from what follows */
	char *service; /* the reason stands behind its NUL; NULL: line is there */
	int state, pid, phase;
	unsigned restarts, attempts;
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

static void clear_line(struct event_line *line)
{
	free(line->line);
	free(line->service);
	line->line = line->service = NULL;
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
		clear_line(&e->ring[i]);
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

/* Adds what every event has, and drops the object. NULL: out of memory. */
static char *make_text(const struct event_line *line, json_t *object)
{
	char time[40], *json, *text = NULL;

	rfc3339(time, sizeof(time), line->time);
	json_object_set_new(object, "seq", json_integer(line->seq));
	json_object_set_new(object, "time", json_string(time));
	json_object_set_new(object, "type", json_string(line->type));
	json = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (json && asprintf(&text, "%s\n", json) < 0)
		text = NULL;
	free(json);
	return text;
}

static const char *text_of(struct event_line *line)
{
	if (!line->line && line->service)
		line->line =
			make_text(line, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i}", "service",
						  line->service, "state",
						  service_state_to_string(line->state), "phase",
						  phase_to_string(line->phase), "reason",
						  line->service + strlen(line->service) + 1, "pid",
						  line->pid, "restarts", (int)line->restarts,
						  "attempts", (int)line->attempts));
	return line->line;
}

static void send_line(struct evhttp_request *request, struct event_line *line)
{
	struct evbuffer *buffer = evbuffer_new();
	const char *text = text_of(line);

	if (buffer && text) {
		evbuffer_add(buffer, text, strlen(text));
		evhttp_send_reply_chunk(request, buffer);
	}
	if (buffer)
		evbuffer_free(buffer);
}

static size_t publish(struct events *e, struct event_line *line)
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

/* The place of a new event: the oldest one's. */
static struct event_line *next_line(struct events *e, const char *type)
{
	struct event_line *line = &e->ring[++e->last % RING];

	clear_line(line);
	line->seq = e->last;
	line->time = now_realtime();
	snprintf(line->type, sizeof(line->type), "%s", type);
	return line;
}

/* Takes the object. Returns how many were told. */
static size_t emit(struct manager *m, const char *type, json_t *object)
{
	struct event_line *line;

	if (!m->events || !object)
		return 0;
	line = next_line(m->events, type);
	line->line = make_text(line, object);
	return line->line ? publish(m->events, line) : 0;
}

/* --- what happens ----------------------------------------------------------------------- */

void events_service(struct service *s)
{
	const struct machine *m = &s->machine;
	struct event_line *line;
	char reason[REASON_TEXT_MAX];
	size_t name_size = strlen(s->config->name) + 1, reason_size;

	if (!s->manager->events)
		return;
	machine_reason(m, s->config, now_monotonic(), reason, sizeof(reason));
	reason_size = strlen(reason) + 1;
	line = next_line(s->manager->events, TYPE_SERVICE);
	line->service = malloc(name_size + reason_size);
	if (!line->service)
		return;
	memcpy(line->service, s->config->name, name_size);
	memcpy(line->service + name_size, reason, reason_size);
	line->state = m->state;
	line->phase = m->said.phase;
	line->pid = s->pid;
	line->restarts = m->restarts;
	line->attempts = m->attempts;
	publish(s->manager->events, line);
}

void events_crash(struct manager *m, const char *service, int pid, const char *end, json_t *lines)
{
	emit(m, "crash",
	     json_pack("{s:s, s:i, s:s, s:o}", "service", service, "pid", pid, "reason", end,
		       "lines", lines));
}

void events_note(struct manager *m, const char *type, const char *service, const char *text)
{
	emit(m, type, json_pack("{s:s*, s:s*}", "service", service, "text", text));
}

void events_request(struct manager *m, const char *verb, const char *service,
		    const struct asker *by, const char *for_whom)
{
	emit(m, "request",
	     json_pack("{s:s, s:s?, s:i, s:i, s:s, s:s?}", "verb", verb, "service", service, "uid",
		       (int)by->uid, "pid", (int)by->pid, "command", by->command, "for", for_whom));
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
		struct event_line *line = &e->ring[seq % RING];

		if (text_of(line) && line->seq == seq && wants(filter, line))
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
