/* SPDX-License-Identifier: MIT */
/* What is said: PRIVMSG, NOTICE, AWAY, and the operators' announcements. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/course.h"
#include "chat/irc-tags.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"
#include "chat/utf8.h"

#define TARGETS_MAX  4
#define ANNOUNCE_MAX 4096 /* bytes of one line of an announcement */

/*
 * Text on its way through the lines it needs: what is too long for one with its sender in front
 * is not cut but goes on in the next. CTCP cannot go on: it is cut, and closed again.
 */
struct speech {
	const char *source, *verb, *target, *text;
	size_t size;
};

static bool next_line(struct speech *s, struct irc_line *line)
{
	size_t head = strlen(s->source) + strlen(s->verb) + strlen(s->target) + 5, n, skip;

	if (s->size == 0)
		return false;
	n = irc_fit(s->text, s->size, head);
	if (n < s->size && irc_is_ctcp(s->text)) {
		n = irc_fit(s->text, s->size, head + 1);
		irc_format(line, ":%s %s %s :%.*s\1", s->source, s->verb, s->target, (int)n,
			   s->text);
		s->size = 0;
		return true;
	}
	n = irc_fit_plain(s->text, s->size, head, &skip);
	irc_format(line, ":%s %s %s :%.*s", s->source, s->verb, s->target, (int)n, s->text);
	s->text += n + skip;
	s->size -= n + skip;
	return true;
}

bool may_speak(const struct channel *channel, const struct user *user)
{
	const struct member *member = channel_member(channel, user);

	if (member && member->modes)
		return true;
	if (!member && (channel->modes & MODE_NO_EXTERNAL))
		return false;
	return !(channel->modes & MODE_MODERATED) && !channel_is_silenced(channel, user);
}

void say_in_channel(struct room *room, struct user *from, const struct channel *channel,
		    const char *verb, const char *text, const char *tags)
{
	char source[SOURCE_MAX];
	struct speech speech = { user_source(from, source), verb, channel->name, text,
				 strlen(text) };
	struct delivery d;
	struct irc_line line;
	size_t size;

	while (next_line(&speech, &line)) {
		delivery_begin_message(&d, room, &line, from, tags);
		/* Requests between programs, seen later, would be answered again. */
		if (!irc_is_ctcp(text) || irc_action(text, &size))
			history_message(&d, channel);
		channel_deliver(&d, channel, from);
		if (from->caps & CAP_ECHO_MESSAGE)
			deliver(&d, from);
	}
	if (channel->course)
		course_tell_said(room, from, text);
}

void say_to_user(struct room *room, struct user *from, struct user *to, const char *verb,
		 const char *text, const char *tags)
{
	struct delivery d;
	char source[SOURCE_MAX];
	struct speech speech = { user_source(from, source), verb, to->nick, text, strlen(text) };
	struct irc_line line;

	if (to->course)
		course_tell_privately(room, from, to, text);
	while (next_line(&speech, &line)) {
		delivery_begin_message(&d, room, &line, from, tags);
		deliver_to_target(&d, to);
		if (from->caps & CAP_ECHO_MESSAGE)
			deliver(&d, from);
	}
}

/* With +C requests and answers between programs stay out; actions are speech. */
static bool may_say(const struct channel *channel, const char *text)
{
	size_t size;

	return !(channel->modes & MODE_NO_CTCP) || !irc_is_ctcp(text) || irc_action(text, &size);
}

/* To those of at least that status, but the sender; who wants his echo gets it. */
static void deliver_to_status(struct delivery *d, const struct channel *channel, uint8_t least,
			      const struct user *from)
{
	for (size_t i = 0; i < channel->n_members; i++) {
		const struct member *m = &channel->members[i];

		if (m->modes >= least && m->user != from)
			deliver(d, m->user);
	}
	if (from->caps & CAP_ECHO_MESSAGE)
		deliver(d, from);
}

/* Outsiders are not told that a secret channel is there. */
static void refuse(struct room *room, struct user *from, const struct channel *channel,
		   const char *target)
{
	if (channel && channel_is_visible(channel, from))
		reply(room, from, ERR_CANNOTSENDTOCHAN, channel->name);
	else
		reply(room, from, ERR_NOSUCHNICK, target);
}

