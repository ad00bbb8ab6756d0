/* SPDX-License-Identifier: MIT */
/* Collecting problems while a config is read. Private to the config's own files. */
#ifndef FOSTER_MANAGER_CONFIG_PROBLEM_H
#define FOSTER_MANAGER_CONFIG_PROBLEM_H

#include "base/macro.h"
#include "manager/config.h"

/*
 * Adds one. Beyond CONFIG_PROBLEMS_MAX none is kept but a last one that says so. When memory
 * is out the problem is lost; config_load() returns NULL even so, for it fails by itself then.
 */
void config_problem_add(struct config_problems *problems, const char *file, int line,
			const char *fmt, ...) PRINTF(4, 5);

/* By file, then by line. */
void config_problems_sort(struct config_problems *problems);

#endif
