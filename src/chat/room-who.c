/* SPDX-License-Identifier: MIT */
/* WHO, also with the fields that the client wants: "WHO mask %fields,token" (WHOX). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define WHO_MASK_MAX 200 /* users that one WHO with wildcards names */
#define TOKEN_MAX    3   /* digits */
#define WHO_TEXTS    5   /* of each, that a mask is tried with */

struct who {
	struct room *room;
	struct user *asker;
	bool opers;         /* those alone */
	const char *fields; /* of WHOX; NULL: the plain lines */
	char token[TOKEN_MAX + 1];
};

#define FLAGS_MAX (4 + sizeof(MEMBER_SIGNS))

static void flags_of(const struct who *w, const struct user *user, uint8_t modes,
		     char buf[FLAGS_MAX])
{
	bool all = w->fields || (w->asker->caps & CAP_MULTI_PREFIX);
	char signs[sizeof(MEMBER_SIGNS)];

	snprintf(buf, FLAGS_MAX, "%s%s%s%s", user->away ? "G" : "H", user->oper ? "*" : "",
		 member_signs(modes, all, signs), user->bot ? "B" : "");
}

/* One field of 354; they come in this order whatever the order that was asked in. */
static const char *field(const struct who *w, char letter, const struct channel *channel,
			 const struct user *user, uint8_t modes, char *buf, size_t size)
{
	switch (letter) {
	case 't': return w->token;
	case 'c': return channel ? channel->name : "*";
	case 'u': return user->username;
	case 'i': /* nobody else's business */
		return user_may_see_address(w->asker, user) ? user_address(user)
							    : "255.255.255.255";
	case 'h': return user->host;
	case 's': return w->room->server;
	case 'n': return user->nick;
	case 'f': flags_of(w, user, modes, buf); return buf;
	case 'd': return "0";
	case 'l':
		snprintf(buf, size, "%llu",
			 (unsigned long long)((w->room->now - user->spoke) / USEC_PER_SEC));
		return buf;
	case 'a': return user->account ? user->account : "0";
	case 'o': return modes >= MEMBER_OP ? "1" : "n/a";
	default: return NULL;
	}
}

static void whox_line(struct who *w, const struct channel *channel, const struct user *user,
		      uint8_t modes)
{
	char text[IRC_LINE_MAX] = "", buf[32];
	size_t n = 0;

	for (const char *letter = "tcuihsnfdlao"; *letter; letter++) {
		const char *value = strchr(w->fields, *letter) ? field(w, *letter, channel, user,
								       modes, buf, sizeof(buf))
							       : NULL;

		if (value)
			n += snprintf(text + n, sizeof(text) - n, "%s%s", n > 0 ? " " : "", value);
	}
	if (strchr(w->fields, 'r'))
		snprintf(text + n, sizeof(text) - n, "%s:%s", n > 0 ? " " : "", user->realname);
	reply(w->room, w->asker, "354", "%s", text);
}

static void who_line(struct who *w, const struct channel *channel, const struct user *user,
		     uint8_t modes)
{
	char flags[FLAGS_MAX];

	if (w->opers && !user->oper)
		return;
	if (w->fields) {
		whox_line(w, channel, user, modes);
		return;
	}
	flags_of(w, user, modes, flags);
	reply(w->room, w->asker, RPL_WHOREPLY, channel ? channel->name : "*", user->username,
	      user->host, w->room->server, user->nick, flags, user->realname);
}

static void who_channel(struct who *w, const struct channel *channel)
{
	bool member = channel_member(channel, w->asker);

	if (!channel_is_visible(channel, w->asker))
		return;
	for (size_t i = 0; i < channel->n_members; i++) {
		const struct member *m = &channel->members[i];

		if (member || !m->user->invisible)
			who_line(w, channel, m->user, m->modes);
	}
}

/* By nick, user, host, name, or "nick!user@host"; by the address for who may see it. */
static bool fits(const struct who *w, const char *mask, const struct user *user)
{
	char source[SOURCE_MAX];

	return name_matches(mask, user->nick) || name_matches(mask, user->host) ||
	       name_matches(mask, user->username) || name_matches(mask, user->realname) ||
	       name_matches(mask, user_source(user, source)) ||
	       (w->asker->oper && name_matches(mask, user_address(user)));
}

static void who_mask(struct who *w, const char *mask)
{
	struct hash_node *node = NULL;
	int n = 0;

	while ((node = hash_next(&w->room->nicks, node)) != NULL && n < WHO_MASK_MAX) {
		struct user *user = CONTAINER_OF(node, struct user, by_nick);

		w->room->work += WHO_TEXTS;
		if (!user->registered || !fits(w, mask, user))
			continue;
		if (user->invisible && user != w->asker &&
		    !users_share_channel(w->room, w->asker, user))
			continue;
		who_line(w, NULL, user, 0);
		n++;
	}
}

/* "%tcuhnf,123" behind the mask and its flags. */
static void parse_fields(struct who *w, const struct irc_message *m)
{
	const char *percent = m->n_params > 1 ? strchr(m->params[1], '%') : NULL;
	const char *comma = percent ? strchr(percent, ',') : NULL;

	if (!percent)
		return;
	w->fields = percent + 1;
	snprintf(w->token, sizeof(w->token), "0");
	if (comma && strspn(comma + 1, "0123456789") == strlen(comma + 1) &&
	    strlen(comma + 1) <= TOKEN_MAX && comma[1])
		snprintf(w->token, sizeof(w->token), "%s", comma + 1);
}

void command_who(struct room *room, struct user *user, struct irc_message *m)
{
	const char *mask = m->n_params > 0 && *m->params[0] ? m->params[0] : "*";
	const struct channel *channel = channel_find(room, mask);
	const struct user *other = user_by_nick(room, mask);
	struct who w = { .room = room,
			 .asker = user,
			 .opers = m->n_params > 1 && m->params[1][0] == 'o' };

	parse_fields(&w, m);
	if (channel) {
		who_channel(&w, channel);
	} else if (other && other->registered) {
		who_line(&w, NULL, other, 0);
	} else if (strcmp(mask, "0") == 0) {
		who_mask(&w, "*");
	} else if (strpbrk(mask, "*?")) {
		who_mask(&w, mask);
	}
	reply(room, user, RPL_ENDOFWHO, mask);
}
