/* SPDX-License-Identifier: MIT */
/* Events for people: see feed.h. */
#include "chat/admin/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/admin/window.h"
#include "chat/admin/words.h"

#define RECORDS_MAX  512                  /* services of which something is remembered */
#define FORGET_AFTER (600 * USEC_PER_SEC) /* without an event */
#define FLAP_ENDS    4                    /* so many ends */
#define FLAP_TIME    (60 * USEC_PER_SEC)  /* within that time are flapping */
#define STABLE_AFTER (30 * USEC_PER_SEC)  /* up for that long, it is none any more */
#define HOLD         (500 * USEC_PER_MSEC) /* an end waits for its last lines, and for the next start */
#define LATE         (10 * USEC_PER_SEC)
#define LINES_SHOWN  3 /* the last of a log */
#define LINE_SIZE    1024
#define TAGS_SIZE    512

struct record {
	struct record *next;
	uint64_t touched;
	uint64_t ends[FLAP_ENDS]; /* the last ones; [0] is the oldest */
	uint64_t running_since;   /* 0: it does not run */
	int64_t pid;              /* with which it is known to run; 0: it is not */
	uint64_t told_at;         /* of one that flaps */
	unsigned folded;          /* ends since then */
	bool flaps, down, acknowledged;
	bool end_told; /* its last end is */
	bool asked;    /* somebody asked for something, and what comes of it was not told yet */
	bool restarts; /* it was a restart: that it has stopped is not the end of it */
	uint64_t held_until;  /* 0: nothing is held */
	uint64_t held_seq;    /* of the event that is */
	char held[LINE_SIZE]; /* the line of its last end */
	char held_tags[TAGS_SIZE];
	struct news_kind held_kind;
	char name[];
};

struct feed {
	struct feed_output output;
	struct record *records;
	size_t n_records;
	uint64_t began; /* realtime */
	struct window window;
};

struct feed *feed_new(const struct feed_output *output, uint64_t realtime)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->output = *output;
	f->began = realtime;
	return f;
}

void feed_free(struct feed *f)
{
	struct record *next;

	if (!f)
		return;
	for (struct record *r = f->records; r; r = next) {
		next = r->next;
		free(r);
	}
	free(f);
}

/* --- text ----------------------------------------------------------------------------------- */

/* Escaped as IRCv3's message tags ask for it. */
static void add_tag(char *buf, size_t size, const char *name, const char *value)
{
	words_add(buf, size, "%s%s=", *buf ? ";" : "", name);
	for (; *value; value++) {
		switch (*value) {
		case ';': words_add(buf, size, "\\:"); break;
		case ' ': words_add(buf, size, "\\s"); break;
		case '\\': words_add(buf, size, "\\\\"); break;
		case '\r':
		case '\n': break;
		default: words_add(buf, size, "%c", *value);
		}
	}
}

static void make_tags(char *tags, const json_t *event, const char *what)
{
	char seq[32];

	tags[0] = '\0';
	if (*words_of(event, "service"))
		add_tag(tags, TAGS_SIZE, "foster/service", words_of(event, "service"));
	add_tag(tags, TAGS_SIZE, "foster/event", what);
	snprintf(seq, sizeof(seq), "%" JSON_INTEGER_FORMAT,
		 json_integer_value(json_object_get(event, "seq")));
	add_tag(tags, TAGS_SIZE, "foster/seq", seq);
}

static bool is_late(const json_t *event, uint64_t realtime)
{
	uint64_t at = event_time(event);

	return at > 0 && at + LATE < realtime;
}

/* "at 10:02:03Z: " of what came late; else "". */
static const char *when(const json_t *event, uint64_t realtime, char buf[32])
{
	buf[0] = '\0';
	if (is_late(event, realtime))
		snprintf(buf, 32, "at %.8sZ: ", words_of(event, "time") + strlen("2026-11-23T"));
	return buf;
}

/* --- saying it, or counting ----------------------------------------------------------------- */

static void end_window(struct feed *f)
{
	char line[LINE_SIZE];

	window_close(&f->window, line, sizeof(line));
	if (*line)
		f->output.say(f->output.arg, line, "foster/event=digest");
}

/* False: it is only counted. */
static bool say(struct feed *f, uint64_t now, struct news_kind kind, const char *name,
		const char *line, const char *tags)
{
	if (now >= window_end(&f->window))
		end_window(f);
	if (!window_takes(&f->window, now, kind, name))
		return false;
	f->output.say(f->output.arg, line, tags);
	return true;
}

static struct news_kind kind_of(const struct feed *f, enum news news, const json_t *event,
				uint64_t realtime)
{
	uint64_t at = event_time(event);

	return (struct news_kind){ .news = news,
				   .old = (at > 0 && at < f->began) || is_late(event, realtime) };
}

