/* SPDX-License-Identifier: MIT */
/* A service: see service.h. */
#include "manager/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/signals.h"
#include "base/units.h"
#include "manager/cgroup.h"
#include "manager/control.h"
#include "manager/depend.h"
#include "manager/events.h"
#include "manager/fd-store.h"
#include "manager/handover.h"
#include "manager/history.h"
#include "manager/hunt.h"
#include "manager/logs.h"
#include "manager/note.h"
#include "manager/notify-socket.h"
#include "manager/pid-file.h"
#include "manager/readiness.h"
#include "manager/report.h"
#include "manager/shutdown.h"
#include "manager/spawn.h"
#include "manager/supervisor-link.h"
#include "manager/tree.h"

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	if (s->to_be_removed)
		manager_remove(s->manager, s);
	else
		service_event(s, EVENT_TIMER, (struct machine_facts){ 0 });
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	log_warning("%s: watchdog: no sign of life in time", service_label(s));
	service_event(s, EVENT_WATCHDOG, (struct machine_facts){ 0 });
}

struct service *service_new(struct manager *m, const struct service_config *config)
{
	struct service *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->manager = m;
	s->config = config;
	s->slot = NO_SLOT;
	s->cgroup_spent = true; /* one that is there already: nobody knows */
	machine_init(&s->machine, now_monotonic());
	return s;
}

struct service *service_free(struct service *s)
{
	if (!s)
		return NULL;
	spawn_cancel(s);
	spawn_done(s);
	trees_forget(s);
	handover_forget(s);
	readiness_forget(s);
	service_forget_end(s);
	fd_store_forget(s);
	cgroup_remove(s);
	if (s->timer)
		event_free(s->timer);
	if (s->watchdog)
		event_free(s->watchdog);
	depend_unlink(s);
	config_ref_put(s->started_with);
	config_ref_put(s->removed_with);
	free(s->own_config);
	free(s->status);
	free(s->pending);
	free(s->machine.history);
	free(s);
	return NULL;
}

const char *service_label(const struct service *s)
{
	static char label[CONFIG_NAME_MAX + 16];

	if (s->pid > 0)
		snprintf(label, sizeof(label), "%s[%d]", s->config->name, s->pid);
	else
		snprintf(label, sizeof(label), "%s", s->config->name);
	return label;
}

void service_send_note(struct service *s, bool exit_seen)
{
	/* What was held back for another process is no secret once none is looked for. */
	bool held = s->exit_held && !handover_is_under_way(s);
	struct link_note note = {
		.slot = s->slot,
		.flags = exit_seen || held ? LINK_NOTE_EXIT_SEEN : 0,
	};

	if (s->slot == NO_SLOT)
		return;
	note.note_size = note_encode(&s->machine, s->status, s->pending, note.note);
	memcpy(note.name, s->config->name, strlen(s->config->name));
	if (note.flags & LINK_NOTE_EXIT_SEEN)
		s->exit_held = false;
	supervisor_link_note(s->manager, &note);
}

/* --- what the machine wants done -------------------------------------------------------- */

/* At rest a service needs no timer, and most are at rest: it is made when there is a deadline. */
static void set_timer(struct service *s, uint64_t usec)
{
	struct timeval tv = { usec / USEC_PER_SEC, usec % USEC_PER_SEC };

	if (!s->timer)
		s->timer = evtimer_new(s->manager->base, on_timer, s);
	if (!s->timer || evtimer_add(s->timer, &tv) < 0)
		log_error("%s: out of memory: no timer", service_label(s));
}

/*
 * A start that waits for its turn has no timer yet. Thousands may wait at once: their timers, freed
 * one by one among what is made meanwhile and stays, would be memory that is never given back.
 */
static void arm_timer(struct service *s)
{
	uint64_t now = now_monotonic();

	if (s->spawn_queued)
		return;
	if (s->machine.deadline != USEC_INFINITY) {
		set_timer(s, s->machine.deadline > now ? s->machine.deadline - now : 0);
	} else if (s->timer) {
		event_free(s->timer);
		s->timer = NULL;
	}
}

