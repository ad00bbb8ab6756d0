/* SPDX-License-Identifier: MIT */
/*
 * REGISTER and VERIFY (draft/account-registration): somebody makes an account for the nick that
 * he has. Nothing is verified: there is no mail.
 */
#include <stdio.h>
#include <string.h>

#include "base/strv.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/operators.h"
#include "chat/room-commands.h"

#define COST         10 /* tries that a new account takes */
#define PASSWORD_MIN 8  /* bytes; as the host has it, which need not be asked then */
#define PASSWORD_MAX 300

const char *registration_value(const struct room *room, const struct user *user)
{
	if (!room->config->accounts || !room->config->account_registration)
		return NULL;
	return user->private || room->config->plain_passwords ? "before-connect" : NULL;
}

static void refuse(struct room *room, const struct user *user, const char *code,
		   const char *account, const char *text)
{
	send_text(room, user, ":%s FAIL REGISTER %s %s%s:%s", room->server, code, account,
		  *account ? " " : "", text);
}

/* The name of one that has rights, but is not made yet, or not any more. */
static bool is_promised(const struct room *room, const char *name)
{
	STRV_FOREACH(promised, room->config->server_operators) {
		if (name_equal(*promised, name))
			return true;
	}
	return is_operator(room->config->operators, name);
}

/* What is wrong with the request is said; true: nothing. */
/* Who is to be turned away at the door makes no accounts before. */
static bool may_come_in(struct room *room, const struct user *user)
{
	return (!room->config->password || user->password_ok) && !kline_of(room, user);
}

static bool check_user(struct room *room, const struct user *user, const char *name)
{
	const char *account = name_is_nick(name, ROOM_NICK_MAX) ? name : "*";

	if (!room->config->accounts || !room->config->account_registration)
		refuse(room, user, "DISALLOWED", account,
		       "Accounts are made by the operators here");
	else if (!registration_value(room, user))
		refuse(room, user, "INSECURE", account,
		       "Passwords are taken over encrypted connections only");
	else if (!user->registered && !may_come_in(room, user))
		refuse(room, user, "DISALLOWED", account, "You may not come in here");
	else if (user->account)
		refuse(room, user, "ALREADY_AUTHENTICATED", user->account,
		       "You have an account, and are logged in to it");
	else if (user->conversation)
		refuse(room, user, "TEMPORARILY_UNAVAILABLE", account, "One thing after the other");
	else if (!user->nick)
		refuse(room, user, "NEED_NICK", account, "Say NICK first");
	else if (strcmp(name, "*") != 0 && !name_equal(name, user->nick))
		refuse(room, user, "ACCOUNT_NAME_MUST_BE_NICK", account,
		       "An account has the name of who makes it");
	else if (account_of_nick(room, user->nick))
		refuse(room, user, "ACCOUNT_EXISTS", user->nick, "That name is an account's");
	else if (is_promised(room, user->nick))
		refuse(room, user, "BAD_ACCOUNT_NAME", user->nick,
		       "The accounts of operators are not made here");
	else
		return true;
	return false;
}

const char *password_is_bad(const char *password, const char **ret_text)
{
	size_t size = strlen(password);

	if (size >= PASSWORD_MIN && size <= PASSWORD_MAX)
		return NULL;
	*ret_text = size < PASSWORD_MIN ? "A password has at least 8 bytes"
					: "A password has at most 300 bytes";
	return size < PASSWORD_MIN ? "WEAK_PASSWORD" : "UNACCEPTABLE_PASSWORD";
}

static bool check_password(struct room *room, const struct user *user, const char *password)
{
	const char *text, *code = password_is_bad(password, &text);

	if (code)
		refuse(room, user, code, user->nick, text);
	return !code;
}

/* "REGISTER account email password" */
void command_register(struct room *room, struct user *user, struct irc_message *m)
{
	struct room_question question = { .kind = ROOM_ASKS_REGISTER };
	struct conversation *c;

	if (m->n_params < 3) {
		refuse(room, user, "NEED_MORE_PARAMS", "", "REGISTER account email|* password");
		return;
	}
	if (!check_user(room, user, m->params[0]) || !check_password(room, user, m->params[2]))
		return;
	c = guard_take(room, user, NULL, COST) ? conversation_begin(room, user, ROOM_ASKS_REGISTER)
					       : NULL;
	if (!c) {
		refuse(room, user, "TEMPORARILY_UNAVAILABLE", user->nick, "Try again later");
		return;
	}
	c->cost = COST;
	c->size = snprintf(c->text, sizeof(c->text), "%s", user->nick);
	question.account = c->text;
	question.password = m->params[2];
	ask_host(room, user, &question);
}

void registration_answered(struct room *room, struct user *user, const struct room_answer *answer)
{
	char name[ROOM_NICK_MAX + 1];

	snprintf(name, sizeof(name), "%.*s", ROOM_NICK_MAX, user->conversation->text);
	conversation_free(user);
	if (answer->verdict == ROOM_GRANTED) {
		add_owned(room, name, name);
		send_text(room, user, ":%s REGISTER SUCCESS %s :The account is made", room->server,
			  name);
		log_in(room, user, name);
	} else if (answer->verdict == ROOM_REFUSED) {
		refuse(room, user, "ACCOUNT_EXISTS", name, "That name is an account's");
	} else {
		refuse(room, user, "TEMPORARILY_UNAVAILABLE", name, "Try again later");
	}
}

void command_verify(struct room *room, struct user *user, struct irc_message *m)
{
	const char *name =
		m->n_params > 0 && name_is_nick(m->params[0], ROOM_NICK_MAX) ? m->params[0] : "*";

	send_text(room, user,
		  ":%s FAIL VERIFY INVALID_CODE %s :Accounts are not verified here: none waits for "
		  "a code",
		  room->server, name);
}
