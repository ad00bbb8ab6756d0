/* SPDX-License-Identifier: MIT */
/* Who is here: WHOIS, ISON, USERHOST. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define USERHOST_MAX 5

static void begin_channels(struct room *room, struct user *asker, const struct user *user,
			   struct irc_line *line)
{
	irc_words_begin(line, ":%s 319 %s %s :", room->server, asker->nick, user->nick);
}

static void whois_channels(struct room *room, struct user *asker, const struct user *user)
{
	char word[ROOM_CHANNEL_MAX + sizeof(MEMBER_SIGNS)], signs[sizeof(MEMBER_SIGNS)];
	struct irc_line line;
	bool any = false;

	begin_channels(room, asker, user, &line);
	for (size_t i = 0; i < user->n_seats; i++) {
		const struct channel *channel = user->seats[i].channel;
		uint8_t modes = channel_member(channel, user)->modes;

		if (!channel_is_visible(channel, asker) ||
		    (user->invisible && user != asker && !channel_member(channel, asker)))
			continue;
		snprintf(word, sizeof(word), "%s%s", member_signs(modes, false, signs),
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
	if (user->oper)
		reply(room, asker, RPL_WHOISOPERATOR, user->nick);
	if (user->account)
		reply(room, asker, RPL_WHOISACCOUNT, user->nick, user->account);
	if (user->away)
		reply(room, asker, RPL_AWAY, user->nick, user->away);
	if (user->bot)
		reply(room, asker, RPL_WHOISBOT, user->nick);
	if (user->secure)
		reply(room, asker, RPL_WHOISSECURE, user->nick);
	if (user->address && user_may_see_address(asker, user))
		reply(room, asker, RPL_WHOISACTUALLY, user->nick, user->address);
	if (user->fingerprint && user == asker)
		reply(room, asker, RPL_WHOISCERTFP, user->nick, user->fingerprint);
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
		snprintf(word, sizeof(word), "%s%s=%c%s@%s", other->nick, other->oper ? "*" : "",
			 other->away ? '-' : '+', other->username, other->host);
		irc_words_append(&line, word, strlen(word));
	}
	irc_words_end(&line);
	send_line(room, user, &line);
}
