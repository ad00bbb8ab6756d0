/* SPDX-License-Identifier: MIT */
/* Between sandbox*.c. */
#ifndef FOSTER_CHAT_SANDBOX_INTERNAL_H
#define FOSTER_CHAT_SANDBOX_INTERNAL_H

#include <stdbool.h>

/*
 * Watched from inside, by a sanitizer say: what watches has files, processes and calls of its own.
 */
#ifdef INSTRUMENTED
static const bool instrumented = true;
#else
static const bool instrumented = false;
#endif

/* Loads what that takes, while there are files. To be followed by sandbox_enclose_calls(). */
void sandbox_prepare_calls(void);

/*
 * From now on this thread and those to come make only the system calls on the list. 1; 0: it was
 * built without libseccomp; -ELIBACC: that is not installed; another -errno.
 */
int sandbox_enclose_calls(void);

#endif
