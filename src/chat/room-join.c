/* SPDX-License-Identifier: MIT */
/* Coming into channels and going: JOIN, PART, KICK, INVITE, KNOCK. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"
#include "chat/utf8.h"

#define KICK_TARGETS_MAX 4
#define KNOCK_PAUSE      (10 * USEC_PER_SEC) /* between two knocks at one channel */

int enter_channel(struct room *room, struct user *user, struct channel *channel, uint8_t modes)
{
	char source[SOURCE_MAX];
	struct delivery d;
	struct irc_line line;
	uint64_t id;
	int r = channel_add(room, channel, user, modes);

	if (r < 0)
		return r;
	user_source(user, source);
	irc_format(&line, ":%s JOIN %s %s :%s", source, channel->name, account_or_star(user),
		   user->realname);
	delivery_begin_from(&d, room, &line, user);
	history_event(&d, channel);
	id = d.id;
	d.wanted = CAP_EXTENDED_JOIN;
	channel_deliver(&d, channel, NULL);
	irc_format(&line, ":%s JOIN %s", source, channel->name);
	delivery_begin_from(&d, room, &line, user);
	d.id = id;
	d.unwanted = CAP_EXTENDED_JOIN;
	channel_deliver(&d, channel, NULL);
	if (user->away) {
		away_line(&line, user);
		delivery_begin_from(&d, room, &line, user);
		d.wanted = CAP_AWAY_NOTIFY;
		channel_deliver(&d, channel, user);
	}
	if (channel->course)
		course_tell_joined(room, user);
	return 0;
}

void leave_channel(struct room *room, struct user *user, struct channel *channel,
		   const struct user *from, const struct irc_line *line)
{
	bool course = channel->course;

	if (line)
		channel_event(room, channel, from, line);
	channel_remove(room, channel, user);
	if (course)
		course_tell_left(room, user, user->nick);
}

static uint64_t *find_invitation(const struct user *user, const struct channel *channel)
{
	for (size_t i = 0; i < user->n_invites; i++) {
		if (user->invites[i] == channel->serial)
			return &user->invites[i];
	}
	return NULL;
}

void take_invitation(struct user *user, const struct channel *channel)
{
	uint64_t *invite = find_invitation(user, channel);

	if (invite) {
		user->n_invites--;
		memmove(invite, invite + 1,
			(user->invites + user->n_invites - invite) * sizeof(*invite));
	}
}

static int add_invitation(struct user *user, const struct channel *channel)
{
	if (!user->invites)
		user->invites = calloc(INVITES_MAX, sizeof(*user->invites));
	if (!user->invites)
		return -ENOMEM;
	take_invitation(user, channel);
	if (user->n_invites == INVITES_MAX) { /* the oldest gives way */
		user->n_invites--;
		memmove(user->invites, user->invites + 1, user->n_invites * sizeof(*user->invites));
	}
	user->invites[user->n_invites++] = channel->serial;
	return 0;
}

/* 0, or the numeric that says what keeps the user out was sent. An invitation opens all doors. */
static int check_doors(struct room *room, struct user *user, const struct channel *channel,
		       const char *key)
{
	if (find_invitation(user, channel))
		return 0;
	if (channel_is_banned(channel, user))
		reply(room, user, ERR_BANNEDFROMCHAN, channel->name);
	else if ((channel->modes & MODE_INVITE_ONLY) && !channel_is_invited(channel, user))
		reply(room, user, ERR_INVITEONLYCHAN, channel->name);
	else if (channel->key && strcmp(channel->key, key ? key : "") != 0)
		reply(room, user, ERR_BADCHANNELKEY, channel->name);
	else if (channel->limit && channel->n_members >= channel->limit)
		reply(room, user, ERR_CHANNELISFULL, channel->name);
	else
		return 0;
	return -EACCES;
}

/* Course users cannot operate a channel: in their midst the first IRC user does. */
static bool becomes_operator(const struct room *room, const struct channel *channel)
{
	return channel->n_members == 0 ||
	       (channel->course && channel->n_members == room->counts.course_users);
}

