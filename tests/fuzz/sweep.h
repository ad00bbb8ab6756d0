/* SPDX-License-Identifier: MIT */
/*
 * The frame of a fuzz target. With --enable-fuzzing libFuzzer brings main() and the inputs;
 * without it the target's own main() calls sweep(), which runs a fixed set of inputs made from
 * seeds: the same ones every time, so that it can be a test.
 */
#ifndef FOSTER_TESTS_SWEEP_H
#define FOSTER_TESTS_SWEEP_H

#include <stddef.h>
#include <stdint.h>

/* The target: must return 0, and abort on what must not be. data is no string. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Runs the seed, each of its truncations, each of its bytes changed to what often breaks
 * things, each aligned word set to large numbers, and so many random changes of it. Every
 * input has a block of its own size, so that AddressSanitizer sees a byte too far.
 */
void sweep(const uint8_t *seed, size_t size, unsigned random_rounds);

#endif
