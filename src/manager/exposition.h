/* SPDX-License-Identifier: MIT */
/* The text format of Prometheus, version 0.0.4: the pieces that can go wrong. Pure. */
#ifndef FOSTER_MANAGER_EXPOSITION_H
#define FOSTER_MANAGER_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * The text as it stands between the quotes of a label's value; cut where room ends, never within
 * an escape. Returns to.
 */
char *exposition_escape(char *to, size_t room, const char *text);

/* Microseconds as seconds: "12.34", to the hundredth, which is what the kernel's ticks tell. */
char *exposition_seconds(char *to, size_t room, uint64_t usec);

#endif
