/* SPDX-License-Identifier: MIT */
/*
 * fosterd -- COMMAND: an init for one command, as the first process of a container or anywhere
 * else, without configuration, manager or run directory. It passes on signals, lends the
 * terminal, reaps, and when the command has ended, ends what is left below it.
 *
 *	execute.c     starts the command
 *	terminal.c    the terminal, lent
 *	descendants.c what is left, found and ended
 */
#ifndef FOSTER_SUPERVISOR_COMMAND_H
#define FOSTER_SUPERVISOR_COMMAND_H

/*
 * Runs the command until it and all that descends from it have ended. The exit code to end with:
 * that of the command, 128 and the signal's number, 127 if it was not found, 126 if it could not
 * be run. To be called before anything was opened: what is inherited is the command's.
 */
int command_run(char **argv);

#endif
