/* SPDX-License-Identifier: MIT */
/* MODE: of channels and of oneself. The changes of one command go out as one line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define PARAM_MODES_MAX 6   /* MODES= of ISUPPORT */
#define MASK_MAX        128 /* bytes of a ban's mask */
#define LIMIT_MAX       1000000

/* A MODE command under way. */
struct change {
	struct room *room;
	struct user *user;
	struct channel *channel;
	struct irc_message *m;
	int next; /* the parameter to be taken next */
	int with_param;
	bool refused, listed[MASK_LISTS];
	char sign, last_sign;
	char letters[80], params[2 * IRC_LINE_MAX];
	size_t n_letters, n_params;
};

typedef void apply_mode(struct change *c, char letter, const char *param);

struct mode_row {
	char letter;
	uint8_t value; /* enum channel_mode, enum member_mode or enum mask_list */
	bool param_plus, param_minus;
	apply_mode *apply;
	uint8_t least; /* the rank that changing it takes */
};

static void flush(struct change *c)
{
	char source[SOURCE_MAX];
	struct irc_line line;

	if (c->n_letters == 0)
		return;
	irc_format(&line, ":%s MODE %s %.*s%.*s", user_source(c->user, source), c->channel->name,
		   (int)c->n_letters, c->letters, (int)c->n_params, c->params);
	channel_event(c->room, c->channel, c->user, &line);
	c->n_letters = c->n_params = 0;
	c->last_sign = '\0';
}

static void record(struct change *c, char letter, const char *param)
{
	size_t size = param ? strlen(param) + 1 : 0;

	/* A line of its own once names and masks have filled this one. */
	if (c->n_letters + 2 > sizeof(c->letters) || (c->n_params > 0 && c->n_params + size > 200))
		flush(c);
	if (c->sign != c->last_sign)
		c->letters[c->n_letters++] = c->last_sign = c->sign;
	c->letters[c->n_letters++] = letter;
	if (param)
		c->n_params += snprintf(c->params + c->n_params, sizeof(c->params) - c->n_params,
					" %s", param);
}

static const struct mode_row *find_mode(char letter);

static void apply_flag(struct change *c, char letter, const char *param)
{
	uint8_t flag = find_mode(letter)->value;
	bool on = c->sign == '+';

	if (on == ((c->channel->modes & flag) != 0))
		return;
	c->channel->modes ^= flag;
	record(c, letter, NULL);
}

/* Only where the config has it kept. */
static void apply_history(struct change *c, char letter, const char *param)
{
	if (c->sign == '+' && !history_is_for(c->room, c->channel->name))
		reply(c->room, c->user, ERR_UNKNOWNMODE, letter);
	else
		apply_flag(c, letter, param);
}

static void refuse(struct change *c)
{
	if (!c->refused)
		reply(c->room, c->user, ERR_CHANOPRIVSNEEDED, c->channel->name);
	c->refused = true;
}

static uint8_t rank_of(const struct change *c)
{
	const struct member *member = channel_member(c->channel, c->user);

	return member ? member_rank(member->modes) : 0;
}

/* While nobody owns the channel its operators may say who does. */
static uint8_t needed_rank(const struct change *c, char letter)
{
	uint8_t least = find_mode(letter)->least;

	if (least != MEMBER_OWNER)
		return least;
	for (size_t i = 0; i < c->channel->n_members; i++) {
		if (c->channel->members[i].modes & MEMBER_OWNER)
			return MEMBER_OWNER;
	}
	return MEMBER_OP;
}

/* One's own signs one may put down; nobody takes one from who ranks higher. */
static bool may_change_member(struct change *c, const struct member *member, char letter)
{
	uint8_t own = rank_of(c);

	if ((c->sign == '-' && member->user == c->user) ||
	    (own >= needed_rank(c, letter) &&
	     (c->sign == '+' || own >= member_rank(member->modes))))
		return true;
	refuse(c);
	return false;
}