/* As it is configured, unless the service itself has said otherwise. 0: none. */
static uint64_t watchdog_of(const struct service *s)
{
	const struct said *said = &s->machine.said;

	if (said->phase == PHASE_STOPPING || said->watchdog == USEC_INFINITY)
		return 0;
	return said->watchdog ? said->watchdog : s->config->watchdog;
}

static void arm_watchdog(struct service *s)
{
	uint64_t usec = watchdog_of(s);
	struct timeval tv = { usec / USEC_PER_SEC, usec % USEC_PER_SEC };

	if (usec == 0 || s->machine.state != STATE_RUNNING) {
		if (s->watchdog)
			evtimer_del(s->watchdog);
		return;
	}
	if (!s->watchdog)
		s->watchdog = evtimer_new(s->manager->base, on_watchdog, s);
	if (s->watchdog)
		evtimer_add(s->watchdog, &tv);
}

void service_arm(struct service *s)
{
	arm_timer(s);
	arm_watchdog(s);
}

/* A new process: nothing of the last one holds. */
static void spawn(struct service *s)
{
	s->adopted = s->taken = s->exit_held = false;
	s->daemon = s->config->daemon;
	s->signal_at_spawn = s->signal_error = 0;
	s->pid = 0;
	free(s->status);
	s->status = NULL;
	free(s->pending);
	s->pending = NULL;
	config_ref_put(s->started_with);
	s->started_with = config_ref_get(s->manager->config);
	spawn_request_start(s);
}

/*
 * The signal to the whole tree, or as kill-mode says; a process that is only being forked gets
 * it when it is there.
 */
static void signal_tree(struct service *s, int signo)
{
	/* Without a main process the tree is all there is of it. */
	bool whole = s->config->kill_mode == KILL_MODE_TREE || s->machine.main_ended;

	if (s->spawn_sent && s->pid == 0) {
		s->signal_at_spawn = signo;
		return;
	}
	if (s->pid > 0)
		supervisor_link_signal(s->manager, s->slot, s->instance, signo, whole);
	if (whole)
		trees_signal(s, signo);
}

/* True when it turned out at once that nothing is left of the tree. */
static bool carry_out(struct service *s, unsigned actions)
{
	bool empty = false;

	if ((actions & ACTION_SWEEP) && s->config->kill_mode == KILL_MODE_TREE)
		hunt_later(s);
	if (actions & ACTION_SPAWN)
		spawn(s);
	if (actions & (ACTION_STOP_SIGNAL | ACTION_KILL)) {
		if (spawn_cancel(s))
			empty = true; /* it had not been started at all */
		else
			signal_tree(s, actions & ACTION_KILL ? SIGKILL : s->config->stop_signal);
	}
	if (actions & ACTION_WATCH_TREE)
		empty = s->config->kill_mode == KILL_MODE_PROCESS || trees_watch(s);
	if (actions & ACTION_TIMER)
		arm_timer(s);
	return empty;
}

/* --- what follows from a change --------------------------------------------------------- */

static void log_change(const struct service *s, enum service_state before)
{
	char reason[REASON_TEXT_MAX];

	machine_reason(&s->machine, s->config, now_monotonic(), reason, sizeof(reason));
	switch (s->machine.state) {
	case STATE_RUNNING: log_info("%s: running", service_label(s)); break;
	case STATE_BACKOFF:
	case STATE_FAILED:
		log_warning("%s: %s: %s%s%s", s->config->name,
			    service_state_to_string(s->machine.state), reason,
			    s->machine.said.error ? "; it said: " : "",
			    s->machine.said.error ? strerror(s->machine.said.error) : "");
		break;
	case STATE_STOPPED:
	case STATE_EXITED:
		log_info("%s: %s (%s)", s->config->name, service_state_to_string(s->machine.state),
			 reason);
		break;
	case STATE_STARTING:
		if (s->machine.restarts > 0 && before != STATE_WAITING)
			log_info("%s: starting again (%s)", s->config->name, reason);
		break;
	default: break;
	}
}

static bool is_over(const struct machine *m)
{
	return m->state == STATE_STOPPED || m->state == STATE_EXITED || m->state == STATE_FAILED;
}

