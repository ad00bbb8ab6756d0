/* SPDX-License-Identifier: MIT */
/*
 * The room's host as far as accounts go: takes its questions, has them answered by the worker, one
 * at a time, and gives the answers back as events. Whose place was served longest ago is served
 * next, so that a thousand wrong passwords from one address hold up no other by more than one.
 *
 * It watches the database's directory: what fosterctl changes is known to the room at once.
 */
#ifndef FOSTER_CHAT_ACCOUNTS_H
#define FOSTER_CHAT_ACCOUNTS_H

#include <event2/event.h>

#include "base/error.h"
#include "chat/room.h"

struct accounts;

/* Opens the database and tells the room who has an account: blocks. 0, or -errno said in *e. */
int accounts_new(struct event_base *base, struct room *room, const char *path,
		 struct accounts **ret, struct error *e);
/* The questions that wait are dropped. */
void accounts_free(struct accounts *accounts);

/* KLINE or UNKLINE, for the next start; that it failed is told to the room's operators. */
void accounts_keep_kline(struct accounts *accounts, const struct room_operation *operation);

/* For struct room_output. */
void accounts_ask(struct accounts *accounts, const struct room_question *question);

#endif
