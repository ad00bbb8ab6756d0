/* SPDX-License-Identifier: MIT */
/*
 * AUTHENTICATE (SASL 3.2). The room carries the messages, in pieces of 400 bytes; what is in them
 * is between client and host.
 *
 *	none -> begun -> asked -> begun ... -> none
 *
 * by "AUTHENTICATE mechanism" and "AUTHENTICATE data".
 *
 * One exchange a connection; while the host has not answered, nothing but giving it up is heard.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define PIECE 400 /* bytes of base64 in one line; a shorter one is the last */

static const char *const mechanism_names[ROOM_MECHANISMS] = {
	[ROOM_PLAIN] = "PLAIN",
	[ROOM_SCRAM_SHA_256] = "SCRAM-SHA-256",
	[ROOM_EXTERNAL] = "EXTERNAL",
};

static bool is_offered(const struct room *room, const struct user *user, enum room_mechanism m)
{
	if (!room->config->accounts)
		return false;
	switch (m) {
	case ROOM_PLAIN: return user->private || room->config->plain_passwords;
	case ROOM_EXTERNAL: return user->fingerprint != NULL;
	default: return true;
	}
}

char *sasl_mechanisms(const struct room *room, const struct user *user,
		      char buf[MECHANISMS_TEXT_MAX])
{
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; i < ROOM_MECHANISMS; i++) {
		if (is_offered(room, user, i))
			n += snprintf(buf + n, MECHANISMS_TEXT_MAX - n, "%s%s", n > 0 ? "," : "",
				      mechanism_names[i]);
	}
	return buf;
}

/* --- the host ----------------------------------------------------------------------------- */

struct conversation *conversation_begin(struct room *room, struct user *user,
					enum room_question_kind kind)
{
	struct conversation *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->kind = kind;
	c->serial = ++room->serial;
	user->conversation = c;
	return c;
}

static void ask(struct room *room, const struct user *user, struct room_question *question)
{
	question->id = user->id;
	question->place = user->place;
	question->serial = user->conversation->serial;
	question->mechanism = user->conversation->mechanism;
	question->fingerprint = user->fingerprint;
	room->output.ask(room->output.arg, question);
}

void ask_host(struct room *room, struct user *user, struct room_question *question)
{
	user->conversation->asked = true;
	ask(room, user, question);
}

void conversation_free(struct user *user)
{
	struct conversation *c = user->conversation;

	explicit_bzero(c->text, sizeof(c->text));
	free(c);
	user->conversation = NULL;
}

void conversation_end(struct room *room, struct user *user)
{
	struct room_question question = { .kind = ROOM_ASKS_NO_MORE };

	if (!user->conversation)
		return;
	ask(room, user, &question);
	conversation_free(user);
}

void sasl_abort(struct room *room, struct user *user, bool tell)
{
	if (!user->conversation || user->conversation->kind != ROOM_ASKS_SASL)
		return;
	conversation_end(room, user);
	if (tell)
		reply(room, user, ERR_SASLABORTED);
}

static void fail(struct room *room, struct user *user)
{
	conversation_end(room, user);
	reply(room, user, ERR_SASLFAIL);
}

/* --- from the client ---------------------------------------------------------------------- */

