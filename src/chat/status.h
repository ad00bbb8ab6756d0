/* SPDX-License-Identifier: MIT */
/*
 * What foster-chatd tells its supervisor: readiness, how many are here, that it is alive
 * (sd_notify). A supervisor that does not listen holds nobody up: what does not go at once is
 * left out, and said again by the next change.
 */
#ifndef FOSTER_CHAT_STATUS_H
#define FOSTER_CHAT_STATUS_H

#include <event2/event.h>

#include "chat/room.h"

struct status;

/* NULL when out of memory. Starts the watchdog's timer if one is expected. */
struct status *status_new(struct event_base *base, const struct room *room);
void status_free(struct status *status);

void status_ready(struct status *status);
void status_reloading(struct status *status);
void status_stopping(struct status *status);

/* Something is wrong, and goes on: part of the status until text is NULL again. */
void status_set_trouble(struct status *status, const char *what, const char *text);

/* To be called after each turn: tells the numbers when they changed, once a second at most. */
void status_update(struct status *status);

#endif
