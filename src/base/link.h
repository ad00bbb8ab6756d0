/* SPDX-License-Identifier: MIT */
/*
 * The link between fosterd (the supervisor) and foster-manager: all that crosses that border.
 *
 * One SOCK_SEQPACKET socketpair, messages in the machine's own byte order: both ends always run
 * on one kernel. A packet is one message or several, one behind the other (link_next()); of the
 * descriptors that come with it, each message with has_fd has one, in their order. LINK_VERSION
 * changes with every change of a struct here.
 *
 * The manager owns the numbers: it gives every service a slot and every stored descriptor a
 * place, both small integers, and the supervisor keeps what the manager puts there: the child
 * of a slot and its note (the manager's own opaque state of the service), the descriptor of a
 * place and its name. A new manager is told all of it first (HELLO, then CHILD and STORED for
 * each one in use, then SYNCED) and so goes on where the last one stopped.
 *
 * A child's exit stays in its slot until the manager has acknowledged it with a NOTE that
 * carries LINK_NOTE_EXIT_SEEN, or reused the slot with SPAWN: no exit is ever lost between two
 * managers.
 */
#ifndef FOSTER_BASE_LINK_H
#define FOSTER_BASE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/macro.h"

#define LINK_VERSION      3
#define LINK_VERSION_TEXT STRINGIFY(LINK_VERSION)
#define LINK_FD           3            /* the manager's end, in the manager */
#define LINK_MESSAGE_MAX  (128 * 1024) /* below the default limit of a Unix socket's buffer */
#define LINK_NAME_MAX     64           /* with the NUL */
#define LINK_NOTE_MAX     288
#define LINK_SLOTS        12288 /* services */
#define LINK_PLACES       45056 /* stored descriptors: three of them a slot, and 8192 */
#define LINK_ARGS_MAX     8192  /* arguments and environment strings of one spawn together */
#define LINK_FDS_MAX      64    /* descriptors passed to one service, after stdio */
#define LINK_READY_MAX    99    /* the highest number that a readiness descriptor may have */
#define LINK_GROUPS_MAX   256
#define LINK_LIMITS_MAX   RLIM_NLIMITS
#define LINK_PROGRAM_MAX  4096 /* a path, with the NUL */

/* Instead of a place: /dev/null, and the supervisor's own standard output or error. */
#define LINK_PLACE_NULL    UINT32_MAX
#define LINK_PLACE_INHERIT (UINT32_MAX - 1)

enum link_type {
	/* manager to supervisor */
	LINK_SPAWN = 1, /* struct spawn_request, encoded by link_encode_spawn() */
	LINK_SIGNAL,    /* struct link_signal */
	LINK_NOTE,      /* struct link_note */
	LINK_FORGET,    /* struct link_slot: the slot is free again; it must have no child */
	LINK_STORE,     /* struct link_place with its fd; what was there is closed */
	LINK_FETCH,     /* struct link_place: answered by FD */
	LINK_DROP,      /* struct link_place: the fd is closed, the place free */
	LINK_RUNNING,   /* struct link_header: the manager is up; from now on it is replaced */
	LINK_EXIT,      /* struct link_exit: the supervisor ends with that code */
	LINK_PONG,      /* struct link_header: the answer to PING */
	LINK_REHEARSE, /* struct link_program: could that fosterd take over? Answered by REHEARSED */
	LINK_TAKE_OVER, /* struct link_header: let it do so, as soon as this manager has ended */
	LINK_MAIN,      /* struct link_main, with a pidfd: that is the main process now */

	/* supervisor to manager */
	LINK_HELLO = 64, /* struct link_hello */
	LINK_CHILD,      /* struct link_child: one slot in use */
	LINK_STORED,     /* struct link_place: one place in use */
	LINK_SYNCED,     /* struct link_header: all has been told */
	LINK_SPAWNED,    /* link_child, LINK_NEWS_SIZE: it was forked, or that failed (step) */
	LINK_STARTED,    /* the same: it has exec'd, or a step before failed */
	LINK_EXITED,     /* the same: it ended, status and rusage are set */
	LINK_SIGNALLED,  /* struct link_signal: a process group has it, or error says why not */
	LINK_ORPHANS,    /* struct link_orphans: adopted orphans were reaped */
	LINK_FD_REPLY,   /* struct link_place with its fd, or none when the place is empty */
	LINK_GOT_SIGNAL, /* struct link_got: somebody sent the supervisor a signal */
	LINK_PING,       /* struct link_header: a manager that does not answer is replaced */
	LINK_REHEARSED,  /* struct link_rehearsed */
	LINK_MAIN_TAKEN, /* struct link_main: the answer to MAIN */
};

