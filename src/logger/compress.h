/* SPDX-License-Identifier: MIT */
/*
 * Compresses rotated files, one at a time, in a child process of low priority, so that no pipe
 * waits for it. What a child that was killed has left undone is done when the directory is next
 * looked at: at a rotation, or at the next logger's start.
 */
#ifndef FOSTER_LOGGER_COMPRESS_H
#define FOSTER_LOGGER_COMPRESS_H

#include "base/packed.h"

#define COMPRESS_HALF ".part" /* behind the name of a compressed file while it is not whole */

/* Puts a file into the queue. */
void compress_later(const char *directory, const char *name, enum packing);

/*
 * Begins with the next one unless one is under way. The pidfd of the child, to be watched until it
 * is readable and then given to compress_done(); -1: nothing to do.
 */
int compress_begin(void);
void compress_done(void);

#endif
