/* SPDX-License-Identifier: MIT */
/*
 * chat.conf: read whole, checked whole, then immutable. Nothing of libconfuse leaves chat-config.c.
 * The options stand in one table there; see chat.conf(5).
 */
#ifndef FOSTER_CHAT_CHAT_CONFIG_H
#define FOSTER_CHAT_CHAT_CONFIG_H

#include <stdbool.h>

#include "base/error.h"
#include "chat/connections.h"
#include "chat/history.h"
#include "chat/room.h"
#include "chat/tls.h"

enum plaintext {
	PLAINTEXT_LOOPBACK, /* IRC without TLS only on the machine's own addresses */
	PLAINTEXT_ANYWHERE,
};

/* Of the operators' channel; see admin/question.h. */
struct operators_config {
	char *channel;    /* "": there is none */
	char **accounts;  /* who may command what */
	char **protected; /* patterns of services: a command that ends them is asked back for */
	char **show_log;  /* patterns of services whose log may be shown */
	char **redact;    /* regular expressions: what matches in a log is not shown */
};

struct chat_config {
	char *server_name, *network, *course_channel, *password, *motd_file;
	char **server_operators;
	char *state_directory;           /* where it keeps what outlives it; absolute */
	char *cloak_key;                 /* NULL: hosts are shown */
	char *user;                      /* whom to become; NULL: nobody else */
	uint32_t sandbox;                /* enum sandbox_mode */
	char *tls_certificate, *tls_key; /* whole paths; NULL: none */
	char **irc_listen, **tls_listen, **course_listen, **motd;
	char **history_channels;
	struct history_limits history;
	uint32_t plaintext;                     /* enum plaintext */
	struct tls_context *tls;                /* of the two; NULL: none */
	bool irc_listen_set, course_listen_set; /* not the defaults */
	struct room_config room;                /* points to the above */
	struct connections_limits limits;
	struct operators_config operators;
};

/*
 * path NULL: the defaults. On error -errno with file, line and what is allowed in *e; nothing
 * is changed. Reads files, so it may block: at start and on SIGHUP.
 */
int chat_config_load(const char *path, struct chat_config **ret, struct error *e);
/* "accounts.db" in the state directory; the caller's to free, NULL when out of memory. */
char *chat_config_state_file(const struct chat_config *config, const char *name);
void chat_config_free(struct chat_config *config);

/*
 * Some options hold from start to end: next gets them from now. In names those that differed, with
 * commas, or "".
 */
#define CHANGED_MAX 256
void chat_config_keep_fixed(struct chat_config *next, struct chat_config *now, char *names,
			    size_t size);

#endif
