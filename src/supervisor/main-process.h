/* SPDX-License-Identifier: MIT */
/*
 * Main processes that were not forked here for their service: the daemon that a service left
 * behind when it forked away, or the one that it names (MAIN in base/link.h). Such a process is
 * mostly an orphan that we adopted, and so our child, which waitid(2) reaps; else its pidfd tells
 * of its end.
 */
#ifndef FOSTER_SUPERVISOR_MAIN_PROCESS_H
#define FOSTER_SUPERVISOR_MAIN_PROCESS_H

#include "base/link.h"
#include "supervisor/supervisor.h"

struct table_slot;

/* Makes it the slot's child, or marks why not, to be told. pidfd stays the caller's. */
void main_process_take(struct supervisor *, const struct link_main *, int pidfd);

/* No longer watches a process that is not our child. */
void main_process_unwatch(struct supervisor *, struct table_slot *);

#endif
