/* SPDX-License-Identifier: MIT */
/* What channels say of themselves: TOPIC, NAMES, LIST. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"
#include "chat/utf8.h"

static char symbol(const struct channel *channel)
{
	return channel->modes & MODE_SECRET ? '@' : channel->modes & MODE_PRIVATE ? '*' : '=';
}

static void begin_names(struct room *room, struct user *user, const struct channel *channel,
			struct irc_line *line)
{
	irc_words_begin(line, ":%s 353 %s %c %s :", room->server, user->nick, symbol(channel),
			channel->name);
}

#define MEMBER_TEXT_MAX (SOURCE_MAX + sizeof(MEMBER_SIGNS))

/* "@nick", with multi-prefix "@+nick", with userhost-in-names "@nick!user@host". */
static size_t format_member(const struct user *to, const struct member *m,
			    char buf[MEMBER_TEXT_MAX])
{
	size_t n = strlen(member_signs(m->modes, to->caps & CAP_MULTI_PREFIX, buf));

	if (to->caps & CAP_USERHOST_IN_NAMES) {
		user_source(m->user, buf + n);
		return strlen(buf);
	}
	strcpy(buf + n, m->user->nick);
	return n + strlen(m->user->nick);
}

void send_names(struct room *room, struct user *user, const struct channel *channel)
{
	bool member = channel_member(channel, user), any = false;
	char word[MEMBER_TEXT_MAX];
	struct irc_line line;

	begin_names(room, user, channel, &line);
	for (size_t i = 0; i < channel->n_members; i++) {
		const struct member *m = &channel->members[i];
		size_t size;

		if (!member && m->user->invisible)
			continue;
		size = format_member(user, m, word);
		if (!irc_words_append(&line, word, size)) {
			irc_words_end(&line);
			send_line(room, user, &line);
			begin_names(room, user, channel, &line);
			irc_words_append(&line, word, size);
		}
		any = true;
	}
	if (any) {
		irc_words_end(&line);
		send_line(room, user, &line);
	}
	reply(room, user, RPL_ENDOFNAMES, channel->name);
}

void command_names(struct room *room, struct user *user, struct irc_message *m)
{
	char *names = m->n_params > 0 ? m->params[0] : NULL, *name;

	if (!names || !*names) { /* everybody on the server: that is LIST's and WHO's */
		reply(room, user, RPL_ENDOFNAMES, "*");
		return;
	}
	while ((name = irc_next_item(&names, ',')) != NULL) {
		const struct channel *channel = channel_find(room, name);

		if (channel && channel_is_visible(channel, user))
			send_names(room, user, channel);
		else
			reply(room, user, RPL_ENDOFNAMES, *name ? name : "*");
	}
}

void send_topic(struct room *room, struct user *user, const struct channel *channel)
{
	if (!channel->topic) {
		reply(room, user, RPL_NOTOPIC, channel->name);
		return;
	}
	reply(room, user, RPL_TOPIC, channel->name, channel->topic);
	reply(room, user, RPL_TOPICWHOTIME, channel->name, channel->topic_by,
	      (unsigned long long)(channel->topic_at / USEC_PER_SEC));
}

static void set_topic(struct room *room, struct user *user, struct channel *channel,
		      const char *text)
{
	_cleanup_free_ char *topic = strndup(text, utf8_cut(text, strlen(text), ROOM_TOPIC_MAX));
	char source[SOURCE_MAX], *by = strdup(user_source(user, source));
	struct irc_line line;

	if (!topic || !by) {
		free(by);
		return;
	}
	free(channel->topic);
	free(channel->topic_by);
	irc_format(&line, ":%s TOPIC %s :%s", source, channel->name, topic);
	channel->topic = *topic ? TAKE_PTR(topic) : NULL;
	channel->topic_by = by;
	channel->topic_at = room->realtime;
	channel_event(room, channel, user, &line);
}

void command_topic(struct room *room, struct user *user, struct irc_message *m)
{
	struct channel *channel = channel_find(room, m->params[0]);
	struct member *member = channel ? channel_member(channel, user) : NULL;

	if (!channel || (!member && !channel_is_visible(channel, user)))
		reply(room, user, ERR_NOSUCHCHANNEL, m->params[0]);
	else if (!member)
		reply(room, user, ERR_NOTONCHANNEL, channel->name);
	else if (m->n_params == 1)
		send_topic(room, user, channel);
	else if ((channel->modes & MODE_TOPIC) && member->modes < MEMBER_HALF)
		reply(room, user, ERR_CHANOPRIVSNEEDED, channel->name);
	else
		set_topic(room, user, channel, m->params[1]);
}

/* --- LIST --- */

#define MASKS_MAX      (IRC_LINE_MAX / 2) /* as many as a line may have */
#define WILD_MASKS_MAX 8                  /* of these, that are no names: each is tried with all */

