/* SPDX-License-Identifier: MIT */
/* HELP: each command in a line. */
#include <string.h>
#include <strings.h>

#include "chat/numerics.h"
#include "chat/room-commands.h"

static const struct {
	const char *command, *text;
} topics[] = {
	{ "AWAY", "AWAY [text]: you are away; without text you are back" },
	{ "CHATHISTORY",
	  "CHATHISTORY LATEST #channel * 50: what was said; also BEFORE, AFTER, AROUND, BETWEEN" },
	{ "GHOST", "GHOST nick: ends another connection that is logged in to your account" },
	{ "INVITE", "INVITE nick #channel: lets somebody in" },
	{ "JOIN", "JOIN #channel[,#channel] [key]: comes in; the first one makes the channel" },
	{ "KICK", "KICK #channel nick [reason]: puts somebody out; for operators" },
	{ "KILL", "KILL nick :reason: throws somebody out; for server operators" },
	{ "KLINE", "KLINE [time] user@host :reason: keeps out; for server operators" },
	{ "KNOCK", "KNOCK #channel: asks its operators for an invitation" },
	{ "LIST", "LIST [#channel|*mask*|>3|<10]: channels, their users and topics" },
	{ "MODE", "MODE #channel [+-modes [arguments]]: see also CHANMODES" },
	{ "MONITOR", "MONITOR + nick,nick | - nick | C | L | S: who comes and goes" },
	{ "MSG", "PRIVMSG nick|#channel :text: says something" },
	{ "NAMES", "NAMES #channel: who is in it" },
	{ "NICK", "NICK name: changes your name" },
	{ "NOTICE", "NOTICE nick|#channel :text: says something that nobody answers" },
	{ "OPER", "OPER: makes who is logged in to an operator's account one" },
	{ "PART", "PART #channel [reason]: goes out" },
	{ "PASSWD", "PASSWD old new: gives your account another password" },
	{ "PRIVMSG", "PRIVMSG nick|#channel :text: says something" },
	{ "QUIT", "QUIT [reason]: leaves the server" },
	{ "REGISTER", "REGISTER * * password: makes an account for your nick" },
	{ "REHASH", "REHASH: reads the server's config again; for server operators" },
	{ "SETNAME", "SETNAME :name: changes your real name" },
	{ "TOPIC", "TOPIC #channel [:text]: shows or sets the topic" },
	{ "UNKLINE", "UNKLINE user@host: undoes a KLINE; for server operators" },
	{ "WALLOPS", "WALLOPS :text: to all who have the mode w; for server operators" },
	{ "WHO", "WHO #channel|mask: users, a line each" },
	{ "WHOIS", "WHOIS nick: about one user" },
	{ "WHOWAS", "WHOWAS nick: about one who has left" },
	{ "CHANMODES", "q owner, a protected, o operator, h half an operator, v voice; "
		       "b ban, e exception, I invited; C no CTCP, H history is kept, "
		       "i invited only, k key, l limit, m moderated, n no messages from outside, "
		       "p private, s secret, t topic by operators; a ban m:mask silences, "
		       "a:account is about one" },
};

static void overview(struct room *room, struct user *user)
{
	reply(room, user, RPL_HELPSTART, "*", "HELP command tells more:");
	for (size_t i = 0; i < ELEMENTSOF(topics); i++)
		reply(room, user, RPL_HELPTXT, "*", topics[i].command);
	reply(room, user, RPL_ENDOFHELP, "*");
}

void command_help(struct room *room, struct user *user, struct irc_message *m)
{
	const char *subject = m->n_params > 0 ? m->params[0] : "";

	if (!*subject) {
		overview(room, user);
		return;
	}
	for (size_t i = 0; i < ELEMENTSOF(topics); i++) {
		if (strcasecmp(topics[i].command, subject) != 0)
			continue;
		reply(room, user, RPL_HELPSTART, topics[i].command, topics[i].text);
		reply(room, user, RPL_ENDOFHELP, topics[i].command);
		return;
	}
	reply(room, user, ERR_HELPNOTFOUND, subject);
}
