/* SPDX-License-Identifier: MIT */
/*
 * From a connection to a user: PASS, NICK, USER; and PING, PONG, QUIT, which are always allowed.
 * CAP is in room-caps.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"
#include "chat/utf8.h"

#define USERNAME_MAX 10

/* The time that it takes does not tell how much of it was right. */
static bool same_password(const char *a, const char *b)
{
	size_t n_a = strlen(a), n_b = strlen(b);
	unsigned char difference = n_a != n_b;

	for (size_t i = 0; i < n_b; i++)
		difference |= (unsigned char)(b[i] ^ (i < n_a ? a[i] : 0));
	return difference == 0;
}

/* The server's password, or "account:password" in a PASS of its own. */
void command_pass(struct room *room, struct user *user, struct irc_message *m)
{
	const char *password = room->config->password;

	if (user->registered)
		reply(room, user, ERR_ALREADYREGISTERED);
	else if (password && same_password(m->params[0], password))
		user->password_ok = true;
	else if (room->config->accounts && strchr(m->params[0], ':'))
		pass_log_in(room, user, m->params[0]);
	else
		user->password_ok = false;
}

void finish_registration(struct room *room, struct user *user)
{
	const char *why;

	if (user->registered || user->negotiating || !user->nick || !user->username ||
	    (user->conversation && user->conversation->by_pass))
		return;
	if (room->config->password && !user->password_ok) {
		reply(room, user, ERR_PASSWDMISMATCH);
		user_quit(room, user, "Bad password", true);
		return;
	}
	why = kline_of(room, user);
	if (why) {
		reply(room, user, ERR_YOUREBANNEDCREEP, why);
		user_quit(room, user, "Banned", true);
		return;
	}
	if (!may_use_nick(room, user, user->nick)) {
		reply(room, user, ERR_NICKNAMERESERVED, user->nick, user->nick);
		user_clear_nick(room, user);
		return;
	}
	user_count_registered(room, user);
	user->signed_on = room->realtime;
	user_set_queue(room, user, QUEUE_ACTIVE);
	send_welcome(room, user);
}

void change_nick(struct room *room, struct user *user, const char *nick)
{
	char source[SOURCE_MAX], old[ROOM_NICK_MAX + 1];
	struct delivery d;
	struct irc_line line;

	user_source(user, source);
	snprintf(old, sizeof(old), "%s", nick_or_star(user));
	if (user->registered && !name_equal(old, nick))
		whowas_note(room, user);
	if (user_set_nick(room, user, nick) < 0) {
		user_quit(room, user, "Out of memory", true);
		return;
	}
	if (!user->registered) {
		finish_registration(room, user);
		return;
	}
	irc_format(&line, ":%s NICK :%s", source, nick);
	delivery_begin_from(&d, room, &line, user);
	history_event_of_user(&d, user);
	deliver(&d, user);
	user_deliver_to_neighbours(&d, user);
	if (!name_equal(old, nick)) {
		monitor_offline(room, old);
		monitor_online(room, user);
	}
	for (size_t i = 0; i < user->n_seats; i++) {
		if (user->seats[i].channel->course) {
			course_tell_left(room, user, old);
			course_tell_joined(room, user);
		}
	}
}

void command_nick(struct room *room, struct user *user, struct irc_message *m)
{
	const char *nick = m->n_params > 0 ? m->params[0] : "";
	struct user *owner;

	if (!*nick) {
		reply(room, user, ERR_NONICKNAMEGIVEN);
		return;
	}
	if (!name_is_nick(nick, room->config->nick_length) || name_is_reserved(nick)) {
		reply(room, user, ERR_ERRONEUSNICKNAME, nick);
		return;
	}
	owner = user_by_like_nick(room, nick);
	if (owner && owner != user && yields_nick(room, owner, user))
		owner = NULL;
	if (owner && owner != user && same_account(owner, user))
		reply(room, user, ERR_NICKNAMEYOURS, nick, owner->nick);
	else if (owner && owner != user)
		reply(room, user, ERR_NICKNAMEINUSE, nick);
	else if (user->registered && !may_use_nick(room, user, nick))
		reply(room, user, ERR_NICKNAMERESERVED, nick, nick);
	else if (!owner || strcmp(user->nick, nick) != 0)
		change_nick(room, user, nick);
}

/* "~" says that nobody vouches for it. What could stand for something else is left out. */
static int set_username(struct user *user, const char *text)
{
	char name[USERNAME_MAX + 2] = "~";
	size_t n = 1;

	for (; *text && n <= USERNAME_MAX; text++) {
		char c = name_fold(*text);

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-_.", c))
			name[n++] = *text;
	}
	name[n] = '\0';
	user->username = strdup(n > 1 ? name : "~user");
	return user->username ? 0 : -1;
}

/*
 * The third parameter is the server as the client knows it, and ends the line where that is "::1":
 * ii sends "USER name localhost ::1 :real name". NULL: there is no real name.
 */
static const char *real_name_of(const struct irc_message *m)
{
	const char *colon;

	if (m->n_params > 3)
		return m->params[3];
	colon = strstr(m->params[2], " :");
	return colon ? colon + 2 : NULL;
}

void command_user(struct room *room, struct user *user, struct irc_message *m)
{
	const char *real_name = real_name_of(m);

	if (!real_name || !*real_name) {
		reply(room, user, ERR_NEEDMOREPARAMS, "USER");
		return;
	}
	if (user->username) {
		reply(room, user, ERR_ALREADYREGISTERED);
		return;
	}
	user->realname =
		strndup(real_name, utf8_cut(real_name, strlen(real_name), ROOM_REALNAME_MAX));
	if (!user->realname || set_username(user, m->params[0]) < 0) {
		user_quit(room, user, "Out of memory", true);
		return;
	}
	finish_registration(room, user);
}

void command_setname(struct room *room, struct user *user, struct irc_message *m)
{
	const char *name = m->params[0];
	char source[SOURCE_MAX], *copy;
	struct delivery d;
	struct irc_line line;

	if (!*name || strlen(name) > ROOM_REALNAME_MAX) {
		send_text(room, user, ":%s FAIL SETNAME INVALID_REALNAME :A name has 1 to %d bytes",
			  room->server, ROOM_REALNAME_MAX);
		return;
	}
	copy = strdup(name);
	if (!copy)
		return;
	free(user->realname);
	user->realname = copy;
	irc_format(&line, ":%s SETNAME :%s", user_source(user, source), name);
	delivery_begin_from(&d, room, &line, user);
	d.wanted = CAP_SETNAME;
	deliver(&d, user);
	user_deliver_to_neighbours(&d, user);
}

void command_ping(struct room *room, struct user *user, struct irc_message *m)
{
	if (m->n_params == 0 || !*m->params[0])
		reply(room, user, ERR_NOORIGIN);
	else
		send_text(room, user, ":%s PONG %s :%s", room->server, room->server, m->params[0]);
}

void command_pong(struct room *room, struct user *user, struct irc_message *m)
{
	/* That a line came at all has done its work. */
}

void command_quit(struct room *room, struct user *user, struct irc_message *m)
{
	char reason[IRC_LINE_MAX];

	if (m->n_params > 0 && *m->params[0])
		snprintf(reason, sizeof(reason), "Quit: %s", m->params[0]);
	else
		snprintf(reason, sizeof(reason), "Client quit");
	user_quit(room, user, reason, true);
}
