/* SPDX-License-Identifier: MIT */
/*
 * Descriptors kept free for what must not fail for want of one: to look at the processes of a
 * tree, and to end them. A manager whose limit is used up, by connections say, would else take a
 * tree that it cannot see for an empty one.
 */
#ifndef FOSTER_MANAGER_RESERVE_H
#define FOSTER_MANAGER_RESERVE_H

/* At start. What cannot be had is taken when there is room. */
void reserve_fill(void);

/*
 * Between these two the reserve is there to be used, for descriptors that are closed again
 * before it ends. May be nested.
 */
void reserve_begin(void);
void reserve_end(void);

#endif
