/* SPDX-License-Identifier: MIT */
/* Who is here: WHO, WHOIS, WHOWAS, ISON, USERHOST. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define WHO_MASK_MAX 200 /* users that one WHO with wildcards names */
#define USERHOST_MAX 5

static void who_line(struct room *room, struct user *asker, const struct channel *channel,
		     const struct user *user, uint8_t modes)
{
	bool both = asker->caps & CAP_MULTI_PREFIX;
	char flags[4];

	snprintf(flags, sizeof(flags), "%s%s%s", user->away ? "G" : "H",
		 modes & MEMBER_OP ? "@" : "",
		 (modes & MEMBER_VOICE) && (both || !(modes & MEMBER_OP)) ? "+" : "");
	reply(room, asker, RPL_WHOREPLY, channel ? channel->name : "*", user->username, user->host,
	      room->server, user->nick, flags, user->realname);
}

static void who_channel(struct room *room, struct user *asker, const struct channel *channel)
{
	bool member = channel_member(channel, asker);

	if (!channel_is_visible(channel, asker))
		return;
	for (size_t i = 0; i < channel->n_members; i++) {
		const struct member *m = &channel->members[i];

		if (member || !m->user->invisible)
			who_line(room, asker, channel, m->user, m->modes);
	}
}

static void who_mask(struct room *room, struct user *asker, const char *mask)
{
	struct hash_node *node = NULL;
	int n = 0;

	while ((node = hash_next(&room->nicks, node)) != NULL && n < WHO_MASK_MAX) {
		struct user *user = CONTAINER_OF(node, struct user, by_nick);

		if (!user->registered ||
		    !(name_matches(mask, user->nick) || name_matches(mask, user->host)))
			continue;
		if (user->invisible && user != asker && !users_share_channel(room, asker, user))
			continue;
		who_line(room, asker, NULL, user, 0);
		n++;
	}
}

void command_who(struct room *room, struct user *user, struct irc_message *m)
{
	const char *mask = m->n_params > 0 && *m->params[0] ? m->params[0] : "*";
	bool operators = m->n_params > 1 && strcmp(m->params[1], "o") == 0;
	const struct channel *channel = channel_find(room, mask);
	const struct user *other = user_by_nick(room, mask);

	if (operators) {
		/* There are none. */
	} else if (channel) {
		who_channel(room, user, channel);
	} else if (other && other->registered) {
		who_line(room, user, NULL, other, 0);
	} else if (strcmp(mask, "0") == 0) {
		who_mask(room, user, "*");
	} else if (strpbrk(mask, "*?")) {
		who_mask(room, user, mask);
	}
	reply(room, user, RPL_ENDOFWHO, mask);
}

static void begin_channels(struct room *room, struct user *asker, const struct user *user,
			   struct irc_line *line)
{
	irc_words_begin(line, ":%s 319 %s %s :", room->server, asker->nick, user->nick);
}

static void whois_channels(struct room *room, struct user *asker, const struct user *user)
{
	char word[ROOM_CHANNEL_MAX + 2];
	struct irc_line line;
	bool any = false;

	begin_channels(room, asker, user, &line);
	for (size_t i = 0; i < user->n_seats; i++) {
		const struct channel *channel = user->seats[i].channel;
		uint8_t modes = channel_member(channel, user)->modes;

		if (!channel_is_visible(channel, asker) ||
		    (user->invisible && user != asker && !channel_member(channel, asker)))
			continue;
		snprintf(word, sizeof(word), "%s%s",
			 modes & MEMBER_OP      ? "@"
			 : modes & MEMBER_VOICE ? "+"
						: "",
			 channel->name);
		if (!irc_words_append(&line, word, strlen(word))) {
			irc_words_end(&line);
			send_line(room, asker, &line);
			begin_channels(room, asker, user, &line);
			irc_words_append(&line, word, strlen(word));
		}
		any = true;
	}
	if (any) {
		irc_words_end(&line);
		send_line(room, asker, &line);
	}
}

static void whois(struct room *room, struct user *asker, const struct user *user)
{
	reply(room, asker, RPL_WHOISUSER, user->nick, user->username, user->host, user->realname);
	whois_channels(room, asker, user);
	reply(room, asker, RPL_WHOISSERVER, user->nick, room->server, room->config->network);
	if (user->away)
		reply(room, asker, RPL_AWAY, user->nick, user->away);
	reply(room, asker, RPL_WHOISIDLE, user->nick,
	      (unsigned long long)((room->now - user->spoke) / USEC_PER_SEC),
	      (unsigned long long)(user->signed_on / USEC_PER_SEC));
}

/* "WHOIS nick" or "WHOIS server nick"; one nick, as TARGMAX says. */
void command_whois(struct room *room, struct user *user, struct irc_message *m)
{
	const char *nick = m->n_params > 0 ? m->params[m->n_params > 1 ? 1 : 0] : "";
	const struct user *other;

	if (!*nick) {
		reply(room, user, ERR_NONICKNAMEGIVEN);
		return;
	}
	other = user_by_nick(room, nick);
	if (other && other->registered)
		whois(room, user, other);
	else
		reply(room, user, ERR_NOSUCHNICK, nick);
	reply(room, user, RPL_ENDOFWHOIS, other ? other->nick : nick);
}

/* Who has left is forgotten. */
void command_whowas(struct room *room, struct user *user, struct irc_message *m)
{
	if (m->n_params == 0 || !*m->params[0]) {
		reply(room, user, ERR_NONICKNAMEGIVEN);
		return;
	}
	reply(room, user, ERR_WASNOSUCHNICK, m->params[0]);
	reply(room, user, RPL_ENDOFWHOWAS, m->params[0]);
}

void command_ison(struct room *room, struct user *user, struct irc_message *m)
{
	struct irc_line line;
	char *nick;

	irc_words_begin(&line, ":%s 303 %s :", room->server, user->nick);
	for (int i = 0; i < m->n_params; i++) {
		char *nicks = m->params[i];

		while ((nick = irc_next_item(&nicks, ' ')) != NULL) {
			const struct user *other = user_by_nick(room, nick);

			if (other && other->registered)
				irc_words_append(&line, other->nick, strlen(other->nick));
		}
	}
	irc_words_end(&line);
	send_line(room, user, &line);
}

void command_userhost(struct room *room, struct user *user, struct irc_message *m)
{
	char word[SOURCE_MAX + 2];
	struct irc_line line;

	irc_words_begin(&line, ":%s 302 %s :", room->server, user->nick);
	for (int i = 0; i < m->n_params && i < USERHOST_MAX; i++) {
		const struct user *other = user_by_nick(room, m->params[i]);

		if (!other || !other->registered)
			continue;
		snprintf(word, sizeof(word), "%s=%c%s@%s", other->nick, other->away ? '-' : '+',
			 other->username, other->host);
		irc_words_append(&line, word, strlen(word));
	}
	irc_words_end(&line);
	send_line(room, user, &line);
}