/* What a channel must be to be listed: ELIST. 0 and NULL: no matter. */
struct wish {
	uint32_t more, less;                                         /* users: at least, at most */
	uint64_t made_after, made_before, topic_after, topic_before; /* realtime */
	const char *masks[MASKS_MAX], *not_masks[MASKS_MAX];
	size_t n_masks, n_not_masks;
	bool nobody;   /* fewer users than one: no channel has that */
	size_t n_wild; /* masks that are no names */
};

/* "C<60": made less than 60 minutes ago; "T>5": its topic is older than five. */
static bool take_time(struct wish *w, const char *text, uint64_t now)
{
	uint64_t *after = text[0] == 'C' ? &w->made_after : &w->topic_after;
	uint64_t *before = text[0] == 'C' ? &w->made_before : &w->topic_before;
	int64_t minutes;

	if ((text[1] != '<' && text[1] != '>') || parse_int(text + 2, 0, 1 << 24, &minutes) < 0)
		return false;
	*(text[1] == '<' ? after : before) = now - MIN((uint64_t)minutes * 60 * USEC_PER_SEC, now);
	return true;
}

/* Each once. */
static void add_mask(struct wish *w, const char *text)
{
	bool wild = strpbrk(text, "*?");

	for (size_t i = 0; i < w->n_masks; i++) {
		if (name_equal(w->masks[i], text))
			return;
	}
	if (w->n_masks == MASKS_MAX || (wild && w->n_wild == WILD_MASKS_MAX))
		return;
	w->masks[w->n_masks++] = text;
	w->n_wild += wild;
}

static void take_condition(struct wish *w, const char *text, uint64_t now)
{
	int64_t n;

	if (text[0] == '>' && parse_int(text + 1, 0, INT32_MAX, &n) == 0) {
		w->more = n + 1;
	} else if (text[0] == '<' && parse_int(text + 1, 0, INT32_MAX, &n) == 0) {
		w->nobody |= n <= 1;
		w->less = n - 1;
	} else if ((text[0] == 'C' || text[0] == 'T') && take_time(w, text, now)) {
		return;
	} else if (text[0] == '!' && w->n_not_masks < WILD_MASKS_MAX) {
		w->not_masks[w->n_not_masks++] = text + 1;
	} else if (*text && text[0] != '!') {
		add_mask(w, text);
	}
}

static bool matches_any(const char *const *masks, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (name_matches(masks[i], name))
			return true;
	}
	return false;
}

static bool is_wished(const struct wish *w, const struct channel *channel)
{
	return !w->nobody && channel->n_members >= w->more &&
	       (!w->less || channel->n_members <= w->less) && channel->created >= w->made_after &&
	       (!w->made_before || channel->created < w->made_before) &&
	       (!w->topic_after || (channel->topic && channel->topic_at >= w->topic_after)) &&
	       (!w->topic_before || (channel->topic && channel->topic_at < w->topic_before)) &&
	       (w->n_masks == 0 || matches_any(w->masks, w->n_masks, channel->name)) &&
	       !matches_any(w->not_masks, w->n_not_masks, channel->name);
}

static void list_one(struct room *room, struct user *user, const struct wish *wish,
		     const struct channel *channel)
{
	if (is_wished(wish, channel) && channel_is_visible(channel, user))
		reply(room, user, RPL_LIST, channel->name, channel->n_members,
		      channel->topic ? channel->topic : "");
}

/* Names are looked up; for a mask each channel is looked at. */
static void list_wished(struct room *room, struct user *user, const struct wish *wish)
{
	struct hash_node *node = NULL;

	for (size_t i = 0; wish->n_wild == 0 && i < wish->n_masks; i++) {
		const struct channel *channel = channel_find(room, wish->masks[i]);

		room->work++;
		if (channel)
			list_one(room, user, wish, channel);
	}
	if (wish->n_wild == 0 && wish->n_masks > 0)
		return;
	while ((node = hash_next(&room->channels, node)) != NULL) {
		room->work += 1 + wish->n_masks + wish->n_not_masks;
		list_one(room, user, wish, CONTAINER_OF(node, struct channel, by_name));
	}
}

/* "LIST #a,#b* >10,T<60": names, masks and conditions, in either parameter. */
void command_list(struct room *room, struct user *user, struct irc_message *m)
{
	struct wish wish = { .more = 0 };

	for (int i = 0; i < MIN(m->n_params, 2); i++) {
		char *rest = m->params[i], *text;

		while ((text = irc_next_item(&rest, ',')) != NULL)
			take_condition(&wish, text, room->realtime);
	}
	reply(room, user, RPL_LISTSTART);
	list_wished(room, user, &wish);
	reply(room, user, RPL_LISTEND);
}
