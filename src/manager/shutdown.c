/* SPDX-License-Identifier: MIT */
/* The end: see shutdown.h. */
#include "manager/shutdown.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/link.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/units.h"
#include "manager/cgroup.h"
#include "manager/control.h"
#include "manager/hunt.h"
#include "manager/inhabitant.h"
#include "manager/logs.h"
#include "manager/proc.h"
#include "manager/reload.h"
#include "manager/report.h"
#include "manager/service.h"
#include "manager/sockets.h"
#include "manager/supervisor-link.h"

#define PROGRESS_EVERY 1 /* seconds */
#define GENTLE_END     (70 * USEC_PER_MSEC)
#define LAST_LOOKS     50 /* a millisecond apart */

#define EXIT_NOT_FOUND   127 /* the joined command could not be run, as a shell says it */
#define EXIT_NOT_STARTED 126

struct follower {
	struct evhttp_request *request;
	struct shutdown *shutdown;
	struct follower *next;
};

struct shutdown {
	bool under_way, joining, done;
	bool job_ended; /* --join: the end began with the job's own */
	struct shutdown_how how;
	unsigned requests; /* SIGTERM or SIGINT so far */
	unsigned goodbyes; /* last replies that are on their way */
	struct follower *followers;
	struct event *progress, *check;
};

static void on_progress(evutil_socket_t fd, short what, void *arg);
static void on_check(evutil_socket_t fd, short what, void *arg);

int shutdown_init(struct manager *m)
{
	struct shutdown *sd = m->shutdown = calloc(1, sizeof(*sd));

	if (!sd)
		return -ENOMEM;
	sd->progress = event_new(m->base, -1, EV_PERSIST, on_progress, m);
	sd->check = event_new(m->base, -1, 0, on_check, m);
	return sd->progress && sd->check ? 0 : -ENOMEM;
}

void shutdown_free(struct manager *m)
{
	struct shutdown *sd = m->shutdown;

	if (!sd)
		return;
	event_free(sd->progress);
	event_free(sd->check);
	while (sd->followers) {
		struct follower *f = sd->followers;

		sd->followers = f->next;
		free(f);
	}
	free(sd);
	m->shutdown = NULL;
}

bool shutdown_is_under_way(const struct manager *m)
{
	return m->shutdown && m->shutdown->under_way;
}

/* --- progress --------------------------------------------------------------------------- */

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	struct follower *f = arg, **p = &f->shutdown->followers;

	while (*p && *p != f)
		p = &(*p)->next;
	if (*p)
		*p = f->next;
	control_request_closed(f->request);
	free(f);
}

static void send_json(struct evhttp_request *request, json_t *object)
{
	struct evbuffer *buffer = evbuffer_new();
	char *text = json_dumps(object, JSON_COMPACT);

	if (buffer && text) {
		evbuffer_add_printf(buffer, "%s\n", text);
		evhttp_send_reply_chunk(request, buffer);
	}
	if (buffer)
		evbuffer_free(buffer);
	free(text);
	json_decref(object);
}

void shutdown_follow(struct manager *m, struct evhttp_request *request)
{
	struct follower *f = calloc(1, sizeof(*f));

	if (!f) {
		evhttp_send_error(request, HTTP_INTERNAL, "out of memory");
		return;
	}
	f->shutdown = m->shutdown;
	f->request = request;
	f->next = m->shutdown->followers;
	m->shutdown->followers = f;
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
			  "application/x-ndjson");
	evhttp_send_reply_start(request, HTTP_OK, "OK");
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_closed, f);
}

/* What it waits for, in words. */
static void tell_waiting(struct manager *m, const struct service *s)
{
	char next[REASON_TEXT_MAX], text[REASON_TEXT_MAX + 128];

	service_next(s, next, sizeof(next));
	snprintf(text, sizeof(text), "waiting for %s (%s%s%s)", service_label(s),
		 s->let_end ? "until it ends by itself" : service_state_to_string(s->machine.state),
		 next[0] ? ", " : "", next);
	log_info("%s", text);
	for (struct follower *f = m->shutdown->followers; f; f = f->next)
		send_json(f->request, json_pack("{s:s}", "text", text));
}

