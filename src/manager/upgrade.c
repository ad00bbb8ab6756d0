/* SPDX-License-Identifier: MIT */
/* Another fosterd and another manager: see upgrade.h. */
#include "manager/upgrade.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/units.h"
#include "manager/control.h"
#include "manager/events.h"
#include "manager/logs.h"
#include "manager/manager.h"
#include "manager/shutdown.h"
#include "manager/supervisor-link.h"

#define WORDS_MAX  4096
#define DRAIN_MAX  USEC_PER_SEC /* a client that is slower than that asks again */
#define DRAIN_LOOK 1            /* ms */

struct upgrade {
	struct evhttp_request *request; /* NULL: whoever asked has gone */
	int words;
	struct event *drain;
	uint64_t deadline; /* us, monotonic */
	bool leaving;
};

static void forget(struct manager *m)
{
	struct upgrade *u = m->upgrade;

	if (u->request)
		evhttp_connection_set_closecb(evhttp_request_get_connection(u->request), NULL,
					      NULL);
	if (u->drain)
		event_free(u->drain);
	fd_close(u->words);
	supervisor_link_drop(m, PLACE_UPGRADE);
	free(u);
	m->upgrade = NULL;
}

/* --- the request ------------------------------------------------------------------------ */

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	struct upgrade *u = arg;

	control_request_closed(u->request);
	u->request = NULL;
}

static void refuse(struct manager *m, const char *text)
{
	struct call call = { .manager = m, .request = m->upgrade->request };

	log_warning("no upgrade: %s", text);
	if (call.request)
		control_error(&call, 422, "nothing has changed, the running version goes on", "%s",
			      text);
	forget(m);
}

static int begin(struct manager *m, const char *program)
{
	struct upgrade *u = m->upgrade = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->words = memfd_create("foster-rehearsal", MFD_CLOEXEC);
	if (u->words < 0)
		return -errno;
	supervisor_link_store(m, PLACE_UPGRADE, "upgrade", fd_copy(u->words));
	supervisor_link_rehearse(m, PLACE_UPGRADE, program);
	return 0;
}

void control_upgrade(struct call *call)
{
	const char *program = control_text(call, "program");
	struct manager *m = call->manager;
	int error;

	program = program ? program : "";
	if (m->upgrade || shutdown_is_under_way(m)) {
		control_error(call, 409, NULL, "%s",
			      m->upgrade ? "an upgrade is under way already"
					 : "foster is shutting down");
		return;
	}
	if ((*program && *program != '/') || strlen(program) >= LINK_PROGRAM_MAX) {
		control_error(call, HTTP_BADREQUEST, "give the path of a fosterd, from / on",
			      "program=%.200s: no absolute path of less than %d bytes", program,
			      LINK_PROGRAM_MAX);
		return;
	}
	log_info("upgrade%s%s asked for by %s", *program ? " to " : "", program, call->peer);
	error = begin(m, program);
	if (error < 0) {
		control_error(call, HTTP_INTERNAL, NULL, "%s", strerror(-error));
		if (m->upgrade)
			forget(m);
		return;
	}
	m->upgrade->request = call->request;
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->request), on_closed,
				      m->upgrade);
}

static const char *const outcome_names[] = {
	[UPGRADE_NONE] = "none",
	[UPGRADE_TAKEN_OVER] = "taken-over",
	[UPGRADE_EXEC_FAILED] = "exec-failed",
	[UPGRADE_FELL_BACK] = "fell-back",
	[UPGRADE_CRASHED] = "crashed",
};

/* Why the old version goes on. */
static const char *reason_text(const struct link_hello *h, char *buf, size_t size)
{
	switch (h->outcome) {
	case UPGRADE_EXEC_FAILED:
		snprintf(buf, size, "the new fosterd could not be run: %s", strerror(h->error));
		return buf;
	case UPGRADE_FELL_BACK:
		if (WIFSIGNALED(h->error))
			snprintf(buf, size, "its manager was killed by %s before it was up",
				 signal_to_string(WTERMSIG(h->error)));
		else
			snprintf(buf, size, "its manager ended with exit %d before it was up",
				 WEXITSTATUS(h->error));
		return buf;
	case UPGRADE_CRASHED:
		snprintf(buf, size, "the new fosterd was hit by %s before its manager was up",
			 signal_to_string(h->error));
		return buf;
	default: return NULL;
	}
}

