/* SPDX-License-Identifier: MIT */
/* Notes: see note.h. */
#include "manager/note.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "manager/machine.h"

#define NOTE_VERSION 1

#define FLAG_DESIRED_UP     (1U << 0)
#define FLAG_RESTART_WANTED (1U << 1)
#define FLAG_KILLED         (1U << 2)
#define FLAG_MAIN_ENDED     (1U << 3)
#define FLAG_EVER_ENDED     (1U << 4)
#define FLAG_ENDED_UNKNOWN  (1U << 5)
#define FLAG_FAILED_START   (1U << 6)

struct note {
	uint8_t version, state, reason, flags;
	int32_t ended_status;
	int32_t step, step_error;
	uint32_t attempts, restarts;
	uint64_t since, started, deadline;
	char status[112], pending[64];
};
static_assert(sizeof(struct note) <= LINK_NOTE_MAX, "a note fits");

/* Copies what fits, whole UTF-8 characters only. */
static void put_text(char *to, size_t size, const char *from)
{
	size_t n = from ? strnlen(from, size) : 0;

	if (n == size) {
		n = size - 1;
		while (n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80)
			n--;
	}
	memset(to, 0, size);
	if (n > 0)
		memcpy(to, from, n);
}

size_t note_encode(const struct machine *m, const char *status, const char *pending,
		   uint8_t buf[LINK_NOTE_MAX])
{
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
	};

	put_text(note.status, sizeof(note.status), status);
	put_text(note.pending, sizeof(note.pending), pending);
	memcpy(buf, &note, sizeof(note));
	return sizeof(note);
}

static char *take_text(const char *from, size_t size)
{
	return from[0] ? strndup(from, size) : NULL;
}

int note_decode(const uint8_t *buf, size_t size, struct machine *ret, char **ret_status,
		char **ret_pending)
{
	struct note note;

	if (size != sizeof(note))
		return -EINVAL;
	memcpy(&note, buf, sizeof(note));
	if (note.version != NOTE_VERSION || note.state >= STATE_COUNT ||
	    note.reason >= REASON_COUNT)
		return -EINVAL;
	*ret = (struct machine){
		.state = note.state,
		.reason = note.reason,
		.desired_up = note.flags & FLAG_DESIRED_UP,
		.restart_wanted = note.flags & FLAG_RESTART_WANTED,
		.killed = note.flags & FLAG_KILLED,
		.main_ended = note.flags & FLAG_MAIN_ENDED,
		.ever_ended = note.flags & FLAG_EVER_ENDED,
		.ended_unknown = note.flags & FLAG_ENDED_UNKNOWN,
		.failed_start = note.flags & FLAG_FAILED_START,
		.ended_status = note.ended_status,
		.step = note.step,
		.step_error = note.step_error,
		.attempts = note.attempts,
		.restarts = note.restarts,
		.since = note.since,
		.started = note.started,
		.deadline = note.deadline,
	};
	*ret_status = take_text(note.status, sizeof(note.status));
	*ret_pending = take_text(note.pending, sizeof(note.pending));
	return 0;
}