/* The steps between fork and the running program, in their order. */
enum spawn_step {
	STEP_NONE,
	STEP_FORK,
	STEP_SESSION,
	STEP_DESCRIPTORS,
	STEP_LIMITS,
	STEP_NICE,
	STEP_GROUPS,
	STEP_GROUP,
	STEP_USER,
	STEP_DIRECTORY,
	STEP_DEATH_SIGNAL,
	STEP_PARENT, /* the supervisor died meanwhile */
	STEP_EXEC,
};
const char *spawn_step_to_string(enum spawn_step); /* "chdir", "setuid", "execve", ... */
int spawn_step_from_string(const char *);

struct link_header {
	uint32_t type; /* enum link_type */
	uint32_t size; /* of the whole message in bytes, a multiple of 8 */
};

struct link_hello {
	struct link_header header;
	uint32_t version;
	int32_t supervisor_pid;
	uint64_t run_id;     /* first half of every FOSTER_INSTANCE of this table */
	uint32_t generation; /* 1: the first manager of this supervisor */
	uint32_t upgrades;   /* how often a program was to take its place */
	uint32_t outcome;    /* enum upgrade_outcome of the last time */
	int32_t error;    /* of EXEC_FAILED: a positive errno; of FELL_BACK: a status of wait(2) */
	uint32_t renewed; /* 1: the first manager since another program took over */
	uint32_t reserved;
};

enum upgrade_outcome {
	UPGRADE_NONE,        /* there was none */
	UPGRADE_TAKEN_OVER,  /* that program is the supervisor */
	UPGRADE_EXEC_FAILED, /* the old one goes on: the new one could not be run */
	UPGRADE_FELL_BACK,   /* the old one is back: the new one's manager ended before it was up */
	UPGRADE_CRASHED,     /* the old one is back: the new one crashed before that */
};

/* The descriptor of a rehearsal that its words go to, and the manager's configuration for it. */
struct link_program {
	struct link_header header;
	uint32_t words, config;      /* places */
	char path[LINK_PROGRAM_MAX]; /* empty: the one that the supervisor was started as */
};

struct link_rehearsed {
	struct link_header header;
	int32_t status; /* as wait(2) gives it */
	int32_t error;  /* positive: it could not even be tried */
};

struct link_slot {
	struct link_header header;
	uint32_t slot;
	uint32_t reserved;
};

enum child_state {
	CHILD_NONE,    /* the slot is free, or holds a note only */
	CHILD_FORKED,  /* on its way to exec */
	CHILD_RUNNING, /* has exec'd */
	CHILD_EXITED,  /* status holds; not yet acknowledged */
};

#define CHILD_DAEMON         (1U << 0) /* must not outlive the supervisor */
#define CHILD_ADOPTED        (1U << 1) /* of an earlier supervisor: not our child by fork */
#define CHILD_STATUS_UNKNOWN (1U << 2) /* it ended, and nobody can tell how */
#define CHILD_LEFT_OVER      (1U << 3) /* of an earlier supervisor, ended: its tree must be swept */
#define CHILD_IN_CGROUP      (1U << 4) /* it was born into its cgroup, and so is all of its tree */
#define CHILD_STARTED_TOLD   (1U << 5) /* STARTED was told to a manager, maybe an earlier one */
#define CHILD_TAKEN          (1U << 6) /* it is not the one that was forked for it: see MAIN */

struct link_child {
	struct link_header header;
	uint32_t slot;
	uint32_t state; /* enum child_state */
	uint32_t flags;
	int32_t pid;
	uint64_t instance; /* second half of FOSTER_INSTANCE */
	uint64_t started;  /* CLOCK_MONOTONIC, us: the fork */
	int32_t status;    /* as wait(2) gives it */
	uint32_t step;     /* enum spawn_step that failed; STEP_NONE: none */
	int32_t error;     /* errno of that step, positive */
	uint32_t note_size;
	uint64_t user_usec, system_usec; /* rusage of the child and what it waited for */
	uint64_t max_rss;                /* bytes */
	char name[LINK_NAME_MAX];
	uint8_t note[LINK_NOTE_MAX];
};

/* Of news of a child: the manager knows its name, and wrote its note. */
#define LINK_NEWS_SIZE offsetof(struct link_child, name)

#define LINK_NOTE_EXIT_SEEN (1U << 0)

struct link_note {
	struct link_header header;
	uint32_t slot;
	uint32_t flags;
	uint32_t note_size;
	uint32_t reserved;
	char name[LINK_NAME_MAX]; /* makes the slot used when it was free */
	uint8_t note[LINK_NOTE_MAX];
};

