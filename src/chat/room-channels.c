/* SPDX-License-Identifier: MIT */
/*
 * The channel table and its members. A membership lies twice, in the user's seats and in the
 * channel's members; each knows where the other is, so that joining, leaving and delivering
 * scan nothing.
 */
#include <errno.h>
#include <stdio.h>
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

static bool name_is_like(const struct hash_node *node, const void *key)
{
	const char *name = CONTAINER_OF(node, struct channel, by_name)->name;

	return name_alike(name, key) && !name_equal(name, key);
}

/* The course's is always there, as it were. */
bool channel_is_like_another(const struct room *room, const char *name)
{
	const char *course = room->config->course_channel;

	if (name_alike(course, name) && !name_equal(course, name))
		return true;
	return hash_find(&room->channels, hash_name(&room->config->secret, name), name_is_like,
			 name) != NULL;
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
	if (history_is_for(room, name))
		channel->modes |= MODE_HISTORY;
	channel->course = name_equal(name, room->config->course_channel);
	hash_add(&room->channels, &channel->by_name, hash_name(&room->config->secret, name));
	room->counts.channels++;
	*ret = channel;
	return 0;
}

static void free_mask(struct mask *mask)
{
	free(mask->text);
	free(mask->by);
}

static void free_masks(struct masks *masks)
{
	for (size_t i = 0; i < masks->n; i++)
		free_mask(&masks->items[i]);
	free(masks->items);
}

static void channel_free(struct room *room, struct channel *channel)
{
	hash_remove(&room->channels, &channel->by_name);
	room->counts.channels--;
	for (size_t i = 0; i < MASK_LISTS; i++)
		free_masks(&channel->masks[i]);
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
	user->seats[user->n_seats++] = (struct seat){ .channel = channel,
						      .index = channel->n_members,
						      .joined = room->messages };
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

void channel_send(struct room *room, const struct channel *channel, const struct user *from,
		  const struct irc_line *line)
{
	struct delivery d;

	delivery_begin_from(&d, room, line, from);
	channel_deliver(&d, channel, NULL);
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

/* --- ranks -------------------------------------------------------------------------------- */

static const uint8_t ranks[] = { MEMBER_OWNER, MEMBER_ADMIN, MEMBER_OP, MEMBER_HALF, MEMBER_VOICE };
_Static_assert(ELEMENTSOF(ranks) == sizeof(MEMBER_SIGNS) - 1, "a sign each");

char *member_signs(uint8_t modes, bool all, char buf[sizeof(MEMBER_SIGNS)])
{
	size_t n = 0;

	for (size_t i = 0; i < ELEMENTSOF(ranks) && (all || n == 0); i++) {
		if (modes & ranks[i])
			buf[n++] = MEMBER_SIGNS[i];
	}
	buf[n] = '\0';
	return buf;
}

uint8_t member_mode_of(char sign)
{
	return ranks[strchr(MEMBER_SIGNS, sign) - MEMBER_SIGNS];
}

uint8_t member_rank(uint8_t modes)
{
	size_t i = 0;

	while (i < ELEMENTSOF(ranks) && !(modes & ranks[i]))
		i++;
	return i < ELEMENTSOF(ranks) ? ranks[i] : 0;
}

/* --- masks -------------------------------------------------------------------------------- */

#define MUTE    "m:"
#define ACCOUNT "a:"

/* Under which names one is looked for in a list: by what is shown, and by where he really is. */
struct names {
	const char *account; /* NULL: none */
	char shown[SOURCE_MAX], real[SOURCE_MAX];
};

static void names_of(const struct user *user, struct names *names)
{
	names->account = user->account;
	user_source(user, names->shown);
	names->real[0] = '\0';
	if (user->address)
		snprintf(names->real, sizeof(names->real), "%s!%s@%s", user->nick, user->username,
			 user->address);
}

/* "a:name" is about the account, everything else about nick!user@host. */
static bool mask_fits(const char *mask, const struct names *names)
{
	if (strncmp(mask, ACCOUNT, strlen(ACCOUNT)) == 0)
		return names->account && name_matches(mask + strlen(ACCOUNT), names->account);
	return name_matches(mask, names->shown) ||
	       (names->real[0] && name_matches(mask, names->real));
}

/* Of a mute what stands behind the "m:"; NULL: it is none. */
static const char *muted_mask(const char *mask)
{
	return strncmp(mask, MUTE, strlen(MUTE)) == 0 ? mask + strlen(MUTE) : NULL;
}

static bool is_listed(const struct channel *channel, enum mask_list list, const struct names *names,
		      bool mutes)
{
	const struct masks *masks = &channel->masks[list];

	for (size_t i = 0; i < masks->n; i++) {
		const char *muted = muted_mask(masks->items[i].text);

		if (muted && !mutes)
			continue;
		if (mask_fits(muted ? muted : masks->items[i].text, names))
			return true;
	}
	return false;
}

static bool is_banned(const struct channel *channel, const struct user *user, bool mutes)
{
	struct names names;

	if (channel->masks[LIST_BAN].n == 0)
		return false;
	names_of(user, &names);
	return is_listed(channel, LIST_BAN, &names, mutes) &&
	       !is_listed(channel, LIST_EXCEPTION, &names, mutes);
}

bool channel_is_banned(const struct channel *channel, const struct user *user)
{
	return is_banned(channel, user, false);
}

bool channel_is_silenced(const struct channel *channel, const struct user *user)
{
	return is_banned(channel, user, true);
}

bool channel_is_invited(const struct channel *channel, const struct user *user)
{
	struct names names;

	if (channel->masks[LIST_INVITE].n == 0)
		return false;
	names_of(user, &names);
	return is_listed(channel, LIST_INVITE, &names, false);
}

bool channel_is_visible(const struct channel *channel, const struct user *user)
{
	return !(channel->modes & (MODE_SECRET | MODE_PRIVATE)) || channel_member(channel, user);
}

int channel_add_mask(struct room *room, struct channel *channel, enum mask_list list,
		     const char *mask, const char *by)
{
	struct masks *masks = &channel->masks[list];
	struct mask *more, new = { .at = room->realtime };
	size_t all = 0;

	for (size_t i = 0; i < masks->n; i++) {
		if (name_equal(masks->items[i].text, mask))
			return -EEXIST;
	}
	for (size_t i = 0; i < MASK_LISTS; i++)
		all += channel->masks[i].n;
	if (all >= room->config->bans_per_channel)
		return -ENOSPC;
	more = reallocarray(masks->items, masks->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	masks->items = more;
	new.text = strdup(mask);
	new.by = strdup(by);
	if (!new.text || !new.by) {
		free_mask(&new);
		return -ENOMEM;
	}
	masks->items[masks->n++] = new;
	return 0;
}

int channel_remove_mask(struct channel *channel, enum mask_list list, const char *mask)
{
	struct masks *masks = &channel->masks[list];

	for (size_t i = 0; i < masks->n; i++) {
		if (!name_equal(masks->items[i].text, mask))
			continue;
		free_mask(&masks->items[i]);
		masks->n--;
		memmove(&masks->items[i], &masks->items[i + 1],
			(masks->n - i) * sizeof(masks->items[0]));
		return 0;
	}
	return -ENOENT;
}