/* "@#channel": its operators alone, and those above; "+#channel": all who have some status. */
static bool is_for_status(const char *target)
{
	return strchr(MEMBER_SIGNS, target[0]) && target[1] == '#';
}

static void say_to_status(struct room *room, struct user *from, const char *target,
			  const char *verb, const char *text, const char *tags, bool notice)
{
	const struct channel *channel = channel_find(room, target + 1);
	uint8_t least = member_mode_of(target[0]);
	char source[SOURCE_MAX], name[ROOM_CHANNEL_MAX + 2];
	struct speech speech = { user_source(from, source), verb, name, text, strlen(text) };
	struct delivery d;
	struct irc_line line;

	if (!channel || !may_speak(channel, from) || !may_say(channel, text)) {
		if (!notice)
			refuse(room, from, channel, target);
		return;
	}
	snprintf(name, sizeof(name), "%c%s", target[0], channel->name);
	while (next_line(&speech, &line)) {
		delivery_begin_message(&d, room, &line, from, tags);
		deliver_to_status(&d, channel, least, from);
	}
}

/* A NOTICE is never answered, not even with an error: so no two programs answer for ever. */
static void say_to(struct room *room, struct user *from, const char *target, const char *verb,
		   const char *text, const char *tags, bool notice)
{
	struct channel *channel;
	struct user *to;

	if (is_for_status(target)) {
		say_to_status(room, from, target, verb, text, tags, notice);
		return;
	}
	if (target[0] == '#') {
		channel = channel_find(room, target);
		if (channel && may_speak(channel, from) && may_say(channel, text)) {
			say_in_channel(room, from, channel, verb, text, tags);
			if (channel == room->operators && !notice)
				operators_heard(room, from, channel, text);
		} else if (!notice) {
			refuse(room, from, channel, target);
		}
		return;
	}
	to = user_by_nick(room, target);
	if (!to || !to->registered) {
		if (!notice)
			reply(room, from, ERR_NOSUCHNICK, target);
		return;
	}
	say_to_user(room, from, to, verb, text, tags);
	if (to == room->voice && !notice)
		operators_heard(room, from, NULL, text);
	if (to->away && !notice)
		reply(room, from, RPL_AWAY, to->nick, to->away);
}

/* Each once, and none that is empty. */
static char *next_target(char **targets, char *const *told, int n)
{
	char *target;

	while ((target = irc_next_item(targets, ',')) != NULL) {
		bool again = !*target;

		for (int i = 0; i < MIN(n, TARGETS_MAX); i++)
			again |= name_equal(told[i], target);
		if (!again)
			return target;
	}
	return NULL;
}

static void say(struct room *room, struct user *user, struct irc_message *m, const char *verb,
		bool notice)
{
	char tags[IRC_TAGS_MAX];
	char *targets = m->n_params > 0 ? m->params[0] : NULL, *target, *told[TARGETS_MAX];

	user->spoke = room->now;
	irc_tags_of_client(m->tags, tags, sizeof(tags));
	if (m->n_params < 2 || !*m->params[1] || !*targets) {
		if (!notice && (m->n_params == 0 || !*targets))
			reply(room, user, ERR_NORECIPIENT, verb);
		else if (!notice)
			reply(room, user, ERR_NOTEXTTOSEND);
		return;
	}
	for (int n = 0; (target = next_target(&targets, told, n)) != NULL; n++) {
		if (n == TARGETS_MAX) {
			if (!notice)
				reply(room, user, ERR_TOOMANYTARGETS, target);
			return;
		}
		told[n] = target;
		say_to(room, user, target, verb, m->params[1], tags, notice);
	}
}

void command_privmsg(struct room *room, struct user *user, struct irc_message *m)
{
	say(room, user, m, "PRIVMSG", false);
}

void command_notice(struct room *room, struct user *user, struct irc_message *m)
{
	say(room, user, m, "NOTICE", true);
}

