/* SPDX-License-Identifier: MIT */
/* Another process for the main one: see handover.h. */
#include "manager/handover.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "manager/events.h"
#include "manager/pid-file.h"
#include "manager/proc.h"
#include "manager/service.h"
#include "manager/supervisor-link.h"
#include "manager/tree.h"

#define LOOK_FIRST  (5 * USEC_PER_MSEC) /* pause before the second look; then doubled */
#define LOOK_MAX    (250 * USEC_PER_MSEC)
#define LOOKS_SHORT 8 /* looks after which it is worth a word in the log */

struct handover {
	struct service *service;
	struct event *look; /* the next one */
	unsigned looks;
	pid_t candidate;       /* of the last look */
	bool seen_empty;       /* nothing was left at the last look */
	pid_t asked;           /* the supervisor was asked to take it; 0: it was not */
	pid_t named;           /* by the service, since it was asked; 0: none */
	bool ended;            /* of a service that ran: what is judged if nobody takes over */
	struct link_child end; /* the news of it */
	struct error problem;  /* with what the pid file says; "": none */
};

static void on_look(evutil_socket_t fd, short what, void *arg);

static struct handover *get(struct service *s)
{
	struct handover *h = s->handover;

	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (h)
		h->look = evtimer_new(s->manager->base, on_look, h);
	if (!h || !h->look) {
		log_error("%s: out of memory: no other process is looked for", service_label(s));
		free(h);
		return NULL;
	}
	h->service = s;
	return s->handover = h;
}

void handover_forget(struct service *s)
{
	struct handover *h = s->handover;

	if (!h)
		return;
	event_free(h->look);
	free(h);
	s->handover = NULL;
}

void handover_done(struct service *s)
{
	if (s->handover && !s->handover->asked)
		handover_forget(s);
}

bool handover_is_asked(const struct service *s)
{
	return s->handover && s->handover->asked;
}

bool handover_is_under_way(const struct service *s)
{
	return s->handover != NULL;
}

const char *handover_waits_for(const struct service *s)
{
	const struct handover *h = s->handover;

	if (!h || s->machine.state != STATE_STARTING)
		return NULL;
	if (h->problem.text[0])
		return h->problem.text;
	return s->config->pid_file ? "its pid file is not there yet" : "its daemon is looked for";
}

/* --- who it is -------------------------------------------------------------------------- */

static pid_t read_pid_file(struct service *s, struct handover *h)
{
	const struct service_config *c = s->config;
	pid_t pid = 0;

	h->problem.text[0] = '\0';
	if (pid_file_read(c->pid_file, c->uid, &pid, &h->problem) < 0)
		return 0;
	if (trees_contain(s, pid))
		return pid;
	error_set(&h->problem, -EPERM, "%s: process %d is none of its tree, or gone", c->pid_file,
		  pid);
	return 0;
}

/*
 * Who of the two was born first. Ticks are long: of those born in one, the number of the pidfd's
 * inode tells (pidfs, Linux 6.9), which grows; else the pid, which mostly does.
 */
static bool is_elder(pid_t pid, uint64_t born, pid_t other, uint64_t other_born)
{
	_cleanup_close_ int fd = -1, other_fd = -1;
	struct stat st, other_st;

	if (born != other_born)
		return born < other_born;
	fd = proc_pidfd(pid);
	other_fd = proc_pidfd(other);
	if (fd >= 0 && other_fd >= 0 && fstat(fd, &st) == 0 && fstat(other_fd, &other_st) == 0 &&
	    st.st_ino != other_st.st_ino)
		return st.st_ino < other_st.st_ino;
	return pid < other;
}

/*
 * Of what is left of the tree those that are nobody's children in it, that is orphans; and if
 * there are several, the one that was born first.
 */
static pid_t guess(struct service *s, struct handover *h)
{
	_cleanup_pids_ struct pid_list members = { 0 };
	uint64_t first = 0;
	pid_t found = 0;

	trees_members(s, &members);
	for (size_t i = 0; i < members.n; i++) {
		struct proc_life life;

		if (proc_life(members.pids[i], &life) < 0 || life.exiting ||
		    pid_list_has(&members, life.ppid) ||
		    (found && !is_elder(members.pids[i], life.born, found, first)))
			continue;
		first = life.born;
		found = members.pids[i];
	}
	return found;
}

/*
 * Whom a look finds; 0: nobody yet. One that was guessed must be there at two looks: who forks
 * twice leaves for a moment the one in between.
 */
static pid_t find(struct service *s, struct handover *h)
{
	pid_t pid, before = h->candidate;

	if (s->config->pid_file)
		return read_pid_file(s, h);
	pid = h->candidate = guess(s, h);
	return pid == before ? pid : 0;
}

/* --- the question ----------------------------------------------------------------------- */

/* Opened first and looked at then: a pid that is reused meanwhile is not taken for it. */
static bool ask(struct service *s, struct handover *h, pid_t pid)
{
	_cleanup_close_ int pidfd = proc_pidfd(pid);

	if (pidfd < 0 || manager_find_pid(s->manager, pid) || !trees_contain(s, pid))
		return false;
	evtimer_del(h->look);
	h->asked = pid;
	supervisor_link_main(s->manager, s->slot, s->instance, pid, TAKE_FD(pidfd));
	return true;
}

