/* SPDX-License-Identifier: MIT */
/* A line of a log file: when it was written, and what a person asked for. Pure. */
#ifndef FOSTER_CTL_LOG_LINE_H
#define FOSTER_CTL_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_TIME_NONE 0 /* a line that says no time */

/*
 * "2026-11-25T13:40:00.123456Z", or with "+01:00", at the beginning of text. us since 1970;
 * *ret_size its length. LOG_TIME_NONE: it is none.
 */
uint64_t log_time_parse(const char *text, size_t size, size_t *ret_size);

/* The time with which a line begins, of text or of JSON, as foster-log writes them. */
uint64_t log_line_time(const char *line, size_t size);

/*
 * What --since takes: a duration before now, "2026-11-25T13:40:00Z" and the like, "2026-11-25
 * 13:40", "2026-11-25", "today", "yesterday", or "13:40" of today, by local time. 0 or -EINVAL.
 */
int log_since_parse(const char *text, uint64_t now, uint64_t *ret);

#endif
