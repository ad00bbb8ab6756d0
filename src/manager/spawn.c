/* SPDX-License-Identifier: MIT */
/* Starts: see spawn.h. */
#include "manager/spawn.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/strv.h"
#include "base/units.h"
#include "manager/cgroup.h"
#include "manager/fd-store.h"
#include "manager/logs.h"
#include "manager/note.h"
#include "manager/readiness.h"
#include "manager/service.h"
#include "manager/sockets.h"
#include "manager/supervisor-link.h"

#define WINDOW     64  /* starts under way: enough to keep every core busy */
#define SLOW_START 1   /* seconds; then a start no longer holds a place in the window */
#define MANY       100 /* starts: what they needed in passing is worth giving back */

extern char **environ;

static struct {
	struct service *first, *last; /* queued, not sent */
	unsigned under_way;
	unsigned in_a_row;  /* starts since none was under way */
	struct event *slow; /* while the window is full */
	char **environment; /* ours, as services get it */
	char search[PATH_MAX * 2];
} state;

/* What speaks to the manager, and would be taken by a service as spoken to it. */
static bool is_ours(const char *assignment)
{
	static const char *const names[] = {
		"NOTIFY_SOCKET=",
		"LISTEN_FDS=",
		"LISTEN_PID=",
		"LISTEN_PIDFDID=",
		"LISTEN_FDNAMES=",
		"FDSTORE=",
		"WATCHDOG_USEC=",
		"WATCHDOG_PID=",
		"FOSTER_INSTANCE=",
		"FOSTER_CONTROL=",
		"FOSTER_SERVICE=",
		"MAINPID=",
		"MANAGERPID=",
		"MANAGERPIDFDID=",
		"SYSTEMD_EXEC_PID=",
		"INVOCATION_ID=",
		/* directories of foster's own unit */
		"RUNTIME_DIRECTORY=",
		"STATE_DIRECTORY=",
		"CACHE_DIRECTORY=",
		"LOGS_DIRECTORY=",
		"CONFIGURATION_DIRECTORY=",
		"CREDENTIALS_DIRECTORY=",
		"MEMORY_PRESSURE_WATCH=",
		"MEMORY_PRESSURE_WRITE=",
	};

	for (size_t i = 0; i < ELEMENTSOF(names); i++) {
		if (strncmp(assignment, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

void spawn_own_directory(char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);
	char *slash;

	buf[n > 0 ? n : 0] = '\0';
	slash = strrchr(buf, '/');
	if (slash)
		*slash = '\0';
	else
		snprintf(buf, size, "%s", PKGLIBEXECDIR);
}

static void on_slow(evutil_socket_t fd, short what, void *arg);

int spawn_init(struct manager *m)
{
	char own[PATH_MAX];
	const char *path = getenv("PATH");

	for (char **e = environ; *e; e++) {
		if (!is_ours(*e) && strv_push(&state.environment, *e) < 0)
			return -ENOMEM;
	}
	spawn_own_directory(own, sizeof(own));
	snprintf(state.search, sizeof(state.search), "%s:%s:%s",
		 path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", own,
		 PKGLIBEXECDIR);
	state.slow = evtimer_new(m->base, on_slow, m);
	return state.slow ? 0 : -ENOMEM;
}

void spawn_shutdown(void)
{
	state.environment = strv_free(state.environment);
	if (state.slow)
		event_free(state.slow);
	state.slow = NULL;
}

/* --- the environment -------------------------------------------------------------------- */

struct environment {
	char *pointers[LINK_ARGS_MAX];
	size_t n;
	char text[8192]; /* of the assignments made here */
	size_t used;
};

static bool has(const struct environment *e, const char *assignment, size_t among)
{
	size_t length = strcspn(assignment, "=") + 1;

	for (size_t i = 0; i < among; i++) {
		if (strncmp(e->pointers[i], assignment, length) == 0)
			return true;
	}
	return false;
}

/* The first assignment of a name wins. */
static void add(struct environment *e, char *assignment)
{
	if (e->n < ELEMENTSOF(e->pointers) - 1 && !has(e, assignment, e->n))
		e->pointers[e->n++] = assignment;
}

/* What we have inherited: no name twice among them. */
static void add_inherited(struct environment *e)
{
	size_t own = e->n;

	STRV_FOREACH(inherited, state.environment) {
		if (e->n < ELEMENTSOF(e->pointers) - 1 && !has(e, *inherited, own))
			e->pointers[e->n++] = *inherited;
	}
}

static void PRINTF(2, 3) add_text(struct environment *e, const char *fmt, ...)
{
	size_t room = sizeof(e->text) - e->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(e->text + e->used, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		return;
	add(e, e->text + e->used);
	e->used += n + 1;
}

static void add_last_first(struct environment *e, char **assignments)
{
	/* In a list the last assignment of a name holds; here the first one does. */
	for (size_t n = strv_length(assignments); n > 0; n--)
		add(e, assignments[n - 1]);
}

static char **make_environment(struct service *s, struct environment *e)
{
	const struct service_config *c = s->config;
	char names[2048], stored[LINK_FDS_MAX * (FD_NAME_MAX + 1) + 1];
	size_t n_stored;

	e->n = e->used = 0;
	add_text(e, "FOSTER_SERVICE=%s", c->name);
	add_text(e, "FOSTER_CONTROL=%s/control", s->manager->options.run_directory);
	if (service_may_notify(c))
		add_text(e, "NOTIFY_SOCKET=%s/notify", s->manager->options.run_directory);
	if (c->watchdog > 0)
		add_text(e, "WATCHDOG_USEC=%llu", (unsigned long long)c->watchdog);
	if (c->pid_file)
		add_text(e, "PIDFILE=%s", c->pid_file);
	if (c->fd_store_max > 0)
		add_text(e, "FDSTORE=%u", c->fd_store_max);
	sockets_names(s->manager, c, names, sizeof(names));
	n_stored = fd_store_names(s, stored, sizeof(stored));
	if (c->sockets || n_stored > 0) /* the first name has no colon before it */
		add_text(e, "LISTEN_FDNAMES=%s%s", names, stored + (n_stored > 0 && !names[0]));
	add_last_first(e, c->environment);
	if (c->change_user) {
		add_text(e, "USER=%s", c->user ? c->user : "");
		add_text(e, "LOGNAME=%s", c->user ? c->user : "");
		add_text(e, "HOME=%s", c->home ? c->home : "/");
		add_text(e, "SHELL=%s", c->shell ? c->shell : "/bin/sh");
	}
	add_inherited(e);
	e->pointers[e->n] = NULL;
	return e->pointers;
}

/* PATH as the service's own environment has it, then where foster's programs are. */
static const char *search_path(const struct service *s, char *buf, size_t size)
{
	STRV_FOREACH(assignment, s->config->environment) {
		if (strncmp(*assignment, "PATH=", 5) == 0) {
			const char *own = strrchr(state.search, ':');

			snprintf(buf, size, "%s%s", *assignment + 5, own ? own : "");
			return buf;
		}
	}
	return state.search;
}

/* --- the message ------------------------------------------------------------------------ */

static size_t fill_limits(const struct service_config *c, struct spawn_limit *limits)
{
	size_t n = MIN(c->n_limits, (size_t)LINK_LIMITS_MAX);

	for (size_t i = 0; i < n; i++)
		limits[i] = (struct spawn_limit){ .resource = c->limits[i].resource,
						  .soft = c->limits[i].limit.rlim_cur,
						  .hard = c->limits[i].limit.rlim_max };
	return n;
}

static size_t fill_fds(struct service *s, uint32_t fds[LINK_FDS_MAX])
{
	size_t n;

	if (logs_is_logger(s))
		return logs_places(s->manager, fds);
	n = sockets_places(s->manager, s->config, fds, LINK_FDS_MAX);
	return n + fd_store_places(s, fds + n, LINK_FDS_MAX - n);
}

/* How many sockets systemd has given is known here only. */
static int prepare_readiness(struct service *s, struct spawn_request *r, enum spawn_step *ret_step)
{
	*ret_step = STEP_DESCRIPTORS;
	r->ready_fd = s->config->ready_fd;
	r->ready_place = PLACE_READY_END;
	if (r->ready_fd > 2 && (size_t)r->ready_fd < 3 + r->n_fds) {
		log_error("%s: ready-fd = %d is the number of one of its sockets: it takes %zu or "
			  "more, or 1",
			  s->config->name, r->ready_fd, 3 + r->n_fds);
		return -EEXIST;
	}
	return readiness_prepare(s);
}

static int send_start(struct service *s, enum spawn_step *ret_step)
{
	static struct environment environment;
	const struct service_config *c = s->config;
	struct spawn_limit limits[LINK_LIMITS_MAX];
	uint32_t fds[LINK_FDS_MAX], out = logs_place(s);
	uint8_t note[LINK_NOTE_MAX];
	char cgroup[CGROUP_NAME_MAX];
	char search[PATH_MAX * 2];
	struct spawn_request r = {
		.slot = s->slot,
		.name = c->name,
		.daemon = c->daemon,
		.death_signal = c->death_signal,
		.change_user = c->change_user,
		.uid = c->uid,
		.gid = c->gid,
		.groups = c->groups,
		.n_groups = MIN(c->n_groups, (size_t)LINK_GROUPS_MAX),
		.has_umask = c->has_umask,
		.umask = c->umask,
		.has_nice = c->has_nice,
		.nice = c->nice,
		.limits = limits,
		.n_limits = fill_limits(c, limits),
		.stdio = { logs_stdin_place(s), out, logs_stderr_place(s, out) },
		.fds = fds,
		.n_fds = fill_fds(s, fds),
		.directory = c->directory ? c->directory : "",
		.search = search_path(s, search, sizeof(search)),
		.cgroup = logs_is_logger(s) ? "" : cgroup_prepare(s, cgroup),
		.cgroup_place = PLACE_CGROUP,
		.program_place =
			logs_is_logger(s) ? logs_program_place(s->manager) : LINK_PLACE_NULL,
		.argv = c->command,
		.envp = make_environment(s, &environment),
		.note = note,
		.note_size = note_encode(&s->machine, s->status, s->pending, note),
	};
	int error = c->ready == READY_FD ? prepare_readiness(s, &r, ret_step) : 0;

	if (error < 0)
		return error;
	*ret_step = STEP_EXEC;
	supervisor_link_spawn(s->manager, &r, &error);
	if (c->ready == READY_FD)
		readiness_start_sent(s->manager);
	return error;
}

/* --- the queue -------------------------------------------------------------------------- */

static void push(struct service *s)
{
	s->spawn_queued = true;
	s->next_spawn = NULL;
	if (state.last)
		state.last->next_spawn = s;
	else
		state.first = s;
	state.last = s;
}

static struct service *pop(void)
{
	struct service *s = state.first;

	if (s) {
		state.first = s->next_spawn;
		if (!state.first)
			state.last = NULL;
		s->spawn_queued = false;
	}
	return s;
}

static void send_now(struct service *s)
{
	enum spawn_step step;
	int error = send_start(s, &step);

	if (error < 0) {
		log_error_errno(error, "%s: %s", s->config->name,
				step == STEP_EXEC ? "command and environment" : "readiness");
		service_event(s, EVENT_NOT_STARTED,
			      (struct machine_facts){ .step = step, .error = -error });
		return;
	}
	s->spawn_sent = true;
	s->counted = true;
	state.under_way++;
	state.in_a_row++;
}

/* Its deadline had no timer while it waited. */
static void send_queued(struct service *s)
{
	send_now(s);
	if (s->spawn_sent)
		service_arm(s);
}

static void pump(struct manager *m)
{
	static const struct timeval slow = { SLOW_START, 0 };

	while (state.first && state.under_way < WINDOW)
		send_queued(pop());
	if (state.first && !evtimer_pending(state.slow, NULL))
		evtimer_add(state.slow, &slow);
	if (!state.first)
		evtimer_del(state.slow);
}

/* Nothing has moved for a while, or not fast enough: those under way no longer count. */
static void on_slow(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;

	for (size_t i = 0; i < m->n_services; i++)
		m->services[i]->counted = false;
	state.under_way = 0;
	pump(m);
}

bool spawn_request_start(struct service *s)
{
	if (state.first || state.under_way >= WINDOW) {
		push(s);
		pump(s->manager);
		return s->spawn_sent;
	}
	send_now(s);
	return s->spawn_sent;
}

bool spawn_cancel(struct service *s)
{
	struct service **p = &state.first;

	if (!s->spawn_queued)
		return false;
	state.last = NULL;
	while (*p) {
		if (*p == s)
			*p = s->next_spawn;
		else {
			state.last = *p;
			p = &(*p)->next_spawn;
		}
	}
	s->spawn_queued = false;
	return true;
}

void spawn_done(struct service *s)
{
	if (!s->counted)
		return;
	s->counted = false;
	state.under_way--;
	pump(s->manager);
	if (state.under_way > 0)
		return;
	if (state.in_a_row >= MANY)
		malloc_trim(0);
	state.in_a_row = 0;
}