static void look_later(struct handover *h)
{
	uint64_t usec = MIN(LOOK_FIRST << MIN(h->looks, 10U), LOOK_MAX);
	struct timeval tv = { usec / USEC_PER_SEC, usec % USEC_PER_SEC };

	h->looks++;
	evtimer_add(h->look, &tv);
}

static void complain_once(struct service *s, struct handover *h)
{
	if (h->looks == LOOKS_SHORT && h->problem.text[0])
		log_warning("%s: %s", s->config->name, h->problem.text);
}

/* A look through /proc may miss who is born during it: nothing is left when two find nothing. */
static bool is_left_alone(struct service *s, struct handover *h)
{
	_cleanup_pids_ struct pid_list members = { 0 };
	bool before = h->seen_empty;

	if (s->in_cgroup)
		return trees_seem_empty(s);
	trees_members(s, &members);
	h->seen_empty = members.n == 0;
	return before && h->seen_empty;
}

static void look(struct service *s, struct handover *h)
{
	pid_t pid = find(s, h);

	if (pid > 0 && ask(s, h, pid))
		return;
	complain_once(s, h);
	if (is_left_alone(s, h)) {
		handover_forget(s);
		service_event(s, EVENT_NOT_READY,
			      (struct machine_facts){ .reason = REASON_NO_MAIN });
		return;
	}
	look_later(h);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct handover *h = arg;

	look(h->service, h);
}

/* --- the end of the process before ------------------------------------------------------ */

static bool ended_well(const struct link_child *end)
{
	return end->step == STEP_NONE && !(end->flags & CHILD_STATUS_UNKNOWN) &&
	       WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0;
}

static bool begin_search(struct service *s)
{
	struct handover *h = get(s);

	if (!h)
		return false;
	s->exit_held = true;
	service_event(s, EVENT_FORKED, (struct machine_facts){ 0 });
	look(s, h);
	return true;
}

/* One that runs goes on if somebody is there already to go on with. */
static bool find_successor(struct service *s, const struct link_child *end)
{
	struct handover *h = get(s);
	pid_t pid = h ? s->config->pid_file ? read_pid_file(s, h) : guess(s, h) : 0;

	if (pid <= 0 || !ask(s, h, pid)) {
		handover_forget(s);
		return false;
	}
	s->exit_held = true;
	h->ended = true;
	memcpy(&h->end, end, LINK_NEWS_SIZE);
	return true;
}

bool handover_begin(struct service *s, const struct link_child *end)
{
	struct handover *h = s->handover;
	const struct machine *m = &s->machine;

	if (h && h->asked) {
		s->exit_held = true;
		h->ended = true;
		memcpy(&h->end, end, LINK_NEWS_SIZE);
		return true;
	}
	if (s->config->ready != READY_FORKING || !ended_well(end) || !m->desired_up ||
	    m->restart_wanted)
		return false;
	if (m->state == STATE_STARTING)
		return begin_search(s);
	return m->state == STATE_RUNNING && find_successor(s, end);
}

/* --- named by the service --------------------------------------------------------------- */

void handover_named(struct service *s, pid_t pid)
{
	struct handover *h;

	if (pid == s->pid || !machine_is_active(&s->machine) || !(h = get(s)))
		return;
	if (h->asked) {
		h->named = pid;
		return;
	}
	if (ask(s, h, pid))
		return;
	log_warning("%s: MAINPID=%d: none of its tree, or gone: not believed", service_label(s),
		    pid);
	if (!s->machine.main_ended)
		handover_forget(s);
}

/* --- the answer ------------------------------------------------------------------------- */

static void take(struct service *s, pid_t pid)
{
	struct proc_stat st;

	service_forget_end(s); /* of the one before: it is not the service's any more */
	manager_index_pid(s->manager, s, s->pid, pid);
	s->pid = pid;
	s->tree_pid = proc_stat(pid, &st) == 0 ? st.session : pid;
	s->taken = true;
	s->exit_held = false; /* the slot has a process again */
	if (s->machine.state == STATE_STOPPING)
		trees_forget(s);
}

static void taken(struct service *s, pid_t pid)
{
	pid_t named = s->handover->named;

	handover_forget(s);
	take(s, pid);
	log_info("%s: its main process now", service_label(s));
	service_event(s, EVENT_MAIN, (struct machine_facts){ 0 });
	if (s->config->ready != READY_FORKING)
		events_service(s);
	if (named)
		handover_named(s, named);
}

static void not_taken(struct service *s, int error)
{
	struct handover *h = s->handover;
	bool ended = h->ended;
	struct link_child end = h->end;

	log_warning_errno(-error, "%s: process %d cannot be its main process", service_label(s),
			  h->asked);
	h->asked = 0;
	if (s->machine.state == STATE_STARTING && s->machine.main_ended) {
		look_later(h);
		return;
	}
	handover_forget(s);
	if (ended)
		service_judge_end(s, &end);
	else if (s->machine.state == STATE_STOPPING && s->machine.main_ended && trees_watch(s))
		service_event(s, EVENT_EMPTY, (struct machine_facts){ 0 });
}

void handover_answered(struct service *s, const struct link_main *m)
{
	if (!handover_is_asked(s) || s->handover->asked != m->pid || s->instance != m->instance)
		return;
	if (m->error == 0)
		taken(s, m->pid);
	else
		not_taken(s, m->error);
}
