/* SPDX-License-Identifier: MIT */
/* What an earlier supervisor on the same run directory left behind. */
#ifndef FOSTER_SUPERVISOR_ADOPT_H
#define FOSTER_SUPERVISOR_ADOPT_H

#include "supervisor/supervisor.h"

/*
 * Goes through the table of an earlier supervisor, which is dead (its lock is free): ends the
 * daemons that still live, adopts the other children, forgets its descriptors. To be called
 * once, before the first manager. 0; or -errno where a child that may live cannot be adopted,
 * for want of descriptors, say: then nobody may go on, or a second copy would be started.
 */
int adopt_left_behind(struct supervisor *);

#endif
