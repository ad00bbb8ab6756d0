/* SPDX-License-Identifier: MIT */
/*
 * The table: every child and every stored descriptor, in a file under the run directory that
 * is mapped shared. It outlives even a SIGKILL of supervisor and manager; the next supervisor
 * finds in it whom to end and whom to adopt. Two queues run through it: the slots and places
 * of which the manager has not been told yet.
 */
#ifndef FOSTER_SUPERVISOR_TABLE_H
#define FOSTER_SUPERVISOR_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/link.h"
#include "supervisor/stage.h"

/* What the manager has not been told of a slot, in the order in which it will be. */
#define TELL_CHILD      (1U << 0)
#define TELL_SPAWNED    (1U << 1)
#define TELL_STARTED    (1U << 2)
#define TELL_EXITED     (1U << 3)
#define TELL_SIGNALLED  (1U << 4)
#define TELL_MAIN_TAKEN (1U << 5)

struct table_slot {
	struct link_child child; /* child.name[0] == '\0': the slot is free */
	uint64_t pidfs_inode;    /* 0: this kernel's pidfds have none */
	uint64_t start_ticks;    /* of /proc/PID/stat; 0: not known */
	/* These hold for the running supervisor only. */
	int32_t pidfd;     /* of a process that is not our child; else -1 */
	int32_t exec_fd;   /* read end of the exec pipe while it is FORKED; else -1 */
	bool exec_watched; /* the loop knows it */
	bool starting;     /* in the queue */
	struct stage stage;
	uint32_t tell; /* TELL_* */
	int32_t signal_number, signal_error;
	int32_t main_pid, main_error; /* of the last MAIN */
	uint32_t next_untold;         /* queue links: slot + 1, 0: none */
	uint32_t next_by_pid;
	uint32_t next_starting;
};

/* What became of the supervisor's upgrades, and what it hands over to the next program. */
struct table_upgrade {
	uint32_t attempts, outcome; /* enum upgrade_outcome */
	int32_t error;              /* see struct link_hello */

	int32_t pid; /* of the supervisor that hands over; 0: nothing is handed over */
	uint32_t generation;
	int32_t end_signal, signalled[65];
	uint64_t nofile_soft, nofile_hard;
	struct link_orphans orphans;
	/* Last: pages that only upgrades touch. */
	char run_directory[LINK_PROGRAM_MAX];
	char program[LINK_PROGRAM_MAX]; /* the path of the one that hands over */
};

/* It was forked, and its end is not known. */
static inline bool table_slot_is_alive(const struct table_slot *slot)
{
	return slot->child.state == CHILD_FORKED || slot->child.state == CHILD_RUNNING;
}

struct table_place {
	char name[LINK_NAME_MAX + 8]; /* empty: the place is free, and fd is -1 */
	int32_t fd;
	uint32_t next_untold;
	uint16_t tell;    /* 1: STORED, 2: the descriptor itself (FETCH) */
	uint16_t is_door; /* see base/link.h */
};

/* The manager, for the next supervisor: one that hangs outlives this one. */
struct table_manager {
	int32_t pid;                       /* 0: there was none */
	uint64_t pidfs_inode, start_ticks; /* as those of a slot */
};

struct table;

/*
 * Opens or makes the table in the directory dir_fd. What another boot, another version of the
 * table or a file of a wrong size holds is not believed: the table is then new. Sets errno.
 */
struct table *table_open(int dir_fd);

/* Opens the table of a supervisor that hands it over: one that cannot be believed is -EPROTO. */
struct table *table_open_handed_over(int dir_fd);

/*
 * 0 when this program could open that table; else -errno, and says what is wrong. Changes nothing.
 */
int table_check(int dir_fd);

struct table_upgrade *table_upgrade(struct table *);

/* The table's file is no longer needed: removes it. */
void table_remove(int dir_fd);

uint64_t table_run_id(const struct table *);
uint64_t table_next_instance(struct table *);

struct table_manager *table_manager(struct table *);

/* Slots below *n have been used; the others never. */
struct table_slot *table_slots(struct table *, uint32_t *n);
/* NULL: there is no such one, or, at its first use, no room for it in the file (errno). */
struct table_slot *table_slot(struct table *, uint32_t slot);
struct table_place *table_place(struct table *, uint32_t place);
/* The first place after that one which has been used; from -1 on, -1 at the end. */
int64_t table_next_place(const struct table *, int64_t after);

/* Sets and unsets the slot's pid; table_find finds it. pid 0: no child. */
void table_set_pid(struct table *, uint32_t slot, pid_t pid);
struct table_slot *table_find(struct table *, pid_t pid, uint32_t *ret_slot);

/* The queues. pop returns -1 when nothing is left. */
void table_tell_slot(struct table *, uint32_t slot, uint32_t what);
int64_t table_pop_slot(struct table *);
void table_unpop_slot(struct table *, uint32_t slot);
void table_tell_place(struct table *, uint32_t place, uint32_t what);
int64_t table_pop_place(struct table *);
void table_unpop_place(struct table *, uint32_t place);

/*
 * The queue of slots whose child is on its way to exec and not watched yet, in the order of
 * their forks. A slot is in it once at most. first returns -1 when there is none.
 */
void table_push_starting(struct table *, uint32_t slot);
int64_t table_first_starting(const struct table *);
void table_pop_starting(struct table *);

/* Everything in use is to be told, and nothing else: for a new manager. */
void table_tell_all(struct table *);

#endif
