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
	label_take(room, user, user->conversation->label);
	ask(room, user, question);
}

void conversation_free(struct user *user)
{
	struct conversation *c = user->conversation;

	explicit_bzero(c->text, sizeof(c->text));
	free(c);
	user->conversation = NULL;
}

void conversation_give_back(struct room *room, struct user *user)
{
	struct conversation *c = user->conversation;

	guard_give_back(room, user, c->account, c->cost);
	c->cost = 0;
}

void conversation_end(struct room *room, struct user *user)
{
	struct room_question question = { .kind = ROOM_ASKS_NO_MORE };
	struct conversation *c = user->conversation;

	if (!c)
		return;
	if (c->kind == ROOM_ASKS_SASL && !c->checked)
		conversation_give_back(room, user);
	ask(room, user, &question);
	conversation_free(user);
}

/* The same when the user stays. */
static void give_up(struct room *room, struct user *user)
{
	label_acknowledge(room, user, user->conversation->label);
	conversation_end(room, user);
}

void sasl_abort(struct room *room, struct user *user, bool tell)
{
	if (!user->conversation || user->conversation->kind != ROOM_ASKS_SASL ||
	    user->conversation->by_pass)
		return;
	give_up(room, user);
	if (tell)
		reply(room, user, ERR_SASLABORTED);
}

static void fail(struct room *room, struct user *user)
{
	give_up(room, user);
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
	c = conversation_begin(room, user, ROOM_ASKS_SASL);
	if (!c) {
		reply(room, user, ERR_SASLFAIL);
		return;
	}
	c->mechanism = mechanism;
	send_text(room, user, "AUTHENTICATE +");
}

/* "authzid NUL name NUL password" */
static const char *name_of_plain(const char *data, size_t size, size_t *ret_size)
{
	const char *name = memchr(data, '\0', size), *end;

	if (!name)
		return NULL;
	name++;
	end = memchr(name, '\0', data + size - name);
	*ret_size = end ? (size_t)(end - name) : 0;
	return end ? name : NULL;
}

/* "n,authzid,n=name,..." */
static const char *name_of_scram(const char *data, size_t size, size_t *ret_size)
{
	const char *end = data + size, *comma = data;

	for (int i = 0; i < 2; i++) {
		comma = memchr(comma, ',', end - comma);
		if (!comma)
			return NULL;
		comma++;
	}
	if (end - comma < 2 || memcmp(comma, "n=", 2) != 0)
		return NULL;
	data = comma + 2;
	comma = memchr(data, ',', end - data);
	*ret_size = comma ? (size_t)(comma - data) : 0;
	return comma ? data : NULL;
}

/*
 * Which account the first message tries. What no account can be called stands for nothing: the
 * host refuses it. A certificate is for one account alone.
 */
static void find_account(struct conversation *c, const struct user *user, const char *data,
			 size_t size)
{
	const char *name = NULL;
	size_t n = 0;

	switch (c->mechanism) {
	case ROOM_PLAIN: name = name_of_plain(data, size, &n); break;
	case ROOM_SCRAM_SHA_256: name = name_of_scram(data, size, &n); break;
	case ROOM_EXTERNAL:
		name = user->fingerprint;
		n = name ? strlen(name) : 0;
		break;
	case ROOM_MECHANISMS: break;
	}
	if (name && n < sizeof(c->account))
		memcpy(c->account, name, n);
}

/*
 * A try begins with the first message. SCRAM's only asks for the challenge; the second one tells
 * whether the password is right.
 */
static bool count_try(struct room *room, struct user *user, const char *data, size_t size)
{
	struct conversation *c = user->conversation;

	c->checked = c->cost > 0 || c->mechanism != ROOM_SCRAM_SHA_256;
	if (c->cost > 0)
		return true;
	find_account(c, user, data, size);
	if (!guard_take(room, user, c->account, 1))
		return false;
	c->cost = 1;
	return true;
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
	if (!count_try(room, user, data, size)) {
		explicit_bzero(data, sizeof(data));
		conversation_end(room, user);
		reply(room, user, ERR_SASLFAIL_LATER, "too many have failed; try again later");
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
		give_up(room, user);
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

	if (c && (c->kind != ROOM_ASKS_SASL || c->by_pass)) {
		reply(room, user, ERR_SASLFAIL_LATER,
		      c->kind == ROOM_ASKS_REGISTER ? "REGISTER is under way"
						    : "another one is under way");
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
		conversation_give_back(room, user);
		conversation_free(user);
		log_in(room, user, answer->account);
		reply(room, user, RPL_SASLSUCCESS);
		return;
	case ROOM_REFUSED:
		conversation_free(user);
		reply(room, user, ERR_SASLFAIL);
		return;
	case ROOM_UNABLE:
		conversation_give_back(room, user);
		conversation_free(user);
		reply(room, user, ERR_SASLFAIL_LATER, "it cannot be checked now");
		return;
	}
}

void room_answer(struct room *room, const struct room_answer *answer)
{
	struct user *user = user_by_id(room, answer->id);
	struct conversation *c = user ? user->conversation : NULL;

	if (!c || c->serial != answer->serial || !c->asked)
		return;
	label_resume(room, user, c->label);
	c->label[0] = '\0';
	if (c->kind == ROOM_ASKS_REGISTER)
		registration_answered(room, user, answer);
	else if (c->kind == ROOM_ASKS_PASSWORD)
		password_answered(room, user, answer);
	else if (c->by_pass)
		pass_answered(room, user, answer);
	else
		authenticated(room, user, answer);
	label_end(room);
}
