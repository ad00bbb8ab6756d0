/* SPDX-License-Identifier: MIT */
/*
 * The run directory: where the table, the control socket and the lock lie. One supervisor holds
 * it at a time.
 */
#ifndef FOSTER_SUPERVISOR_RUN_DIRECTORY_H
#define FOSTER_SUPERVISOR_RUN_DIRECTORY_H

#include <stddef.h>

#include "supervisor/supervisor.h"

/* The path of the run directory when none was given. 0 or -errno; says what is wrong. */
int run_directory_default(char *buf, size_t size);

/*
 * Makes it where need be, takes its lock for as long as we live, and opens the table. ret_path
 * (PATH_MAX) is its path without symbolic links. Waits a second for the lock where its last holder
 * has just died. 0 or -errno; says what is wrong.
 */
int run_directory_open(struct supervisor *, const char *directory, char *ret_path);

#endif
