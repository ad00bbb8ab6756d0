/* SPDX-License-Identifier: MIT */
/*
 * Another program in the supervisor's place, mostly a newer fosterd, by exec(2): the process stays
 * the same, and so its children stay children, the death signals hold, and the descriptors it keeps
 * stay open. The table hands over all else.
 *
 * The new one is tried first: its rehearsal looks whether it understands the table, and its manager
 * whether it understands the configuration and the link (upgrade_rehearse()). When the manager has
 * left for it, it is run (upgrade_run()). Until a manager of its own is up it holds the old program
 * open, and runs that again when it cannot go on, or crashes.
 */
#ifndef FOSTER_SUPERVISOR_UPGRADE_H
#define FOSTER_SUPERVISOR_UPGRADE_H

#include "supervisor/supervisor.h"

/* Takes note of how to run this program again. To be called first. */
void upgrade_init(struct supervisor *, char **argv);

/*
 * In a program that is to take over from an earlier one of this process: opens what it handed
 * over. 1, 0 (nothing was handed over: a plain start), or -errno. All it does before it changes
 * anything is to look.
 */
int upgrade_open(struct supervisor *);
/* The rest, when the loop is there: goes on with its children and descriptors. 0 or -errno. */
int upgrade_take_over(struct supervisor *);

/* Tries whether that program could take over. The manager is told REHEARSED. */
void upgrade_rehearse(struct supervisor *, const struct link_program *);
/* A child has ended: if it was the rehearsal, what it left in its group goes, too. */
void upgrade_before_reaping(struct supervisor *, pid_t pid);
/* True when the child that was reaped was the rehearsal. */
bool upgrade_is_rehearsal(struct supervisor *, pid_t pid, int status);
/* The rehearsal itself, in the program that is tried: 0 or -errno, and says what is wrong. */
int upgrade_rehearsal(const char *run_directory);

/* The manager has ended: nobody waits for a rehearsal any more. */
void upgrade_manager_ended(struct supervisor *);

/* Runs the next program when it is due; returns when there is none, or when it cannot be run. */
void upgrade_run(struct supervisor *);

/* A manager is up: there is no way back any more. */
void upgrade_confirm(struct supervisor *);

/* Our first manager ended with that status: runs the old program; returns when there is none. */
void upgrade_fall_back(struct supervisor *, enum upgrade_outcome, int status);

#endif