static void join_one(struct room *room, struct user *user, const char *name, const char *key)
{
	struct channel *channel = channel_find(room, name);

	if (channel && channel_member(channel, user))
		return;
	if (!name_is_channel(name, ROOM_CHANNEL_MAX)) {
		if (name[0] == '#')
			reply(room, user, ERR_BADCHANMASK, name);
		else
			reply(room, user, ERR_NOSUCHCHANNEL, name);
		return;
	}
	if (!channel && channel_is_like_another(room, name)) {
		reply(room, user, ERR_LIKECHANMASK, name);
		return;
	}
	if (user->n_seats >= room->config->channels_per_user ||
	    (!channel && room->counts.channels >= room->config->channels_max)) {
		reply(room, user, ERR_TOOMANYCHANNELS, name);
		return;
	}
	if (channel && channel == room->operators && !operators_may_join(room, user)) {
		reply(room, user, ERR_NOTOPERATOR, channel->name);
		return;
	}
	if (channel ? check_doors(room, user, channel, key) < 0
		    : channel_new(room, name, &channel) < 0)
		return;
	if (enter_channel(room, user, channel, becomes_operator(room, channel) ? MEMBER_OP : 0) < 0)
		return;
	take_invitation(user, channel);
	if (channel->topic)
		send_topic(room, user, channel);
	send_names(room, user, channel);
	history_welcome(room, user, channel);
	if (channel == room->operators)
		operators_entered(room);
}

static void part_one(struct room *room, struct user *user, struct channel *channel,
		     const char *reason)
{
	char source[SOURCE_MAX];
	struct irc_line line;

	user_source(user, source);
	if (reason && *reason)
		irc_format(&line, ":%s PART %s :%s", source, channel->name, reason);
	else
		irc_format(&line, ":%s PART %s", source, channel->name);
	leave_channel(room, user, channel, user, &line);
}

void command_join(struct room *room, struct user *user, struct irc_message *m)
{
	char *names = m->params[0], *keys = m->n_params > 1 ? m->params[1] : NULL, *name;

	if (strcmp(names, "0") == 0) {
		while (user->n_seats > 0)
			part_one(room, user, user->seats[user->n_seats - 1].channel, NULL);
		return;
	}
	while ((name = irc_next_item(&names, ',')) != NULL) {
		const char *key = irc_next_item(&keys, ',');

		if (*name)
			join_one(room, user, name, key);
	}
}

/* The channel, if it exists and user is in it; else the reply that says so was sent. */
static struct channel *own_channel(struct room *room, struct user *user, const char *name)
{
	struct channel *channel = channel_find(room, name);

	if (!channel || !channel_is_visible(channel, user)) {
		reply(room, user, ERR_NOSUCHCHANNEL, name);
		channel = NULL;
	} else if (!channel_member(channel, user)) {
		reply(room, user, ERR_NOTONCHANNEL, channel->name);
		channel = NULL;
	}
	return channel;
}

void command_part(struct room *room, struct user *user, struct irc_message *m)
{
	const char *reason = m->n_params > 1 ? m->params[1] : NULL;
	char *names = m->params[0], *name;

	while ((name = irc_next_item(&names, ',')) != NULL) {
		struct channel *channel = *name ? own_channel(room, user, name) : NULL;

		if (channel)
			part_one(room, user, channel, reason);
	}
}

/* Not who ranks higher; and half an operator puts out only those below. */
static bool may_kick(const struct channel *channel, const struct user *user,
		     const struct user *target)
{
	uint8_t own = member_rank(channel_member(channel, user)->modes);
	uint8_t other = member_rank(channel_member(channel, target)->modes);

	return user == target || (own >= MEMBER_OP ? own >= other : own > other);
}

static void kick_one(struct room *room, struct user *user, struct channel *channel,
		     const char *nick, const char *reason)
{
	struct user *target = user_by_nick(room, nick);
	char source[SOURCE_MAX];
	struct irc_line line;

	if (!target) {
		reply(room, user, ERR_NOSUCHNICK, nick);
		return;
	}
	if (!channel_member(channel, target)) {
		reply(room, user, ERR_USERNOTINCHANNEL, target->nick, channel->name);
		return;
	}
	if (!may_kick(channel, user, target)) {
		reply(room, user, ERR_CHANOPRIVSNEEDED, channel->name);
		return;
	}
	irc_format(&line, ":%s KICK %s %s :%.*s", user_source(user, source), channel->name,
		   target->nick, (int)utf8_cut(reason, strlen(reason), ROOM_KICK_MAX), reason);
	if (target->course)
		course_dismiss(room, target);
	leave_channel(room, target, channel, user, &line);
	if (target->course) /* has no other place to be */
		user_quit(room, target, "Kicked", false);
}

