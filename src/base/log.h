/* SPDX-License-Identifier: MIT */
/*
 * A program's own messages, one line each, to stderr. A line starts with the program's name,
 * then the object ("web[1234]: ..."), and ends with the errno's text. Under systemd's journal
 * (stderr is the stream that JOURNAL_STREAM names) the level goes in front as "<N>", see
 * sd-daemon(3). Never blocks a caller for long and never allocates; libc only.
 */
#ifndef FOSTER_BASE_LOG_H
#define FOSTER_BASE_LOG_H

#include "base/macro.h"

enum log_level { /* as in syslog(3) */
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* program must outlive the process's use of the log. The default level is INFO. */
void log_init(const char *program);
void log_set_level(enum log_level max);

void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

/* Adds ": " and the text of err, a negative errno, and returns err. */
int log_line_errno(enum log_level level, int err, const char *fmt, ...) PRINTF(3, 4);

#define log_error(...)              log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...)            log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)             log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)               log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)              log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_error_errno(err, ...)   log_line_errno(LOG_LEVEL_ERROR, err, __VA_ARGS__)
#define log_warning_errno(err, ...) log_line_errno(LOG_LEVEL_WARNING, err, __VA_ARGS__)

#endif
