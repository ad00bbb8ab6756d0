/* SPDX-License-Identifier: MIT */
/* The command line: options before, between and behind the other words. */
#ifndef FOSTER_CTL_OPTIONS_H
#define FOSTER_CTL_OPTIONS_H

#include "ctl/ctl.h"

struct command_line {
	const struct verb *verb; /* NULL: none was given */
	char **args;             /* the words behind the verb, in argv */
	size_t n_args;
};

/*
 * Sorts argv in place. On an error a message is printed and EXIT_USAGE returned, else EXIT_OK.
 * Allocates nothing.
 */
int options_parse(int argc, char **argv, struct ctl *ctl, struct command_line *ret);

void options_print_help(const struct verb *verb, FILE *f); /* NULL: all verbs */

#endif
