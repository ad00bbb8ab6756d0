/* SPDX-License-Identifier: MIT */
/* The history: see history.h. */
#include "config.h"

#include "chat/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "chat/history-db.h"
#include "chat/history-journal.h"
#include "chat/worker.h"

#define TAKE_DELAY  (200 * USEC_PER_MSEC) /* so that many messages are one commit */
#define TAKE_ABOVE  (256 * 1024)          /* bytes of the journal, at once */
#define RETRY_FIRST USEC_PER_SEC
#define RETRY_MAX   (30 * USEC_PER_SEC)
#define PRUNE_PAUSE (60 * USEC_PER_SEC) /* at least, between two */
#define QUERIES_MAX 1024                /* that may wait */
#define QUERIES_RUN 8                   /* in one job: so many answers are in memory */

/* What the thread does at a time: all in this order, one job after the other. */
struct job {
	struct worker_job worker;
	struct history *history;
	int take; /* the journal's file, or -1 */
	struct history_query *queries[QUERIES_RUN];
	size_t n_queries;
	bool prune;
	struct history_retention keep;
	uint64_t realtime; /* ms */

	int taken, pruned; /* 0 or -errno */
	struct history_answer answers[QUERIES_RUN];
	uint64_t oldest;
	struct error error;
	char aside[512]; /* the name of a damaged database */
};

struct history {
	struct event_base *base;
	struct worker *worker;
	struct history_db *db; /* the thread's */
	const struct history_limits *limits;
	struct history_events events;
	struct journal journal;
	struct job job;
	bool running, freeing;
	struct history_query *waiting[QUERIES_MAX]; /* a ring */
	size_t first, n_waiting;
	struct event *timer;
	uint64_t timer_at, take_at, prune_at; /* monotonic; 0: never */
	/*
	 * Of the database and of the journal: what is wrong, "" for nothing, and when to try again.
	 */
	char db_trouble[256], journal_trouble[256];
	uint64_t retry_at, retry_pause;
	unsigned long long lost_before; /* of the journal, as it was told */
};

/* --- trouble ------------------------------------------------------------------------------ */

const char *history_trouble(const struct history *h)
{
	if (!h)
		return NULL;
	return *h->journal_trouble ? h->journal_trouble : *h->db_trouble ? h->db_trouble : NULL;
}

/* Says it when it begins and when it is over; a reason that changes meanwhile is not new. */
static void set_trouble(struct history *h, char trouble[256], const char *text)
{
	unsigned long long lost = h->journal.lost - h->lost_before;
	bool before = history_trouble(h) != NULL;

	if (*text && !before)
		log_error("history: %s; the room goes on, and tries again", text);
	snprintf(trouble, sizeof(h->db_trouble), "%s", text);
	if (*text || !before || history_trouble(h))
		return;
	h->lost_before = h->journal.lost;
	if (lost > 0)
		log_warning("history: goes on; %llu messages were delivered and not kept", lost);
	else
		log_notice("history: goes on; nothing was lost");
}

static void retry_later(struct history *h)
{
	h->retry_pause = h->retry_pause ? MIN(h->retry_pause * 2, RETRY_MAX) : RETRY_FIRST;
	h->retry_at = now_monotonic() + h->retry_pause;
}

static void retry_no_more(struct history *h)
{
	h->retry_at = h->retry_pause = 0;
}

/* --- in the thread ------------------------------------------------------------------------ */

static uint64_t oldest_to_show(const struct job *job)
{
	return job->keep.age ? job->realtime - MIN(job->keep.age, job->realtime) : 0;
}

static void run_job(struct worker_job *worker)
{
	struct job *job = (struct job *)worker;
	struct history_db *db = job->history->db;

	if (job->take >= 0)
		job->taken = history_db_take(db, job->take, &job->error);
	for (size_t i = 0; i < job->n_queries; i++) {
		struct error ignored;

		job->answers[i] = (struct history_answer){ .error = 0 };
		job->answers[i].error = history_db_find(db, job->queries[i], oldest_to_show(job),
							&job->answers[i], &ignored);
	}
	if (job->prune && job->taken == 0)
		job->pruned =
			history_db_prune(db, &job->keep, job->realtime, &job->oldest, &job->error);
	snprintf(job->aside, sizeof(job->aside), "%s", history_db_put_aside(db));
}

/* --- the journal -------------------------------------------------------------------------- */

static int open_journal(struct history *h)
{
	struct error e;

	if (journal_is_open(&h->journal))
		return 0;
	if (journal_open(&h->journal, &e) < 0) {
		set_trouble(h, h->journal_trouble, e.text);
		return -EIO;
	}
	/* What the one before us left. */
	h->take_at = now_monotonic();
	return 0;
}