static void after_state_change(struct service *s, enum service_state before)
{
	if (is_over(&s->machine))
		fd_store_clear(s);
	if (s->machine.state != STATE_STARTING && s->machine.state != STATE_RUNNING && s->watchdog)
		evtimer_del(s->watchdog);
	if (s->machine.state != STATE_STARTING) {
		readiness_forget(s);
		handover_done(s);
	}
	if (s->machine.state == STATE_RUNNING)
		arm_watchdog(s);
	if (logs_is_logger(s)) {
		if (s->machine.state == STATE_RUNNING)
			logs_logger_started(s);
		else
			logs_logger_ended(s);
		return;
	}
	if (s->retold && s->machine.state == STATE_RUNNING)
		return;
	log_change(s, before);
	events_service(s);
}

/* What tells neighbours and those who wait that they must look again. */
static bool is_changed(const struct machine *a, const struct machine *b)
{
	return a->state != b->state || a->desired_up != b->desired_up ||
	       a->restart_wanted != b->restart_wanted;
}

/* Jitter: it must differ between services and machines, and be had without a system call. */
static uint32_t random_number(void)
{
	static uint64_t state;

	if (!state && getrandom(&state, sizeof(state), GRND_NONBLOCK) != sizeof(state))
		state = now_realtime();
	state |= 1; /* xorshift64* never leaves 0 */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717U >> 32;
}

/* One event, without what it sets off among the neighbours. True: EVENT_EMPTY is due. */
static bool step(struct service *s, enum machine_event event, struct machine_facts f)
{
	struct machine before = s->machine;
	unsigned actions;
	bool empty;

	f.now = now_monotonic();
	f.config = s->config;
	f.random = random_number();
	depend_facts(s, &f);
	actions = machine_step(&s->machine, event, &f);
	history_step(&before, &s->machine, event, &f);
	empty = carry_out(s, actions);
	/* A start that was sent took the note along. That an exec'd child runs, the next
	 * manager sees by itself. */
	if (event == EVENT_ENDED && !(actions & ACTION_SPAWN && s->spawn_sent))
		service_send_note(s, true);
	else if (is_changed(&before, &s->machine) && !(actions & ACTION_SPAWN) &&
		 event != EVENT_STARTED)
		service_send_note(s, false);
	if (before.state != s->machine.state || (actions & ACTION_SPAWN))
		after_state_change(s, before.state);
	if (is_changed(&before, &s->machine))
		depend_changed(s);
	return empty;
}

void service_event(struct service *s, enum machine_event event, struct machine_facts facts)
{
	bool empty = false;

	/* It may be that the supervisor has a process for it that we do not know of yet. */
	if (event != EVENT_EMPTY || !handover_is_asked(s))
		empty = step(s, event, facts);
	while (empty && !handover_is_asked(s))
		empty = step(s, EVENT_EMPTY, (struct machine_facts){ 0 });
	depend_run(s->manager);
	if ((s->removed_with || s->orphaned) && !machine_is_active(&s->machine))
		service_removed(s);
	control_service_changed(s);
	shutdown_service_changed(s);
	report_changed(s->manager);
}

void service_removed(struct service *s)
{
	s->to_be_removed = true;
	set_timer(s, 0);
}

void service_ask(struct service *s, enum machine_event event, enum reason reason,
		 const struct asker *asker)
{
	if (event != EVENT_STOP)
		s->let_end = false;
	service_event(s, event, (struct machine_facts){ .reason = reason, .asker = asker });
}

void service_start(struct service *s, enum reason reason)
{
	service_ask(s, EVENT_START, reason, NULL);
}

void service_stop(struct service *s, enum reason reason)
{
	service_ask(s, EVENT_STOP, reason, NULL);
}

void service_restart(struct service *s, enum reason reason)
{
	service_ask(s, EVENT_RESTART, reason, NULL);
}

void service_let_end(struct service *s, enum reason reason)
{
	s->let_end = true;
	service_stop(s, reason);
}

/* --- what the supervisor reports -------------------------------------------------------- */