static bool must_end(const struct manager *m, const struct service *s)
{
	return m->shutdown->joining ? s->let_end : m->shutdown->how.all || service_is_daemon(s);
}

const struct shutdown_how *shutdown_asked(const struct manager *m)
{
	return shutdown_is_under_way(m) ? &m->shutdown->how : NULL;
}

bool shutdown_is_joining(const struct manager *m)
{
	return shutdown_is_under_way(m) && m->shutdown->joining;
}

bool shutdown_waits_for(const struct manager *m, const struct shutdown_how *asked,
			const struct service *s)
{
	if (!machine_is_active(&s->machine))
		return false;
	if (shutdown_is_under_way(m))
		return must_end(m, s);
	return asked->all || asked->join || service_is_daemon(s);
}

static void on_progress(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;
	unsigned told = 0;

	report_patience(m);
	for (size_t i = 0; i < m->n_services && told < 5; i++) {
		if (must_end(m, m->services[i]) && machine_is_active(&m->services[i]->machine)) {
			tell_waiting(m, m->services[i]);
			told++;
		}
	}
}

/* --- the steps -------------------------------------------------------------------------- */

static void let_end(struct service *s, const struct asker *by)
{
	s->let_end = true;
	service_ask(s, EVENT_STOP, REASON_SHUTDOWN, by);
}

static void stop_services(struct manager *m)
{
	const struct asker *by = &m->shutdown->how.by;

	/* All are told first and then looked at: so each finds those that hold it. */
	for (size_t i = m->n_services; i > 0; i--) {
		struct service *s = m->services[i - 1];

		if (must_end(m, s)) {
			s->let_end = false;
			service_ask(s, EVENT_STOP, REASON_SHUTDOWN, by);
		} else {
			let_end(s, by); /* goes on, but is not restarted */
		}
	}
}

static void join_services(struct manager *m)
{
	m->shutdown->joining = true;
	for (size_t i = 0; i < m->n_services; i++) {
		struct service *s = m->services[i];

		if (!service_is_daemon(s))
			let_end(s, &m->shutdown->how.by);
	}
}

static bool anything_to_wait_for(struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		const struct service *s = m->services[i];

		if (must_end(m, s) && machine_is_active(&s->machine) && !service_is_out_of_reach(s))
			return true;
	}
	return false;
}

static void tell_out_of_reach(const struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (service_is_out_of_reach(m->services[i]))
			log_error("%s: cannot be ended, and is left",
				  service_label(m->services[i]));
	}
}

static bool anything_runs(const struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (machine_is_active(&m->services[i]->machine))
			return true;
	}
	return false;
}

static int joined_exit_code(const struct service *s)
{
	const struct machine *m = &s->machine;

	if (m->reason == REASON_SPAWN_FAILED)
		return m->step_error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_STARTED;
	return machine_exit_code(m) >= 0 ? machine_exit_code(m) : EXIT_FAILURE;
}

/* The job was stopped before its own end: that is told, too. */
static int exit_code_of_interrupted(const struct manager *m)
{
	const struct service *s = manager_find(m, m->options.join);

	return s ? joined_exit_code(s) : EXIT_FAILURE;
}

static void on_goodbye_sent(struct evhttp_request *request, void *arg)
{
	struct manager *m = arg;

	if (--m->shutdown->goodbyes == 0)
		event_base_loopbreak(m->base);
}

static void say_goodbye(struct manager *m, struct follower *f)
{
	struct evhttp_request *request = f->request;

	m->shutdown->followers = f->next;
	free(f);
	m->shutdown->goodbyes++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
	evhttp_request_set_on_complete_cb(request, on_goodbye_sent, m);
	send_json(request, json_pack("{s:s}", "result", "ok"));
	evhttp_send_reply_end(request);
}

