/* SPDX-License-Identifier: MIT */
/*
 * Server operators: OPER, and what they may do. Who is one follows from the account: no password
 * of its own, and nothing that a nick or a channel gives.
 */
#include <stdio.h>
#include <string.h>

#include "base/strv.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"
#include "chat/utf8.h"

bool oper_may_be(const struct room *room, const struct user *user)
{
	if (!user->account || !room->config->server_operators)
		return false;
	STRV_FOREACH(name, room->config->server_operators) {
		if (name_equal(*name, user->account))
			return true;
	}
	return false;
}

void oper_leave(struct room *room, struct user *user)
{
	if (user->oper)
		room->counts.opers--;
	user->oper = false;
}

void oper_check(struct room *room, struct user *user)
{
	if (!user->oper || oper_may_be(room, user))
		return;
	oper_leave(room, user);
	send_text(room, user, ":%s MODE %s :-o", user->nick, user->nick);
}

bool oper_or_refuse(struct room *room, struct user *user)
{
	if (!user->oper)
		reply(room, user, ERR_NOPRIVILEGES);
	return user->oper;
}

char *oper_text(const struct user *user, char buf[OPER_TEXT_MAX])
{
	char source[SOURCE_MAX];

	snprintf(buf, OPER_TEXT_MAX, "%s (%s)", user_source(user, source), account_or_star(user));
	return buf;
}

void operate(struct room *room, const struct room_operation *operation)
{
	if (room->output.operate)
		room->output.operate(room->output.arg, operation);
}

void room_tell_opers(struct room *room, const char *text)
{
	for (size_t id = 0; id < room->users_room && room->counts.opers > 0; id++) {
		struct user *user = room->users[id];

		if (user && user->oper)
			send_text(room, user, ":%s NOTICE %s :*** %s", room->server, user->nick,
				  text);
	}
}

/* "OPER [name password]": both are passed over, the account has been checked already. */
void command_oper(struct room *room, struct user *user, struct irc_message *m)
{
	if (!user->account) {
		reply(room, user, ERR_NOOPERHOST, "Log in to an operator's account first");
	} else if (!oper_may_be(room, user)) {
		reply(room, user, ERR_NOOPERHOST, "Your account is no operator's");
	} else {
		if (!user->oper) {
			room->counts.opers++;
			user->oper = true;
			send_text(room, user, ":%s MODE %s :+o", user->nick, user->nick);
		}
		reply(room, user, RPL_YOUREOPER);
	}
}

void throw_out(struct room *room, struct user *target, const char *reason)
{
	if (target->course)
		course_dismiss(room, target);
	user_quit(room, target, reason, true);
}

void command_kill(struct room *room, struct user *user, struct irc_message *m)
{
	struct user *target = user_by_nick(room, m->params[0]);
	char source[SOURCE_MAX], victim[SOURCE_MAX], by[OPER_TEXT_MAX], reason[IRC_LINE_MAX];
	struct room_operation operation = {
		.kind = ROOM_KILL, .by = by, .target = victim, .reason = m->params[1]
	};

	if (!oper_or_refuse(room, user))
		return;
	if (!target || target == room->voice) {
		reply(room, user, ERR_NOSUCHNICK, m->params[0]);
		return;
	}
	oper_text(user, by);
	user_source(target, victim);
	operate(room, &operation);
	send_text(room, target, ":%s KILL %s :%s", user_source(user, source), target->nick,
		  m->params[1]);
	snprintf(reason, sizeof(reason), "Killed (%s (%.*s))", user->nick,
		 (int)utf8_cut(m->params[1], strlen(m->params[1]), ROOM_KICK_MAX), m->params[1]);
	throw_out(room, target, reason);
}

void command_wallops(struct room *room, struct user *user, struct irc_message *m)
{
	char source[SOURCE_MAX];
	struct irc_line line;
	struct delivery d;

	if (!oper_or_refuse(room, user))
		return;
	irc_format(&line, ":%s WALLOPS :%s", user_source(user, source), m->params[0]);
	delivery_begin_from(&d, room, &line, user);
	for (size_t id = 0; id < room->users_room; id++) {
		const struct user *other = room->users[id];

		if (other && other->registered && other->wallops)
			deliver(&d, other);
	}
}

void command_rehash(struct room *room, struct user *user, struct irc_message *m)
{
	char by[OPER_TEXT_MAX];
	struct room_operation operation = { .kind = ROOM_REHASH, .by = by };

	if (!oper_or_refuse(room, user))
		return;
	oper_text(user, by);
	reply(room, user, RPL_REHASHING, "chat.conf");
	operate(room, &operation);
}
