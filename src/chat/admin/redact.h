/* SPDX-License-Identifier: MIT */
/*
 * A line of a log as it may be shown. Pure but for memory.
 */
#ifndef FOSTER_CHAT_ADMIN_REDACT_H
#define FOSTER_CHAT_ADMIN_REDACT_H

#include <regex.h>
#include <stddef.h>

/*
 * Whatever one of the n expressions matches becomes "[...]". They see the whole line as it will be
 * read, without colours and control bytes, which could part a secret from what tells of it; what
 * does not fit into size is cut behind that. Without memory nothing is shown.
 */
void redact_line(const regex_t *expressions, size_t n, const char *line, char *buf, size_t size);

#endif