/* --- services ------------------------------------------------------------------------------- */

/* One that flapped and was given up, or is no service any more, is not told of again either. */
static bool is_forgettable(const struct record *r, uint64_t now)
{
	return now - r->touched >= FORGET_AFTER && !r->held_until && !r->folded && !r->acknowledged;
}

/* NULL: it is a new one, and there are too many. */
static struct record *find(struct feed *f, uint64_t now, const char *name, bool make)
{
	struct record *r;

	for (struct record **p = &f->records; *p;) {
		r = *p;
		if (strcmp(r->name, name) == 0) {
			r->touched = now;
			return r;
		}
		if (!is_forgettable(r, now)) {
			p = &r->next;
			continue;
		}
		*p = r->next;
		f->n_records--;
		free(r);
	}
	if (!make || f->n_records >= RECORDS_MAX)
		return NULL;
	r = calloc(1, sizeof(*r) + strlen(name) + 1);
	if (!r)
		return NULL;
	strcpy(r->name, name);
	r->touched = now;
	r->next = f->records;
	f->records = r;
	f->n_records++;
	return r;
}

static void let_go(struct feed *f, uint64_t now, struct record *r)
{
	if (!r || !r->held_until)
		return;
	r->held_until = 0;
	say(f, now, r->held_kind, r->name, r->held, r->held_tags);
}

/* Of a line that stands behind the name already. */
static const char *without_name(const struct record *r, const char *line)
{
	size_t n = strlen(r->name);

	return strncmp(line, r->name, n) == 0 && strncmp(line + n, ": ", 2) == 0 ? line + n + 2
										 : line;
}

static bool begins_to_flap(struct record *r, uint64_t now)
{
	memmove(r->ends, r->ends + 1, sizeof(r->ends) - sizeof(r->ends[0]));
	r->ends[FLAP_ENDS - 1] = MAX(now, 1U);
	return r->ends[0] > 0 && now - r->ends[0] <= FLAP_TIME;
}

/* It ended, and that was not asked for. */
static void ended(struct feed *f, uint64_t now, struct record *r, struct news_kind kind,
		  uint64_t seq, const char *line, const char *tags)
{
	char text[DURATION_TEXT_MAX];

	r->down = r->end_told = true;
	r->running_since = 0;
	if (kind.answers && (r->acknowledged || r->flaps)) {
		say(f, now, kind, r->name, line, tags);
		return;
	}
	if (r->acknowledged)
		return;
	if (!r->flaps && begins_to_flap(r, now)) {
		r->flaps = true;
		r->told_at = now;
		let_go(f, now, r);
		r->held[0] = '\0';
		words_add(
			r->held, sizeof(r->held),
			"%s: flaps: %d ends in %s, told once a minute until it stays up; last: %s",
			r->name, FLAP_ENDS, format_duration(text, sizeof(text), now - r->ends[0]),
			without_name(r, line));
		say(f, now, kind, r->name, r->held, "foster/event=flaps");
	} else if (r->flaps) {
		r->folded++;
		snprintf(r->held, sizeof(r->held), "%s", line);
	} else {
		let_go(f, now, r);
		snprintf(r->held, sizeof(r->held), "%s", line);
		snprintf(r->held_tags, sizeof(r->held_tags), "%s", tags);
		r->held_kind = kind;
		r->held_until = now + HOLD;
		r->held_seq = seq;
	}
}

static void runs(struct feed *f, uint64_t now, struct record *r, struct news_kind kind,
		 const char *line, const char *tags)
{
	r->running_since = MAX(now, 1U);
	r->end_told = false;
	if ((r->flaps || r->acknowledged) && !kind.answers)
		return; /* when it stays up */
	if (!r->flaps && !r->acknowledged)
		r->down = false;
	/* Up again before the lines of its end have come: all in one. */
	if (r->held_until) {
		words_add(r->held, sizeof(r->held), "; %s",
			  strstr(line, ": running") + strlen(": "));
		r->held_kind.answers |= kind.answers;
	} else {
		say(f, now, kind, r->name, line, tags);
	}
}

static void stopped(struct feed *f, uint64_t now, struct record *r)
{
	let_go(f, now, r);
	r->running_since = 0;
	r->flaps = r->acknowledged = r->down = r->end_told = false;
}

/*
 * It told no news of its state: it runs as before, and its config is read again, say. Whose start
 * was not seen tells so itself, by the phase.
 */
static bool runs_as_before(struct record *r, const json_t *event)
{
	const char *phase = words_of(event, "phase");
	int64_t pid = json_integer_value(json_object_get(event, "pid"));
	bool as_before = pid > 0 && (pid == r->pid || (*phase && strcmp(phase, "none") != 0));

	r->pid = pid;
	return as_before;
}

