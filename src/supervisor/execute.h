/* SPDX-License-Identifier: MIT */
/* The start of fosterd's one command (command.h): all between fork and exec. */
#ifndef FOSTER_SUPERVISOR_EXECUTE_H
#define FOSTER_SUPERVISOR_EXECUTE_H

#include <signal.h>
#include <sys/types.h>

struct terminal;

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND      127

/*
 * Starts the command in a group of its own, in a session of its own where there is no terminal,
 * with the terminal lent to it where that is ours, and with this signal mask. Returns when it
 * has exec'd, or has failed: then it said why and exits with one of the codes above. Its pid, or
 * -errno. All signals must be blocked. The environment is the command's afterwards.
 */
pid_t execute(char **argv, struct terminal *, const sigset_t *mask);

/*
 * Lets go of each inherited pipe and socket but the standard error: when the command closes its
 * own, the other end is to see that.
 */
void let_go_of_streams(void);

#endif
