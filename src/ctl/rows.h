/* SPDX-License-Identifier: MIT */
/*
 * The manager's list of services, read into rows in one pass and in place. A JSON library
 * builds a tree of every member: for a thousand services that takes longer than everything else
 * a status does. Pure.
 */
#ifndef FOSTER_CTL_ROWS_H
#define FOSTER_CTL_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service_row {
	const char *name, *state, *reason, *next, *pending; /* "" where missing or null */
	int64_t pid, uptime, restarts;                      /* -1 where missing or null */
	bool ready, daemon;
};

/*
 * text is {"services": [{...}...]}, NUL-terminated; it is changed, and the rows point into it.
 * Members that a row does not have are skipped. The rows are the caller's to free, text must
 * outlive them. 0, -ENOMEM, or -EBADMSG when it is not that, or nested too deeply.
 */
int service_rows_parse(char *text, struct service_row **ret, size_t *ret_n);

#endif
