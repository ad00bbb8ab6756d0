/* SPDX-License-Identifier: MIT */
/*
 * What a pipe holds, looked at first and taken out later: so that nothing is lost, whenever this
 * process is killed.
 */
#ifndef FOSTER_LOGGER_INTAKE_H
#define FOSTER_LOGGER_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define INTAKE_MAX ((size_t)128 * 1024) /* bytes of one look */

int intake_init(void); /* 0 or -errno */

/*
 * Shows the first bytes of a pipe, at most max of them; they stay in it. *ret_data holds until
 * the next look. Their number; 0 when the pipe has ended; -EAGAIN when there is nothing; another
 * -errno when it cannot be looked into.
 */
ssize_t intake_look(int pipe, size_t max, const char **ret_data);

/*
 * Takes the first bytes out, which have been seen, and written, or are dropped: a kill leaves all
 * of them there, or none. The last one of them goes to *last.
 */
void intake_take(int pipe, size_t size, unsigned char *last);
void intake_discard(int pipe, size_t size); /* the same without that */

/* Room for what comes while the last of it is written: see intake.c. */
void intake_widen(int pipe);

/* Room for so much, at least; 0: what a new pipe has. 0 or -errno: then it is as it was. */
int intake_resize(int pipe, size_t size);

size_t intake_held(int pipe);     /* bytes in it */
size_t intake_capacity(int pipe); /* that it can hold at most */

#endif
