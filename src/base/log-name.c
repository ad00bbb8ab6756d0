/* SPDX-License-Identifier: MIT */
/* Names of log files: see log-name.h. */
#include "base/log-name.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

char *log_name_stamp(char buf[LOG_NAME_STAMP + 2], uint64_t realtime)
{
	time_t seconds = realtime / USEC_PER_SEC;
	size_t n;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	n = strftime(buf, LOG_NAME_STAMP + 2, ".%Y%m%dT%H%M%S", &tm);
	snprintf(buf + n, LOG_NAME_STAMP + 2 - n, ".%06uZ", (unsigned)(realtime % USEC_PER_SEC));
	return buf;
}

uint64_t log_name_time(const char *stamp)
{
	struct tm tm = { .tm_isdst = 0 };
	unsigned usec;
	time_t seconds;

	if (sscanf(stamp, ".%4d%2d%2dT%2d%2d%2d.%6uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &usec) != 7)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	seconds = timegm(&tm);
	return seconds < 0 ? 0 : (uint64_t)seconds * USEC_PER_SEC + usec;
}

/* By what the name ends with; *n becomes the size of what is before that. */
static enum packing packing_of(const char *name, size_t *n)
{
	for (int packing = PACKING_NONE + 1; packing < PACKING_COUNT; packing++) {
		const char *suffix = packing_suffix((enum packing)packing);
		size_t size = strlen(suffix);

		if (*n > size && strcmp(name + *n - size, suffix) == 0) {
			*n -= size;
			return (enum packing)packing;
		}
	}
	return PACKING_NONE;
}

size_t log_name_base(const char *name, enum packing *ret)
{
	static const char shape[] = ".ddddddddTdddddd.ddddddZ";
	size_t n = strlen(name);

	*ret = packing_of(name, &n);
	if (n < sizeof(shape))
		return 0;
	n -= sizeof(shape) - 1;
	for (size_t i = 0; shape[i]; i++) {
		char c = name[n + i];

		if (shape[i] == 'd' ? c < '0' || c > '9' : c != shape[i])
			return 0;
	}
	return n;
}

bool log_name_is_rotated(const char *name, const char *base, enum packing *ret)
{
	size_t n = log_name_base(name, ret);

	return n > 0 && n == strlen(base) && memcmp(name, base, n) == 0;
}

char *log_name(char *buf, size_t size, const char *service, bool only_stderr)
{
	snprintf(buf, size, "%s%s.log", service, only_stderr ? ".stderr" : "");
	return buf;
}
