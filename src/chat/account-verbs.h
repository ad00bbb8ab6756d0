/* SPDX-License-Identifier: MIT */
/*
 * "foster-chatd account ...", which fosterctl runs: changes the accounts on disk, whether the
 * server runs or not, and leaves a note for its log. Passwords come from the terminal, without
 * echo, or from the standard input; never from the arguments, which others can see.
 */
#ifndef FOSTER_CHAT_ACCOUNT_VERBS_H
#define FOSTER_CHAT_ACCOUNT_VERBS_H

#include "chat/chat-config.h"

/* args: what follows "account". path: of the config, may be NULL. Returns the exit code. */
int account_verb(const struct chat_config *config, const char *path, char **args, int n);

#endif
