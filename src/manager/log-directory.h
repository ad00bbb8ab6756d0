/* SPDX-License-Identifier: MIT */
/* Where the services' log files are: what the configuration says, or what is usual. */
#ifndef FOSTER_MANAGER_LOG_DIRECTORY_H
#define FOSTER_MANAGER_LOG_DIRECTORY_H

#include <stdbool.h>

struct config;
struct manager;

/* It is another one than the manager's. */
bool log_directory_differs(const struct manager *, const struct config *);

/* Makes it, with those above it, and makes it the manager's. 0 or -errno: it stays what it was. */
int log_directory_make(struct manager *, const struct config *);

#endif