void control_upgrade_state(struct call *call)
{
	const struct link_hello *h = &call->manager->hello;
	const char *outcome =
		h->outcome < ELEMENTSOF(outcome_names) ? outcome_names[h->outcome] : "unknown";
	char reason[128];

	control_reply(call, HTTP_OK,
		      json_pack("{s:s, s:i, s:I, s:s, s:o}", "version", PACKAGE_VERSION,
				"manager_pid", (int)getpid(), "upgrades", (json_int_t)h->upgrades,
				"outcome", outcome, "reason",
				control_string(reason_text(h, reason, sizeof(reason)))));
}

/* --- the rehearsal ---------------------------------------------------------------------- */

/* How the rehearsal ended, when it was not good; NULL: it was, and *ret_version is in words. */
static const char *judge(const struct link_rehearsed *r, char *words, const char **ret_version,
			 char *buf, size_t size)
{
	size_t length = strlen(words);
	char *good;

	while (length > 0 && words[length - 1] == '\n')
		words[--length] = '\0';
	good = strrchr(words, '\n');
	good = good ? good + 1 : words;
	if (r->error) {
		snprintf(buf, size, "its rehearsal could not be started: %s", strerror(r->error));
		return buf;
	}
	if (WIFSIGNALED(r->status)) {
		snprintf(buf, size, "its rehearsal was killed by %s%s%s",
			 signal_to_string(WTERMSIG(r->status)), *words ? ": " : "", words);
		return buf;
	}
	if (r->status == 0 && strncmp(good, UPGRADE_GOOD, strlen(UPGRADE_GOOD)) == 0) {
		*ret_version = good + strlen(UPGRADE_GOOD);
		return NULL;
	}
	if (WEXITSTATUS(r->status) && *words)
		return words;
	snprintf(buf, size, "that program is no fosterd that knows how to take over (exit %d)",
		 WEXITSTATUS(r->status));
	return buf;
}

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval again = { .tv_usec = DRAIN_LOOK * 1000 };
	struct manager *m = arg;

	if (control_is_busy(m) && now_monotonic() < m->upgrade->deadline)
		event_add(m->upgrade->drain, &again);
	else
		event_base_loopbreak(m->base);
}

static void answer(struct manager *m, const char *version)
{
	struct call call = { .manager = m, .request = m->upgrade->request };

	if (!call.request)
		return;
	evhttp_connection_set_closecb(evhttp_request_get_connection(call.request), NULL, NULL);
	m->upgrade->request = NULL;
	control_reply(&call, HTTP_OK,
		      json_pack("{s:s, s:s, s:I}", "result", "ok", "version", version, "upgrades",
				(json_int_t)m->hello.upgrades + 1));
}

void upgrade_rehearsed(struct manager *m, const struct link_rehearsed *r)
{
	const char *reason, *version = "";
	char words[WORDS_MAX], buf[WORDS_MAX + 128];
	struct upgrade *u = m->upgrade;
	ssize_t n;

	if (!u || u->leaving)
		return; /* of an earlier manager's */
	n = pread(u->words, words, sizeof(words) - 1, 0);
	words[n > 0 ? n : 0] = '\0';
	reason = judge(r, words, &version, buf, sizeof(buf));
	u->drain = event_new(m->base, -1, 0, on_drained, m);
	if (!reason && shutdown_is_under_way(m))
		reason = "foster is shutting down";
	if (reason || !u->drain) {
		refuse(m, reason ? reason : "out of memory");
		return;
	}
	u->leaving = true;
	u->deadline = now_monotonic() + DRAIN_MAX;
	log_notice("foster " PACKAGE_VERSION " gives way to version %s", version);
	control_close_door(m);
	answer(m, version);
	event_active(u->drain, 0, 0);
}

/* --- leaving and coming ------------------------------------------------------------------ */

bool upgrade_is_leaving(const struct manager *m)
{
	return m->upgrade && m->upgrade->leaving;
}

void upgrade_leave(struct manager *m)
{
	supervisor_link_drop(m, PLACE_UPGRADE);
	logs_flush(m);
	supervisor_link_take_over(m);
	supervisor_link_close(m);
}

void upgrade_finish(struct manager *m)
{
	if (!m->hello.renewed)
		return;
	events_note(m, "upgrade", NULL, "foster " PACKAGE_VERSION " has taken over");
	logs_renew(m);
}
