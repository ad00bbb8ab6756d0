/* SPDX-License-Identifier: MIT */
/* Notes: see note.h. */
#include "manager/note.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "manager/history.h"

#define NOTE_VERSION 3

#define FLAG_DESIRED_UP     (1U << 0)
#define FLAG_RESTART_WANTED (1U << 1)
#define FLAG_KILLED         (1U << 2)
#define FLAG_MAIN_ENDED     (1U << 3)
#define FLAG_EVER_ENDED     (1U << 4)
#define FLAG_ENDED_UNKNOWN  (1U << 5)
#define FLAG_FAILED_START   (1U << 6)
#define FLAG_HISTORY        (1U << 7)

/* An end takes a third of the room that it takes in memory; see pack_end(). */
struct packed_end {
	uint32_t when; /* s */
	uint32_t up;   /* ms, or with UP_SECONDS s */
	uint16_t status, error;
	uint8_t step, cause, followed, attempts;
};
#define UP_SECONDS       (1U << 31)
#define FOLLOWED_UNKNOWN (1U << 7)

enum text {
	TEXT_SERVICE,
	TEXT_COMMAND,
	TEXT_PENDING,
	TEXT_STATUS, /* last: it gets what the others leave */
	TEXT_COUNT,
};

struct note {
	uint8_t version, state, reason, flags;
	int32_t ended_status;
	uint32_t attempts, restarts;
	uint16_t step_error;
	uint8_t step, n_ends, wish_verb, wish_reason, reserved[2];
	uint32_t wish_uid;
	int32_t wish_pid;
	uint64_t since, started, deadline, wish_when;
	uint64_t watchdog;
	int32_t said_error;
	uint8_t phase, unused[3];
	uint32_t ends[END_KINDS]; /* 0 in the notes of those that did not count them */
	uint8_t rest[192];        /* texts from the front, each with its NUL; ends from the back */
};
static_assert(sizeof(struct note) == LINK_NOTE_MAX, "a note fits, and leaves no room");
static_assert(sizeof(struct packed_end) == 16, "without padding");

/* --- texts ------------------------------------------------------------------------------ */

/* How much of the text can be had in so many bytes: whole UTF-8 characters only. */
static size_t fitting(const char *text, size_t max)
{
	size_t n = text ? strnlen(text, max + 1) : 0;

	if (n <= max)
		return n;
	n = max;
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* Returns the bytes used. */
static size_t put_texts(struct note *note, const char *const texts[TEXT_COUNT])
{
	static const size_t longest[TEXT_COUNT] = {
		[TEXT_SERVICE] = CONFIG_NAME_MAX,
		[TEXT_COMMAND] = sizeof(((struct asker *)0)->command) - 1,
		[TEXT_PENDING] = NOTE_PENDING_MAX,
		[TEXT_STATUS] = NOTE_STATUS_MAX,
	};
	size_t room = sizeof(note->rest) - NOTE_ENDS_MIN * sizeof(struct packed_end), used = 0;

	static_assert(CONFIG_NAME_MAX + sizeof(((struct asker *)0)->command) + NOTE_PENDING_MAX +
				      3 <=
			      192 - NOTE_ENDS_MIN * sizeof(struct packed_end),
		      "all texts but the last fit");
	for (int i = 0; i < TEXT_COUNT; i++) {
		size_t n = fitting(texts[i], MIN(longest[i], room - used - 1));

		if (n > 0)
			memcpy(note->rest + used, texts[i], n);
		note->rest[used + n] = '\0';
		used += n + 1;
	}
	return used;
}

/* Points into the note. The bytes used, or 0 when a text has no end. */
static size_t take_texts(const struct note *note, const char *texts[TEXT_COUNT])
{
	size_t used = 0;

	for (int i = 0; i < TEXT_COUNT; i++) {
		size_t left = sizeof(note->rest) - used;
		size_t n = strnlen((const char *)note->rest + used, left);

		if (n == left)
			return 0;
		texts[i] = (const char *)note->rest + used;
		used += n + 1;
	}
	return used;
}

/* --- the history ------------------------------------------------------------------------ */

static struct packed_end pack_end(const struct end *end)
{
	uint64_t ms = end->up / USEC_PER_MSEC, s = end->up / USEC_PER_SEC;

	return (struct packed_end){
		.when = end->when / USEC_PER_SEC,
		.up = ms < UP_SECONDS ? ms : UP_SECONDS | MIN(s, (uint64_t)UP_SECONDS - 1),
		.status = end->status,
		.error = end->error,
		.step = end->step,
		.cause = end->cause,
		.followed = end->followed | (end->unknown ? FOLLOWED_UNKNOWN : 0),
		.attempts = MIN(end->attempts, UINT8_MAX),
	};
}

static struct end unpack_end(const struct packed_end *p)
{
	uint64_t up = p->up & ~UP_SECONDS;

	return (struct end){
		.when = p->when * USEC_PER_SEC,
		.up = up * (p->up & UP_SECONDS ? USEC_PER_SEC : USEC_PER_MSEC),
		.status = p->status,
		.error = p->error,
		.step = p->step,
		.cause = p->cause,
		.followed = p->followed & ~FOLLOWED_UNKNOWN,
		.unknown = p->followed & FOLLOWED_UNKNOWN,
		.attempts = p->attempts,
	};
}

static uint8_t *place_of_end(struct note *note, size_t i)
{
	return note->rest + sizeof(note->rest) - (i + 1) * sizeof(struct packed_end);
}

static void put_history(struct note *note, const struct history *h, size_t used)
{
	size_t fit = (sizeof(note->rest) - used) / sizeof(struct packed_end);

	note->flags |= FLAG_HISTORY;
	note->wish_verb = h->wish.verb;
	note->wish_reason = h->wish.reason;
	note->wish_when = h->wish.when;
	note->wish_uid = h->wish.by.uid;
	note->wish_pid = h->wish.by.pid;
	note->n_ends = MIN((size_t)h->n_ends, fit);
	for (size_t i = 0; i < note->n_ends; i++) {
		struct packed_end packed = pack_end(&h->ends[i]);

		memcpy(place_of_end(note, i), &packed, sizeof(packed));
	}
}

static bool take_ends(struct note *note, struct history *h)
{
	for (size_t i = 0; i < note->n_ends; i++) {
		struct packed_end packed;

		memcpy(&packed, place_of_end(note, i), sizeof(packed));
		h->ends[i] = unpack_end(&packed);
		if (h->ends[i].followed >= STATE_COUNT || h->ends[i].cause >= REASON_COUNT)
			return false;
	}
	h->n_ends = note->n_ends;
	return true;
}

/* NULL when it is wrong, or there is no memory for it. */
static struct history *take_history(struct note *note, const char *const texts[TEXT_COUNT])
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h || !take_ends(note, h)) {
		free(h);
		return NULL;
	}
	h->wish = (struct wish){ .verb = note->wish_verb,
				 .reason = note->wish_reason,
				 .when = note->wish_when,
				 .by = { .uid = note->wish_uid, .pid = note->wish_pid } };
	snprintf(h->wish.by.service, sizeof(h->wish.by.service), "%s", texts[TEXT_SERVICE]);
	snprintf(h->wish.by.command, sizeof(h->wish.by.command), "%s", texts[TEXT_COMMAND]);
	return h;
}

