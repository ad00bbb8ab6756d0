/* SPDX-License-Identifier: MIT */
/*
 * What a service says, through the logger's lines and back: for the property test and the fuzzer.
 * The bytes come in pieces of any size, as they do from a pipe, the room for what is made of them
 * is any, too, and each of them that is not done is offered again.
 */
#ifndef FOSTER_TESTS_LINES_HARNESS_H
#define FOSTER_TESTS_LINES_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#include "logger/lines.h"

struct formatted {
	char *data; /* the caller's */
	size_t size;
};

/* random: gives the sizes. Aborts when the lines make no progress. */
struct formatted lines_harness_format(const struct line_style *style, const char *in, size_t n,
				      uint64_t *random);

/* What was said, from what is written. Aborts when that is not what it must look like. */
struct formatted lines_harness_undo(const struct line_style *style, const char *data, size_t size);

#endif
