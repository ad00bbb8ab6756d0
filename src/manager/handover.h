/* SPDX-License-Identifier: MIT */
/*
 * A service that goes on in another process than the one that was started for it: a daemon that
 * forks away (ready = forking), or a service that names its main process (MAINPID= of
 * sd_notify(3)). The process is found here, and must be of the service's tree; the supervisor is
 * asked to take it (LINK_MAIN), and from its answer on it is the main process.
 *
 *	the process that was started exits 0	      MAINPID=
 *	    |						  |
 *	    v	    not there yet: a little later	  |
 *	  looked for <--------+				  |
 *	    |	  |___________|				  |
 *	    |  found					  |
 *	    +------------------> asked <------------------+
 *				   |
 *		     taken	   |   not taken: it is gone
 *	   EVENT_MAIN <------------+------------> looked for again, or what ended is judged
 *
 * The end of the process before is not acknowledged to the supervisor until then: so the next
 * manager, or the next supervisor's, finds it and goes on with the search.
 */
#ifndef FOSTER_MANAGER_HANDOVER_H
#define FOSTER_MANAGER_HANDOVER_H

#include <stdbool.h>
#include <sys/types.h>

struct link_child;
struct link_main;
struct service;

/*
 * The main process ended, and is the service's no more. True when that is not the service's end,
 * or not known to be: service_judge_end() follows in that case.
 */
bool handover_begin(struct service *, const struct link_child *end);

/* The service says that this is its main process. Who says so has been checked. */
void handover_named(struct service *, pid_t);

/* The supervisor's answer. */
void handover_answered(struct service *, const struct link_main *);

/* True between question and answer: the slot may have a process that we do not know yet. */
bool handover_is_asked(const struct service *);

/* True while another process is looked for, or asked for. */
bool handover_is_under_way(const struct service *);

/* What it waits for, in words; NULL: nothing. */
const char *handover_waits_for(const struct service *);

/* Nobody is looked for any more; an answer is waited for still. */
void handover_done(struct service *);

void handover_forget(struct service *);

#endif
