/* SPDX-License-Identifier: MIT */
/* The supervisor's end, when there is no manager any more. */
#ifndef FOSTER_SUPERVISOR_END_H
#define FOSTER_SUPERVISOR_END_H

#include "supervisor/supervisor.h"

/*
 * After an orderly end the manager has stopped what had to stop, and this finds nothing to do;
 * where none could be started it is the last resort. Removes what lies in the run directory if
 * nothing is left. Blocks, for seconds at most.
 */
void end_all(struct supervisor *);

#endif