/* --- the whole -------------------------------------------------------------------------- */

size_t note_encode(const struct machine *m, const char *status, const char *pending,
		   uint8_t buf[LINK_NOTE_MAX])
{
	const struct history *h = m->history;
	const char *texts[TEXT_COUNT] = {
		[TEXT_SERVICE] = h ? h->wish.by.service : NULL,
		[TEXT_COMMAND] = h ? h->wish.by.command : NULL,
		[TEXT_PENDING] = pending,
		[TEXT_STATUS] = status,
	};
	struct note note = {
		.version = NOTE_VERSION,
		.state = m->state,
		.reason = m->reason,
		.flags = (m->desired_up ? FLAG_DESIRED_UP : 0) |
			 (m->restart_wanted ? FLAG_RESTART_WANTED : 0) |
			 (m->killed ? FLAG_KILLED : 0) | (m->main_ended ? FLAG_MAIN_ENDED : 0) |
			 (m->ever_ended ? FLAG_EVER_ENDED : 0) |
			 (m->ended_unknown ? FLAG_ENDED_UNKNOWN : 0) |
			 (m->failed_start ? FLAG_FAILED_START : 0),
		.ended_status = m->ended_status,
		.step = m->step,
		.step_error = m->step_error,
		.attempts = m->attempts,
		.restarts = m->restarts,
		.since = m->since,
		.started = m->started,
		.deadline = m->deadline,
		.watchdog = m->said.watchdog,
		.said_error = m->said.error,
		.phase = m->said.phase,
	};
	size_t used = put_texts(&note, texts);

	for (size_t i = 0; i < END_KINDS; i++)
		note.ends[i] = m->ends[i];
	if (h)
		put_history(&note, h, used);
	memcpy(buf, &note, sizeof(note));
	return sizeof(note);
}

static struct machine take_machine(const struct note *note)
{
	struct machine m = {
		.state = note->state,
		.reason = note->reason,
		.desired_up = note->flags & FLAG_DESIRED_UP,
		.restart_wanted = note->flags & FLAG_RESTART_WANTED,
		.killed = note->flags & FLAG_KILLED,
		.main_ended = note->flags & FLAG_MAIN_ENDED,
		.ever_ended = note->flags & FLAG_EVER_ENDED,
		.ended_unknown = note->flags & FLAG_ENDED_UNKNOWN,
		.failed_start = note->flags & FLAG_FAILED_START,
		.ended_status = note->ended_status,
		.step = note->step,
		.step_error = note->step_error,
		.attempts = note->attempts,
		.restarts = note->restarts,
		.since = note->since,
		.started = note->started,
		.deadline = note->deadline,
		.said = { .phase = note->phase,
			  .error = note->said_error,
			  .watchdog = note->watchdog },
	};

	for (size_t i = 0; i < END_KINDS; i++)
		m.ends[i] = note->ends[i];
	return m;
}

static bool is_right(const struct note *note, size_t used)
{
	return note->version == NOTE_VERSION && note->state < STATE_COUNT &&
	       note->reason < REASON_COUNT && note->phase < PHASE_COUNT &&
	       note->wish_verb < EVENT_COUNT && note->wish_reason < REASON_COUNT && used > 0 &&
	       note->n_ends <= ENDS_KEPT &&
	       used + note->n_ends * sizeof(struct packed_end) <= sizeof(note->rest);
}

static char *copy_text(const char *text)
{
	return *text ? strdup(text) : NULL;
}

int note_decode(const uint8_t *buf, size_t size, struct machine *ret, char **ret_status,
		char **ret_pending)
{
	const char *texts[TEXT_COUNT];
	struct note note;

	if (size != sizeof(note))
		return -EINVAL;
	memcpy(&note, buf, sizeof(note));
	if (!is_right(&note, take_texts(&note, texts)))
		return -EINVAL;
	*ret = take_machine(&note);
	if (note.flags & FLAG_HISTORY)
		ret->history = take_history(&note, texts);
	*ret_status = copy_text(texts[TEXT_STATUS]);
	*ret_pending = copy_text(texts[TEXT_PENDING]);
	return 0;
}
