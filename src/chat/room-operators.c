/* SPDX-License-Identifier: MIT */
/*
 * The operators' channel: where the supervisor tells of its services, and is asked about them. Its
 * own voice is a member without a connection, the only one with rights in the channel; who may
 * come in follows from the configuration, and no invitation opens it. What is asked goes to the
 * host, which decides and answers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/course.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/operators.h"
#include "chat/room-internal.h"

#define UNHEARD_MAX 20 /* lines that wait for somebody who hears them */
#define REALNAME    "tells of the services, and obeys those who may command"

static int set_names(struct room *room, struct user *voice)
{
	voice->username = strdup(ROOM_VOICE);
	voice->realname = strdup(REALNAME);
	if (!voice->username || !voice->realname)
		return -ENOMEM;
	return user_set_nick(room, voice, ROOM_VOICE);
}

int operators_open(struct room *room)
{
	struct channel *channel;
	int r;

	if (!room->config->operators_channel)
		return 0;
	r = user_new(room, room->server, &room->voice);
	if (r < 0)
		return r;
	room->voice->id = ROOM_NOBODY;
	room->voice->bot = room->voice->registered = true;
	r = set_names(room, room->voice);
	if (r == 0)
		r = channel_new(room, room->config->operators_channel, &channel);
	if (r < 0)
		return r;
	r = channel_add(room, channel, room->voice, MEMBER_OP);
	if (r < 0)
		return r;
	channel->modes |= MODE_NO_EXTERNAL | MODE_TOPIC | MODE_SECRET;
	room->operators = channel;
	return 0;
}

void operators_begin(struct room *room)
{
	if (!room->operators)
		return;
	room->operators->created = room->voice->signed_on = room->realtime;
	room->voice->spoke = room->now;
}

bool operators_may_join(const struct room *room, const struct user *user)
{
	return room->config->operators_open || is_operator(room->config->operators, user->account);
}

/* Who may not be there as that account, or as none, or under that configuration, is not. */
void operators_check(struct room *room, struct user *user, const char *why)
{
	char source[SOURCE_MAX];
	struct irc_line line;

	if (!room->operators || !channel_member(room->operators, user) ||
	    operators_may_join(room, user))
		return;
	irc_format(&line, ":%s KICK %s %s :%s", user_source(room->voice, source),
		   room->operators->name, user->nick, why);
	leave_channel(room, user, room->operators, room->voice, &line);
}

static bool is_question(const char *text)
{
	return text[0] == '!' && text[1] > ' ';
}

void operators_heard(struct room *room, const struct user *user, const struct channel *channel,
		     const char *text)
{
	char source[SOURCE_MAX];
	struct room_command command = { .id = user->id,
					.since = user->signed_on,
					.in_channel = channel != NULL,
					.nick = user->nick,
					.source = user_source(user, source),
					.account = user->account,
					.text = text };

	/* A client asks by CTCP on its own. */
	if (!room->output.command || user->course || (channel && !is_question(text)) ||
	    irc_is_ctcp(text))
		return;
	/* In private, too, only who may read along is answered. */
	if (!channel_member(room->operators, user))
		send_text(room, user, ":%s!%s@%s NOTICE %s :join %s first", ROOM_VOICE, ROOM_VOICE,
			  room->server, user->nick, room->operators->name);
	else if (!room->output.command(room->output.arg, &command))
		room_operators_answer(room, &command, "not now; ask again in a moment");
}

/* Calls say for each line, without what a terminal would obey. */
static void each_line(struct room *room, const char *text, const struct user *to, const char *verb,
		      const char *tags)
{
	char plain[OPERATORS_LINE_MAX];

	room->voice->spoke = room->now;
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (course_plain(plain, sizeof(plain), text, n) > 0 && to)
			say_to_user(room, room->voice, room->users[to->id], verb, plain, tags);
		else if (plain[0])
			say_in_channel(room, room->voice, room->operators, verb, plain, tags);
		text += n + (text[n] == '\n');
	}
}

/* --- what nobody has heard ------------------------------------------------------------------ */

struct unheard {
	struct unheard *next;
	uint64_t at; /* realtime */
	char text[];
};

static void forget_first(struct room *room)
{
	struct unheard *first = room->unheard;

	room->unheard = first->next;
	room->n_unheard--;
	free(first);
}

/* The oldest give way: what is wrong now is told last. */
static void keep_unheard(struct room *room, const char *text)
{
	size_t size = strlen(text) + 1;
	struct unheard *u = malloc(sizeof(*u) + size), **p = &room->unheard;

	if (!u)
		return;
	memcpy(u->text, text, size);
	u->at = room->realtime;
	u->next = NULL;
	while (*p)
		p = &(*p)->next;
	*p = u;
	if (++room->n_unheard > UNHEARD_MAX)
		forget_first(room);
}

void operators_entered(struct room *room)
{
	char at[64], line[OPERATORS_LINE_MAX];

	while (room->unheard) {
		snprintf(line, sizeof(line), "(%s) %s",
			 time_text(room->unheard->at, at, sizeof(at)), room->unheard->text);
		forget_first(room);
		each_line(room, line, NULL, "PRIVMSG", NULL);
	}
}

void room_operators_say(struct room *room, const char *text, const char *tags)
{
	if (!room->operators)
		return;
	/* With a history they find it there. */
	if (room->operators->n_members == 1 && !history_is_for(room, room->operators->name))
		keep_unheard(room, text);
	else
		each_line(room, text, NULL, "PRIVMSG", tags);
}

void room_operators_answer(struct room *room, const struct room_command *to, const char *text)
{
	const struct user *user = user_by_id(room, to->id);

	if (!room->operators)
		return;
	if (to->in_channel)
		each_line(room, text, NULL, "NOTICE", NULL);
	else if (user && user->registered && user->signed_on == to->since)
		each_line(room, text, user, "NOTICE", NULL);
}

void operators_close(struct room *room)
{
	struct user *voice = room->voice;

	room->voice = NULL;
	while (room->unheard)
		forget_first(room);
	if (!voice)
		return;
	while (voice->n_seats > 0)
		channel_remove(room, voice->seats[0].channel, voice);
	room->operators = NULL;
	user_free_voice(room, voice);
}
