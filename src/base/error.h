/* SPDX-License-Identifier: MIT */
/*
 * Error text for config and protocol errors: a caller-owned struct that a function fills when
 * it returns a negative errno. Context is added once per level, in front.
 */
#ifndef FOSTER_BASE_ERROR_H
#define FOSTER_BASE_ERROR_H

#include "base/macro.h"

struct error {
	char text[1024];
};

/* Sets the text and returns err, so that a function can end with it. */
int error_set(struct error *e, int err, const char *fmt, ...) PRINTF(3, 4);

/* The same, with ": " and the errno's text at the end. err is negative. */
int error_set_errno(struct error *e, int err, const char *fmt, ...) PRINTF(3, 4);

/* Puts "prefix: " in front of the text. */
void error_prefix(struct error *e, const char *fmt, ...) PRINTF(2, 3);

#endif
