/* SPDX-License-Identifier: MIT */
/* Lines of log files: see log-line.h. */
#include "ctl/log-line.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "base/units.h"

/* Two or four digits within bounds; -1: there are none. */
static int digits(const char *text, int n, int min, int max)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value < min || value > max ? -1 : value;
}

/* "2026-11-25T13:40:00", in UTC. -1: it is none. */
static int64_t parse_seconds(const char *t)
{
	int year = digits(t, 4, 1970, 9999), month = digits(t + 5, 2, 1, 12);
	int day = digits(t + 8, 2, 1, 31), hour = digits(t + 11, 2, 0, 23);
	int minute = digits(t + 14, 2, 0, 59), second = digits(t + 17, 2, 0, 60);
	struct tm tm = { .tm_year = year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = hour,
			 .tm_min = minute,
			 .tm_sec = second };

	if (year < 0 || month < 0 || day < 0 || hour < 0 || minute < 0 || second < 0 ||
	    t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' || t[16] != ':')
		return -1;
	return timegm(&tm);
}

/* ".123456", of any number of digits, or nothing. Moves *p behind it. */
static uint64_t parse_fraction(const char **p, const char *end)
{
	uint64_t usec = 0, unit = USEC_PER_SEC / 10;

	if (*p == end || **p != '.')
		return 0;
	for ((*p)++; *p < end && **p >= '0' && **p <= '9'; (*p)++, unit /= 10)
		usec += (uint64_t)(**p - '0') * unit;
	return usec;
}

/* "Z" or "+01:00"; seconds. False: neither. */
static bool parse_zone(const char **p, const char *end, int *ret)
{
	int hours, minutes;

	*ret = 0;
	if (*p < end && **p == 'Z') {
		(*p)++;
		return true;
	}
	if (end - *p < 6 || (**p != '+' && **p != '-') || (*p)[3] != ':')
		return false;
	hours = digits(*p + 1, 2, 0, 23);
	minutes = digits(*p + 4, 2, 0, 59);
	*ret = (hours * 60 + minutes) * (**p == '-' ? -60 : 60);
	*p += 6;
	return hours >= 0 && minutes >= 0;
}

uint64_t log_time_parse(const char *text, size_t size, size_t *ret_size)
{
	const char *p = text + 19, *end = text + size;
	int64_t seconds = size < 20 ? -1 : parse_seconds(text);
	uint64_t usec;
	int zone;

	if (seconds < 0)
		return LOG_TIME_NONE;
	usec = parse_fraction(&p, end);
	if (!parse_zone(&p, end, &zone) || seconds < zone)
		return LOG_TIME_NONE;
	*ret_size = (size_t)(p - text);
	return (uint64_t)(seconds - zone) * USEC_PER_SEC + usec;
}

uint64_t log_line_time(const char *line, size_t size)
{
	static const char json[] = "{\"time\":\"";
	size_t n = sizeof(json) - 1, used;

	if (size > n && memcmp(line, json, n) == 0)
		return log_time_parse(line + n, size - n, &used);
	return log_time_parse(line, size, &used);
}

/* --- since ------------------------------------------------------------------------------ */

static int parse_local(const char *text, uint64_t now, uint64_t *ret)
{
	static const char *const formats[] = {
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M",
		"%Y-%m-%d",          "%H:%M:%S",          "%H:%M"
	};
	time_t today = now / USEC_PER_SEC, found;

	for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
		struct tm tm;
		const char *end;

		localtime_r(&today, &tm);
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		tm.tm_isdst = -1;
		end = strptime(text, formats[i], &tm);
		if (!end || *end)
			continue;
		found = mktime(&tm);
		if (found < 0)
			return -EINVAL;
		*ret = (uint64_t)found * USEC_PER_SEC;
		return 0;
	}
	return -EINVAL;
}

/* Their midnight, as the clock on the wall has it. */
static int parse_day(const char *text, uint64_t now, uint64_t *ret)
{
	time_t today = now / USEC_PER_SEC, found;
	struct tm tm;

	if (strcmp(text, "today") != 0 && strcmp(text, "yesterday") != 0)
		return -EINVAL;
	localtime_r(&today, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	tm.tm_mday -= strcmp(text, "yesterday") == 0; /* mktime() makes a day of any month of 0 */
	found = mktime(&tm);
	if (found < 0)
		return -EINVAL;
	*ret = (uint64_t)found * USEC_PER_SEC;
	return 0;
}

int log_since_parse(const char *text, uint64_t now, uint64_t *ret)
{
	size_t size = strlen(text), used = 0;
	uint64_t value = log_time_parse(text, size, &used);

	if (value != LOG_TIME_NONE && used == size) {
		*ret = value;
		return 0;
	}
	if (parse_duration(text, &value) == 0 && value != USEC_INFINITY) {
		*ret = value < now ? now - value : 1;
		return 0;
	}
	return parse_day(text, now, ret) == 0 ? 0 : parse_local(text, now, ret);
}