/* Does this one come of what somebody asked for, and was told to have asked for? */
static bool take_answer(struct record *r, bool is_stop)
{
	bool answers = r->asked;

	if (!is_stop || !r->restarts)
		r->asked = false;
	return answers;
}

static void service_line(const json_t *event, bool up, bool at_once, uint64_t realtime,
			 char line[LINE_SIZE])
{
	const char *name = words_of(event, "service"), *state = words_of(event, "state");
	const char *reason = words_of(event, "reason");
	char late[32];

	/* Of one that runs the reason is its last end. */
	if (up)
		snprintf(line, LINE_SIZE, "%s%s: running, pid %" JSON_INTEGER_FORMAT,
			 when(event, realtime, late), name,
			 json_integer_value(json_object_get(event, "pid")));
	else
		snprintf(line, LINE_SIZE, "%s%s: %s%s%s", when(event, realtime, late), name,
			 at_once ? "ended" : state,
			 *reason && strcmp(reason, state) != 0 ? ": " : "",
			 strcmp(reason, state) != 0 ? reason : "");
}

static void on_service(struct feed *f, uint64_t now, uint64_t realtime, const json_t *event)
{
	const char *name = words_of(event, "service"), *state = words_of(event, "state");
	bool failed = strcmp(state, "failed") == 0, up = strcmp(state, "running") == 0;
	bool at_once = event_is_restart_at_once(event);
	bool end = failed || at_once || strcmp(state, "backoff") == 0;
	bool stop = strcmp(state, "stopped") == 0 || strcmp(state, "exited") == 0;
	struct news_kind kind = kind_of(f,
					failed ? NEWS_FAILED
					: end  ? NEWS_ENDED
					: up   ? NEWS_RUNNING
					       : NEWS_STOPPED,
					event, realtime);
	struct record *r = find(f, now, name, up || end || stop);
	char line[LINE_SIZE], tags[TAGS_SIZE];

	if (r && !up)
		r->pid = 0;
	if (!up && !end && !stop)
		return; /* what is on its way is not there yet */
	if (r && ((up && runs_as_before(r, event)) || (at_once && r->end_told)))
		return;
	kind.answers = r && take_answer(r, stop);
	service_line(event, up, at_once, realtime, line);
	make_tags(tags, event, state);
	if (end && r) {
		ended(f, now, r, kind, json_integer_value(json_object_get(event, "seq")), line,
		      tags);
	} else if (up && r) {
		runs(f, now, r, kind, line, tags);
	} else {
		if (r)
			stopped(f, now, r);
		say(f, now, kind, name, line, tags);
	}
}

/* The last lines of a log that may be shown. False: there is nothing to show. */
static bool last_lines(struct feed *f, const json_t *event, char *buf, size_t size)
{
	const json_t *lines = json_object_get(event, "lines");
	size_t n = json_array_size(lines);

	buf[0] = '\0';
	if (n == 0 || !f->output.may_show(f->output.arg, words_of(event, "service")))
		return false;
	for (size_t i = n > LINES_SHOWN ? n - LINES_SHOWN : 0; i < n; i++) {
		char text[LINE_SIZE];
		const char *line = json_string_value(json_array_get(lines, i));

		f->output.redact(f->output.arg, line ? line : "", text, sizeof(text));
		if (*text)
			words_add(buf, size, "%s%s", *buf ? " | " : "", text);
	}
	return *buf != '\0';
}

static void on_crash(struct feed *f, uint64_t now, uint64_t realtime, const json_t *event)
{
	const char *name = words_of(event, "service");
	struct record *r = find(f, now, name, false);
	char text[LINE_SIZE / 2], line[LINE_SIZE], tags[TAGS_SIZE];

	if (!last_lines(f, event, text, sizeof(text)) || (r && r->acknowledged))
		return;
	if (r && (r->held_until || r->flaps)) {
		words_add(r->held, sizeof(r->held), "; last lines: %s", text);
		return;
	}
	snprintf(line, sizeof(line), "%s: last lines: %s", name, text);
	make_tags(tags, event, "crash");
	say(f, now, kind_of(f, NEWS_ENDED, event, realtime), name, line, tags);
}

