/* SPDX-License-Identifier: MIT */
/* What is counted of each stream, where the manager can read it: base/logger.h. */
#ifndef FOSTER_LOGGER_COUNT_H
#define FOSTER_LOGGER_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/logger.h"

struct stream;

/* From now on there; takes fd. Until it was called nothing is counted. */
void count_to(int fd);

/* The stream has its number from now on: one of another pipe begins at 0. */
void count_begin(const struct stream *);

/* So much of what its service said is written. */
void count_written(const struct stream *, const char *data, size_t n);
void count_lost(const struct stream *, enum logger_loss, uint64_t lines);
/* The log tells of all that was lost so far; what it does not tell of yet. */
void count_told(const struct stream *);
uint64_t count_untold(const struct stream *, enum logger_loss);
void count_blocked(const struct stream *, bool);

/* What is counted of it, to be written to; NULL: it is not counted. */
struct logger_count *count_of(const struct stream *);

#endif