void command_kick(struct room *room, struct user *user, struct irc_message *m)
{
	struct channel *channel = own_channel(room, user, m->params[0]);
	uint64_t serial = channel ? channel->serial : 0;
	char *nicks = m->params[1], *nick;

	if (!channel)
		return;
	if (channel_member(channel, user)->modes < MEMBER_HALF) {
		reply(room, user, ERR_CHANOPRIVSNEEDED, channel->name);
		return;
	}
	for (int i = 0; (nick = irc_next_item(&nicks, ',')) != NULL; i++) {
		if (i == KICK_TARGETS_MAX) {
			reply(room, user, ERR_TOOMANYTARGETS, nick);
			return;
		}
		if (*nick)
			kick_one(room, user, channel, nick,
				 m->n_params > 2 && *m->params[2] ? m->params[2] : user->nick);
		/* Who kicks himself has no more to say there, and the channel may be gone. */
		channel = channel_find(room, m->params[0]);
		if (!channel || channel->serial != serial || !channel_member(channel, user))
			return;
	}
}

static void tell_operators_of_invitation(struct room *room, const struct user *user,
					 const struct user *target, const struct channel *channel)
{
	char source[SOURCE_MAX];
	struct delivery d;
	struct irc_line line;

	irc_format(&line, ":%s INVITE %s %s", user_source(user, source), target->nick,
		   channel->name);
	delivery_begin_from(&d, room, &line, user);
	d.wanted = CAP_INVITE_NOTIFY;
	for (size_t i = 0; i < channel->n_members; i++) {
		const struct member *m = &channel->members[i];

		if (m->modes >= MEMBER_HALF && m->user != user)
			deliver(&d, m->user);
	}
}

void command_invite(struct room *room, struct user *user, struct irc_message *m)
{
	struct user *target = user_by_nick(room, m->params[0]);
	struct channel *channel;
	char source[SOURCE_MAX];

	if (!target || !target->registered) {
		reply(room, user, ERR_NOSUCHNICK, m->params[0]);
		return;
	}
	channel = own_channel(room, user, m->params[1]);
	if (!channel)
		return;
	if ((channel->modes & MODE_INVITE_ONLY) &&
	    channel_member(channel, user)->modes < MEMBER_HALF) {
		reply(room, user, ERR_CHANOPRIVSNEEDED, channel->name);
		return;
	}
	if (channel_member(channel, target)) {
		reply(room, user, ERR_USERONCHANNEL, target->nick, channel->name);
		return;
	}
	/* Of somebody without rank it is a word, and no key. */
	if (channel_member(channel, user)->modes >= MEMBER_HALF &&
	    add_invitation(target, channel) < 0)
		return;
	reply(room, user, RPL_INVITING, target->nick, channel->name);
	if (target->away)
		reply(room, user, RPL_AWAY, target->nick, target->away);
	send_text(room, target, ":%s INVITE %s %s", user_source(user, source), target->nick,
		  channel->name);
	tell_operators_of_invitation(room, user, target, channel);
}

static void tell_operators_of_knock(struct room *room, const struct user *user,
				    const struct channel *channel)
{
	char source[SOURCE_MAX];

	user_source(user, source);
	for (size_t i = 0; i < channel->n_members; i++) {
		const struct member *m = &channel->members[i];

		if (m->modes >= MEMBER_HALF)
			reply(room, m->user, RPL_KNOCK, channel->name, source);
	}
}

/* Who may not come in asks those who can let him. */
void command_knock(struct room *room, struct user *user, struct irc_message *m)
{
	struct channel *channel = channel_find(room, m->params[0]);

	if (!channel || (channel->modes & (MODE_SECRET | MODE_PRIVATE)))
		reply(room, user, ERR_NOSUCHCHANNEL, m->params[0]);
	else if (channel_member(channel, user))
		reply(room, user, ERR_KNOCKONCHAN, channel->name);
	else if (!(channel->modes & MODE_INVITE_ONLY) && !channel->key &&
		 (!channel->limit || channel->n_members < channel->limit))
		reply(room, user, ERR_CHANOPEN, channel->name);
	else if (channel_is_banned(channel, user))
		reply(room, user, ERR_CANNOTSENDTOCHAN, channel->name);
	else if (channel->knocked_at && room->now - channel->knocked_at < KNOCK_PAUSE)
		reply(room, user, ERR_TOOMANYKNOCK, channel->name);
	else {
		channel->knocked_at = room->now;
		tell_operators_of_knock(room, user, channel);
		reply(room, user, RPL_KNOCKDLVR, channel->name);
	}
}
