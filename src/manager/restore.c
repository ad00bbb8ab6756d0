/* SPDX-License-Identifier: MIT */
/* What was left: see restore.h. */
#include "manager/restore.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "manager/cgroup.h"
#include "manager/history.h"
#include "manager/hunt.h"
#include "manager/inhabitant.h"
#include "manager/logs.h"
#include "manager/note.h"
#include "manager/proc.h"
#include "manager/readiness.h"
#include "manager/service.h"
#include "manager/supervisor-link.h"
#include "manager/tree.h"

#define LEFT_OVER_ENDS (1 * USEC_PER_SEC) /* at most, until their cgroups are empty */

static struct link_child *children;
static size_t n_children;

void restore_child(struct manager *m, const struct link_child *child)
{
	struct link_child *bigger = realloc(children, (n_children + 1) * sizeof(*bigger));

	if (!bigger || child->slot >= LINK_SLOTS) {
		log_error("%.*s: cannot be known again", LINK_NAME_MAX, child->name);
		return;
	}
	children = bigger;
	children[n_children] = *child;
	children[n_children++].name[LINK_NAME_MAX - 1] = '\0';
}

const struct link_child *restore_logger(const struct manager *m)
{
	for (size_t i = 0; i < n_children; i++) {
		if (strcmp(children[i].name, LOGGER_NAME) == 0)
			return &children[i];
	}
	return NULL;
}

static bool is_alive(const struct link_child *child)
{
	return child->state == CHILD_FORKED || child->state == CHILD_RUNNING;
}

/* --- services without a configuration --------------------------------------------------- */

/* Enough to show and to stop it. The name follows the struct. */
static struct service_config *make_orphan_config(const struct link_child *child)
{
	static char *no_command[] = { (char *)"(unknown)", NULL };
	size_t length = strlen(child->name) + 1;
	struct service_config *c = calloc(1, sizeof(*c) + length);

	if (!c)
		return NULL;
	c->name = memcpy(c + 1, child->name, length);
	c->command = no_command;
	c->daemon = child->flags & CHILD_DAEMON;
	c->restart = RESTART_NO;
	c->stop_signal = SIGTERM;
	c->stop_timeout = 10 * USEC_PER_SEC;
	c->start_timeout = USEC_INFINITY;
	c->death_signal = SIGKILL;
	c->log = LOG_TYPE_FILE;
	c->log_mode = 0640;
	c->log_uid = (uid_t)-1;
	c->log_gid = (gid_t)-1;
	c->log_keep = 10;
	return c;
}

static struct service *add_orphan(struct manager *m, const struct link_child *child)
{
	struct service **bigger = realloc(m->services, (m->n_services + 1) * sizeof(*m->services));
	struct service_config *config = bigger ? make_orphan_config(child) : NULL;
	struct service *s = config ? service_new(m, config) : NULL;

	if (bigger)
		m->services = bigger;
	if (!s) {
		free(config);
		return NULL;
	}
	s->own_config = config;
	s->orphaned = true;
	m->services[m->n_services++] = s;
	manager_index_name(m);
	return s;
}

/* --- one service ------------------------------------------------------------------------ */

static void take_process(struct service *s, const struct link_child *child)
{
	struct proc_stat st;

	s->instance = child->instance;
	s->tree_pid = child->pid;
	s->adopted = child->flags & CHILD_ADOPTED;
	s->daemon = child->flags & CHILD_DAEMON;
	s->taken = child->flags & CHILD_TAKEN;
	s->cgroup_spent = true; /* nobody knows */
	s->in_cgroup = (child->flags & CHILD_IN_CGROUP) && cgroups_path(s->manager);
	/* Of one that has ended what it said is heard first. */
	if (!is_alive(child) && (child->state != CHILD_EXITED || (child->flags & CHILD_LEFT_OVER)))
		return;
	s->pid = child->pid;
	if (s->taken && proc_stat(child->pid, &st) == 0)
		s->tree_pid = st.session;
	manager_index_pid(s->manager, s, 0, child->pid);
}

