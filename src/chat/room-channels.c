/* SPDX-License-Identifier: MIT */
/*
 * The channel table and its members. A membership lies twice, in the user's seats and in the
 * channel's members; each knows where the other is, so that joining, leaving and delivering
 * scan nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/room-internal.h"

static bool name_is(const struct hash_node *node, const void *key)
{
	return name_equal(CONTAINER_OF(node, struct channel, by_name)->name, key);
}

struct channel *channel_find(const struct room *room, const char *name)
{
	struct hash_node *node;

	if (name[0] != '#' || strlen(name) > ROOM_CHANNEL_MAX)
		return NULL;
	node = hash_find(&room->channels, hash_name(&room->config->secret, name), name_is, name);
	return node ? CONTAINER_OF(node, struct channel, by_name) : NULL;
}

int channel_new(struct room *room, const char *name, struct channel **ret)
{
	struct channel *channel = calloc(1, sizeof(*channel));

	if (channel)
		channel->name = strdup(name);
	if (!channel || !channel->name) {
		free(channel);
		return -ENOMEM;
	}
	channel->serial = ++room->serial;
	channel->created = room->realtime;
	channel->modes = MODE_NO_EXTERNAL | MODE_TOPIC;
	channel->course = name_equal(name, room->config->course_channel);
	hash_add(&room->channels, &channel->by_name, hash_name(&room->config->secret, name));
	room->counts.channels++;
	*ret = channel;
	return 0;
}

static void free_ban(struct ban *ban)
{
	free(ban->mask);
	free(ban->by);
}

static void channel_free(struct room *room, struct channel *channel)
{
	hash_remove(&room->channels, &channel->by_name);
	room->counts.channels--;
	for (size_t i = 0; i < channel->n_bans; i++)
		free_ban(&channel->bans[i]);
	free(channel->bans);
	free(channel->members);
	free(channel->name);
	free(channel->topic);
	free(channel->topic_by);
	free(channel->key);
	free(channel);
}

static struct seat *find_seat(const struct user *user, const struct channel *channel)
{
	for (size_t i = 0; i < user->n_seats; i++) {
		if (user->seats[i].channel == channel)
			return &user->seats[i];
	}
	return NULL;
}

struct member *channel_member(const struct channel *channel, const struct user *user)
{
	struct seat *seat = find_seat(user, channel);

	return seat ? &channel->members[seat->index] : NULL;
}

static int make_room(struct channel *channel, struct user *user)
{
	if (channel->n_members == channel->members_room) {
		uint32_t n = channel->members_room ? channel->members_room * 2 : 2;
		struct member *more = reallocarray(channel->members, n, sizeof(*more));

		if (!more)
			return -ENOMEM;
		channel->members = more;
		channel->members_room = n;
	}
	if (user->n_seats == user->seats_room) {
		uint16_t n = user->seats_room ? user->seats_room * 2 : 2;
		struct seat *more = reallocarray(user->seats, n, sizeof(*more));

		if (!more)
			return -ENOMEM;
		user->seats = more;
		user->seats_room = n;
	}
	return 0;
}

int channel_add(struct room *room, struct channel *channel, struct user *user, uint8_t modes)
{
	int r = make_room(channel, user);

	if (r < 0) {
		if (channel->n_members == 0)
			channel_free(room, channel);
		return r;
	}
	user->seats[user->n_seats++] =
		(struct seat){ .channel = channel, .index = channel->n_members };
	channel->members[channel->n_members++] = (struct member){
		.user = user,
		.id = user->id,
		.course = user->course != NULL,
		.modes = modes,
		.tags = tags_wanted(user->caps),
	};
	return 0;
}

/* Gives memory back when three quarters are unused; failing to is no harm. */
static void shrink(struct channel *channel)
{
	uint32_t n = channel->members_room / 2;
	struct member *less;

	if (channel->members_room <= 8 || channel->n_members > channel->members_room / 4)
		return;
	less = reallocarray(channel->members, n, sizeof(*less));
	if (!less)
		return;
	channel->members = less;
	channel->members_room = n;
}

void channel_remove(struct room *room, struct channel *channel, struct user *user)
{
	struct seat *seat = find_seat(user, channel);
	struct member *moved = &channel->members[channel->n_members - 1];
	uint32_t index = seat->index;

	if (moved->user != user) {
		channel->members[index] = *moved;
		find_seat(moved->user, channel)->index = index;
	}
	channel->n_members--;
	*seat = user->seats[--user->n_seats];
	if (channel->n_members == 0)
		channel_free(room, channel);
	else
		shrink(channel);
}

void channel_send(struct room *room, const struct channel *channel, const struct user *except,
		  const struct irc_line *line)
{
	struct delivery d;

	delivery_begin(&d, room, line);
	channel_deliver(&d, channel, except);
}

void channel_deliver(struct delivery *d, const struct channel *channel, const struct user *except)
{
	bool all = !d->wanted && !d->unwanted;

	for (size_t i = 0; i < channel->n_members; i++) {
		const struct member *m = &channel->members[i];

		if (m->user != except && !m->course && (all || delivery_is_for(d, m->user)))
			deliver_tagged(d, m->user, m->id, m->tags);
	}
}

bool channel_is_banned(const struct channel *channel, const struct user *user)
{
	char source[SOURCE_MAX];

	if (channel->n_bans == 0)
		return false;
	user_source(user, source);
	for (size_t i = 0; i < channel->n_bans; i++) {
		if (name_matches(channel->bans[i].mask, source))
			return true;
	}
	return false;
}

bool channel_is_visible(const struct channel *channel, const struct user *user)
{
	return !(channel->modes & (MODE_SECRET | MODE_PRIVATE)) || channel_member(channel, user);
}

int channel_ban(struct room *room, struct channel *channel, const char *mask, const char *by)
{
	struct ban *more, ban = { .at = room->realtime };

	for (size_t i = 0; i < channel->n_bans; i++) {
		if (name_equal(channel->bans[i].mask, mask))
			return -EEXIST;
	}
	if (channel->n_bans >= room->config->bans_per_channel)
		return -ENOSPC;
	more = reallocarray(channel->bans, channel->n_bans + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	channel->bans = more;
	ban.mask = strdup(mask);
	ban.by = strdup(by);
	if (!ban.mask || !ban.by) {
		free_ban(&ban);
		return -ENOMEM;
	}
	channel->bans[channel->n_bans++] = ban;
	return 0;
}

int channel_unban(struct channel *channel, const char *mask)
{
	for (size_t i = 0; i < channel->n_bans; i++) {
		if (!name_equal(channel->bans[i].mask, mask))
			continue;
		free_ban(&channel->bans[i]);
		channel->n_bans--;
		memmove(&channel->bans[i], &channel->bans[i + 1],
			(channel->n_bans - i) * sizeof(channel->bans[0]));
		return 0;
	}
	return -ENOENT;
}
