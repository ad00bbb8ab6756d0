/* SPDX-License-Identifier: MIT */
/* What the supervisor's JSON says, and text that is made of it. Pure. */
#ifndef FOSTER_CHAT_ADMIN_WORDS_H
#define FOSTER_CHAT_ADMIN_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/macro.h"

/* Appends to the text in buf; what does not fit is cut. */
void words_add(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);

/* The member's text; "" when there is none. */
const char *words_of(const json_t *object, const char *key);

/* When an event was, CLOCK_REALTIME; 0: nobody knows. */
uint64_t event_time(const json_t *event);

/* The first restart is at once: no other event tells of the end before it. */
bool event_is_restart_at_once(const json_t *event);

#endif
