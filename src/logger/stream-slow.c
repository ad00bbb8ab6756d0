/* SPDX-License-Identifier: MIT */
/*
 * Streams to a daemon that takes messages more slowly than they come: they wait until its socket
 * can be written to, one after the other, and so go at its pace. That is no trouble, and nothing
 * is dropped for it, unless the daemon has taken nothing from anybody for a second: see stream.h.
 */
#include "base/units.h"
#include "logger/datagram.h"
#include "logger/stream.h"

#define LOOKS_A_TURN 4
#define OUTAGE       (1 * USEC_PER_SEC)

static struct trouble *slow, **slow_end = &slow; /* who was tried last stands last */

static const char *path_of(const struct stream *s)
{
	return datagram_path(s->settings->set.sink, s->settings->socket);
}

bool stream_is_slow(const struct stream *s)
{
	return s->trouble && s->trouble->slow;
}

static void wait_for_daemon(struct trouble *t)
{
	uint64_t taken = datagram_taken(path_of(t->stream)), now = now_monotonic();

	trouble_set(t, TROUBLE_SLOW, taken + OUTAGE > now ? taken + OUTAGE : now + OUTAGE);
}

bool stream_get_slow(struct stream *s)
{
	struct trouble *t = stream_trouble(s);

	if (!t || s->settings->set.sink == LOGGER_SINK_FILE || stream_is_stuck(s))
		return false;
	if (!t->slow) {
		t->slow = true;
		t->next_slow = NULL;
		*slow_end = t;
		slow_end = &t->next_slow;
	}
	if (!t->times[TROUBLE_SLOW])
		wait_for_daemon(t);
	stream_watch(s, WATCH_NONE);
	return true;
}

void stream_get_fast(struct stream *s)
{
	struct trouble **p = &slow;

	if (!stream_is_slow(s))
		return;
	while (*p != s->trouble)
		p = &(*p)->next_slow;
	*p = s->trouble->next_slow;
	if (!*p)
		slow_end = p;
	s->trouble->slow = false;
	trouble_set(s->trouble, TROUBLE_SLOW, 0);
}

bool stream_has_waited(struct stream *s)
{
	if (!stream_is_slow(s))
		return false;
	if (now_monotonic() < datagram_taken(path_of(s)) + OUTAGE) { /* it is others' turn */
		wait_for_daemon(s->trouble);
		return false;
	}
	stream_get_fast(s);
	return true;
}

static struct stream *first_of(const void *peer)
{
	struct trouble *t = slow;

	while (t && !datagram_leads_to(peer, path_of(t->stream)))
		t = t->next_slow;
	return t ? t->stream : NULL;
}

void streams_writable(const void *peer)
{
	for (struct stream *s; (s = first_of(peer));) {
		stream_get_fast(s);
		if (s->closing)
			stream_drain(s);
		else
			stream_pump(s, LOOKS_A_TURN);
		if (!s->dead && (stream_is_slow(s) || stream_is_stuck(s)))
			return;
	}
}