struct link_signal {
	struct link_header header;
	uint32_t slot;
	int32_t signo;
	uint64_t instance; /* of the child that is meant: a newer one is left alone */
	uint32_t group;    /* 1: its process group, 0: the process alone */
	int32_t error;     /* in SIGNALLED: positive errno, or 0 */
};

/*
 * The service goes on in another process: a daemon that its first process left behind, or the one
 * that it names. From then on that one is the slot's child, with the same instance, whatever has
 * become of the one before; its end is the child's end. In the answer error says why it was
 * not taken: ESRCH, it is gone.
 */
struct link_main {
	struct link_header header;
	uint32_t slot;
	int32_t pid;
	uint64_t instance;
	uint32_t has_fd; /* 1: a pidfd of it comes with it */
	int32_t error;   /* in MAIN_TAKEN: positive errno, or 0 */
};

struct link_place {
	struct link_header header;
	uint32_t place;
	uint16_t has_fd;  /* 1: a descriptor comes with it */
	uint16_t is_door; /* 1, of STORE: when it is readable somebody waits for the manager */
	char name[LINK_NAME_MAX + 8];
};

struct link_orphans {
	struct link_header header;
	uint64_t total; /* since the supervisor started */
	int32_t pid;    /* of the last one */
	int32_t status;
};

struct link_got {
	struct link_header header;
	int32_t signo;
	int32_t sender; /* pid, 0: the kernel (a terminal's Ctrl-C) */
};

struct link_exit {
	struct link_header header;
	int32_t code;
	uint32_t keep;  /* 1: children that are no daemons go on running */
	uint32_t sweep; /* 1: nothing of anybody's may be left */
	uint32_t reserved;
};

/* What a child is to become. Pointers point into the caller's memory or the message. */
struct spawn_limit {
	uint32_t resource;
	uint32_t reserved;
	uint64_t soft, hard; /* UINT64_MAX: none */
};

struct spawn_request {
	uint32_t slot;
	bool daemon;
	int death_signal;
	bool change_user;
	uid_t uid;
	gid_t gid;
	const uint32_t *groups;
	size_t n_groups;
	bool has_umask;
	mode_t umask;
	bool has_nice;
	int nice;
	const struct spawn_limit *limits;
	size_t n_limits;
	uint32_t stdio[3];   /* places */
	const uint32_t *fds; /* places, passed from 3 on with LISTEN_FDS and LISTEN_PID */
	size_t n_fds;
	uint32_t ready_place; /* of what it gets as descriptor ready_fd */
	int ready_fd;         /* 0: none; else 1, or free: behind stdio and fds */
	const char *name;
	const char *directory;  /* empty: / */
	const char *search;     /* as PATH, for a command without a slash */
	uint32_t program_place; /* of the program itself, open; LINK_PLACE_NULL: argv[0] names it */
	const char *cgroup;     /* a directory below that of cgroup_place; empty: none */
	uint32_t cgroup_place;
	char **argv; /* NULL-terminated */
	char **envp; /* NULL-terminated; the supervisor adds FOSTER_INSTANCE, LISTEN_PID */
	const uint8_t *note;
	size_t note_size;
};

/*
 * The mark of a start that nobody loses by accident: the hard and soft limit RLIMIT_RTTIME of all
 * its processes, of as many microseconds as no real-time process ever runs in one go. It goes
 * through fork and exec as FOSTER_INSTANCE does, but cannot be raised, and /proc/PID/limits shows
 * it to everybody, also of who wiped its environment or executes a set-user-ID program. Pure.
 */
#define LINK_LIMIT_MARK_MIN (UINT64_C(1) << 62)
uint64_t link_limit_mark(uint64_t run_id, uint64_t instance);

/*
 * The message at *offset of a packet, and *offset moves behind it. NULL at the packet's end, and
 * where the rest is no message (*offset is less than size then). packet is aligned to 8. Pure.
 */
const struct link_header *link_next(const void *packet, size_t size, size_t *offset);

/* The size of the message, or -E2BIG when it does not fit. Pure. */
ssize_t link_encode_spawn(const struct spawn_request *, void *buf, size_t size);

/*
 * Room for how many pointers the decoding of that message needs; LINK_ARGS_MAX + 2 at most. Pure.
 */
size_t link_spawn_pointers(const void *buf, size_t size);

/*
 * The opposite. Strings point into buf; argv and envp into pointers. Nothing in the message is
 * trusted. 0, -EINVAL or -E2BIG. Pure.
 */
int link_decode_spawn(const void *buf, size_t size, struct spawn_request *ret, char **pointers,
		      size_t n_pointers);

#endif
