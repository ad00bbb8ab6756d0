/* SPDX-License-Identifier: MIT */
/*
 * Another fosterd, mostly a newer one, in place of the running one, and its manager in place of
 * this one. It is rehearsed first; if that is good this manager takes no more requests, finishes
 * those that it has begun, and ends; fosterd then executes the other one (supervisor/upgrade.h).
 * The services know nothing of it. Whoever connects meanwhile waits for the next manager, whatever
 * it is.
 */
#ifndef FOSTER_MANAGER_UPGRADE_H
#define FOSTER_MANAGER_UPGRADE_H

#include <stdbool.h>

#include "base/link.h"

/* A rehearsal that is good says this, and its version, last. */
#define UPGRADE_GOOD "can take over: version "

struct call;
struct manager;

/* The requests: do it, and what became of it the last time. */
void control_upgrade(struct call *);
void control_upgrade_state(struct call *);

/* fosterd says how the rehearsal ended. */
void upgrade_rehearsed(struct manager *, const struct link_rehearsed *);

/* The loop has ended for an upgrade: says the last words. */
bool upgrade_is_leaving(const struct manager *);
void upgrade_leave(struct manager *);

/* The first manager of a fosterd that has taken over: renews what is still of the old release. */
void upgrade_finish(struct manager *);

#endif
