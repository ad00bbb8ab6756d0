/* SPDX-License-Identifier: MIT */
/*
 * Between irc-session.c (the stream, entering), irc-show.c (what comes) and irc-say.c (what is
 * typed).
 */
#ifndef FOSTER_CHAT_CLIENT_IRC_SESSION_H
#define FOSTER_CHAT_CLIENT_IRC_SESSION_H

#include "chat/client/session-internal.h"
#include "chat/irc.h"

/* Numerics that mean something to a client; all others are shown by their text. */
enum {
	RPL_WELCOME = 1,
	RPL_MYINFO = 4,
	RPL_ISUPPORT = 5,
	RPL_TOPIC = 332,
	RPL_TOPICWHOTIME = 333,
	RPL_NAMREPLY = 353,
	RPL_ENDOFNAMES = 366,
	RPL_MOTD = 372,
	RPL_MOTDSTART = 375,
	RPL_ENDOFMOTD = 376,
	ERRORS_FROM = 400,
	ERR_NOMOTD = 422,
	ERR_ERRONEUSNICKNAME = 432,
	ERR_NICKNAMEINUSE = 433,
	ERR_NICKCOLLISION = 436,
	ERR_UNAVAILRESOURCE = 437,
	RPL_LOGGEDIN = 900,
	RPL_LOGGEDOUT = 901,
	ERR_NICKLOCKED = 902,
	RPL_SASLSUCCESS = 903,
	ERR_SASLFAIL = 904,
	ERR_SASLALREADY = 907,
	RPL_SASLMECHS = 908
};

/* source: "nick!user@host", a server's name, or "". */
void irc_take_message(struct session *s, const char *source, const struct irc_message *m,
		      uint64_t now);
void irc_take_cap(struct session *s, const struct irc_message *m);
void irc_take_authenticate(struct session *s, const struct irc_message *m);
void irc_take_login(struct session *s, int numeric, const struct irc_message *m);
void irc_login_failed(struct session *s, const char *why); /* NULL: there is no such login */
void irc_in(struct session *s, uint64_t now);              /* if it was not already */

void irc_say(struct session *s, char *text, uint64_t now);

#endif
