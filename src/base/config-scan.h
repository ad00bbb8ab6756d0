/* SPDX-License-Identifier: MIT */
/*
 * The first pass over a config file, before libconfuse: strings, comments, braces and the shape of
 * statements. Pure, no recursion, linear. It exists because libconfuse 3.3 stops at the first
 * problem, tells of an unclosed string only at the end of the file, replaces ${X} from the
 * environment, cuts a string at \0, drops characters that it does not know and backslashes before
 * them, recurses as deep as a file nests, and lets later values win in silence. What libconfuse
 * gets to see is the cleaned copy: no comments, every word quoted, no statement that was refused.
 */
#ifndef FOSTER_BASE_CONFIG_SCAN_H
#define FOSTER_BASE_CONFIG_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

/* Names and titles are without their quotes, escapes not resolved, valid during the call. */
struct scan_events {
	/* A section begins; title is NULL when it has none. false: leave it out. */
	bool (*begin)(void *ctx, int line, const char *kind, const char *title);
	/* An option; list: its value stands in braces. false: leave it out. */
	bool (*option)(void *ctx, int line, const char *name, bool list);
	/* The section that was begun last ends; not called for one that was left out. */
	void (*end)(void *ctx);
	/* What ends the scan of this file. */
	void (*problem)(void *ctx, int line, const char *text);
};

/*
 * text need not be NUL-terminated. On success *ret_clean is a string for libconfuse with the
 * same line numbers, the caller's to free. 0, -EINVAL after problem() was called, or -ENOMEM.
 */
int config_scan(const char *text, size_t size, const struct scan_events *events, void *ctx,
		char **ret_clean);

#endif
