/* SPDX-License-Identifier: MIT */
/*
 * Since when the room was away: a new foster-chatd asks the supervisor for the events that it still
 * has, and goes on where its own last process ended.
 */
#ifndef FOSTER_CHAT_ADMIN_ABSENCE_H
#define FOSTER_CHAT_ADMIN_ABSENCE_H

#include <stdint.h>

/*
 * Of JSON lines the number of the last event that the room has surely told: own is its service, and
 * what came shortly before its end may have been lost with it. 0: none is its end. Pure.
 */
uint64_t absence_began(const char *lines, const char *own);

/* Asks the control socket for these lines; blocks, at most some seconds. 0, or -errno. */
int absence_find(const char *control, const char *own, uint64_t *ret);

#endif