/* A note that cannot be read, or an earlier supervisor's: the process alone tells. */
static void guess_machine(struct service *s, const struct link_child *child)
{
	machine_init(&s->machine, now_monotonic());
	if (!is_alive(child))
		return;
	s->machine.state = STATE_RUNNING;
	s->machine.desired_up = true;
	s->machine.since = s->machine.started = child->started;
	s->machine.reason = REASON_ADOPTED;
}

/* Of an orderly end whose manager died in it: what is no daemon was to go on. */
static bool was_let_end(const struct service *s)
{
	const struct machine *m = &s->machine;

	return !s->daemon && !m->desired_up && m->reason == REASON_SHUTDOWN &&
	       (m->state == STATE_STARTING || m->state == STATE_RUNNING);
}

void restore_service(struct manager *m, struct service *s, const struct link_child *child)
{
	s->slot = child->slot;
	m->by_slot[child->slot] = s;
	if (note_decode(child->note, child->note_size, &s->machine, &s->status, &s->pending) < 0)
		guess_machine(s, child);
	take_process(s, child);
	s->let_end = was_let_end(s);
}

/*
 * Its first process had ended and left a daemon to be found when the last supervisor died: what
 * is no daemon of ours goes on, and so does the search.
 */
static bool is_handover(const struct manager *m, const struct link_child *child)
{
	const struct service *s = manager_find(m, child->name);
	_cleanup_free_ char *status = NULL, *pending = NULL;
	struct machine machine;
	bool searched;

	if (child->state != CHILD_EXITED || child->status != 0 || !s ||
	    s->config->ready != READY_FORKING ||
	    (child->flags & (CHILD_DAEMON | CHILD_STATUS_UNKNOWN)) ||
	    note_decode(child->note, child->note_size, &machine, &status, &pending) < 0)
		return false;
	searched = machine.state == STATE_STARTING && machine.desired_up;
	free(machine.history);
	return searched;
}

/* What the last supervisor was in the middle of, this one goes on with. */
static void adopt(struct service *s, const struct link_child *child)
{
	bool starting = s->config->ready == READY_ONESHOT || !is_alive(child);
	struct machine *machine = &s->machine;

	/* Whatever the last supervisor was about to do with it, this one did not decide it: it
	 * runs, and is wanted. */
	machine->state = starting ? STATE_STARTING : STATE_RUNNING;
	machine->desired_up = true;
	s->let_end = false;
	machine->restart_wanted = machine->killed = false;
	if (!starting)
		machine->deadline = USEC_INFINITY;
	machine->reason = REASON_ADOPTED;
	if (machine->history)
		machine->history->wish =
			(struct wish){ EVENT_START, REASON_ADOPTED, now_monotonic(), { 0 } };
	service_send_note(s, false); /* for the next manager: not of that end, either */
	log_info("%s: adopted", service_label(s));
}

static void restore_one(struct manager *m, const struct link_child *child)
{
	struct service *s = manager_find(m, child->name);
	bool handover = is_handover(m, child);

	if (!s && is_alive(child))
		s = add_orphan(m, child);
	if (!s || ((child->flags & CHILD_LEFT_OVER) && !handover)) {
		supervisor_link_forget(m, child->slot);
		return;
	}
	restore_service(m, s, child);
	s->adopted |= child->flags & CHILD_LEFT_OVER;
	if (m->generation == 1 && (handover || is_alive(child)))
		adopt(s, child);
}

/* What no supervisor has watched over starts anew: only the living are known again. */
static bool is_of_the_past(const struct manager *m, const struct link_child *child)
{
	return m->generation == 1 && !is_alive(child) && !is_handover(m, child);
}

/*
 * What was killed takes a moment to be gone, and until then its cgroup cannot be made anew, which
 * would kill the next one that is born into it, too. Nothing runs yet that this could delay.
 */
static void wait_until_empty(struct service *s, uint64_t deadline)
{
	while (s && !cgroup_is_empty(s) && now_monotonic() < deadline)
		poll(NULL, 0, 1);
}

