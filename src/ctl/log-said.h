/* SPDX-License-Identifier: MIT */
/*
 * What a line of a log file says: its time, as foster-log wrote it in front of the text or into an
 * object (log-format = json), and the text that the service wrote. Pure.
 */
#ifndef FOSTER_CTL_LOG_SAID_H
#define FOSTER_CTL_LOG_SAID_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct log_said {
	const char *time; /* as it is written; not NUL-terminated */
	size_t time_size; /* 0: it says none */
	const char *text; /* any bytes; without the blank behind the time */
	size_t size;
	bool partial;       /* it goes on in the next line */
	const char *base64; /* the bytes, where the text is not all of them; NULL */
	json_t *object;     /* that these are of */
};

/* What stands in front of the text, as the service has it in its configuration. */
struct log_style {
	bool objects; /* log-format = json */
	bool stamped; /* log-timestamps: else a time in front is the service's own, and text */
};

/* What *ret has leads into the line, and holds until log_said_clear(). */
void log_said(const char *line, size_t size, const struct log_style *, struct log_said *ret);
void log_said_clear(struct log_said *);

#endif
