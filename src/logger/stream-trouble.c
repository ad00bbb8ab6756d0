/* SPDX-License-Identifier: MIT */
/* What happens when something cannot be written, or must not be: see stream.h. */
#include "logger/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "logger/count.h"

#define LOOKS_A_TRY 4
#define RETRY       (100 * USEC_PER_MSEC)
#define NOTE_AFTER  (1 * USEC_PER_SEC)
#define SAY_EVERY   (10 * USEC_PER_SEC) /* that there is trouble, at most */

static struct trouble *troubles; /* those with a time */

void trouble_forget(struct trouble *t)
{
	struct trouble **p = &troubles;

	while (*p && *p != t)
		p = &(*p)->next;
	if (*p)
		*p = t->next;
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

void trouble_try_at(struct trouble *t, uint64_t due)
{
	if (!t->due) {
		t->next = troubles;
		troubles = t;
	}
	t->due = due;
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

/* Nothing can be written: it is tried again a little later. */
void stream_get_stuck(struct stream *s, int error)
{
	struct trouble *t = stream_trouble(s);

	if (!t)
		return; /* the watch tells of it again and again, which is a way to wait, too */
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
	trouble_try_at(t, now_monotonic() + RETRY);
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
	if (!t->due)
		trouble_try_at(t, now_monotonic() + NOTE_AFTER);
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
		 t->dropped == 1 ? " was" : "s were",
		 t->drop_error < 0 ? strerror(-t->drop_error) : "more than log-rate");
	error = stream_write_note(s, text);
	if (error < 0)
		return error;
	t->dropped = 0;
	return 0;
}

/* --- trying again ----------------------------------------------------------------------- */

static void retry(struct trouble *t)
{
	struct stream *s = t->stream;
	int error;

	if (stream_is_stuck(s)) {
		if (!stream_pump(s, LOOKS_A_TRY) && s->closing)
			stream_drain(s);
		return;
	}
	error = stream_note_dropped(s);
	if (error < 0)
		stream_get_stuck(s, error);
	else if (s->watch == WATCH_NEWS)
		stream_write_unfinished(s);
}

uint64_t streams_retry(uint64_t now)
{
	struct trouble *due = NULL;
	uint64_t next = UINT64_MAX;

	for (struct trouble *t = troubles, *after; t; t = after) {
		after = t->next;
		if (t->due > now) {
			next = t->due < next ? t->due : next;
			continue;
		}
		trouble_forget(t);
		t->next = due;
		due = t;
	}
	while (due) {
		struct trouble *t = due;

		due = t->next;
		retry(t);
		if (!t->stream->dead && t->due && t->due < next)
			next = t->due;
	}
	return next == UINT64_MAX ? next : next > now ? next - now : 0;
}
