/* SPDX-License-Identifier: MIT */
/* What an IRC server sends, in words. */
#include "chat/client/irc-session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS_MAX 1024

/*
 * Channels and nicks: as in ASCII; a server that folds more shows a channel's name a bit too often.
 */
static bool same(const char *a, const char *b)
{
	return a && b && strcasecmp(a, b) == 0;
}

static const char *param(const struct irc_message *m, int i)
{
	return i < m->n_params ? m->params[i] : "";
}

static bool is_mine(const struct session *s, const char *nick)
{
	return same(nick, s->name);
}

static const char *last_param(const struct irc_message *m)
{
	return m->n_params > 0 ? m->params[m->n_params - 1] : "";
}

/* The parameters from the first one on, as one text. */
static const char *text_from(const struct irc_message *m, int first, char *buf, size_t size)
{
	size_t used = 0;

	*buf = '\0';
	for (int i = first; i < m->n_params && used + 1 < size; i++) {
		int n = snprintf(buf + used, size - used, "%s%s", i > first ? " " : "",
				 m->params[i]);

		used = MIN(used + (n > 0 ? (size_t)n : 0), size - 1);
	}
	return buf;
}

/* --- what is said ------------------------------------------------------------------------- */

static void show_said(struct session *s, const char *nick, const char *where, const char *text)
{
	bool here = same(where, s->channel), private = is_mine(s, where);
	char head[WORDS_MAX] = "";
	const char *action;
	size_t size;

	if (private)
		snprintf(head, sizeof(head), "(%s) ", nick);
	else if (!here)
		snprintf(head, sizeof(head), "[%s] ", where);
	action = irc_action(text, &size);
	if (action)
		session_show(s, SHOW_SAID, "%s* %s %.*s", head, nick, (int)size, action);
	else if (irc_is_ctcp(text))
		return; /* a question of a program; none is answered */
	else
		session_show(s, SHOW_SAID, "%s%s : %s", head, nick, text);
}

static void take_said(struct session *s, const char *nick, const char *source,
		      const struct irc_message *m)
{
	const char *text = param(m, 1);

	if (!strchr(source, '!'))
		session_show(s, SHOW_NOTICE, "%s", text);
	else if (strcasecmp(m->command, "NOTICE") == 0 && !irc_is_ctcp(text))
		session_show(s, SHOW_NOTICE, "%s : %s", nick, text);
	else if (strcasecmp(m->command, "NOTICE") != 0)
		show_said(s, nick, param(m, 0), text);
}

/* --- who comes and goes ------------------------------------------------------------------- */

static void take_join(struct session *s, const char *nick, const char *channel, uint64_t now)
{
	if (is_mine(s, nick)) {
		session_set(&s->channel, channel);
		session_tell(s, SHOW_NOTICE, WORD_YOU_JOINED, channel);
		irc_in(s, now);
	} else if (same(channel, s->channel)) {
		session_tell(s, SHOW_NOTICE, WORD_JOINED, nick);
	} else {
		session_tell(s, SHOW_NOTICE, WORD_JOINED_OTHER, nick, channel);
	}
}

static void left_channel(struct session *s, const char *channel)
{
	if (same(channel, s->channel))
		free(TAKE_PTR(s->channel));
}

static void take_part(struct session *s, const char *nick, const struct irc_message *m)
{
	const char *channel = param(m, 0);

	if (is_mine(s, nick)) {
		left_channel(s, channel);
		session_tell(s, SHOW_NOTICE, WORD_YOU_PARTED, channel);
	} else if (!same(channel, s->channel)) {
		session_tell(s, SHOW_NOTICE, WORD_PARTED_OTHER, nick, channel);
	} else if (*param(m, 1)) {
		session_tell(s, SHOW_NOTICE, WORD_PARTED_WHY, nick, param(m, 1));
	} else {
		session_tell(s, SHOW_NOTICE, WORD_PARTED, nick);
	}
}

static void take_quit(struct session *s, const char *nick, const char *reason)
{
	if (is_mine(s, nick))
		return;
	if (*reason)
		session_tell(s, SHOW_NOTICE, WORD_PARTED_WHY, nick, reason);
	else
		session_tell(s, SHOW_NOTICE, WORD_PARTED, nick);
}

static void take_nick(struct session *s, const char *nick, const char *new_nick)
{
	if (is_mine(s, nick)) {
		session_set(&s->name, new_nick);
		session_tell(s, SHOW_NOTICE, WORD_YOU_RENAMED, new_nick);
	} else {
		session_tell(s, SHOW_NOTICE, WORD_RENAMED, nick, new_nick);
	}
}

