/* SPDX-License-Identifier: MIT */
/* Since when the room was away: see absence.h. */
#include "chat/admin/absence.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/exchange.h"
#include "base/macro.h"
#include "base/units.h"
#include "chat/admin/words.h"

#define ANSWER_TIME (5 * USEC_PER_SEC)
#define BEFORE_END \
	(60 * USEC_PER_SEC) /* it may have hung before it ended, until its watchdog expired */

/* A state that says that its process ends or has ended; the first restart is at once. */
static bool is_end(const json_t *event, const char *state)
{
	static const char *const ends[] = { "stopping", "stopped", "backoff", "exited", "failed" };

	for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
		if (strcmp(ends[i], state) == 0)
			return true;
	}
	return event_is_restart_at_once(event);
}

/* The last of the lines that is older than that. */
static uint64_t last_before(const char *lines, uint64_t time)
{
	uint64_t last = 1;

	while (*lines) {
		size_t n = strcspn(lines, "\n");
		json_t *event = json_loadb(lines, n, 0, NULL);

		if (event && event_time(event) < time)
			last = MAX(last,
				   (uint64_t)json_integer_value(json_object_get(event, "seq")));
		json_decref(event);
		lines += n + (lines[n] == '\n');
	}
	return last;
}

/* Of an event about own; "": it is about something else. */
static const char *state_of(const json_t *event, const char *own)
{
	return strcmp(words_of(event, "service"), own) == 0 ? words_of(event, "state") : "";
}

uint64_t absence_began(const char *lines, const char *own)
{
	const char *all = lines;
	uint64_t ended = 0;
	bool away = false;

	while (*lines) {
		size_t n = strcspn(lines, "\n");
		json_t *event = json_loadb(lines, n, 0, NULL);
		const char *state = state_of(event, own);

		/* Of several states on its way down the first one counts. */
		if (is_end(event, state)) {
			ended = away ? ended : event_time(event);
			away = true;
		} else if (strcmp(state, "running") == 0) {
			away = false;
		}
		json_decref(event);
		lines += n + (lines[n] == '\n');
	}
	return ended < BEFORE_END ? 0 : last_before(all, ended - BEFORE_END);
}

struct inquiry {
	const char *own;
	uint64_t began;
	int error;
};

static int prepare(struct exchange *e, bool again)
{
	e->request = http_request("GET", "/v1/events", NULL, &e->request_size);
	return e->request ? 0 : -ENOMEM;
}

static enum exchange_next done(struct exchange *e)
{
	struct inquiry *i = e->user;

	i->error = e->error < 0 ? e->error : e->status == 200 ? 0 : -EPROTO;
	if (i->error == 0)
		i->began = absence_began(e->body, i->own);
	return EXCHANGE_OVER;
}

int absence_find(const char *control, const char *own, uint64_t *ret)
{
	static const struct exchange_ops ops = { .prepare = prepare, .done = done };
	struct inquiry inquiry = { .own = own, .error = -ETIMEDOUT };
	struct exchange e = { .ops = &ops, .user = &inquiry };

	exchange_run(control, &e, 1, now_monotonic() + ANSWER_TIME);
	exchange_clear(&e);
	*ret = inquiry.began;
	return inquiry.error;
}
