/* SPDX-License-Identifier: MIT */
/* What systemd is told: see report.h. */
#include "manager/report.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "manager/logs.h"
#include "manager/service.h"
#include "manager/systemd.h"

#define STATUS_MAX    1024 /* more than all words and names can be */
#define NAMES_MAX     3    /* of services in trouble; the others are only counted */
#define SOON_STARTING (10 * USEC_PER_MSEC)
#define SOON          (200 * USEC_PER_MSEC)
#define RETRY         USEC_PER_SEC
#define PATIENCE      (15 * USEC_PER_SEC) /* what is asked for... */
#define ASK_EVERY     (5 * USEC_PER_SEC)  /* ... and how often */
#define LAST_WORDS    USEC_PER_SEC

struct report {
	bool ready, stopping;
	bool reload_failed;
	bool unsent; /* the last line found nobody who reads */
	char told[STATUS_MAX], reason[STATUS_MAX];
	struct event *look, *patience;
};

/* --- the services in words -------------------------------------------------------------- */

/* One kind of state: "2 failed: web, db". */
struct tally {
	const char *word;
	unsigned n;
	char names[NAMES_MAX * (CONFIG_NAME_MAX + 2) + 1];
};

enum {
	TALLY_RUNNING,
	TALLY_STARTING,
	TALLY_WAITING,
	TALLY_STOPPING,
	TALLY_RESTARTING,
	TALLY_FAILED,
	TALLIES
};

static const int tally_of_state[STATE_COUNT] = {
	[STATE_STOPPED] = -1,
	[STATE_WAITING] = TALLY_WAITING,
	[STATE_STARTING] = TALLY_STARTING,
	[STATE_RUNNING] = TALLY_RUNNING,
	[STATE_STOPPING] = TALLY_STOPPING,
	[STATE_BACKOFF] = TALLY_RESTARTING,
	[STATE_EXITED] = -1,
	[STATE_FAILED] = TALLY_FAILED,
};

static void count(struct tally *t, const char *name)
{
	size_t used = strlen(t->names);

	if (t->n++ < NAMES_MAX)
		snprintf(t->names + used, sizeof(t->names) - used, "%s%s", used ? ", " : "", name);
}

/* Only of those in trouble one wants to know who they are. */
static size_t print_tally(const struct tally *t, int which, char *buf, size_t size, bool first)
{
	size_t n = snprintf(buf, size, "%s%u %s", first ? "" : ", ", t->n, t->word);

	if (which < TALLY_STOPPING)
		return n;
	n += snprintf(buf + n, size - n, ": %s", t->names);
	if (t->n > NAMES_MAX)
		n += snprintf(buf + n, size - n, " and %u more", t->n - NAMES_MAX);
	return n;
}

static void describe(struct manager *m, char *buf, size_t size)
{
	struct tally tallies[TALLIES] = {
		[TALLY_RUNNING] = { .word = "services running" },
		[TALLY_STARTING] = { .word = "starting" },
		[TALLY_WAITING] = { .word = "waiting" },
		[TALLY_STOPPING] = { .word = "stopping" },
		[TALLY_RESTARTING] = { .word = "to be restarted" },
		[TALLY_FAILED] = { .word = "failed" },
	};
	size_t n = 0;

	for (size_t i = 0; i < m->n_services; i++) {
		const struct service *s = m->services[i];
		int which = tally_of_state[s->machine.state];

		if (which >= 0)
			count(&tallies[which], s->config->name);
	}
	if (tallies[TALLY_RUNNING].n == 1)
		tallies[TALLY_RUNNING].word = "service running";
	for (int i = 0; i < TALLIES; i++) {
		if (tallies[i].n > 0 || i == TALLY_RUNNING)
			n += print_tally(&tallies[i], i, buf + n, size - n, i == TALLY_RUNNING);
	}
	if (m->report->reload_failed)
		snprintf(buf + n, size - n, "; the last reload was refused");
}

/* --- telling ---------------------------------------------------------------------------- */

static void arm(struct event *timer, uint64_t usec)
{
	struct timeval tv = { usec / USEC_PER_SEC, usec % USEC_PER_SEC };

	evtimer_add(timer, &tv);
}

