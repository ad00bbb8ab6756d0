/* SPDX-License-Identifier: MIT */
/* How services look, in a table and in full. */
#ifndef FOSTER_CTL_SHOW_H
#define FOSTER_CTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/ctl.h"
#include "ctl/table.h"

enum colour state_colour(const char *state);
/* EXIT_OK when it runs, or has run and was to do no more; else EXIT_NOT_RUNNING. */
int state_code(const char *state, bool ready);

/* "-" for a negative number. Returns buf, or "-". */
const char *number_text(char *buf, size_t size, int64_t number);
const char *uptime_text(char *buf, size_t size, int64_t usec);
const char *size_text(char *buf, size_t size, int64_t bytes); /* "512K", "3.4M" */

/* One service, all of it, with its last lines of output. */
void show_service(const struct ctl *ctl, const json_t *service);

#endif
