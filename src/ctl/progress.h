/* SPDX-License-Identifier: MIT */
/*
 * What a command still waits for, told on stderr when it takes longer than a moment: on a
 * terminal one line that is kept up to date, elsewhere a line for each change. It is an exchange
 * in the background of those that are waited for.
 */
#ifndef FOSTER_CTL_PROGRESS_H
#define FOSTER_CTL_PROGRESS_H

#include "ctl/ctl.h"
#include "base/exchange.h"

struct progress {
	const struct ctl *ctl;
	const char *target; /* "/v1/why" or "/v1/blocking" */
	char **names;       /* of the services that are meant; NULL: all */
	char **told;        /* on no terminal: what was told last */
	size_t width;       /* of the terminal; 0: stderr is none */
	bool shown;         /* there is a line on the terminal */
};

/* Sets up both; target and names must outlive them. With --quiet nothing will be told. */
void progress_init(struct progress *, const struct ctl *, const char *target, char **names,
		   struct exchange *ret);

/* Takes the line away: something else is about to be printed. */
void progress_hide(struct progress *);
void progress_clear(struct progress *, struct exchange *);

#endif
