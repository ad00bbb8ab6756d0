/* SPDX-License-Identifier: MIT */
/*
 * "foster-chatd account ..." and "foster-chatd kline ...", which fosterctl runs: change accounts
 * and K-lines on disk, whether the server runs or not, and leave a note for its log. Passwords
 * come from the terminal, without echo, or from the standard input; never from the arguments,
 * which others can see.
 */
#ifndef FOSTER_CHAT_ACCOUNT_VERBS_H
#define FOSTER_CHAT_ACCOUNT_VERBS_H

#include <stdbool.h>

#include "chat/chat-config.h"

/* Is the word such a group of verbs: "account", "kline"? */
bool is_account_group(const char *word);

/* args: what follows the group. path: of the config, may be NULL. Returns the exit code. */
int account_verb(const struct chat_config *config, const char *path, const char *group, char **args,
		 int n);

#endif
