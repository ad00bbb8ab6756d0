/* SPDX-License-Identifier: MIT */
/* The one loop of foster-chat: between the session, the door, and the user. */
#ifndef FOSTER_CHAT_CLIENT_RUN_H
#define FOSTER_CHAT_CLIENT_RUN_H

#include "chat/client/door.h"
#include "chat/client/session.h"

/* The exit code: see foster-chat(1). */
int run(struct session_options *session, const struct door_options *door);

#endif
