/* SPDX-License-Identifier: MIT */
/*
 * A new configuration in place of the old one: checked whole, planned, then done as planned or
 * not at all. What did not change is not touched.
 */
#ifndef FOSTER_MANAGER_RELOAD_H
#define FOSTER_MANAGER_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "manager/config.h"

struct asker;
struct manager;

enum reload_action {
	RELOAD_KEEP,    /* nothing to do; options that need no restart hold at once */
	RELOAD_START,   /* new */
	RELOAD_RESTART, /* what it runs, or how, changed */
	RELOAD_STOP,    /* gone from the configuration */
	RELOAD_PENDING, /* holds from the next start: daemon, death-signal */
};
const char *reload_action_to_string(enum reload_action);
int reload_action_from_string(const char *);

struct reload_step {
	char name[CONFIG_NAME_MAX + 1];
	enum reload_action action;
	char *differs; /* the options, comma-separated; NULL: none */
};

struct reload_plan {
	struct reload_step *steps;
	size_t n;
};
void reload_plan_clear(struct reload_plan *);

/*
 * Reads the configuration anew and, unless dry_run, puts it in force, on behalf of asker. 0 with
 * the plan; -EINVAL with problems when it is wrong; another -errno with the error's text when it
 * could not be done (a port is taken, say): then all is as before.
 */
int reload(struct manager *, bool dry_run, const struct asker *, struct reload_plan *,
	   struct config_problems *, struct error *);

/* The same for SIGHUP: what comes of it is logged. */
void reload_by_signal(struct manager *, int sender); /* its pid; 0: the kernel */

/* Keeps a copy of the configuration in force for the next manager. */
void reload_save(struct manager *);

#endif
