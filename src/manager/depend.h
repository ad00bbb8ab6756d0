/* SPDX-License-Identifier: MIT */
/*
 * Who must be ready before whom, and gone before whom. Changes spread through a queue: a
 * service that changed puts its neighbours in, depend_run() gives each of them EVENT_FACTS
 * until nobody changes any more. No recursion.
 */
#ifndef FOSTER_MANAGER_DEPEND_H
#define FOSTER_MANAGER_DEPEND_H

#include <stdbool.h>
#include <stddef.h>

struct manager;
struct service;
struct machine_facts;

/* Resolves the names in the services' configs. 0 or -ENOMEM. */
int depend_link_all(struct manager *);
void depend_unlink(struct service *);

/* Fills deps_ready and held. */
void depend_facts(const struct service *, struct machine_facts *);

/* The state of a service changed: its neighbours are to be looked at. */
void depend_changed(struct service *);
void depend_run(struct manager *);

/* The first service that is waited for, or NULL. */
const struct service *depend_waits_for(const struct service *);

/*
 * All that it waits for right now: what it needs and what comes before it while it waits to
 * start, those that must stop before it while it waits to stop. At most max; how many.
 */
size_t depend_awaited(const struct service *, const struct service **ret, size_t max);

/* True when it waits for a service that will not be ready without somebody's help. */
bool depend_is_stuck(const struct service *);

#endif
