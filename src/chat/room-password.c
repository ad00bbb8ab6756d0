/* SPDX-License-Identifier: MIT */
/*
 * "PASS account:password" of clients that know no SASL, which registration waits for; and PASSWD,
 * by which somebody gives his account another password.
 */
#include <stdio.h>
#include <string.h>

#include "chat/numerics.h"
#include "chat/room-commands.h"

static struct conversation *begin(struct room *room, struct user *user, const char *account,
				  enum room_question_kind kind)
{
	struct conversation *c = conversation_begin(room, user, kind);

	if (!c) {
		guard_give_back(room, user, account, 1);
		return NULL;
	}
	c->mechanism = ROOM_PLAIN;
	c->cost = 1;
	c->checked = true;
	snprintf(c->account, sizeof(c->account), "%s", account);
	return c;
}

/* --- PASS --------------------------------------------------------------------------------- */

void pass_log_in(struct room *room, struct user *user, const char *text)
{
	struct room_question question = { .kind = ROOM_ASKS_SASL };
	char data[IRC_LINE_MAX + 2], account[ROOM_NICK_MAX + 1];
	size_t n_name = strcspn(text, ":");
	struct conversation *c;

	if (user->account || user->conversation) {
		reply(room, user, ERR_SASLFAIL_LATER, "another one is under way, or was");
		return;
	}
	if (!user->private && !room->config->plain_passwords) {
		user_quit(room, user, "Passwords are taken over encrypted connections only", true);
		return;
	}
	/* As PLAIN has it. What is longer than any name is the host's to refuse. */
	question.data = data;
	question.size = snprintf(data, sizeof(data), "%c%.*s%c%s", 0, (int)n_name, text, 0,
				 text + n_name + 1);
	snprintf(account, sizeof(account), "%.*s", n_name <= ROOM_NICK_MAX ? (int)n_name : 0, text);
	if (!guard_take(room, user, account, 1)) {
		explicit_bzero(data, sizeof(data));
		reply(room, user, ERR_SASLFAIL_LATER, "too many have failed; try again later");
		user_quit(room, user, "Too many have failed", true);
		return;
	}
	c = begin(room, user, account, ROOM_ASKS_SASL);
	if (c) {
		c->by_pass = true;
		ask_host(room, user, &question);
	}
	explicit_bzero(data, sizeof(data));
}

void pass_answered(struct room *room, struct user *user, const struct room_answer *answer)
{
	if (answer->verdict == ROOM_REFUSED) {
		reply(room, user, ERR_PASSWDMISMATCH);
		user_quit(room, user, "Bad password", true);
		return;
	}
	conversation_give_back(room, user);
	conversation_free(user);
	if (answer->verdict == ROOM_GRANTED)
		log_in(room, user, answer->account);
	else
		reply(room, user, ERR_SASLFAIL_LATER, "it cannot be checked now");
	finish_registration(room, user);
}

/* --- PASSWD ------------------------------------------------------------------------------- */

static void tell(struct room *room, const struct user *user, const char *code, const char *text)
{
	bool done = strcmp(code, "SUCCESS") == 0;

	send_text(room, user, ":%s %s PASSWD %s %s :%s", room->server, done ? "NOTE" : "FAIL", code,
		  account_or_star(user), text);
}

/* What is wrong with the request is said; true: nothing. */
static bool check(struct room *room, const struct user *user, const char *password)
{
	const char *code = password_is_bad(password, &password);

	if (!user->account)
		tell(room, user, "NOT_LOGGED_IN", "Log in first");
	else if (!user->private && !room->config->plain_passwords)
		tell(room, user, "INSECURE", "Passwords are taken over encrypted connections only");
	else if (user->conversation)
		tell(room, user, "TEMPORARILY_UNAVAILABLE", "One thing after the other");
	else if (code)
		tell(room, user, code, password);
	else
		return true;
	return false;
}

/* "PASSWD old new" */
void command_passwd(struct room *room, struct user *user, struct irc_message *m)
{
	struct room_question question = { .kind = ROOM_ASKS_PASSWORD };
	char data[IRC_LINE_MAX + 2];

	if (!check(room, user, m->params[1]))
		return;
	if (!guard_take(room, user, user->account, 1) ||
	    !begin(room, user, user->account, ROOM_ASKS_PASSWORD)) {
		tell(room, user, "TEMPORARILY_UNAVAILABLE", "Try again later");
		return;
	}
	question.account = user->conversation->account;
	question.data = data;
	question.size = snprintf(data, sizeof(data), "%s%c%s", m->params[0], 0, m->params[1]);
	ask_host(room, user, &question);
	explicit_bzero(data, sizeof(data));
}

void password_answered(struct room *room, struct user *user, const struct room_answer *answer)
{
	if (answer->verdict != ROOM_REFUSED)
		conversation_give_back(room, user);
	conversation_free(user);
	if (answer->verdict == ROOM_GRANTED)
		tell(room, user, "SUCCESS", "The password is changed");
	else if (answer->verdict == ROOM_REFUSED)
		tell(room, user, "WRONG_PASSWORD", "That is not the old password");
	else
		tell(room, user, "TEMPORARILY_UNAVAILABLE", "Try again later");
}
