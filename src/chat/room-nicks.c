/* SPDX-License-Identifier: MIT */
/* Nicks go back to their owner: from who is not logged in, and from his own dead connection. */
#include <stdio.h>
#include <string.h>

#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define GUESTS 10000 /* names: with the smallest nick-length they have four digits */

bool same_account(const struct user *a, const struct user *b)
{
	return a->account && b->account && name_equal(a->account, b->account);
}

static bool find_guest_name(struct room *room, char name[ROOM_NICK_MAX + 1])
{
	for (int i = 0; i < GUESTS; i++) {
		room->guests = room->guests % (GUESTS - 1) + 1;
		snprintf(name, ROOM_NICK_MAX + 1, "Guest%u", room->guests);
		if (!user_by_like_nick(room, name) && !account_of_nick(room, name))
			return true;
	}
	return false;
}

/* Its program knows itself by its name alone, and would not see that it has another. */
static void dismiss_course_user(struct room *room, struct user *holder)
{
	course_tell_taken(room, holder);
	course_dismiss(room, holder);
	user_quit(room, holder, "The nick's owner has come", false);
}

static void make_guest(struct room *room, struct user *holder)
{
	char name[ROOM_NICK_MAX + 1];

	if (!find_guest_name(room, name)) {
		user_quit(room, holder, "The nick's owner has come", true);
		return;
	}
	send_text(room, holder,
		  ":%s NOTICE %s :%s is an account's nick, whose owner has come: you are %s now",
		  room->server, holder->nick, holder->nick, name);
	change_nick(room, holder, name);
}

/*
 * Who only comes, and has not said that it is the account, may call itself so for a while, for
 * clients say NICK before AUTHENTICATE. The owner need not wait for that.
 */
bool yields_nick(struct room *room, struct user *holder, const struct user *asker)
{
	if (holder == room->voice || !owns_nick(room, asker, holder->nick) ||
	    owns_nick(room, holder, holder->nick) ||
	    (holder->registered && !room->config->nick_protection))
		return false;
	if (holder->course) {
		dismiss_course_user(room, holder);
	} else if (holder->registered) {
		make_guest(room, holder);
	} else {
		reply(room, holder, ERR_NICKNAMEINUSE, holder->nick);
		user_clear_nick(room, holder);
	}
	return true;
}

/* "GHOST nick": also before registration, which may wait for that nick. */
void command_ghost(struct room *room, struct user *user, struct irc_message *m)
{
	struct user *target = user_by_nick(room, m->params[0]);
	char reason[ROOM_NICK_MAX + 32];

	if (!target) {
		reply(room, user, ERR_NOSUCHNICK, m->params[0]);
		return;
	}
	if (target == user || !same_account(target, user)) {
		send_text(room, user,
			  ":%s FAIL GHOST NOT_YOURS %s :That is no other connection that is logged "
			  "in "
			  "to your account",
			  room->server, target->nick);
		return;
	}
	send_text(room, user, ":%s NOTE GHOST GONE %s :That connection was ended", room->server,
		  target->nick);
	snprintf(reason, sizeof(reason), "Ended by %s", nick_or_star(user));
	user_quit(room, target, reason, true);
}
