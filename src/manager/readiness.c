/* SPDX-License-Identifier: MIT */
/* Readiness by a descriptor: see readiness.h. */
#include "manager/readiness.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "manager/proc.h"
#include "manager/service.h"
#include "manager/supervisor-link.h"

#define READ_MAX     4096
#define READS_A_TURN 16
#define ANEW         (10 * USEC_PER_MSEC) /* until the supervisor has told of the process */

struct readiness {
	int fd;
	struct event *readable; /* not persistent */
	struct event *anew;
};

enum heard {
	HEARD_NOTHING,
	HEARD_READY,
	HEARD_GOODBYE, /* nobody can say anything any more */
};

static uint32_t place_of(const struct service *s)
{
	return PLACE_READY + s->slot;
}

/* Fits into a place's name with the longest name of a service. */
static void name_of(const struct service *s, char *buf, size_t size)
{
	snprintf(buf, size, "ready:%s", s->config->name);
}

/* --- the pipe --------------------------------------------------------------------------- */

static void on_readable(evutil_socket_t fd, short what, void *arg);

/* Takes fd. */
static int listen_to(struct service *s, int fd)
{
	struct readiness *r = calloc(1, sizeof(*r));

	if (!r) {
		fd_close(fd);
		return -ENOMEM;
	}
	r->fd = fd;
	s->readiness = r;
	r->readable = event_new(s->manager->base, fd, EV_READ, on_readable, s);
	r->anew = evtimer_new(s->manager->base, on_readable, s);
	if (r->readable && r->anew && event_add(r->readable, NULL) == 0)
		return 0;
	readiness_forget(s);
	return -ENOMEM;
}

int readiness_prepare(struct service *s)
{
	_cleanup_close_ int reader = -1, writer = -1;
	char name[LINK_NAME_MAX + 8];
	int ends[2];

	readiness_forget(s);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	reader = ends[0];
	writer = ends[1];
	/* So that the service may open it anew, by /dev/fd, as its own user. */
	if (s->config->change_user && fchown(writer, s->config->uid, (gid_t)-1) < 0)
		log_warning_errno(-errno, "%s: fchown of its readiness pipe", s->config->name);
	if (fd_set_nonblock(reader, true) < 0)
		return -errno;
	name_of(s, name, sizeof(name));
	supervisor_link_store(s->manager, place_of(s), name, fd_copy(reader));
	supervisor_link_store(s->manager, PLACE_READY_END, "ready-end", TAKE_FD(writer));
	return listen_to(s, TAKE_FD(reader));
}

void readiness_start_sent(struct manager *m)
{
	supervisor_link_drop(m, PLACE_READY_END);
}

void readiness_forget(struct service *s)
{
	struct readiness *r = s->readiness;

	if (!r)
		return;
	if (r->readable)
		event_free(r->readable);
	if (r->anew)
		event_free(r->anew);
	fd_close(r->fd);
	free(r);
	s->readiness = NULL;
	if (s->slot != NO_SLOT)
		supervisor_link_drop(s->manager, place_of(s));
}

/* --- what is said ----------------------------------------------------------------------- */

/* A pipe of our own to look into another one without taking anything out. */
static int copy_out(int fd, char *buf, size_t size)
{
	static int ends[2] = { -1, -1 };
	ssize_t n;

	if (ends[0] < 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	n = tee(fd, ends[1], size, SPLICE_F_NONBLOCK);
	if (n > 0)
		n = read(ends[0], buf, n);
	return n < 0 ? -errno : n;
}

static enum heard look(int fd)
{
	char text[READ_MAX];

	for (int i = 0; i < READS_A_TURN; i++) {
		int n = copy_out(fd, text, sizeof(text));

		if (n <= 0)
			return n == 0 ? HEARD_GOODBYE : HEARD_NOTHING;
		if (memchr(text, '\n', n))
			return HEARD_READY;
		/* What stands before the newline has no meaning. */
		if (read(fd, text, n) != n)
			return HEARD_NOTHING;
	}
	return HEARD_NOTHING;
}

static void look_anew(struct readiness *r)
{
	static const struct timeval later = { 0, ANEW };

	evtimer_add(r->anew, &later);
}

/* The end of a process closes its descriptors a moment before anybody hears of it. */
static bool is_ending(const struct service *s)
{
	struct proc_life life;

	return proc_life(s->pid, &life) < 0 || life.exiting;
}

static void handle(struct service *s, enum heard what)
{
	struct readiness *r = s->readiness;

	if (what == HEARD_READY)
		service_event(s, EVENT_READY, (struct machine_facts){ 0 });
	else if (what == HEARD_NOTHING)
		event_add(r->readable, NULL);
	else if (!is_ending(s))
		service_event(s, EVENT_NOT_READY,
			      (struct machine_facts){ .reason = REASON_CLOSED });
	/* else its end will follow, and tells more */
}

static void on_readable(evutil_socket_t unused, short what, void *arg)
{
	struct service *s = arg;

	/* The news of its start, or of its end, may be on their way. */
	supervisor_link_catch_up(s->manager);
	if (!s->readiness)
		return;
	if (s->pid == 0)
		look_anew(s->readiness);
	else
		handle(s, look(s->readiness->fd));
}

/* --- for a new manager ------------------------------------------------------------------ */

void readiness_restore(struct service *s)
{
	char name[LINK_NAME_MAX + 8];
	const char *stored = supervisor_link_stored(s->manager, place_of(s));

	name_of(s, name, sizeof(name));
	if (!stored)
		return;
	if (strcmp(stored, name) == 0 && s->machine.state == STATE_STARTING &&
	    s->config->ready == READY_FD)
		supervisor_link_ask(s->manager, place_of(s));
	else
		supervisor_link_drop(s->manager, place_of(s));
}

void readiness_fetched(struct manager *m, uint32_t place, int fd)
{
	struct service *s = m->by_slot[place - PLACE_READY];

	if (fd < 0)
		return;
	if (!s || s->readiness || s->machine.state != STATE_STARTING)
		fd_close(fd);
	else if (listen_to(s, fd) < 0)
		log_error("%s: out of memory: its readiness is not heard", service_label(s));
}
