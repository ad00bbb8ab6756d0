/* SPDX-License-Identifier: MIT */
/*
 * The guard of a daemonic child: two descriptors, held by the parent and by nobody else, whose
 * closing makes the kernel kill the child.
 */
#ifndef FOSTER_LIBFOSTER_GUARD_H
#define FOSTER_LIBFOSTER_GUARD_H

#include <sys/types.h>

/*
 * ret_fds are the caller's. To be called under the registry's lock, so that no fork() of
 * another thread copies the descriptors unseen. Drop them when the child has ended, or in a
 * copy of the parent. 0 or -errno.
 */
int guard_arm(int ret_fds[2], pid_t child);

#endif
