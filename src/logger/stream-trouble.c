/* SPDX-License-Identifier: MIT */
/* What happens when something cannot be written, or must not be: see stream.h. */
#include "logger/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/macro.h"
#include "base/units.h"
#include "logger/count.h"

#define DROPPED_BEFORE 1 /* in place of -errno: the logger that knew it is no more */
#define LOOKS_A_TRY    4
#define RETRY          (100 * USEC_PER_MSEC)
#define NOTE_AFTER     (1 * USEC_PER_SEC)
#define SAY_EVERY      (10 * USEC_PER_SEC) /* that there is trouble, at most */
/* Of thousands on one full disk, as many fail in vain before the others wait for the next time. */
#define FAILS_A_TURN 256

/* Those with a time; who was tried last stands last. */
static struct trouble *troubles, **troubles_end = &troubles;

static void append(struct trouble *t)
{
	t->next = NULL;
	*troubles_end = t;
	troubles_end = &t->next;
}

void trouble_forget(struct trouble *t)
{
	struct trouble **p = &troubles;

	while (*p && *p != t)
		p = &(*p)->next;
	if (*p) {
		*p = t->next;
		if (!t->next)
			troubles_end = p;
	}
	t->due = 0;
}

struct trouble *stream_trouble(struct stream *s)
{
	if (!s->trouble) {
		s->trouble = calloc(1, sizeof(*s->trouble));
		if (s->trouble)
			s->trouble->stream = s;
	}
	return s->trouble;
}

static void look_at(struct trouble *t, uint64_t when)
{
	if (!t->due)
		append(t);
	t->due = t->due ? MIN(t->due, when) : when;
}

/* One that is taken back stays on the list until then: lines are held and completed often. */
void trouble_set(struct trouble *t, enum trouble_timer timer, uint64_t when)
{
	t->times[timer] = when;
	if (when)
		look_at(t, when);
}

bool stream_is_stuck(const struct stream *s)
{
	return s->trouble && s->trouble->error < 0;
}

bool stream_may_drop(const struct stream *s)
{
	return s->settings->set.flags & LOGGER_DROP;
}

/* What it is written to, for messages. */
static const char *target(const struct stream *s)
{
	switch (s->settings->set.sink) {
	case LOGGER_SINK_JOURNAL: return "the journal";
	case LOGGER_SINK_SYSLOG: return "syslog";
	default: return s->settings->directory;
	}
}

void stream_try_later(struct stream *s)
{
	trouble_set(s->trouble, TROUBLE_TRY, now_monotonic() + RETRY);
}

static void get_stuck(struct stream *s, struct trouble *t, int error)
{
	if (t->error == 0 && (!t->said || now_monotonic() - t->said > SAY_EVERY)) {
		log_error_errno(error, "%s: cannot be written to %s: its output waits%s",
				stream_label(s), target(s),
				stream_may_drop(s) ? ", and is dropped when there is much of it"
						   : "");
		t->said = now_monotonic();
		t->say_end = true;
	}
	t->error = error;
	count_blocked(s, true);
	stream_watch(s, stream_may_drop(s) ? WATCH_NEWS : WATCH_NONE);
	trouble_set(t, TROUBLE_HOLD, 0);
	stream_try_later(s);
}

/* Nothing can be written: it is tried again a little later. */
void stream_get_stuck(struct stream *s, int error)
{
	struct trouble *t = stream_trouble(s);

	if (!t)
		return; /* the watch tells of it again and again, which is a way to wait, too */
	if (error == -EAGAIN && stream_get_slow(s))
		return;
	stream_get_fast(s);
	get_stuck(s, t, error);
}

void stream_get_going(struct stream *s)
{
	if (s->trouble->say_end)
		log_notice("%s: is written again", stream_label(s));
	s->trouble->say_end = false;
	s->trouble->error = 0;
	count_blocked(s, false);
	stream_watch(s, WATCH_LEVEL);
}

/* --- lines that are dropped ------------------------------------------------------------- */

void stream_count_dropped(struct stream *s, uint64_t lines, int error)
{
	struct trouble *t = stream_trouble(s);

	if (!t || lines == 0)
		return;
	t->dropped += lines;
	count_lost(s, error < 0 ? LOGGER_LOSS_FULL : LOGGER_LOSS_RATE, lines);
	t->drop_error = error;
	if (!t->times[TROUBLE_NOTE])
		trouble_set(t, TROUBLE_NOTE, now_monotonic() + NOTE_AFTER);
}

