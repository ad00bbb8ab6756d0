/* SPDX-License-Identifier: MIT */
/*
 * The terminal of the session, lent to a command's process group. A shell that waits for us knows
 * our own group only, so this passes on in both directions what job control means: the terminal
 * is the command's while our group is in the foreground, and ours again when the command stops
 * or ends. All calls expect SIGTTOU and SIGTTIN to be blocked: then a group in the background may
 * set the foreground group.
 */
#ifndef FOSTER_SUPERVISOR_TERMINAL_H
#define FOSTER_SUPERVISOR_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

struct terminal {
	int fd;      /* -1: the session has none */
	bool wanted; /* it is the standard input, or the command has asked for it */
	bool lent;
};

void terminal_open(struct terminal *);

/* Our own group is the terminal's foreground group. */
bool terminal_is_ours(const struct terminal *);

/* Lends it to the group if it is ours to lend. True if it was. */
bool terminal_lend(struct terminal *, pid_t group);
void terminal_take_back(struct terminal *);

/* After SIGCONT: lends it again, unless we were continued in the background. */
void terminal_continued(struct terminal *, pid_t group);

#endif
