/* SPDX-License-Identifier: MIT */
/*
 * Who may command services from the operators' channel. Pure.
 *
 *	operators = {"alice", "bob:web,worker*", "carol:db:restart,ack"}
 *
 * Each is an account, then the services (patterns of fnmatch(3)), then the commands; what is left
 * out is all of them.
 */
#ifndef FOSTER_CHAT_OPERATORS_H
#define FOSTER_CHAT_OPERATORS_H

#include <stdbool.h>

#include "base/error.h"

/* Is item such a one? 0, or -EINVAL with what is allowed. */
int operator_check(const char *item, struct error *e);

bool is_operator(char *const *operators, const char *account); /* NULL: not logged in */

/* service "": all of foster, which takes the right to all services. */
bool operator_may(char *const *operators, const char *account, const char *command,
		  const char *service);

bool matches_any(char *const *patterns, const char *name);

#endif