static void apply_member(struct change *c, char letter, const char *param)
{
	struct user *target = user_by_nick(c->room, param);
	uint8_t flag = find_mode(letter)->value;
	struct member *member;

	if (!target) {
		reply(c->room, c->user, ERR_NOSUCHNICK, param);
		return;
	}
	member = channel_member(c->channel, target);
	if (!member) {
		reply(c->room, c->user, ERR_USERNOTINCHANNEL, target->nick, c->channel->name);
		return;
	}
	if ((c->sign == '+') == ((member->modes & flag) != 0) ||
	    !may_change_member(c, member, letter))
		return;
	member->modes ^= flag;
	record(c, letter, target->nick);
}

static bool is_key(const char *key)
{
	size_t n = strlen(key);

	if (n == 0 || n > ROOM_KEY_MAX || key[0] == ':')
		return false;
	for (; *key; key++) {
		if ((unsigned char)*key <= ' ' || *key == ',' || *key == 0x7f)
			return false;
	}
	return true;
}

static void apply_key(struct change *c, char letter, const char *param)
{
	char *key;

	if (c->sign == '-') {
		if (c->channel->key)
			record(c, letter, c->channel->key);
		free(TAKE_PTR(c->channel->key));
		return;
	}
	if (!is_key(param)) {
		reply(c->room, c->user, ERR_INVALIDKEY, c->channel->name);
		return;
	}
	key = strdup(param);
	if (!key)
		return;
	free(c->channel->key);
	c->channel->key = key;
	record(c, letter, key);
}

static void apply_limit(struct change *c, char letter, const char *param)
{
	char text[16];
	int64_t n;

	if (c->sign == '-') {
		if (c->channel->limit)
			record(c, letter, NULL);
		c->channel->limit = 0;
		return;
	}
	if (parse_int(param, 1, LIMIT_MAX, &n) < 0) {
		reply(c->room, c->user, ERR_INVALIDMODEPARAM, c->channel->name, letter, param,
		      "not a number from 1 on");
		return;
	}
	if (c->channel->limit == n)
		return;
	c->channel->limit = (uint32_t)n;
	snprintf(text, sizeof(text), "%u", c->channel->limit);
	record(c, letter, text);
}

/* Where people really are stands in them: that is the members' business. */
static void list_masks(struct change *c, enum mask_list list)
{
	static const struct {
		const char *line, *end, *end_text;
	} numerics[MASK_LISTS] = {
		[LIST_BAN] = { "367", "368", "ban" },
		[LIST_EXCEPTION] = { "348", "349", "exception" },
		[LIST_INVITE] = { "346", "347", "invite exception" },
	};
	const struct channel *channel = c->channel;
	const struct masks *masks = &channel->masks[list];

	if (!channel_member(channel, c->user)) {
		reply(c->room, c->user, ERR_NOTONCHANNEL, channel->name);
		return;
	}
	for (size_t i = 0; i < masks->n; i++)
		reply(c->room, c->user, numerics[list].line, "%s %s %s %llu", channel->name,
		      masks->items[i].text, masks->items[i].by,
		      (unsigned long long)(masks->items[i].at / USEC_PER_SEC));
	reply(c->room, c->user, numerics[list].end, "%s :End of channel %s list", channel->name,
	      numerics[list].end_text);
}

/* "nick" is nick!*@*, "user@host" is *!user@host, "a:name" an account; the same behind "m:". */
static bool complete_mask(const char *mask, char buf[MASK_MAX + 16])
{
	const char *prefix = strncmp(mask, "m:", 2) == 0 ? "m:" : "", *bang, *at;

	if (strlen(mask) > MASK_MAX || mask[0] == ':')
		return false;
	mask += strlen(prefix);
	bang = strchr(mask, '!');
	at = strrchr(mask, '@');
	/* Parts that are empty fit nobody: any is meant. */
	if (strncmp(mask, "a:", 2) == 0)
		snprintf(buf, MASK_MAX + 16, "%s%s", prefix, mask);
	else if (bang && (!at || at > bang))
		snprintf(buf, MASK_MAX + 16, "%s%s%.*s!%s%s%s%s", prefix, bang == mask ? "*" : "",
			 (int)(bang - mask), mask, bang[1] && bang + 1 != at ? "" : "*", bang + 1,
			 at ? "" : "@*", at && !at[1] ? "*" : "");
	else if (at)
		snprintf(buf, MASK_MAX + 16, "%s*!%s%s%s", prefix, at == mask ? "*" : "", mask,
			 at[1] ? "" : "*");
	else
		snprintf(buf, MASK_MAX + 16, "%s%s!*@*", prefix, mask);
	for (const char *p = mask; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return false;
	}
	return *mask != '\0' && strcmp(mask, "a:") != 0;
}

