/* SPDX-License-Identifier: MIT */
/* What every verb of fosterctl gets and returns. A verb is one row of the table in verbs.c. */
#ifndef FOSTER_CTL_CTL_H
#define FOSTER_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/macro.h"

/* As systemctl has them where it has one; see fosterctl(1). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_RUNNING = 3,
	EXIT_NO_SERVICE = 4,
	EXIT_TIMED_OUT = 124, /* as timeout(1) */
};

struct ctl {
	/* options, as in the table of options.c */
	const char *run_directory;
	bool json, quiet, no_color, help, version;
	bool no_wait, whole, follow, dry_run, all, join, blocking;
	uint64_t timeout, interval; /* us; USEC_INFINITY: none was given */
	const char *since, *count, *stream, *grep, *config;

	char *socket_path; /* DIR/control */
	bool colours;
	size_t width; /* of the terminal; 0: stdout is none, cut nothing */
};

typedef int verb_run(const struct ctl *ctl, char **args, size_t n); /* returns an exit code */

struct verb {
	const char *name;
	const char *arguments; /* "[NAME...]" */
	size_t min, max;       /* how many; SIZE_MAX: any */
	const char *options;   /* long names, each followed by a space; the global ones not */
	bool offline;          /* needs no socket */
	const char *help;
	verb_run *run;
	const char *online_word; /* it needs one only with this one first */
};

extern const struct verb verbs[];
extern const size_t n_verbs;

verb_run verb_status, verb_list, verb_why, verb_top, verb_start, verb_stop, verb_restart,
	verb_signal, verb_join, verb_is_alive, verb_pid, verb_events, verb_check, verb_reload,
	verb_shutdown, verb_upgrade, verb_log, verb_reopen, verb_chat, verb_version, verb_help;

/* "fosterctl: ..." on stderr. */
void complain(const char *fmt, ...) PRINTF(1, 2);

/* The code of several results: a missing service tells more than a failure, that more than 0. */
static inline int worse(int a, int b)
{
	return a > b ? a : b;
}

#endif