void history_write(struct history *h)
{
	struct error e;

	if (!h || h->journal.pending_size == 0)
		return;
	/* In trouble it is not tried with every message. */
	if (*h->journal_trouble && now_monotonic() < h->retry_at)
		return;
	if (open_journal(h) < 0) {
		retry_later(h);
		return;
	}
	if (journal_write(&h->journal, &e) < 0) {
		set_trouble(h, h->journal_trouble, e.text);
		retry_later(h);
		return;
	}
	if (*h->journal_trouble) {
		set_trouble(h, h->journal_trouble, "");
		if (!*h->db_trouble)
			retry_no_more(h);
	}
	if (!h->take_at)
		h->take_at = now_monotonic() + TAKE_DELAY;
}

void history_keep(struct history *h, const struct history_record *record)
{
	journal_add(&h->journal, record);
}

/* --- jobs --------------------------------------------------------------------------------- */

/* A short age is kept to more exactly. */
static uint64_t prune_pause(const struct history *h)
{
	uint64_t age = h->limits->age;

	return age ? MIN(PRUNE_PAUSE, MAX(age / 2, USEC_PER_SEC)) : PRUNE_PAUSE;
}

static void end_take(struct history *h, struct job *job)
{
	struct error e;

	if (job->taken < 0) {
		set_trouble(h, h->db_trouble, job->error.text);
		retry_later(h);
		return;
	}
	if (journal_end_take(&h->journal, &e) < 0) {
		set_trouble(h, h->db_trouble, e.text);
		retry_later(h);
		return;
	}
	set_trouble(h, h->db_trouble, "");
	if (!*h->journal_trouble)
		retry_no_more(h);
	if (!h->prune_at)
		h->prune_at = now_monotonic() + prune_pause(h);
}

/* An idle server wakes up for what has become too old, and for nothing else. */
static void end_prune(struct history *h, struct job *job)
{
	uint64_t age = h->limits->age, left;

	if (job->pruned < 0) {
		set_trouble(h, h->db_trouble, job->error.text);
		retry_later(h);
		h->prune_at = now_monotonic();
		return;
	}
	set_trouble(h, h->db_trouble, "");
	if (!*h->journal_trouble)
		retry_no_more(h);
	h->prune_at = 0;
	if (job->oldest == UINT64_MAX || !age)
		return;
	left = job->oldest * USEC_PER_MSEC + age;
	left = left > now_realtime() ? left - now_realtime() : 0;
	h->prune_at = now_monotonic() + MAX(left, prune_pause(h));
}

static void answer(struct history *h, struct history_query *query, struct history_answer *a)
{
	if (!h->freeing)
		h->events.answer(h->events.arg, query, a);
	history_answer_clear(a);
	free(query);
}

static void on_job_done(struct worker_job *worker)
{
	struct job *job = (struct job *)worker;
	struct history *h = job->history;

	h->running = false;
	if (*job->aside)
		log_error("history: the database was damaged; a new one is begun, the old one is "
			  "now %s",
			  job->aside);
	if (job->take >= 0 && !worker->cancelled)
		end_take(h, job);
	if (job->prune && job->taken == 0 && !worker->cancelled)
		end_prune(h, job);
	for (size_t i = 0; i < job->n_queries; i++) {
		if (worker->cancelled)
			job->answers[i] = (struct history_answer){ .error = -ECANCELED };
		answer(h, job->queries[i], &job->answers[i]);
	}
	job->n_queries = 0;
}

static void take_queries(struct history *h, struct job *job)
{
	for (job->n_queries = 0; job->n_queries < QUERIES_RUN && h->n_waiting > 0; h->n_waiting--) {
		job->queries[job->n_queries++] = h->waiting[h->first];
		h->first = (h->first + 1) % QUERIES_MAX;
	}
}

static bool is_due(uint64_t at, uint64_t now)
{
	return at && at <= now;
}

/* Questions see all that was said before them, so the journal is taken in first. */
static bool should_take(const struct history *h, uint64_t now)
{
	const struct journal *j = &h->journal;

	if (!journal_is_open(j) || (h->retry_at && now < h->retry_at))
		return false;
	if (j->size[0] + j->size[1] == 0)
		return false;
	return h->n_waiting > 0 || is_due(h->take_at, now) || is_due(h->retry_at, now) ||
	       j->size[j->current] > TAKE_ABOVE;
}

