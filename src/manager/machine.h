/* SPDX-License-Identifier: MIT */
/*
 * The state machine of one service, pure: (machine, event, facts) -> (machine, actions). No
 * system calls, no clock, no log: all that it must know comes in struct machine_facts, all that
 * it wants done goes out as actions.
 *
 * Three variables, never mixed: what is wanted (desired_up), what is (state), and why (reason).
 *
 *	            START                    dependencies ready
 *	STOPPED ---------------> WAITING ----------------------------> STARTING
 *	   ^                        ^                                     |  ready
 *	   | tree empty,            | restart delay over                  v
 *	   | wanted down            |                                  RUNNING
 *	STOPPING <------------- BACKOFF <---- ended, to be restarted -----+
 *	   ^       STOP             |                                     |
 *	   |                        | limit reached                       | ended,
 *	   | STOP, RESTART, or      v                                     v not to be restarted
 *	   | its tree outlived it FAILED                               EXITED or FAILED
 *
 * A forking service ends its first process and goes on in another one: until the supervisor has
 * taken that one for its main process it stays STARTING, without one (main_ended).
 *
 * STOPPING also stands for "its main process ended by itself and the rest of its tree is being
 * ended": what follows is decided when the tree is empty, from desired_up and the end that was
 * recorded. A service that is to stop waits in its state while services that need it are on
 * their way down (facts.held).
 */
#ifndef FOSTER_MANAGER_MACHINE_H
#define FOSTER_MANAGER_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manager/config.h"

struct asker;
struct history;

enum service_state {
	STATE_STOPPED,  /* not wanted, nothing runs */
	STATE_WAITING,  /* wanted; a dependency is not ready */
	STATE_STARTING, /* a process is on its way to being ready */
	STATE_RUNNING,  /* ready */
	STATE_STOPPING, /* its tree is being ended */
	STATE_BACKOFF,  /* ended; the next start has a time */
	STATE_EXITED,   /* ended well, not to be restarted */
	STATE_FAILED,   /* ended badly, not to be restarted */
	STATE_COUNT,
};
const char *service_state_to_string(enum service_state);
int service_state_from_string(const char *);

/* Why the service is in its state. machine_reason() says it in words. */
enum reason {
	REASON_NONE,
	REASON_BOOT,       /* autostart */
	REASON_COMMAND,    /* somebody asked */
	REASON_DEPENDENT,  /* a service that needs it was started */
	REASON_DEPENDENCY, /* a service that it needs was stopped */
	REASON_SHUTDOWN,
	REASON_REMOVED,      /* no longer in the configuration */
	REASON_CHANGED,      /* its configuration changed */
	REASON_ENDED,        /* by itself: see ended_status */
	REASON_SPAWN_FAILED, /* see step and step_error */
	REASON_START_TIMEOUT,
	REASON_WATCHDOG,
	REASON_ADOPTED, /* of an earlier supervisor */
	REASON_ADDED,   /* new in the configuration */
	REASON_CLOSED,  /* its readiness descriptor was closed without a newline */
	REASON_NO_MAIN, /* it was to fork away, and left no process behind */
	REASON_COUNT,
};
const char *reason_to_string(enum reason);
int reason_from_string(const char *);

enum machine_event {
	EVENT_START,       /* desired up */
	EVENT_STOP,        /* desired down */
	EVENT_RESTART,     /* down and up again */
	EVENT_FACTS,       /* a dependency or a dependent changed */
	EVENT_STARTED,     /* the process has exec'd */
	EVENT_NOT_STARTED, /* fork failed, nothing runs: step and error are in the facts */
	EVENT_STEP_FAILED, /* a step before exec failed; its end will follow */
	EVENT_READY,       /* the process said that it is ready */
	EVENT_ENDED,       /* the main process ended: status is in the facts */
	EVENT_EMPTY,       /* the whole tree has ended */
	EVENT_TIMER,       /* the deadline has passed */
	EVENT_WATCHDOG,    /* no sign of life in time */
	EVENT_FORKED,      /* the process that was started ended well, and a daemon is to be left */
	EVENT_MAIN,        /* the supervisor has taken another process for the main one */
	EVENT_NOT_READY,   /* it will not become ready: the reason is in the facts */
	EVENT_COUNT,
};
const char *machine_event_to_string(enum machine_event);
int machine_event_from_string(const char *);

