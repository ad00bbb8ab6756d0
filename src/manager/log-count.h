/* SPDX-License-Identifier: MIT */
/*
 * What the logger has written and dropped of each service, and which pipe each number has: in
 * memory that it shares with us (base/logger.h). It is a file of the run directory, and the
 * supervisor's store holds it, too: it goes on when manager, logger and supervisor are replaced,
 * all at once also.
 */
#ifndef FOSTER_MANAGER_LOG_COUNT_H
#define FOSTER_MANAGER_LOG_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/logger.h"

struct log_counts;
struct manager;

/*
 * The last manager's, the last fosterd's, or new ones. NULL: nothing is counted, which is told in
 * the log.
 */
struct log_counts *log_counts_new(struct manager *);
struct log_counts *log_counts_free(struct log_counts *); /* always NULL */

/* A copy of the descriptor for the logger; negative: there is none. */
int log_counts_fd(const struct log_counts *);

/* Of a pipe; all 0 where nothing is counted. */
struct logger_count log_counts_of(const struct log_counts *, uint32_t number);

/* The number is that pipe's from now on. */
void log_counts_begin(struct log_counts *, uint32_t number, int pipe);

/* Who has the number from now on is started without one. */
void log_counts_no_pipe(struct log_counts *, uint32_t number);

/* It is known whether the number was given to a pipe, and to which. */
bool log_counts_say(const struct log_counts *, uint32_t number);

/* It was the last one that the number was given to, maybe by an earlier fosterd's manager. */
bool log_counts_is_of(const struct log_counts *, uint32_t number, int pipe);

#endif