/* Tags alone: that somebody types, say. Only who wants tags hears of it. */
static void tagmsg_to(struct room *room, struct user *from, const char *target, const char *tags)
{
	bool status = is_for_status(target), in_channel = status || target[0] == '#';
	struct channel *channel = in_channel ? channel_find(room, target + status) : NULL;
	struct user *to = in_channel ? NULL : user_by_nick(room, target);
	char source[SOURCE_MAX];
	struct delivery d;
	struct irc_line line;

	if (in_channel ? !channel || !may_speak(channel, from) : !to || !to->registered) {
		refuse(room, from, channel, target);
		return;
	}
	irc_format(&line, ":%s TAGMSG %.*s%s", user_source(from, source), status, target,
		   channel ? channel->name : to->nick);
	delivery_begin_message(&d, room, &line, from, tags);
	d.wanted = CAP_MESSAGE_TAGS;
	if (status) {
		deliver_to_status(&d, channel, member_mode_of(target[0]), from);
		return;
	}
	if (channel)
		channel_deliver(&d, channel, from);
	else
		deliver_to_target(&d, to);
	if (from->caps & CAP_ECHO_MESSAGE)
		deliver(&d, from);
}

void command_tagmsg(struct room *room, struct user *user, struct irc_message *m)
{
	char *targets = m->params[0], *target, *told[TARGETS_MAX], tags[IRC_TAGS_MAX];

	if (irc_tags_of_client(m->tags, tags, sizeof(tags)) == 0)
		return;
	for (int n = 0; (target = next_target(&targets, told, n)) != NULL; n++) {
		if (n == TARGETS_MAX) {
			reply(room, user, ERR_TOOMANYTARGETS, target);
			return;
		}
		told[n] = target;
		tagmsg_to(room, user, target, tags);
	}
}

void away_line(struct irc_line *line, const struct user *user)
{
	char source[SOURCE_MAX];

	user_source(user, source);
	if (user->away)
		irc_format(line, ":%s AWAY :%s", source, user->away);
	else
		irc_format(line, ":%s AWAY", source);
}

static void tell_away(struct room *room, struct user *user)
{
	struct delivery d;
	struct irc_line line;

	away_line(&line, user);
	delivery_begin_from(&d, room, &line, user);
	d.wanted = CAP_AWAY_NOTIFY;
	user_deliver_to_neighbours(&d, user);
}

void command_away(struct room *room, struct user *user, struct irc_message *m)
{
	const char *text = m->n_params > 0 ? m->params[0] : "";
	char *before = TAKE_PTR(user->away);

	if (*text)
		user->away = strndup(text, utf8_cut(text, strlen(text), ROOM_AWAY_MAX));
	if (user->away)
		reply(room, user, RPL_NOWAWAY);
	else
		reply(room, user, RPL_UNAWAY);
	if (strcmp(before ? before : "", user->away ? user->away : "") != 0)
		tell_away(room, user);
	free(before);
}

/* In each of the lines that it takes it is the admin's. */
static void announce_to(struct room *room, const struct user *user, const char *text)
{
	static const char admin[] = "[" NAME_ADMIN "] ";
	size_t head = strlen(room->server) + strlen("NOTICE") + strlen(user->nick) + 5 +
		      strlen(admin),
	       left = strlen(text);
	struct irc_line line;

	while (left > 0) {
		size_t n = irc_fit(text, left, head);

		irc_format(&line, ":%s NOTICE %s :%s%.*s", room->server, user->nick, admin, (int)n,
			   text);
		send_line(room, user, &line);
		text += n;
		left -= n;
	}
}

static void announce_line(struct room *room, const char *text, size_t size)
{
	char plain[ANNOUNCE_MAX];

	if (course_plain(plain, sizeof(plain), text, size) == 0)
		return;
	for (size_t id = 0; id < room->users_room; id++) {
		if (room->users[id] && room->users[id]->registered)
			announce_to(room, room->users[id], plain);
	}
	course_announce(room, plain);
}

void room_announce(struct room *room, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		announce_line(room, text, n);
		text += n + (text[n] == '\n');
	}
}