/* What the machine must know of the world at an event. */
struct machine_facts {
	uint64_t now; /* us, monotonic */
	uint32_t random;
	enum reason reason;        /* of START, STOP, RESTART, NOT_READY: why */
	const struct asker *asker; /* of the same, for the history; NULL: foster itself */
	bool deps_ready;           /* all that must be ready before it are */
	bool held;                 /* services that must stop before it are on their way down */
	bool tree_empty;           /* at ENDED: nothing of its process group is left */
	int status;                /* at ENDED, as wait(2) gives it */
	bool status_unknown;       /* at ENDED: nobody could tell */
	int step, error; /* at NOT_STARTED, STEP_FAILED: enum spawn_step, positive errno */
	const struct service_config *config;
};

/* What the process says that it is about (sd_notify: RELOADING, STOPPING). */
enum phase {
	PHASE_NONE,
	PHASE_RELOADING,
	PHASE_STOPPING,
	PHASE_COUNT,
};
const char *phase_to_string(enum phase);
int phase_from_string(const char *);

/* What it has said of itself beside that, and what its next start makes forgotten. */
struct said {
	enum phase phase;
	int error;         /* ERRNO, positive; 0: none */
	uint64_t watchdog; /* WATCHDOG_USEC, us; 0: nothing was said, USEC_INFINITY: none */
};

/* What is to be done, in this order. */
enum {
	ACTION_SPAWN = 1 << 0,
	ACTION_STOP_SIGNAL = 1 << 1, /* the stop signal to the whole tree */
	ACTION_KILL = 1 << 2,        /* SIGKILL to the whole tree */
	ACTION_WATCH_TREE = 1 << 3,  /* give EVENT_EMPTY when the tree is empty */
	ACTION_TIMER = 1 << 4,       /* deadline has changed; USEC_INFINITY: no timer */
	ACTION_SWEEP = 1 << 5,       /* end what may have left the process group, without waiting */
};

/* How its processes ended. */
enum end_kind {
	END_SUCCESS, /* exit code 0 */
	END_FAILURE, /* another exit code, or it could not be started */
	END_SIGNAL,
	END_UNKNOWN, /* nobody saw the status */
	END_KINDS
};

struct machine {
	enum service_state state;
	bool desired_up;
	bool restart_wanted; /* on its way down to come up again */
	bool killed;         /* while STOPPING: the stop signal was not enough */
	bool main_ended;     /* while STOPPING or STARTING: only the rest of the tree is left */
	enum reason reason;
	uint64_t since;           /* of the state; us, monotonic */
	uint64_t started;         /* of the running process; 0: none */
	uint64_t deadline;        /* us, monotonic; USEC_INFINITY: none */
	unsigned attempts;        /* restarts since it was last up for a while */
	unsigned restarts;        /* automatic ones, since the supervisor knows it */
	unsigned ends[END_KINDS]; /* of its main processes, likewise; counted by history_step() */
	bool ever_ended;
	bool ended_unknown;
	int ended_status;     /* of the last end */
	int step, step_error; /* of the last failed start */
	bool failed_start;    /* the end to be judged is that of a start that failed */
	struct said said;
	struct history *history; /* history.h; the machine does not look at it. NULL: none */
};

void machine_init(struct machine *, uint64_t now);

/* One event; the actions to be carried out. Every pair of state and event has a meaning. */
unsigned machine_step(struct machine *, enum machine_event, const struct machine_facts *);

/*
 * The reason in words: "exit 1, 4th retry in 3.2s", "chdir /srv/x: No such file or directory".
 * config tells what a failed step was about. Returns buf.
 */
#define REASON_TEXT_MAX 256
char *machine_reason(const struct machine *, const struct service_config *config, uint64_t now,
		     char *buf, size_t size);

/* The last end in words: "exit 1", "killed by SIGSEGV (core dumped)"; "" when it never ended. */
char *machine_end(const struct machine *, char *buf, size_t size);

/* A status of wait(2) in these words. */
char *machine_status(int status, bool unknown, char *buf, size_t size);

/* Process-like exit code of the last end: 128 + N for a signal, -1 when there is none. */
int machine_exit_code(const struct machine *);

/* True while a process of it may exist. */
bool machine_is_active(const struct machine *);

/* True when a service that needs it may start. */
bool machine_satisfies(const struct machine *);

/* True when it is where it is wanted; a service that ended by itself is not. */
bool machine_is_as_wanted(const struct machine *);

/* True when nothing more will happen by itself on the way to what is wanted. */
bool machine_is_settled(const struct machine *);

#endif