static void take_kick(struct session *s, const char *by, const struct irc_message *m)
{
	if (is_mine(s, param(m, 1)))
		left_channel(s, param(m, 0));
	session_tell(s, SHOW_NOTICE, WORD_KICKED, param(m, 1), param(m, 0), by, param(m, 2));
}

/* --- numerics ----------------------------------------------------------------------------- */

/* NAMES come in several lines; they are shown as they come. */
static void take_names(struct session *s, const struct irc_message *m)
{
	session_tell(s, SHOW_NOTICE, WORD_NAMES, param(m, 2), param(m, 3));
}

static void welcome(struct session *s, const struct irc_message *m, uint64_t now)
{
	if (s->irc.registered)
		return;
	s->irc.registered = true;
	if ((s->account || s->external) && !s->irc.logged_in) {
		irc_login_failed(s, NULL); /* it does not know what CAP is */
		return;
	}
	if (*param(m, 0))
		session_set(&s->name, param(m, 0));
	session_tell(s, SHOW_NOTICE, WORD_ENTERED, s->server);
	if (s->first_channel)
		session_send(s, "JOIN %s", s->first_channel);
	else
		irc_in(s, now);
}

/* A script that cannot come into its channel has nobody to speak to. */
static void take_error(struct session *s, const struct irc_message *m, uint64_t now)
{
	char buf[WORDS_MAX];

	session_show(s, SHOW_TROUBLE, "%s", text_from(m, 1, buf, sizeof(buf)));
	if (s->phase != SESSION_ENTERING || !s->irc.registered ||
	    !same(param(m, 1), s->first_channel))
		return;
	if (s->patient) {
		irc_in(s, now);
	} else {
		session_send(s, "QUIT");
		session_end(s, true);
	}
}

static void name_refused(struct session *s, const struct irc_message *m)
{
	char buf[WORDS_MAX];

	session_show(s, SHOW_TROUBLE, "%s", text_from(m, 1, buf, sizeof(buf)));
	if (s->phase == SESSION_ENTERING && !s->irc.registered)
		session_refused(s);
}

static void take_numeric(struct session *s, int numeric, const struct irc_message *m, uint64_t now)
{
	char buf[WORDS_MAX];

	switch (numeric) {
	case RPL_WELCOME: welcome(s, m, now); break;
	case RPL_TOPIC: session_tell(s, SHOW_NOTICE, WORD_TOPIC, param(m, 1), param(m, 2)); break;
	case RPL_NAMREPLY: take_names(s, m); break;
	case RPL_MOTD: session_show(s, SHOW_NOTICE, "%s", param(m, 1)); break;
	case RPL_TOPICWHOTIME:
	case RPL_ENDOFNAMES:
	case RPL_MOTDSTART:
	case RPL_ENDOFMOTD:
	case ERR_NOMOTD:
	case RPL_LOGGEDOUT: break;
	case ERR_ERRONEUSNICKNAME:
	case ERR_NICKNAMEINUSE:
	case ERR_NICKCOLLISION:
	case ERR_UNAVAILRESOURCE: name_refused(s, m); break;
	case RPL_SASLSUCCESS:
	case ERR_NICKLOCKED:
	case ERR_SASLFAIL:
	case ERR_SASLFAIL + 1:
	case ERR_SASLFAIL + 2:
	case ERR_SASLALREADY: irc_take_login(s, numeric, m); break;
	case RPL_SASLMECHS: break; /* 904 comes behind it */
	case RPL_LOGGEDIN: session_show(s, SHOW_NOTICE, "%s", last_param(m)); break;
	default:
		/* Greetings and counts of before the first word in a channel are left out. */
		if (numeric >= ERRORS_FROM && numeric < RPL_LOGGEDIN)
			take_error(s, m, now);
		else if (s->phase == SESSION_IN)
			session_show(s, SHOW_NOTICE, "%s", text_from(m, 1, buf, sizeof(buf)));
	}
}

/* --- all ---------------------------------------------------------------------------------- */

/* FAIL COMMAND CODE words :text */
static void take_standard_reply(struct session *s, const struct irc_message *m)
{
	bool fail = strcasecmp(m->command, "FAIL") == 0;

	session_show(s, fail ? SHOW_TROUBLE : SHOW_NOTICE, "%s", last_param(m));
	if (fail && same(param(m, 0), "NICK") && s->phase == SESSION_ENTERING && !s->irc.registered)
		session_refused(s);
}

