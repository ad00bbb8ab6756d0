/* SPDX-License-Identifier: MIT */
/* The names of log files, which foster-log makes and fosterctl reads. Pure. */
#ifndef FOSTER_BASE_LOG_NAME_H
#define FOSTER_BASE_LOG_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/packed.h"

#define LOG_NAME_STAMP (sizeof("20261125T134000.123456Z") - 1)

/* ".20261125T134000.123456Z", to be put behind the name of the file that is rotated. */
char *log_name_stamp(char buf[LOG_NAME_STAMP + 2], uint64_t realtime);

/* The time of such a stamp, whatever follows it, in us since 1970; 0: it is none. */
uint64_t log_name_time(const char *stamp);

/* The size of the name of the file that this one was rotated away from; 0: it was not. */
size_t log_name_base(const char *name, enum packing *ret);

bool log_name_is_rotated(const char *name, const char *base, enum packing *ret);

/* "web.log", or "web.stderr.log". Returns buf. */
char *log_name(char *buf, size_t size, const char *service, bool only_stderr);

#endif
