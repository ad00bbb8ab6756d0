/* SPDX-License-Identifier: MIT */
/*
 * All that descend from this process, found through /proc. As this process is a child subreaper,
 * that is whatever it ever started, however often it forked, called setsid(2) or was orphaned.
 * Both functions fail with -ENXIO where there is no /proc of our PID namespace.
 */
#ifndef FOSTER_SUPERVISOR_DESCENDANTS_H
#define FOSTER_SUPERVISOR_DESCENDANTS_H

#include <sys/types.h>

/* Asks all to end: SIGTERM, and SIGCONT so that those that are stopped hear it. 0 or -errno. */
int descendants_terminate(void);

/*
 * Stops all, then kills them: what is stopped does not fork. To be called again until no child
 * is left. The number of those killed, or -errno; -EPERM when there are only such as we may not
 * signal, *ret_refused then being one of them. reap is to reap what children have ended, and is
 * called again and again.
 */
int descendants_kill(void (*reap)(void *arg), void *arg, pid_t *ret_refused);

#endif
