/* SPDX-License-Identifier: MIT */
/*
 * A service of the running manager: its state machine, the process that the supervisor keeps
 * for it, its timers and its place among the others. Everything that happens to a service goes
 * through service_event(); nothing else changes its state.
 */
#ifndef FOSTER_MANAGER_SERVICE_H
#define FOSTER_MANAGER_SERVICE_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "manager/machine.h"
#include "manager/manager.h"

#define NO_SLOT UINT32_MAX

struct handover;
struct group_members;
struct late_end;
struct readiness;
struct stored_fd;

struct service {
	struct manager *manager;
	const struct service_config *config;
	struct service_config *own_config; /* of one that no configuration names; else NULL */
	struct config_ref *started_with;   /* what its running instance was started with */
	struct config_ref *removed_with;   /* its section is gone: the last one that had it */

	struct machine machine;
	uint64_t instance;
	uint32_t slot;
	pid_t pid;
	pid_t tree_pid; /* of the last main process: its group and session, if it was taken the latter */
	bool orphaned; /* its section is gone; it may be stopped */
	bool let_end;  /* wanted down, but without a signal: its end is its own */
	bool daemon;   /* as its running process was started; see service_is_daemon() */
	bool adopted;  /* its process is of an earlier supervisor */
	bool retold;   /* that it runs is no news: the last manager has said it */
	/* It was killed as a whole once. Linux (6.18) then kills who is born into it by clone3(2),
	 * for ever: it is made anew for the next start. */
	bool cgroup_spent;
	bool in_cgroup; /* its process was born into its cgroup, and so is all of its tree */
	bool taken;     /* its main process is another than the one that was started for it */
	bool exit_held; /* an end that is not acknowledged while another process is looked for */
	bool to_be_removed;
	bool queued; /* in depend.c's queue */
	/* Between the machine's wish to spawn and the supervisor's word that it did. */
	bool spawn_queued, spawn_sent, counted;
	struct handover *handover;      /* NULL unless one is */
	struct readiness *readiness;    /* NULL unless it is waited for at a descriptor */
	struct stored_fd *stored_fds;   /* fd-store.h; NULL: none */
	struct group_members *in_group; /* whom a signal to the group will reach; else NULL */
	struct late_end *late_end;      /* of the main process, not handled yet; else NULL */

	int signal_at_spawn;
	int signal_error; /* of the last signal that was refused, positive errno; 0: none was */
	struct service *next_spawn;

	/* The order among services; pointers into manager->services. */
	struct service **requires, **after, **required_by, **before;
	unsigned n_requires, n_after, n_required_by, n_before;
	struct service *next_queued; /* in depend.c's queue */

	struct event *timer;    /* NULL while there is no deadline */
	struct event *watchdog; /* NULL unless it is used */
	char *status;           /* sd_notify STATUS; may be NULL */
	char *pending;          /* options that hold from the next start only; may be NULL */
	uint64_t user_usec, system_usec, max_rss; /* of the last end */
	struct service *next_by_pid, *next_by_name;
};

struct service *service_new(struct manager *, const struct service_config *);
struct service *service_free(struct service *); /* always NULL */

/* One event with its particulars; unused fields of facts are filled in here. */
void service_event(struct service *, enum machine_event, struct machine_facts);

/* The plain ones. */
void service_start(struct service *, enum reason);
void service_stop(struct service *, enum reason);
void service_restart(struct service *, enum reason);
/* Not to be started again; it is left to end by itself. */
void service_let_end(struct service *, enum reason);

/* START, STOP or RESTART on somebody's behalf, which the history keeps; NULL: foster itself. */
void service_ask(struct service *, enum machine_event, enum reason, const struct asker *);

/* What the supervisor reports. */
void service_spawned(struct service *, const struct link_child *);
void service_started(struct service *, const struct link_child *);
void service_exited(struct service *, const struct link_child *);
/* An end that is not handled yet is to be none: another process is the main one now. */
void service_forget_end(struct service *);
/* The same for one that no other process goes on for: handover.h. */
void service_judge_end(struct service *, const struct link_child *);

/*
 * Whether it must not outlive the supervisor: of a running process what was set before its
 * start, whatever the configuration has come to say since.
 */
bool service_is_daemon(const struct service *);

/* Signals the main process, or its whole tree. 0, or -ESRCH when nothing runs. */
int service_signal(struct service *, int signo, bool whole);

/*
 * A process of it could not be signalled: told once a start. With EPERM it has become another
 * user's, and foster cannot end it.
 */
void service_unsignalled(struct service *, pid_t, int signo, int error);

/* True when SIGKILL was refused: nobody can wait for its end. */
bool service_is_out_of_reach(const struct service *);

/* A sign of life: the watchdog's time starts anew. */
void service_alive(struct service *);
void service_set_status(struct service *, const char *text);
void service_set_phase(struct service *, enum phase);
void service_set_error(struct service *, int error);        /* positive errno */
void service_set_watchdog(struct service *, uint64_t usec); /* in place of the option; 0: none */
void service_extend(struct service *, uint64_t usec);       /* its deadline, from now on */

/* Whether a service of that config is given the socket of sd_notify(3). */
bool service_may_notify(const struct service_config *);

/* Arms what follows from the machine's state: after it was restored, or its config changed. */
void service_arm(struct service *);

/*
 * The service whose section is gone has stopped: it is forgotten, a little later, when nobody
 * is in the middle of it any more.
 */
void service_removed(struct service *);

/* Sends the note; with exit_seen the supervisor may forget the end that it keeps. */
void service_send_note(struct service *, bool exit_seen);

/* "web[1234]", or "web" without a process; in a static buffer. */
const char *service_label(const struct service *);

/* What comes next, in words: "restart in 3.2s", "waits for db"; "" for nothing. Returns buf. */
char *service_next(const struct service *, char *buf, size_t size);

/* True for a oneshot service whose work is done. */
bool service_has_run(const struct service *);

/* True when it is where it is wanted: it runs, or has run, or is down. */
bool service_is_as_wanted(const struct service *);

/* True when nothing more will happen by itself, waiting for a failed dependency included. */
bool service_is_settled(const struct service *);

#endif