static void apply_mask(struct change *c, char letter, const char *param)
{
	enum mask_list list = find_mode(letter)->value;
	char mask[MASK_MAX + 16];
	int r;

	if (list == LIST_INVITE && strncmp(param, "m:", 2) == 0) {
		reply(c->room, c->user, ERR_INVALIDMODEPARAM, c->channel->name, letter, param,
		      "a mute is no invitation");
		return;
	}
	if (!complete_mask(param, mask)) {
		reply(c->room, c->user, ERR_INVALIDMODEPARAM, c->channel->name, letter, param,
		      "not a mask");
		return;
	}
	if (c->sign == '+')
		r = channel_add_mask(c->room, c->channel, list, mask, c->user->nick);
	else
		r = channel_remove_mask(c->channel, list, mask);
	if (r == -ENOSPC)
		reply(c->room, c->user, ERR_BANLISTFULL, c->channel->name, mask);
	if (r == 0)
		record(c, letter, mask);
}

static const struct mode_row modes[] = {
	{ 'C', MODE_NO_CTCP, false, false, apply_flag, MEMBER_HALF },
	{ 'H', MODE_HISTORY, false, false, apply_history, MEMBER_OP },
	{ 'I', LIST_INVITE, true, true, apply_mask, MEMBER_HALF },
	{ 'a', MEMBER_ADMIN, true, true, apply_member, MEMBER_OWNER },
	{ 'b', LIST_BAN, true, true, apply_mask, MEMBER_HALF },
	{ 'e', LIST_EXCEPTION, true, true, apply_mask, MEMBER_HALF },
	{ 'h', MEMBER_HALF, true, true, apply_member, MEMBER_OP },
	{ 'i', MODE_INVITE_ONLY, false, false, apply_flag, MEMBER_HALF },
	{ 'k', 0, true, true, apply_key, MEMBER_HALF },
	{ 'l', 0, true, false, apply_limit, MEMBER_HALF },
	{ 'm', MODE_MODERATED, false, false, apply_flag, MEMBER_HALF },
	{ 'n', MODE_NO_EXTERNAL, false, false, apply_flag, MEMBER_HALF },
	{ 'o', MEMBER_OP, true, true, apply_member, MEMBER_OP },
	{ 'p', MODE_PRIVATE, false, false, apply_flag, MEMBER_OP },
	{ 'q', MEMBER_OWNER, true, true, apply_member, MEMBER_OWNER },
	{ 's', MODE_SECRET, false, false, apply_flag, MEMBER_OP },
	{ 't', MODE_TOPIC, false, false, apply_flag, MEMBER_HALF },
	{ 'v', MEMBER_VOICE, true, true, apply_member, MEMBER_HALF },
};

static const struct mode_row *find_mode(char letter)
{
	for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
		if (modes[i].letter == letter)
			return &modes[i];
	}
	return NULL;
}

/* Members may look at the lists; whatever changes something takes a rank. */
static bool is_permitted(struct change *c, const struct mode_row *mode)
{
	/* It depends on whom it is about. */
	if (mode->apply == apply_member || rank_of(c) >= mode->least)
		return true;
	refuse(c);
	return false;
}

static void apply_letter(struct change *c, char letter)
{
	const struct mode_row *mode = find_mode(letter);
	const char *param = NULL;

	if (!mode) {
		reply(c->room, c->user, ERR_UNKNOWNMODE, letter);
		return;
	}
	if (c->sign == '+' ? mode->param_plus : mode->param_minus) {
		param = c->next < c->m->n_params ? c->m->params[c->next++] : NULL;
		if (!param && mode->apply == apply_mask) {
			if (!c->listed[mode->value])
				list_masks(c, mode->value);
			c->listed[mode->value] = true;
			return;
		}
		/* A key may be removed without being named. */
		if ((!param || !*param) && !(letter == 'k' && c->sign == '-'))
			return;
		if (++c->with_param > PARAM_MODES_MAX)
			return;
	}
	if (is_permitted(c, mode))
		mode->apply(c, letter, param);
}