/* "web: restart asked for by fosterctl (uid 0, pid 12)", "... by alice, through ..." */
static void on_request(struct feed *f, uint64_t now, uint64_t realtime, const json_t *event)
{
	const char *name = words_of(event, "service"), *whom = words_of(event, "for");
	const char *verb = words_of(event, "verb");
	struct record *r = *name ? find(f, now, name, true) : NULL;
	char line[LINE_SIZE], tags[TAGS_SIZE], late[32];
	bool told;

	snprintf(line, sizeof(line),
		 "%s%s%s%s asked for by %s%s%s (uid %" JSON_INTEGER_FORMAT
		 ", pid %" JSON_INTEGER_FORMAT ")",
		 when(event, realtime, late), name, *name ? ": " : "", verb, whom,
		 *whom ? ", through " : "", words_of(event, "command"),
		 json_integer_value(json_object_get(event, "uid")),
		 json_integer_value(json_object_get(event, "pid")));
	make_tags(tags, event, "request");
	told = say(f, now, kind_of(f, NEWS_REQUEST, event, realtime), name, line, tags);
	if (!r)
		return;
	r->restarts = strcmp(verb, "restart") == 0;
	r->asked = told && (r->restarts || strcmp(verb, "start") == 0 || strcmp(verb, "stop") == 0);
}

static void on_note(struct feed *f, uint64_t now, uint64_t realtime, const json_t *event)
{
	char line[LINE_SIZE], tags[TAGS_SIZE], late[32];

	snprintf(line, sizeof(line), "%s%s", when(event, realtime, late), words_of(event, "text"));
	make_tags(tags, event, words_of(event, "type"));
	say(f, now, kind_of(f, NEWS_OTHER, event, realtime), "", line, tags);
}

void feed_event(struct feed *f, uint64_t now, uint64_t realtime, const json_t *event)
{
	const char *type = words_of(event, "type");

	feed_tick(f, now);
	if (strcmp(type, "service") == 0)
		on_service(f, now, realtime, event);
	else if (strcmp(type, "crash") == 0)
		on_crash(f, now, realtime, event);
	else if (strcmp(type, "request") == 0)
		on_request(f, now, realtime, event);
	else if (*words_of(event, "text"))
		on_note(f, now, realtime, event);
}

bool feed_acknowledge(struct feed *f, const char *service)
{
	for (struct record *r = f->records; r; r = r->next) {
		if (strcmp(r->name, service) != 0)
			continue;
		if (!r->down)
			return false;
		r->acknowledged = true;
		r->held_until = 0;
		return true;
	}
	return false;
}

/* --- what is due ---------------------------------------------------------------------------- */

static bool is_stable(const struct record *r, uint64_t now)
{
	return (r->flaps || r->acknowledged) && r->running_since &&
	       now - r->running_since >= STABLE_AFTER;
}

static void calms_down(struct feed *f, uint64_t now, struct record *r)
{
	char line[LINE_SIZE];

	snprintf(line, sizeof(line), "%s: runs again, for %llu s now%s", r->name,
		 (unsigned long long)((now - r->running_since) / USEC_PER_SEC),
		 r->folded ? ", after more ends that were not told" : "");
	r->flaps = r->acknowledged = r->down = false;
	r->folded = 0;
	memset(r->ends, 0, sizeof(r->ends));
	say(f, now, (struct news_kind){ .news = NEWS_RUNNING }, r->name, line, "foster/event=calm");
}

static void tell_folded(struct feed *f, uint64_t now, struct record *r)
{
	char line[LINE_SIZE] = "";

	words_add(line, sizeof(line), "%s: %u more ends in the last minute; last: %s", r->name,
		  r->folded, without_name(r, r->held));
	r->told_at = now;
	r->folded = 0;
	say(f, now, (struct news_kind){ .news = NEWS_ENDED }, r->name, line, "foster/event=flaps");
}

/* In the order in which they came. */
static struct record *first_due(struct feed *f, uint64_t now)
{
	struct record *first = NULL;

	for (struct record *r = f->records; r; r = r->next) {
		if (r->held_until && now >= r->held_until &&
		    (!first || r->held_until < first->held_until))
			first = r;
	}
	return first;
}

void feed_tick(struct feed *f, uint64_t now)
{
	struct record *due;

	while ((due = first_due(f, now)) != NULL)
		let_go(f, now, due);
	for (struct record *r = f->records; r; r = r->next) {
		if (is_stable(r, now))
			calms_down(f, now, r);
		else if (r->flaps && r->folded && now - r->told_at >= FLAP_TIME)
			tell_folded(f, now, r);
	}
	if (now >= window_end(&f->window))
		end_window(f);
}

uint64_t feed_deadline(const struct feed *f)
{
	uint64_t first = window_end(&f->window);

	for (const struct record *r = f->records; r; r = r->next) {
		if (r->held_until)
			first = MIN(first, r->held_until);
		if ((r->flaps || r->acknowledged) && r->running_since)
			first = MIN(first, r->running_since + STABLE_AFTER);
		if (r->flaps && r->folded)
			first = MIN(first, r->told_at + FLAP_TIME);
	}
	return first;
}

uint64_t feed_first_held(const struct feed *f)
{
	uint64_t first = 0;

	for (const struct record *r = f->records; r; r = r->next) {
		if (r->held_until && (!first || r->held_seq < first))
			first = r->held_seq;
	}
	return first;
}
