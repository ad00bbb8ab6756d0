/* SPDX-License-Identifier: MIT */
/* Prints one line of a log: for people, in colours on a terminal, or as a line of JSON. */
#ifndef FOSTER_CTL_LOG_PRINT_H
#define FOSTER_CTL_LOG_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/ctl.h"
#include "ctl/log-said.h"

/* Whose line it is. */
struct log_line {
	const char *service;
	int width;     /* of the column with its name; 0: there is none */
	size_t colour; /* a number: each has its own */
	bool is_stderr;
	struct log_style style;
};

void log_print(const struct ctl *, const struct log_line *, const char *data, size_t size);

#endif