/* With kill-mode = process the rest of a stopped service's tree is meant to go on. */
static bool may_leave_processes(const struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (m->services[i]->config->kill_mode == KILL_MODE_PROCESS)
			return true;
	}
	return false;
}

static void finish(struct manager *m)
{
	static const struct timeval last_words = { 0, 200000 };
	struct shutdown *sd = m->shutdown;
	bool keep = anything_runs(m);

	if (sd->done)
		return;
	/* The logger goes on for those who go on. */
	if (!keep && !logs_quit(m))
		return;
	sd->done = true;
	tell_out_of_reach(m);
	if (m->options.join && !sd->job_ended)
		sd->how.code = exit_code_of_interrupted(m);
	if (!keep)
		sockets_remove_files(m);
	cgroups_remove(m);
	supervisor_link_exit(m, sd->how.code, keep, !keep && !may_leave_processes(m));
	log_info("%s", keep ? "done; services go on" : "done");
	/* Those who follow are told, and have a moment to hear it. */
	event_base_loopexit(m->base, sd->followers ? &last_words : NULL);
	while (sd->followers)
		say_goodbye(m, sd->followers);
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;
	struct shutdown *sd = m->shutdown;

	if (!sd->under_way || anything_to_wait_for(m))
		return;
	if (sd->joining) {
		sd->joining = false;
		stop_services(m);
		if (anything_to_wait_for(m))
			return;
	}
	event_del(sd->progress);
	finish(m);
}

void shutdown_begin(struct manager *m, struct shutdown_how how)
{
	static const struct timeval every = { PROGRESS_EVERY, 0 };
	struct shutdown *sd = m->shutdown;

	/* Its end is the kernel's end of all: better in order, and with a stop signal. */
	if (m->supervisor_pid == 1)
		how.all = true;
	if (sd->under_way) {
		if (sd->how.all >= how.all && !(sd->joining && !how.join))
			return;
		how.code = sd->how.code;
	} else {
		log_info("stopping%s", how.all ? " all services" : "");
	}
	sd->how = how;
	sd->under_way = true;
	sd->joining = false;
	event_add(sd->progress, &every);
	report_stopping(m);
	if (how.join)
		join_services(m);
	else
		stop_services(m);
	event_active(sd->check, 0, 0);
}

/* A second Ctrl-C: no more patience. */
static void hurry(struct manager *m)
{
	log_warning("asked again: killing what is left");
	for (size_t i = 0; i < m->n_services; i++) {
		if (m->services[i]->machine.state == STATE_STOPPING)
			service_event(m->services[i], EVENT_TIMER, (struct machine_facts){ 0 });
	}
}

void shutdown_signal(struct manager *m, int signo, int sender)
{
	switch (signo) {
	case SIGTERM:
	case SIGINT:
	case SIGPWR:
		log_info("got %s", signal_to_string(signo));
		if (m->shutdown->requests++ > 0 && signo == SIGINT)
			hurry(m);
		else
			shutdown_begin(m, (struct shutdown_how){ .all = m->options.join != NULL,
								 .by = proc_asker(sender) });
		break;
	case SIGHUP: reload_by_signal(m, sender); break;
	default: log_info("got %s: it has no meaning here", signal_to_string(signo));
	}
}

/* --- --join NAME ------------------------------------------------------------------------ */

/* on-exit is about an end of its own: not about one that somebody asked for. */
static bool its_end_is_ours(const struct service *s)
{
	if (s->config->on_exit == ON_EXIT_SHUTDOWN && s->machine.state != STATE_STOPPED)
		return true;
	return s->manager->options.join && strcmp(s->config->name, s->manager->options.join) == 0;
}

