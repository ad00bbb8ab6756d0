/* SPDX-License-Identifier: MIT */
/* The end of processes: our children and adopted orphans (SIGCHLD), and adopted services. */
#ifndef FOSTER_SUPERVISOR_REAP_H
#define FOSTER_SUPERVISOR_REAP_H

#include "supervisor/supervisor.h"

/* Reaps until no ended child is left. Never blocks. */
void reap_children(struct supervisor *);

/* The pidfd of an adopted process is readable: it ended. */
void reap_adopted(struct supervisor *, uint32_t slot);

/*
 * The child that a SIGCHLD named, if it is a service's and has ended. Signals do not queue, so
 * reap_children() must follow; this one is quick however many children there are.
 */
void reap_hinted(struct supervisor *, pid_t);

#endif