/* Of a daemon nothing may be left; of another whose main process has ended, what it says. */
static bool must_be_swept(const struct manager *m, const struct link_child *child)
{
	const struct service *s = manager_find(m, child->name);

	if (!(child->flags & CHILD_LEFT_OVER) || is_handover(m, child))
		return false;
	return (child->flags & CHILD_DAEMON) || !s || s->config->kill_mode == KILL_MODE_TREE;
}

static void end_left_over(struct manager *m)
{
	struct tree_mark *marks = calloc(n_children + 1, sizeof(*marks));
	uint64_t deadline;
	size_t n = 0;

	for (size_t i = 0; marks && i < n_children; i++) {
		if (!must_be_swept(m, &children[i]))
			continue;
		if ((children[i].flags & CHILD_IN_CGROUP) && cgroup_kill(m, children[i].name) == 0)
			continue;
		/* By the mark alone: the old pid, and so the session's number, may have gone to
		 * somebody else since. */
		marks[n++] = (struct tree_mark){ .instance = children[i].instance };
	}
	if (n > 0)
		hunt_down(m, marks, n);
	free(marks);
	deadline = now_monotonic() + LEFT_OVER_ENDS;
	for (size_t i = 0; i < n_children; i++) {
		if (must_be_swept(m, &children[i]) && (children[i].flags & CHILD_IN_CGROUP))
			wait_until_empty(manager_find(m, children[i].name), deadline);
	}
}

void restore_apply(struct manager *m)
{
	end_left_over(m);
	for (size_t i = 0; i < n_children; i++) {
		if (strcmp(children[i].name, LOGGER_NAME) == 0)
			continue;
		if (is_of_the_past(m, &children[i]))
			supervisor_link_forget(m, children[i].slot);
		else
			restore_one(m, &children[i]);
	}
}

/* --- what happened meanwhile ------------------------------------------------------------ */

/* The machine's state says that a process must be there, and none is. */
static bool lost_its_process(const struct service *s)
{
	return (s->machine.state == STATE_STARTING || s->machine.state == STATE_RUNNING ||
		s->machine.state == STATE_STOPPING) &&
	       !s->machine.main_ended;
}

/* A note says STARTING: that its child has exec'd is not worth a note to each. */
static void go_on_running(struct service *s, const struct link_child *child)
{
	s->retold = s->manager->generation > 1 && (child->flags & CHILD_STARTED_TOLD);
	service_started(s, child);
	s->retold = false;
}

static void catch_up(struct manager *m, const struct link_child *child)
{
	struct service *s = m->by_slot[child->slot];

	if (!s || s->slot != child->slot)
		return;
	if (s->adopted)
		logs_adopt(s);
	readiness_restore(s);
	service_arm(s);
	if (child->state == CHILD_EXITED)
		service_exited(s, child);
	else if (child->step != STEP_NONE && is_alive(child))
		service_started(s, child); /* its end will follow */
	else if (child->state == CHILD_RUNNING && s->machine.state == STATE_STARTING &&
		 s->config->ready == READY_FORKING && s->taken)
		service_event(s, EVENT_MAIN, (struct machine_facts){ 0 });
	else if (child->state == CHILD_RUNNING && s->machine.state == STATE_STARTING)
		go_on_running(s, child);
	else if (child->state == CHILD_NONE && lost_its_process(s))
		service_event(
			s, EVENT_NOT_STARTED,
			(struct machine_facts){ .step = child->step ? (int)child->step : STEP_FORK,
						.error = child->error ? child->error : EINTR });
	else if (s->machine.state == STATE_STOPPING && s->machine.main_ended && trees_watch(s))
		service_event(s, EVENT_EMPTY, (struct machine_facts){ 0 });
	else
		service_event(s, EVENT_FACTS, (struct machine_facts){ 0 });
}

void restore_catch_up(struct manager *m)
{
	for (size_t i = 0; i < n_children; i++)
		catch_up(m, &children[i]);
	logs_catch_up(m);
	/* Of a start in whose middle the last manager died. */
	if (supervisor_link_stored(m, PLACE_READY_END))
		supervisor_link_drop(m, PLACE_READY_END);
	free(children);
	children = NULL;
	n_children = 0;
}