/* The lines and the STATUS of now. What nobody reads now is said a little later. */
static void tell(struct manager *m, const char *lines)
{
	struct report *r = m->report;
	char status[STATUS_MAX], text[STATUS_MAX + 128];

	describe(m, status, sizeof(status));
	snprintf(text, sizeof(text), "%s%sSTATUS=%s", lines, *lines ? "\n" : "", status);
	r->unsent = systemd_send(m->supervisor_pid, text) == -EAGAIN;
	if (r->unsent)
		arm(r->look, RETRY);
	else
		memcpy(r->told, status, sizeof(status));
}

/* Whose first try is not over, and will be some time. */
static bool is_awaited(const struct service *s)
{
	const struct machine *machine = &s->machine;

	return machine->state == STATE_STARTING && machine->attempts == 0 &&
	       (s->config->ready == READY_EXEC || machine->deadline != USEC_INFINITY);
}

static bool anything_awaited(const struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (is_awaited(m->services[i]))
			return true;
	}
	return false;
}

static const char *state_lines(struct report *r)
{
	return r->stopping ? "STOPPING=1" : r->ready ? "READY=1" : "";
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;
	struct report *r = m->report;
	bool was_ready = r->ready;
	char status[STATUS_MAX];

	if (!r->ready && !r->stopping && !anything_awaited(m)) {
		r->ready = true;
		evtimer_del(r->patience);
	}
	describe(m, status, sizeof(status));
	if (r->ready != was_ready || r->unsent)
		tell(m, state_lines(r));
	else if (strcmp(status, r->told) != 0)
		tell(m, "");
}

static void ask_for_time(struct manager *m)
{
	char line[64];

	snprintf(line, sizeof(line), "EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)PATIENCE);
	systemd_send(m->supervisor_pid, line);
}

static void on_patience(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;

	ask_for_time(m);
	arm(m->report->patience, ASK_EVERY);
}

int report_init(struct manager *m)
{
	struct report *r;

	if (!systemd_open())
		return 0;
	r = m->report = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->look = evtimer_new(m->base, on_look, m);
	r->patience = evtimer_new(m->base, on_patience, m);
	if (!r->look || !r->patience)
		return -ENOMEM;
	arm(r->patience, ASK_EVERY);
	return 0;
}

void report_free(struct manager *m)
{
	struct report *r = m->report;

	systemd_close();
	if (!r)
		return;
	if (r->look)
		event_free(r->look);
	if (r->patience)
		event_free(r->patience);
	free(r);
	m->report = NULL;
}

void report_changed(struct manager *m)
{
	struct report *r = m->report;

	if (r && !evtimer_pending(r->look, NULL))
		arm(r->look, r->ready ? SOON : SOON_STARTING);
}

void report_reloading(struct manager *m)
{
	char line[64];

	if (!m->report || !m->report->ready || m->report->stopping)
		return;
	snprintf(line, sizeof(line), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)now_monotonic());
	tell(m, line);
}

void report_reloaded(struct manager *m, bool good)
{
	if (!m->report)
		return;
	m->report->reload_failed = !good;
	if (m->report->ready && !m->report->stopping)
		tell(m, "READY=1");
}

void report_stopping(struct manager *m)
{
	if (!m->report || m->report->stopping)
		return;
	m->report->stopping = true;
	evtimer_del(m->report->patience);
	tell(m, "STOPPING=1");
}

void report_patience(struct manager *m)
{
	if (m->report)
		ask_for_time(m);
}

/* --- a start that fails ----------------------------------------------------------------- */

void report_reason(struct manager *m, const char *fmt, ...)
{
	va_list ap;

	if (!m->report)
		return;
	va_start(ap, fmt);
	vsnprintf(m->report->reason, sizeof(m->report->reason), fmt, ap);
	va_end(ap);
	text_disarm(m->report->reason);
}

void report_failed(struct manager *m, int error)
{
	char text[STATUS_MAX + 64];

	/* A manager that takes over and fails is replaced: foster itself has not failed. */
	if (!m->report || m->generation > 1)
		return;
	snprintf(text, sizeof(text), "STATUS=cannot start: %s\nERRNO=%d",
		 m->report->reason[0] ? m->report->reason : strerror(-error), -error);
	if (systemd_send(m->supervisor_pid, text) == 0)
		systemd_flush(LAST_WORDS);
}