static bool find_mechanism(const struct room *room, const struct user *user, const char *name,
			   enum room_mechanism *ret)
{
	for (int i = 0; i < ROOM_MECHANISMS; i++) {
		if (strcasecmp(mechanism_names[i], name) == 0 && is_offered(room, user, i)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

/* A client that knows 302 may log in anew, also to another account. */
static void begin(struct room *room, struct user *user, const char *name)
{
	char mechanisms[MECHANISMS_TEXT_MAX];
	enum room_mechanism mechanism;
	struct conversation *c;

	if (user->account && !(user->caps & CAP_302)) {
		reply(room, user, ERR_SASLALREADY);
		return;
	}
	if (!find_mechanism(room, user, name, &mechanism)) {
		if (*sasl_mechanisms(room, user, mechanisms))
			reply(room, user, RPL_SASLMECHS, mechanisms);
		reply(room, user, ERR_SASLFAIL);
		return;
	}
	if (!guard_take(room, user, 1)) {
		reply(room, user, ERR_SASLFAIL_LATER, "too many have failed; try again later");
		return;
	}
	c = conversation_begin(room, user, ROOM_ASKS_SASL);
	if (!c) {
		reply(room, user, ERR_SASLFAIL);
		return;
	}
	c->mechanism = mechanism;
	c->cost = 1;
	send_text(room, user, "AUTHENTICATE +");
}

static void take_message(struct room *room, struct user *user)
{
	struct conversation *c = user->conversation;
	struct room_question question = { .kind = ROOM_ASKS_SASL };
	char data[SASL_TEXT_MAX];
	ssize_t size = base64_decode(data, c->text, c->size);

	explicit_bzero(c->text, c->size);
	c->size = 0;
	if (size < 0) {
		fail(room, user);
		return;
	}
	question.data = data;
	question.size = size;
	ask_host(room, user, &question);
	explicit_bzero(data, sizeof(data));
}

static void take_piece(struct room *room, struct user *user, const char *piece)
{
	struct conversation *c = user->conversation;
	size_t size = strcmp(piece, "+") == 0 ? 0 : strlen(piece);

	if (c->asked) {
		fail(room, user);
		return;
	}
	if (size > PIECE || c->size + size > SASL_TEXT_MAX) {
		conversation_end(room, user);
		reply(room, user, ERR_SASLTOOLONG);
		return;
	}
	memcpy(c->text + c->size, piece, size);
	c->size += size;
	if (size < PIECE)
		take_message(room, user);
}

void command_authenticate(struct room *room, struct user *user, struct irc_message *m)
{
	const struct conversation *c = user->conversation;

	if (c && c->kind != ROOM_ASKS_SASL) {
		reply(room, user, ERR_SASLFAIL_LATER, "REGISTER is under way");
	} else if (strcmp(m->params[0], "*") == 0) {
		sasl_abort(room, user, false);
		reply(room, user, ERR_SASLABORTED);
	} else if (c) {
		take_piece(room, user, m->params[0]);
	} else {
		begin(room, user, m->params[0]);
	}
}

/* --- from the host ------------------------------------------------------------------------ */

/* A message that ends with a whole piece is followed by an empty one. */
static void send_challenge(struct room *room, struct user *user, const struct room_answer *answer)
{
	char text[BASE64_SIZE(SASL_TEXT_MAX) + 1];
	size_t size = base64_encode(text, answer->data, MIN(answer->size, SASL_TEXT_MAX)), at;

	for (at = 0; at + PIECE <= size; at += PIECE)
		send_text(room, user, "AUTHENTICATE %.*s", PIECE, text + at);
	send_text(room, user, "AUTHENTICATE %s", at < size ? text + at : "+");
}

static void authenticated(struct room *room, struct user *user, const struct room_answer *answer)
{
	struct conversation *c = user->conversation;

	c->asked = false;
	switch (answer->verdict) {
	case ROOM_CONTINUE: send_challenge(room, user, answer); return;
	case ROOM_GRANTED:
		guard_give_back(room, user, c->cost);
		conversation_free(user);
		log_in(room, user, answer->account);
		reply(room, user, RPL_SASLSUCCESS);
		return;
	case ROOM_REFUSED:
		conversation_free(user);
		reply(room, user, ERR_SASLFAIL);
		return;
	case ROOM_UNABLE:
		guard_give_back(room, user, c->cost);
		conversation_free(user);
		reply(room, user, ERR_SASLFAIL_LATER, "it cannot be checked now");
		return;
	}
}

void room_answer(struct room *room, const struct room_answer *answer)
{
	struct user *user = user_by_id(room, answer->id);
	const struct conversation *c = user ? user->conversation : NULL;

	if (!c || c->serial != answer->serial || !c->asked)
		return;
	if (c->kind == ROOM_ASKS_SASL)
		authenticated(room, user, answer);
	else
		registration_answered(room, user, answer);
}
