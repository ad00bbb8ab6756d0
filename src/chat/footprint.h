/* SPDX-License-Identifier: MIT */
/* The memory that a long life does not need. */
#ifndef FOSTER_CHAT_FOOTPRINT_H
#define FOSTER_CHAT_FOOTPRINT_H

/*
 * Fixes the heap's thresholds: glibc raises them by itself after a burst, and then keeps the burst.
 */
void footprint_bound_heap(void);

/*
 * When the start is over: unmaps the code and constants of program and libraries. What is used
 * again comes back page by page, from the kernel's cache; what only the start needed does not.
 */
void footprint_drop_code(void);

#endif
