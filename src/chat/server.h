/* SPDX-License-Identifier: MIT */
/*
 * foster-chatd as a whole: the room, its doors, the admin child, signals, readiness and
 * watchdog, on one event base.
 */
#ifndef FOSTER_CHAT_SERVER_H
#define FOSTER_CHAT_SERVER_H

#include "base/error.h"
#include "chat/chat-config.h"
#include "chat/listen.h"

struct server;

/*
 * Takes config and sockets over, in any case. path (may be NULL) is read again on SIGHUP.
 * Blocks SIGTERM, SIGINT, SIGHUP and SIGCHLD, which come by descriptor from now on. 0 or -errno.
 */
int server_new(struct chat_config *config, const char *path, struct sockets *sockets,
	       struct server **ret, struct error *e);

/* Serves until SIGTERM or SIGINT, then says goodbye. 0, or -errno when the loop failed. */
int server_run(struct server *server);
void server_free(struct server *server);

#endif
