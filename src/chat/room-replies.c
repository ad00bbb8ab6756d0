/* SPDX-License-Identifier: MIT */
/* What the room says to one user, and the texts of its numeric replies' frame. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chat/room-internal.h"

const char *nick_or_star(const struct user *user)
{
	return user->nick ? user->nick : "*";
}

void send_text(struct room *room, const struct user *user, const char *fmt, ...)
{
	char text[IRC_LINE_MAX * 2];
	struct irc_line line;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	irc_format(&line, "%s", text);
	send_line(room, user, &line);
}

void reply(struct room *room, const struct user *user, const char *numeric, const char *fmt, ...)
{
	char text[IRC_LINE_MAX * 2];
	struct irc_line line;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	irc_format(&line, ":%s %s %s %s", room->server, numeric, nick_or_star(user), text);
	send_line(room, user, &line);
}
