/* SPDX-License-Identifier: MIT */
/*
 * A file that is mapped shared, and that nobody dies of: what cannot be had of it when it is
 * touched, because the file system is full, fails, or somebody has cut the file off, is memory of
 * this process alone from then on, all 0. Without this it would be a SIGBUS.
 */
#ifndef FOSTER_BASE_GUARDED_MAP_H
#define FOSTER_BASE_GUARDED_MAP_H

#include <stddef.h>

/* One a process at a time. fd may be closed then. NULL: see errno. */
void *guarded_map(int fd, size_t size);
void guarded_unmap(void);

#endif