void service_spawned(struct service *s, const struct link_child *child)
{
	int signo = s->signal_at_spawn;

	s->spawn_sent = false;
	s->signal_at_spawn = 0;
	if (child->step == STEP_FORK) {
		spawn_done(s);
		service_event(s, EVENT_NOT_STARTED,
			      (struct machine_facts){ .step = child->step, .error = child->error });
		return;
	}
	manager_index_pid(s->manager, s, s->pid, child->pid);
	s->pid = s->tree_pid = child->pid;
	s->instance = child->instance;
	s->in_cgroup = child->flags & CHILD_IN_CGROUP;
	s->machine.started = child->started;
	logs_spawned(s);
	if (signo)
		signal_tree(s, signo);
}

void service_started(struct service *s, const struct link_child *child)
{
	spawn_done(s);
	s->in_cgroup = child->flags & CHILD_IN_CGROUP;
	if (child->step != STEP_NONE)
		service_event(s, EVENT_STEP_FAILED,
			      (struct machine_facts){ .step = child->step, .error = child->error });
	else
		service_event(s, EVENT_STARTED, (struct machine_facts){ 0 });
}

/* It was to run, and said by its status that something was wrong; foster itself did not end it. */
static void tell_crash(struct service *s, int pid, const struct machine *before, int status)
{
	char end[REASON_TEXT_MAX];

	if (!before->desired_up || before->restart_wanted || before->state == STATE_STOPPING ||
	    status == 0 || logs_is_logger(s))
		return;
	logs_crashed(s, pid, machine_status(status, false, end, sizeof(end)));
}

void service_judge_end(struct service *s, const struct link_child *child)
{
	struct machine before = s->machine;
	bool unknown = child->flags & CHILD_STATUS_UNKNOWN;

	service_event(s, EVENT_ENDED,
		      (struct machine_facts){
			      .status = child->status,
			      .status_unknown = unknown,
			      .tree_empty = s->config->kill_mode == KILL_MODE_PROCESS ||
					    trees_seem_empty(s),
		      });
	tell_crash(s, child->pid, &before, unknown ? 0 : child->status);
}

/* An end that waits until what the process has said before is heard: READY=1, or MAINPID=. */
struct late_end {
	struct event *event;
	struct link_child news;
};

void service_forget_end(struct service *s)
{
	if (!s->late_end)
		return;
	if (s->late_end->event)
		event_free(s->late_end->event);
	free(s->late_end);
	s->late_end = NULL;
}

static void take_end(struct service *s, const struct link_child *child);

static void on_late_end(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;
	struct link_child news = s->late_end->news;

	notify_socket_hear(s->manager);
	if (!s->late_end)
		return; /* another process took over meanwhile */
	service_forget_end(s);
	take_end(s, &news);
}

/* Not now: we may be in the middle of what fosterd tells, and a sender may need more of that. */
static bool take_end_later(struct service *s, const struct link_child *child)
{
	s->late_end = calloc(1, sizeof(*s->late_end));
	if (!s->late_end)
		return false;
	memcpy(&s->late_end->news, child, LINK_NEWS_SIZE);
	s->late_end->event = event_new(s->manager->base, -1, 0, on_late_end, s);
	if (!s->late_end->event) {
		service_forget_end(s);
		return false;
	}
	event_active(s->late_end->event, 0, 0);
	return true;
}

void service_exited(struct service *s, const struct link_child *child)
{
	if (s->late_end)
		return; /* missed, and told all the same */
	if (s->pid <= 0 || !service_may_notify(s->config) || !take_end_later(s, child))
		take_end(s, child);
}

static void take_end(struct service *s, const struct link_child *child)
{
	spawn_done(s);
	s->user_usec = child->user_usec;
	s->system_usec = child->system_usec;
	s->max_rss = child->max_rss;
	if (s->config->pid_file && s->taken)
		pid_file_remove(s->config->pid_file, s->config->uid, s->pid);
	manager_index_pid(s->manager, s, s->pid, 0);
	s->pid = 0;
	if (!handover_begin(s, child))
		service_judge_end(s, child);
}

int service_signal(struct service *s, int signo, bool whole)
{
	if (s->pid == 0)
		return -ESRCH;
	if (whole)
		signal_tree(s, signo);
	else
		supervisor_link_signal(s->manager, s->slot, s->instance, signo, false);
	return 0;
}