static void start_job(struct history *h, uint64_t now)
{
	struct job *job = &h->job;

	*job = (struct job){ .worker = { .run = run_job, .done = on_job_done },
			     .history = h,
			     .take = -1,
			     .keep = { h->limits->age / USEC_PER_MSEC, h->limits->messages },
			     .realtime = now_realtime() / USEC_PER_MSEC };
	if (should_take(h, now)) {
		job->take = journal_begin_take(&h->journal);
		h->take_at = h->journal.size[h->journal.current] > 0 ? now + TAKE_DELAY : 0;
	}
	job->prune = is_due(h->prune_at, now) && !(h->retry_at && now < h->retry_at);
	/* What was said last may still be in the file that comes next. */
	if (job->take < 0 || h->journal.size[h->journal.current] == 0)
		take_queries(h, job);
	if (job->take < 0 && !job->prune && job->n_queries == 0)
		return;
	h->running = true;
	if (worker_give(h->worker, &job->worker) < 0) {
		/* No thread is to be had: as if it had been dropped. */
		job->worker.cancelled = true;
		on_job_done(&job->worker);
		retry_later(h);
	}
}

static void on_timer(int fd, short what, void *arg)
{
	/* history_end_turn() does the rest. */
	((struct history *)arg)->timer_at = 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a == 0 ? b : b == 0 ? a : MIN(a, b);
}

static void set_timer(struct history *h, uint64_t now)
{
	uint64_t at = earlier(h->take_at, h->prune_at);
	struct timeval wait;

	/* When a job ends it is looked at anew. In trouble all waits for the next try. */
	if (h->running)
		return;
	if (h->retry_at)
		at = h->retry_at;
	if (at == 0 || (h->timer_at && h->timer_at <= at))
		return;
	h->timer_at = at;
	at = at > now ? at - now : 0;
	wait = (struct timeval){ .tv_sec = at / USEC_PER_SEC, .tv_usec = at % USEC_PER_SEC };
	evtimer_add(h->timer, &wait);
}

static bool has_nothing_to_do(const struct history *h)
{
	return h->n_waiting == 0 && !h->take_at && !h->prune_at && !h->retry_at;
}

void history_end_turn(struct history *h)
{
	uint64_t now;

	if (!h)
		return;
	history_write(h);
	if (has_nothing_to_do(h))
		return;
	now = now_monotonic();
	if (is_due(h->retry_at, now) && *h->journal_trouble && open_journal(h) == 0 &&
	    h->journal.pending_size == 0)
		set_trouble(h, h->journal_trouble, "");
	if (!h->running)
		start_job(h, now);
	if (is_due(h->retry_at, now) && !h->running) {
		/* Nothing was left to be tried, or it failed at once. */
		if (history_trouble(h))
			retry_later(h);
		else
			retry_no_more(h);
	}
	set_timer(h, now);
}

int history_fetch(struct history *h, struct history_query *query)
{
	if (!h || h->n_waiting == QUERIES_MAX)
		return -EAGAIN;
	h->waiting[(h->first + h->n_waiting++) % QUERIES_MAX] = query;
	return 0;
}

/* --- as a whole --------------------------------------------------------------------------- */

void history_set_limits(struct history *h, const struct history_limits *limits)
{
	if (!h)
		return;
	h->limits = limits;
	h->prune_at = now_monotonic();
}

struct history *history_new(struct event_base *base, const char *path,
			    const struct history_limits *limits,
			    const struct history_events *events)
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->base = base;
	h->limits = limits;
	h->events = *events;
	h->timer = evtimer_new(base, on_timer, h);
	h->db = history_db_new(path);
	if (journal_init(&h->journal, path) < 0 || !h->timer || !h->db ||
	    worker_new(base, "history", 1, &h->worker) < 0) {
		history_free(h);
		return NULL;
	}
	/* The first job opens the database: so it is said at once when that does not work. */
	h->prune_at = now_monotonic();
	if (open_journal(h) < 0)
		retry_later(h);
	return h;
}

/* All that is in the journal, into the database. */
static void take_the_rest(struct history *h)
{
	history_write(h);
	for (int i = 0; i < 3 && h->worker; i++) {
		worker_finish(h->worker);
		h->take_at = now_monotonic();
		h->prune_at = 0;
		if (!h->running && !h->retry_at)
			start_job(h, h->take_at);
	}
}

void history_free(struct history *h)
{
	if (!h)
		return;
	h->freeing = true;
	if (h->worker)
		take_the_rest(h);
	worker_free(h->worker);
	for (; h->n_waiting > 0; h->n_waiting--) {
		free(h->waiting[h->first]);
		h->first = (h->first + 1) % QUERIES_MAX;
	}
	if (h->timer)
		event_free(h->timer);
	history_db_free(h->db);
	journal_clear(&h->journal);
	free(h);
}
