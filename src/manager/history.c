/* SPDX-License-Identifier: MIT */
/* What happened to a service: see history.h. */
#include "manager/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/link.h"
#include "base/macro.h"

struct wish history_wish(const struct machine *m)
{
	if (m->history)
		return m->history->wish;
	return (struct wish){
		.verb = m->desired_up ? EVENT_START : EVENT_STOP,
		.reason = m->reason,
		.when = m->started ? m->started : m->since,
	};
}

static struct history *make_history(const struct machine *before, struct machine *m)
{
	if (m->history)
		return m->history;
	m->history = calloc(1, sizeof(*m->history));
	if (m->history) {
		struct machine bare = *before;

		bare.history = NULL;
		m->history->wish = history_wish(&bare);
	}
	return m->history;
}

/* What is asked for again changes nothing, and not who asked for it. */
static bool is_new_wish(const struct machine *before, const struct machine *m,
			enum machine_event event)
{
	if (event != EVENT_START && event != EVENT_STOP && event != EVENT_RESTART)
		return false;
	return m->state != before->state || m->desired_up != before->desired_up ||
	       m->restart_wanted != before->restart_wanted;
}

static void take_wish(const struct machine *before, struct machine *m, enum machine_event event,
		      const struct machine_facts *f)
{
	bool follows = event == EVENT_START && !f->asker; /* from the machine, too */
	struct history *h = m->history;

	if (!h && !follows)
		h = make_history(before, m);
	if (!h)
		return;
	h->wish = (struct wish){ .verb = event, .reason = f->reason, .when = f->now };
	if (f->asker)
		h->wish.by = *f->asker;
}

static enum end_kind kind_of(const struct machine_facts *f)
{
	if (f->status_unknown)
		return END_UNKNOWN;
	if (WIFSIGNALED(f->status))
		return END_SIGNAL;
	return f->status == 0 ? END_SUCCESS : END_FAILURE;
}

/* The oldest one makes room. */
static void push_end(struct history *h, struct end end)
{
	memmove(&h->ends[1], &h->ends[0], sizeof(h->ends) - sizeof(h->ends[0]));
	h->ends[0] = end;
	h->n_ends = MIN(h->n_ends + 1, (unsigned)ENDS_KEPT);
}

static void take_end(const struct machine *before, struct machine *m, const struct machine_facts *f)
{
	struct history *h = make_history(before, m);
	bool failed_step = before->failed_start && before->step != STEP_NONE;

	m->ends[kind_of(f)]++;
	if (!h)
		return;
	push_end(h, (struct end){
			    .when = f->now,
			    .up = before->started && f->now > before->started
					  ? f->now - before->started
					  : 0,
			    .status = f->status,
			    .unknown = f->status_unknown,
			    .step = failed_step ? before->step : STEP_NONE,
			    .error = failed_step ? before->step_error : 0,
			    .cause = m->reason,
			    .followed = STATE_STOPPING,
		    });
}

/* It could not even be forked. */
static void take_failed_fork(const struct machine *before, struct machine *m,
			     const struct machine_facts *f)
{
	struct history *h = make_history(before, m);

	m->ends[END_FAILURE]++;
	if (h)
		push_end(h, (struct end){ .when = f->now,
					  .step = f->step,
					  .error = f->error,
					  .cause = m->reason,
					  .followed = STATE_STOPPING });
}

/* Now it is known what followed the last end. */
static void close_end(struct machine *m)
{
	struct end *last = m->history ? &m->history->ends[0] : NULL;

	if (!last || m->history->n_ends == 0 || last->followed != STATE_STOPPING ||
	    m->state == STATE_STOPPING)
		return;
	last->followed = m->state;
	last->attempts = MIN(m->attempts, (unsigned)UINT16_MAX);
}

void history_step(const struct machine *before, struct machine *m, enum machine_event event,
		  const struct machine_facts *f)
{
	if (is_new_wish(before, m, event))
		take_wish(before, m, event, f);
	else if (m->reason != before->reason)
		make_history(before, m); /* from now on the machine does not tell the wish */
	if (machine_is_active(before) &&
	    (event == EVENT_ENDED || (event == EVENT_NOT_READY && before->main_ended)))
		take_end(before, m, f);
	else if (event == EVENT_NOT_STARTED && machine_is_active(before) &&
		 before->state != STATE_RUNNING)
		take_failed_fork(before, m, f);
	close_end(m);
}

char *history_end_words(const struct end *end, char *buf, size_t size)
{
	if (end->step == STEP_NONE)
		return machine_status(end->status, end->unknown, buf, size);
	snprintf(buf, size, "%s: %s", spawn_step_to_string(end->step), strerror(end->error));
	return buf;
}