void stream_recall_dropped(struct stream *s)
{
	uint64_t full = count_untold(s, LOGGER_LOSS_FULL);
	uint64_t lines = full + count_untold(s, LOGGER_LOSS_RATE);
	struct trouble *t = lines > 0 ? stream_trouble(s) : NULL;

	if (!t || t->dropped > 0)
		return;
	t->dropped = lines;
	t->drop_error = full > 0 ? DROPPED_BEFORE : 0;
	trouble_set(t, TROUBLE_NOTE, now_monotonic() + NOTE_AFTER);
}

static const char *why_dropped(int error)
{
	if (error == DROPPED_BEFORE)
		return "they could not be written";
	return error < 0 ? strerror(-error) : "more than log-rate";
}

/* Says in the log itself what is missing there. 0 or -errno. */
int stream_note_dropped(struct stream *s)
{
	struct trouble *t = s->trouble;
	char text[160];
	int error;

	if (!t || t->dropped == 0)
		return 0;
	snprintf(text, sizeof(text), "foster-log: %" PRIu64 " line%s dropped: %s", t->dropped,
		 t->dropped == 1 ? " was" : "s were", why_dropped(t->drop_error));
	error = stream_write_note(s, text);
	if (error < 0)
		return error;
	t->dropped = 0;
	count_told(s);
	return 0;
}

/* --- trying again ----------------------------------------------------------------------- */

static bool is_due(struct trouble *t, enum trouble_timer timer, uint64_t now)
{
	if (t->times[timer] == 0 || t->times[timer] > now)
		return false;
	t->times[timer] = 0;
	return true;
}

static void retry(struct trouble *t, uint64_t now)
{
	struct stream *s = t->stream;
	int error = 0;

	if (stream_is_stuck(s)) {
		if (is_due(t, TROUBLE_TRY, now) && !stream_pump(s, LOOKS_A_TRY) && s->closing)
			stream_drain(s);
		return;
	}
	if (is_due(t, TROUBLE_SLOW, now) && stream_has_waited(s)) {
		get_stuck(s, t, -EAGAIN);
		return;
	}
	if (is_due(t, TROUBLE_NOTE, now))
		error = stream_note_dropped(s);
	if (error < 0) {
		trouble_set(t, TROUBLE_NOTE, now + NOTE_AFTER);
		stream_get_stuck(s, error);
	} else if (is_due(t, TROUBLE_HOLD, now) && s->watch == WATCH_NEWS) {
		stream_write_unfinished(s);
	}
}

/* Of one that cannot be written nothing else is due before it can. */
static void put_on_list(struct trouble *t)
{
	const bool stuck = stream_is_stuck(t->stream);

	for (int timer = 0; timer < _TROUBLE_TIMERS; timer++) {
		if (t->times[timer] && stuck == (timer == TROUBLE_TRY))
			look_at(t, t->times[timer]);
	}
}

/* Takes those off the list whose time has come, in their order. */
static struct trouble *take_due(uint64_t now, uint64_t *next)
{
	struct trouble *due = NULL, **due_end = &due, **p = &troubles;

	while (*p) {
		struct trouble *t = *p;

		if (t->due > now) {
			*next = MIN(*next, t->due);
			p = &t->next;
			continue;
		}
		*p = t->next;
		t->due = 0;
		*due_end = t;
		due_end = &t->next;
	}
	troubles_end = p;
	*due_end = NULL;
	return due;
}

/* They were not tried this time, and are the first ones of the next. */
static void put_back(struct trouble *first, uint64_t when)
{
	struct trouble *last = first;

	for (struct trouble *t = first; t; t = t->next) {
		t->due = when;
		last = t;
	}
	last->next = troubles;
	if (!troubles)
		troubles_end = &last->next;
	troubles = first;
}

uint64_t streams_retry(uint64_t now)
{
	uint64_t next = UINT64_MAX;
	struct trouble *due = take_due(now, &next);
	unsigned fails = 0;

	while (due && fails < FAILS_A_TURN) {
		struct trouble *t = due;

		due = t->next;
		retry(t, now);
		if (t->stream->dead)
			continue;
		put_on_list(t);
		fails += stream_is_stuck(t->stream);
		next = t->due ? MIN(next, t->due) : next;
	}
	if (due) {
		next = MIN(next, now + RETRY);
		put_back(due, now + RETRY);
	}
	return next == UINT64_MAX ? next : next > now ? next - now : 0;
}
