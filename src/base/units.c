/* SPDX-License-Identifier: MIT */
/* Durations, sizes, numbers: see units.h. */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
	{ "us", 1 },
	{ "ms", USEC_PER_MSEC },
	{ "s", USEC_PER_SEC },
	{ "min", 60 * USEC_PER_SEC },
	{ "h", 3600 * USEC_PER_SEC },
	{ "d", 86400 * USEC_PER_SEC },
	{ "w", 7 * 86400 * USEC_PER_SEC },
};

static const struct unit size_units[] = {
	{ "", 1 },           { "K", 1ULL << 10 }, { "M", 1ULL << 20 },
	{ "G", 1ULL << 30 }, { "T", 1ULL << 40 },
};

static const struct unit *find_unit(const struct unit *units, size_t n, const char *name,
				    size_t length)
{
	for (size_t i = 0; i < n; i++) {
		if (strlen(units[i].name) == length && strncmp(units[i].name, name, length) == 0)
			return &units[i];
	}
	return NULL;
}

/* Adds digits to *value; -ERANGE when it no longer fits. */
static int take_digits(const char **p, uint64_t *value, size_t *ret_count)
{
	size_t count = 0;

	for (; isdigit((unsigned char)**p); (*p)++, count++) {
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(**p - '0'), value))
			return -ERANGE;
	}
	*ret_count = count;
	return 0;
}

/* One "12.5min"; *p moves behind it. */
static int take_term(const char **p, const struct unit *units, size_t n_units, uint64_t *ret)
{
	uint64_t whole = 0, fraction = 0, scale = 1, value;
	const struct unit *unit;
	size_t digits, length;
	int r;

	r = take_digits(p, &whole, &digits);
	if (r < 0)
		return r;
	if (digits == 0)
		return -EINVAL;
	if (**p == '.') {
		(*p)++;
		r = take_digits(p, &fraction, &digits);
		if (r < 0)
			return r;
		if (digits == 0 || digits > 6)
			return -EINVAL;
		while (digits-- > 0)
			scale *= 10;
	}
	for (length = 0; isalpha((unsigned char)(*p)[length]);)
		length++;
	unit = find_unit(units, n_units, *p, length);
	if (!unit)
		return -EINVAL;
	*p += length;
	if (__builtin_mul_overflow(whole, unit->factor, &value))
		return -ERANGE;
	/* fraction < 10^6 and factor < 2^40: no overflow */
	if (__builtin_add_overflow(value, fraction * unit->factor / scale, &value))
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_duration(const char *text, uint64_t *ret_usec)
{
	uint64_t total = 0;

	if (strcmp(text, "infinity") == 0) {
		*ret_usec = USEC_INFINITY;
		return 0;
	}
	if (strcmp(text, "0") == 0) {
		*ret_usec = 0;
		return 0;
	}
	do {
		uint64_t term;
		int r = take_term(&text, duration_units, ELEMENTSOF(duration_units), &term);

		if (r < 0)
			return r;
		if (__builtin_add_overflow(total, term, &total) || total == USEC_INFINITY)
			return -ERANGE;
		while (*text == ' ')
			text++;
	} while (*text);
	*ret_usec = total;
	return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
	uint64_t value;
	int r = take_term(&text, size_units, ELEMENTSOF(size_units), &value);

	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret_bytes = value;
	return 0;
}

int parse_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = *text == '-';
	uint64_t value = 0;
	size_t digits;
	int64_t number;
	int r;

	if (negative)
		text++;
	r = take_digits(&text, &value, &digits);
	if (r < 0)
		return r;
	if (digits == 0 || *text)
		return -EINVAL;
	if (value > INT64_MAX)
		return -ERANGE;
	number = negative ? -(int64_t)value : (int64_t)value;
	if (number < min || number > max)
		return -ERANGE;
	*ret = number;
	return 0;
}

char *format_duration(char *buf, size_t size, uint64_t usec)
{
	uint64_t sec = usec / USEC_PER_SEC;

	if (usec == USEC_INFINITY)
		snprintf(buf, size, "infinity");
	else if (usec == 0)
		snprintf(buf, size, "0s");
	else if (usec < USEC_PER_MSEC)
		snprintf(buf, size, "%" PRIu64 "us", usec);
	else if (usec < USEC_PER_SEC)
		snprintf(buf, size, "%" PRIu64 "ms", usec / USEC_PER_MSEC);
	else if (sec < 10)
		snprintf(buf, size, "%" PRIu64 ".%" PRIu64 "s", sec, usec % USEC_PER_SEC / 100000);
	else if (sec < 60)
		snprintf(buf, size, "%" PRIu64 "s", sec);
	else if (sec < 3600)
		snprintf(buf, size, "%" PRIu64 "min %" PRIu64 "s", sec / 60, sec % 60);
	else if (sec < 86400)
		snprintf(buf, size, "%" PRIu64 "h %" PRIu64 "min", sec / 3600, sec % 3600 / 60);
	else
		snprintf(buf, size, "%" PRIu64 "d %" PRIu64 "h", sec / 86400, sec % 86400 / 3600);
	return buf;
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / NSEC_PER_USEC;
}

uint64_t now_monotonic(void)
{
	return now(CLOCK_MONOTONIC);
}

uint64_t now_realtime(void)
{
	return now(CLOCK_REALTIME);
}