void service_unsignalled(struct service *s, pid_t pid, int signo, int error)
{
	bool told = s->signal_error == error;

	s->signal_error = error;
	if (!told)
		log_warning_errno(-error, "%s: process %d cannot be sent %s%s", service_label(s),
				  pid, signal_to_string(signo),
				  error == EPERM ? ", it has become another user's" : "");
	shutdown_service_changed(s);
}

bool service_is_out_of_reach(const struct service *s)
{
	return s->machine.state == STATE_STOPPING && s->machine.killed && s->signal_error == EPERM;
}

bool service_is_daemon(const struct service *s)
{
	return machine_is_active(&s->machine) ? s->daemon : s->config->daemon;
}

void service_alive(struct service *s)
{
	if (s->watchdog)
		arm_watchdog(s);
}

void service_set_phase(struct service *s, enum phase phase)
{
	if (s->machine.said.phase == phase)
		return;
	s->machine.said.phase = phase;
	arm_watchdog(s);
	service_send_note(s, false);
	events_service(s);
}

void service_set_error(struct service *s, int error)
{
	s->machine.said.error = error;
	service_send_note(s, false);
}

void service_set_watchdog(struct service *s, uint64_t usec)
{
	s->machine.said.watchdog = usec ? usec : USEC_INFINITY;
	arm_watchdog(s);
	service_send_note(s, false);
}

void service_extend(struct service *s, uint64_t usec)
{
	uint64_t deadline = now_monotonic() + usec;

	if (s->machine.deadline == USEC_INFINITY || s->machine.killed ||
	    deadline <= s->machine.deadline)
		return;
	s->machine.deadline = deadline;
	arm_timer(s);
	service_send_note(s, false); /* the next manager is to be as patient */
}

bool service_may_notify(const struct service_config *c)
{
	return c->ready == READY_NOTIFY || c->watchdog > 0 || c->fd_store_max > 0;
}

void service_set_status(struct service *s, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return;
	free(s->status);
	s->status = copy;
	service_send_note(s, false);
}

/* --- in words --------------------------------------------------------------------------- */

bool service_has_run(const struct service *s)
{
	return s->config->ready == READY_ONESHOT && s->machine.state == STATE_EXITED &&
	       machine_satisfies(&s->machine);
}

bool service_is_as_wanted(const struct service *s)
{
	return machine_is_as_wanted(&s->machine) || service_has_run(s);
}

bool service_is_settled(const struct service *s)
{
	return machine_is_settled(&s->machine) || depend_is_stuck(s);
}

char *service_next(const struct service *s, char *buf, size_t size)
{
	const struct machine *m = &s->machine;
	const struct service *other = depend_waits_for(s);
	const char *handover = handover_waits_for(s);
	uint64_t now = now_monotonic();
	char time[DURATION_TEXT_MAX];

	format_duration(time, sizeof(time), m->deadline > now ? m->deadline - now : 0);
	buf[0] = '\0';
	if (m->state == STATE_WAITING && other)
		snprintf(buf, size, "waits for %s (%s)", other->config->name,
			 service_state_to_string(other->machine.state));
	else if (m->state == STATE_BACKOFF)
		snprintf(buf, size, "restart in %s", time);
	else if (m->state == STATE_STARTING && m->deadline != USEC_INFINITY)
		snprintf(buf, size, "must be ready in %s%s%.128s", time, handover ? "; " : "",
			 handover ? handover : "");
	else if (m->state == STATE_STARTING && handover)
		snprintf(buf, size, "%.128s", handover);
	else if (m->state == STATE_STOPPING && m->deadline != USEC_INFINITY)
		snprintf(buf, size, "%s in %s", m->killed ? "SIGKILL again" : "SIGKILL", time);
	else if (machine_is_active(m) && (!m->desired_up || m->restart_wanted))
		snprintf(buf, size, "stops when those that need it have stopped");
	if (m->state == STATE_STOPPING && s->signal_error) {
		size_t n = strlen(buf);

		snprintf(buf + n, size - n, "%sit cannot be signalled (%s)", n ? "; " : "",
			 strerror(s->signal_error));
	}
	return buf;
}
