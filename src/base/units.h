/* SPDX-License-Identifier: MIT */
/* Durations, sizes and whole numbers as people write them, and back. Pure. */
#ifndef FOSTER_BASE_UNITS_H
#define FOSTER_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC  UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)
#define USEC_INFINITY UINT64_MAX

/*
 * "250ms", "10s", "5min", "1h", "2d", "1min 30s", "1.5s", "infinity"; units us ms s min h d w.
 * A bare number is refused but for "0". 0, or -EINVAL (not a duration), -ERANGE (too long).
 */
int parse_duration(const char *text, uint64_t *ret_usec);

/* "50M", "1K", "2G", "1T" (powers of 1024), "4096". 0, -EINVAL or -ERANGE. */
int parse_size(const char *text, uint64_t *ret_bytes);

/* A whole decimal number and nothing else, within [min, max]. 0, -EINVAL or -ERANGE. */
int parse_int(const char *text, int64_t min, int64_t max, int64_t *ret);

/*
 * "3.2s", "250ms", "4min 7s", "3h 12min", "2d 5h": at most two units. Returns buf.
 */
#define DURATION_TEXT_MAX 48
char *format_duration(char *buf, size_t size, uint64_t usec);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in microseconds. */
uint64_t now_monotonic(void);
uint64_t now_realtime(void);

#endif