static void change_channel(struct room *room, struct user *user, struct channel *channel,
			   struct irc_message *m)
{
	struct change c = {
		.room = room, .user = user, .channel = channel, .m = m, .next = 2, .sign = '+'
	};

	for (const char *p = m->params[1]; *p; p++) {
		if (*p == '+' || *p == '-')
			c.sign = *p;
		else if ((unsigned char)*p < 0x80) /* half a character cannot be replied */
			apply_letter(&c, *p);
	}
	flush(&c);
}

static void tell_channel(struct room *room, struct user *user, const struct channel *channel)
{
	char text[128];
	size_t n = 0;
	bool member = channel_member(channel, user) != NULL;

	text[n++] = '+';
	for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
		if ((modes[i].apply == apply_flag || modes[i].apply == apply_history) &&
		    (channel->modes & modes[i].value))
			text[n++] = modes[i].letter;
	}
	if (channel->key)
		text[n++] = 'k';
	if (channel->limit)
		text[n++] = 'l';
	text[n] = '\0';
	if (channel->key)
		n += snprintf(text + n, sizeof(text) - n, " %s", member ? channel->key : "*");
	if (channel->limit)
		snprintf(text + n, sizeof(text) - n, " %u", channel->limit);
	reply(room, user, RPL_CHANNELMODEIS, channel->name, text);
	reply(room, user, RPL_CREATIONTIME, channel->name,
	      (unsigned long long)(channel->created / USEC_PER_SEC));
}

/* The modes of a user: their letters, and whether one is set. */
static const char user_modes[] = "Biow";

static bool user_mode(const struct user *user, char letter)
{
	switch (letter) {
	case 'B': return user->bot;
	case 'i': return user->invisible;
	case 'o': return user->oper;
	default: return user->wallops;
	}
}

static void set_user_mode(struct room *room, struct user *user, char letter, bool on)
{
	switch (letter) {
	case 'B': user->bot = on; break;
	case 'i': user->invisible = on; break;
	case 'o': oper_leave(room, user); break;
	case 'w': user->wallops = on; break;
	}
}

static void tell_self(struct room *room, const struct user *user)
{
	char text[sizeof(user_modes)];
	size_t n = 0;

	for (const char *p = user_modes; *p; p++) {
		if (user_mode(user, *p))
			text[n++] = *p;
	}
	text[n] = '\0';
	reply(room, user, RPL_UMODEIS, text);
}

static void change_self(struct room *room, struct user *user, struct irc_message *m)
{
	char changed[4 * sizeof(user_modes)] = "";
	bool on = true, unknown = false;
	size_t n = 0;

	if (m->n_params == 1) {
		tell_self(room, user);
		return;
	}
	for (const char *p = m->params[1]; *p; p++) {
		if (*p == '+' || *p == '-') {
			on = *p == '+';
		} else if (!strchr(user_modes, *p)) {
			unknown = true;
		} else if (*p == 'o' && on) { /* that is OPER's */
			continue;
		} else if (user_mode(user, *p) != on && n + 3 < sizeof(changed)) {
			set_user_mode(room, user, *p, on);
			n += snprintf(changed + n, sizeof(changed) - n, "%c%c", on ? '+' : '-', *p);
		}
	}
	if (unknown)
		reply(room, user, ERR_UMODEUNKNOWNFLAG);
	if (*changed)
		send_text(room, user, ":%s MODE %s :%s", user->nick, user->nick, changed);
}

void command_mode(struct room *room, struct user *user, struct irc_message *m)
{
	const char *name = m->params[0];
	struct channel *channel;

	if (name[0] == '#') {
		channel = channel_find(room, name);
		if (!channel || !channel_is_visible(channel, user))
			reply(room, user, ERR_NOSUCHCHANNEL, name);
		else if (m->n_params == 1)
			tell_channel(room, user, channel);
		else
			change_channel(room, user, channel, m);
		return;
	}
	if (name_equal(name, user->nick))
		change_self(room, user, m);
	else if (user_by_nick(room, name))
		reply(room, user, ERR_USERSDONTMATCH);
	else
		reply(room, user, ERR_NOSUCHNICK, name);
}
