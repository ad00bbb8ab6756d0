/* SPDX-License-Identifier: MIT */
/*
 * fosterd, the supervisor: the parent of every service. It forks, reaps, adopts and holds
 * descriptors, and decides nothing: what is to run, and when, the manager says over the link
 * (base/link.h). It allocates nothing after start: all its state is the table (table.h), which
 * is a file under the run directory, and the few numbers here.
 *
 *	main.c	   options, start, the loop
 *	run-directory.c  where its state lies, and the lock of it
 *	table.c	   the table of children and stored descriptors
 *	identity.c who a pid really is; pidfds
 *	adopt.c	   what an earlier supervisor left behind
 *	spawn.c	   the parent's half of a fork
 *	child.c	   the child's half, until it execs
 *	stage.c	   the descriptors of children on their way
 *	reap.c	   SIGCHLD, and the end of adopted processes
 *	main-process.c	main processes that were not forked for their service
 *	keeper.c   starts the manager, and the next one when it ends
 *	upgrade.c  another program in our place
 *	manager-link.c	the link's two directions
 *	end.c	   the end
 *	systemd.c  of sd_notify and sd_listen_fds what the main process itself must do
 */
#ifndef FOSTER_SUPERVISOR_SUPERVISOR_H
#define FOSTER_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/link.h"

struct table;

/* What an epoll event speaks of: a kind in the upper half, a slot in the lower one. */
enum watch {
	WATCH_SIGNALS,
	WATCH_LINK,
	WATCH_EXEC,    /* a child's exec pipe */
	WATCH_ADOPTED, /* the pidfd of a process that is not our child */
	WATCH_DOOR,    /* a stored descriptor at which somebody may wait for the manager */
};

struct keeper {
	pid_t pid;           /* of the manager; 0: none runs */
	bool ready;          /* it has said RUNNING */
	bool ever_ready;     /* some manager has: a failing one is replaced, not obeyed */
	uint32_t generation; /* managers started so far */
	unsigned failures;   /* in a row */
	uint64_t started;    /* us, monotonic */
	uint64_t next_start; /* us, monotonic; 0: not planned */
	uint64_t unanswered; /* since when it owes us a word; us, monotonic; 0: it does not */
	bool pinged;         /* and was asked for it */
	bool ping_due;       /* that is to be sent */
};

/* Another program that is to be what we are, in our place: see upgrade.h. */
struct upgrade {
	char **argv;         /* ours; [0] is the program as it was started */
	const char *program; /* its path: what a start of today would run */
	const char *next;    /* the path of what is to take over */
	int program_fd;      /* what we are, even if the path leads elsewhere by now */
	pid_t rehearsal;     /* its pid while there is one */
	struct link_rehearsed rehearsed;
	bool rehearsed_untold;
	bool due;                   /* the manager leaves for it */
	bool fresh;                 /* we have just taken over: no manager of ours was up yet */
	int old_fd, old_manager_fd; /* the program that we took over from, until one is; else -1 */
	const char *old_program;
};

struct supervisor {
	struct table *table;
	pid_t pid;
	int epoll_fd, signal_fd, lock_fd;
	int null_fd;       /* the one that lies below FD_BASE: every child takes it along */
	bool may_stage;    /* children may share our table of descriptors at first */
	int link_fd;       /* our end; -1: no manager */
	bool link_blocked; /* its buffer is full: EPOLLOUT is awaited */

	const char *run_directory; /* without symbolic links */
	char **manager_argv;
	const char *manager_path;
	int manager_fd; /* what was there at our start: managers are of our own release */
	struct keeper keeper;
	struct upgrade upgrade;

	struct rlimit nofile; /* as inherited: children get it back */
	char mark[40];        /* "FOSTER_INSTANCE=RUN.", RUN being the table's run id */
	int signalled[65];    /* sender + 1 of each signal the manager has not been told yet */
	int end_signal;       /* SIGTERM, SIGINT or SIGPWR, told to every manager; 0: none */
	struct link_orphans orphans;
	bool orphans_untold;
	bool reap_due;      /* SIGCHLD came: children are to be looked for */
	bool service_ended; /* and a service's was among those that were reaped */

	bool ending;          /* the manager said EXIT */
	int exit_code;        /* to end with */
	bool keep;            /* leave children that are no daemons alone */
	bool sweep;           /* leave nobody alone */
	bool without_manager; /* the end is our own: no manager can be started */
};

/*
 * Our own descriptors lie at FD_BASE and above. Below are those that a child is given, and, while
 * it is on its way, those that it takes along (stage.h). A multiple of 64.
 */
#define FD_BASE 128

/* Moves fd to a number of FD_BASE or more, CLOEXEC. fd is closed. The new one, or -errno. */
int supervisor_raise_fd(int fd);

/* A copy of fd at FD_BASE or above, CLOEXEC; fd stays open. The copy, or -errno. */
int supervisor_copy_fd(int fd);

/* Reads the signals that have come: what they ask for is in s then. */
void supervisor_read_signals(struct supervisor *);

/* Adds fd to the loop. 0 or -errno. */
int supervisor_watch(struct supervisor *, int fd, uint32_t events, enum watch, uint32_t slot);

#endif
