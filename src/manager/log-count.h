/* SPDX-License-Identifier: MIT */
/*
 * What the logger has written and dropped of each service: read in memory that it shares with us
 * (base/logger.h). The memory lies in the supervisor's store: counts go on when the manager, the
 * logger, or the supervisor by an upgrade, is replaced.
 */
#ifndef FOSTER_MANAGER_LOG_COUNT_H
#define FOSTER_MANAGER_LOG_COUNT_H

#include <stdint.h>

#include "base/logger.h"

struct log_counts;
struct manager;

/* The last manager's, or new ones. NULL: nothing is counted, which is told in the log. */
struct log_counts *log_counts_new(struct manager *);
struct log_counts *log_counts_free(struct log_counts *); /* always NULL */

/* A copy of the memfd for the logger; negative: there is none. */
int log_counts_fd(const struct log_counts *);

/* Of a pipe; all 0 where nothing is counted. */
struct logger_count log_counts_of(const struct log_counts *, uint32_t number);

/* The number is about to be another service's. */
void log_counts_clear(struct log_counts *, uint32_t number);

#endif