/* ERROR is the answer to QUIT; otherwise it says why the connection ends. */
static void take_end(struct session *s, const char *why)
{
	if (s->phase == SESSION_LEAVING) {
		session_tell(s, SHOW_NOTICE, WORD_LEFT);
		session_end(s, false);
		return;
	}
	session_tell(s, SHOW_TROUBLE, WORD_LOST, s->server, why);
	session_end(s, true);
}

static void take_mode(struct session *s, const char *by, const struct irc_message *m)
{
	char buf[WORDS_MAX];

	if (s->phase == SESSION_IN)
		session_show(s, SHOW_NOTICE, "%s: MODE %s", by, text_from(m, 0, buf, sizeof(buf)));
}

enum verb {
	VERB_AUTHENTICATE,
	VERB_CAP,
	VERB_ERROR,
	VERB_FAIL,
	VERB_INVITE,
	VERB_JOIN,
	VERB_KICK,
	VERB_MODE,
	VERB_NICK,
	VERB_NOTE,
	VERB_NOTICE,
	VERB_PART,
	VERB_PING,
	VERB_PRIVMSG,
	VERB_QUIT,
	VERB_TOPIC,
	VERB_WARN,
	VERBS
};

static const char *const verb_names[] = {
	[VERB_AUTHENTICATE] = "AUTHENTICATE",
	[VERB_CAP] = "CAP",
	[VERB_ERROR] = "ERROR",
	[VERB_FAIL] = "FAIL",
	[VERB_INVITE] = "INVITE",
	[VERB_JOIN] = "JOIN",
	[VERB_KICK] = "KICK",
	[VERB_MODE] = "MODE",
	[VERB_NICK] = "NICK",
	[VERB_NOTE] = "NOTE",
	[VERB_NOTICE] = "NOTICE",
	[VERB_PART] = "PART",
	[VERB_PING] = "PING",
	[VERB_PRIVMSG] = "PRIVMSG",
	[VERB_QUIT] = "QUIT",
	[VERB_TOPIC] = "TOPIC",
	[VERB_WARN] = "WARN",
};
_Static_assert(ELEMENTSOF(verb_names) == VERBS, "each verb has its name");

static enum verb verb_of(const char *name)
{
	int i = 0;

	while (i < VERBS && strcasecmp(verb_names[i], name) != 0)
		i++;
	return (enum verb)i;
}

/* "001" */
static int numeric_of(const char *command)
{
	return strspn(command, "0123456789") == 3 && !command[3] ? atoi(command) : -1;
}

void irc_take_message(struct session *s, const char *source, const struct irc_message *m,
		      uint64_t now)
{
	int numeric = numeric_of(m->command);
	char nick[IRC_LINE_MAX];

	if (numeric >= 0) {
		take_numeric(s, numeric, m, now);
		return;
	}
	snprintf(nick, sizeof(nick), "%.*s", (int)strcspn(source, "!"), source);
	switch (verb_of(m->command)) {
	case VERB_AUTHENTICATE: irc_take_authenticate(s, m); break;
	case VERB_CAP: irc_take_cap(s, m); break;
	case VERB_ERROR: take_end(s, param(m, 0)); break;
	case VERB_INVITE: session_tell(s, SHOW_NOTICE, WORD_INVITED, nick, param(m, 1)); break;
	case VERB_JOIN: take_join(s, nick, param(m, 0), now); break;
	case VERB_KICK: take_kick(s, nick, m); break;
	case VERB_MODE: take_mode(s, nick, m); break;
	case VERB_NICK: take_nick(s, nick, param(m, 0)); break;
	case VERB_NOTICE:
	case VERB_PRIVMSG: take_said(s, nick, source, m); break;
	case VERB_PART: take_part(s, nick, m); break;
	case VERB_PING: session_send(s, "PONG :%s", param(m, 0)); break;
	case VERB_QUIT: take_quit(s, nick, param(m, 0)); break;
	case VERB_TOPIC:
		session_tell(s, SHOW_NOTICE, WORD_TOPIC_CHANGED, nick, param(m, 0), param(m, 1));
		break;
	case VERB_FAIL:
	case VERB_NOTE:
	case VERB_WARN: take_standard_reply(s, m); break;
	case VERBS: break;
	}
}