static void check_joined(struct service *s)
{
	struct manager *m = s->manager;
	struct shutdown_how how = { .all = true };

	if (shutdown_is_under_way(m) || !its_end_is_ours(s))
		return;
	switch (s->machine.state) {
	case STATE_EXITED:
	case STATE_FAILED:
	case STATE_STOPPED:
		if (!s->machine.desired_up && !s->machine.ever_ended)
			break;
		how.code = joined_exit_code(s); /* before its reason is the shutdown */
		m->shutdown->job_ended = true;
		shutdown_begin(m, how);
		break;
	default: break;
	}
}

void shutdown_service_changed(struct service *s)
{
	struct manager *m = s->manager;

	if (!m->shutdown)
		return;
	if (!logs_is_logger(s))
		check_joined(s);
	if (m->shutdown->under_way)
		event_active(m->shutdown->check, 0, 0);
}

/* --- without the supervisor ------------------------------------------------------------- */

static bool dies_gently(const struct service *s)
{
	return service_is_daemon(s) && s->instance && s->config->death_signal != SIGKILL;
}

/* The marks of the daemons whose death signal is SIGKILL, or is not. */
static size_t collect_marks(const struct manager *m, bool gentle, struct tree_mark *marks)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_services; i++) {
		const struct service *s = m->services[i];

		if (!service_is_daemon(s) || !s->instance || gentle != dies_gently(s))
			continue;
		if (!gentle && s->in_cgroup && cgroup_kill(m, s->config->name) == 0)
			continue;
		marks[n++] = (struct tree_mark){ s->instance, s->taken ? s->tree_pid : s->pid };
	}
	return n;
}

/* The kernel knows only those that were forked for their service. */
static void send_death_signals(const struct manager *m)
{
	struct proc_stat st;

	for (size_t i = 0; i < m->n_services; i++) {
		const struct service *s = m->services[i];
		_cleanup_close_ int fd = -1;

		if (!dies_gently(s) || !s->taken || s->pid <= 0)
			continue;
		fd = proc_pidfd(s->pid);
		if (fd >= 0 && proc_stat(s->pid, &st) == 0 && st.session == s->tree_pid)
			proc_pidfd_signal(fd, s->config->death_signal);
	}
}

static bool any_dies_gently(const struct manager *m)
{
	struct proc_stat st;

	for (size_t i = 0; i < m->n_services; i++) {
		const struct service *s = m->services[i];

		if (dies_gently(s) && s->pid > 0 && proc_stat(s->pid, &st) == 0 && st.state != 'Z')
			return true;
	}
	return false;
}

static size_t n_that_stay(const struct manager *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_services; i++)
		n += m->services[i]->in_cgroup && m->services[i]->pid > 0 &&
		     !service_is_daemon(m->services[i]);
	return n;
}

/*
 * The kernel has sent each daemon its death signal. Who chose a gentler one than SIGKILL gets a
 * moment to act on it, and no more: all are to be gone within 100 ms.
 */
void shutdown_without_supervisor(struct manager *m)
{
	struct tree_mark *marks = calloc(m->n_services + 1, sizeof(*marks));
	uint64_t deadline = now_monotonic() + GENTLE_END;
	size_t n;

	log_error("fosterd is gone: ending its daemons");
	if (!marks)
		_exit(EXIT_FAILURE);
	n = collect_marks(m, false, marks);
	if (n > 0)
		hunt_down(m, marks, n);
	send_death_signals(m);
	n = collect_marks(m, true, marks);
	while (any_dies_gently(m) && now_monotonic() < deadline)
		poll(NULL, 0, 1);
	if (n > 0)
		hunt_down(m, marks, n);
	/* Those that were killed take a moment to be gone. */
	for (int i = 0; i < LAST_LOOKS && cgroups_remove(m) > n_that_stay(m); i++)
		poll(NULL, 0, 1);
	_exit(EXIT_FAILURE);
}
