/* SPDX-License-Identifier: MIT */
/* What foster-chatd tells its supervisor: see status.h. */
#include "chat/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/notify.h"
#include "base/units.h"

struct status {
	const struct room *room;
	struct event *later, *watchdog;
	uint64_t told_at;
	size_t users, channels; /* as told */
	bool ready, pending, changed;
	char trouble[300]; /* "; history: ..." or "" */
};

static void tell_numbers(struct status *s)
{
	struct room_counts counts;

	room_count(s->room, &counts);
	s->told_at = now_monotonic();
	/* Not told: it stays different from what was told, so the next change tells it. */
	if (notify_try_send("STATUS=%zu user%s in %zu channel%s%s", counts.users,
			    counts.users == 1 ? "" : "s", counts.channels,
			    counts.channels == 1 ? "" : "s", s->trouble) < 0)
		return;
	s->changed = false;
	s->users = counts.users;
	s->channels = counts.channels;
}

static void on_later(int fd, short what, void *arg)
{
	struct status *s = arg;

	s->pending = false;
	tell_numbers(s);
}

void status_set_trouble(struct status *s, const char *what, const char *text)
{
	char trouble[sizeof(s->trouble)] = "";

	if (!text && !*s->trouble)
		return;
	if (text)
		snprintf(trouble, sizeof(trouble), "; %s: %.250s", what, text);
	if (strcmp(trouble, s->trouble) == 0)
		return;
	memcpy(s->trouble, trouble, sizeof(trouble));
	s->changed = true;
}

void status_update(struct status *s)
{
	struct room_counts counts;
	uint64_t now, due;
	struct timeval wait;

	if (!s->ready || s->pending)
		return;
	room_count(s->room, &counts);
	if (counts.users == s->users && counts.channels == s->channels && !s->changed)
		return;
	now = now_monotonic();
	due = s->told_at + USEC_PER_SEC;
	if (now >= due) {
		tell_numbers(s);
		return;
	}
	s->pending = true;
	wait = (struct timeval){ .tv_usec = (due - now) % USEC_PER_SEC };
	evtimer_add(s->later, &wait);
}

static void on_watchdog(int fd, short what, void *arg)
{
	notify_try_send("WATCHDOG=1");
}

static int start_watchdog(struct status *s, struct event_base *base)
{
	uint64_t usec = notify_watchdog_usec() / 2;
	struct timeval interval = { .tv_sec = usec / USEC_PER_SEC, .tv_usec = usec % USEC_PER_SEC };

	if (usec == 0)
		return 0;
	s->watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	return s->watchdog && event_add(s->watchdog, &interval) == 0 ? 0 : -1;
}

struct status *status_new(struct event_base *base, const struct room *room)
{
	struct status *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->room = room;
	s->later = evtimer_new(base, on_later, s);
	if (!s->later || start_watchdog(s, base) < 0) {
		status_free(s);
		return NULL;
	}
	return s;
}

void status_free(struct status *s)
{
	if (!s)
		return;
	if (s->later)
		event_free(s->later);
	if (s->watchdog)
		event_free(s->watchdog);
	free(s);
}

/* This one may wait for the supervisor, for a while: it asked to be told, and must know. */
void status_ready(struct status *s)
{
	struct room_counts counts;

	room_count(s->room, &counts);
	notify_send("READY=1\nSTATUS=%zu user%s in %zu channel%s%s", counts.users,
		    counts.users == 1 ? "" : "s", counts.channels, counts.channels == 1 ? "" : "s",
		    s->trouble);
	s->changed = false;
	s->users = counts.users;
	s->channels = counts.channels;
	s->told_at = now_monotonic();
	s->ready = true;
}

void status_reloading(struct status *s)
{
	notify_try_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now_monotonic());
}

void status_stopping(struct status *s)
{
	notify_try_send("STOPPING=1\nSTATUS=Saying goodbye");
}
