/* SPDX-License-Identifier: MIT */
/*
 * The course's door: its datagrams come in here, and what happens in the course's channel goes
 * out here in the protocol's words. A name belongs to the address that logged in with it.
 *
 * All course users wait in QUEUE_COURSE, which so is the list of them.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "chat/course.h"
#include "chat/names.h"
#include "chat/room-internal.h"
#include "chat/utf8.h"

/* Of those who are not logged in, all together and each. */
#define STRANGERS_RATE  100
#define STRANGERS_BURST 1000
#define STRANGER_RATE   2
#define STRANGER_BURST  20

#define COURSE_FOREACH(l, room)                                  \
	for (struct list *l = (room)->queues[QUEUE_COURSE].next; \
	     l != &(room)->queues[QUEUE_COURSE]; l = l->next)

static struct user *listed(struct list *l)
{
	return CONTAINER_OF(l, struct user, timer);
}

static void answer(struct room *room, const struct course_peer *peer, const char *text)
{
	room->output.datagram(room->output.arg, peer, text, strlen(text));
}

static void tell(struct room *room, const struct user *except, const struct course_datagram *d)
{
	COURSE_FOREACH(l, room)
	{
		if (listed(l) != except)
			room->output.datagram(room->output.arg, &listed(l)->course->peer, d->bytes,
					      d->size);
	}
}

void course_tell_joined(struct room *room, const struct user *who)
{
	struct course_datagram d;

	course_format(&d, "\n欢迎 '%s' 进入聊天室", who->nick);
	tell(room, who, &d);
}

void course_tell_left(struct room *room, const struct user *who, const char *nick)
{
	struct course_datagram d;

	course_format(&d, "\n%s 退出聊天室", nick);
	tell(room, who, &d);
}

/* "* nick rest" of an action, "nick : text" of the rest; other CTCP is between programs. */
static bool format_said(struct course_datagram *d, const char *open, const char *nick,
			const char *close, const char *text)
{
	size_t size = strlen(text);
	const char *action = irc_action(text, &size);
	char plain[COURSE_DATAGRAM_MAX];

	if (!action && irc_is_ctcp(text))
		return false;
	course_plain(plain, sizeof(plain), action ? action : text, size);
	if (action)
		course_format(d, "\n%s* %s%s %s", open, nick, close, plain);
	else
		course_format(d, "\n%s%s%s : %s", open, nick, close, plain);
	return true;
}

void course_tell_said(struct room *room, const struct user *who, const char *text)
{
	struct course_datagram d;

	if (format_said(&d, "", who->nick, "", text))
		tell(room, who, &d);
}

void course_tell_privately(struct room *room, const struct user *from, const struct user *to,
			   const char *text)
{
	struct course_datagram d;

	if (format_said(&d, "(", from->nick, ")", text))
		room->output.datagram(room->output.arg, &to->course->peer, d.bytes, d.size);
}

void course_announce(struct room *room, const char *text)
{
	static const char head[] = "\n" NAME_ADMIN " : ";
	struct course_datagram d;
	size_t left = strlen(text);

	/* A datagram cannot go on, but there can be another. */
	while (left > 0) {
		size_t n = utf8_cut(text, left, COURSE_DATAGRAM_MAX - strlen(head));

		course_format(&d, "%s%.*s", head, (int)n, text);
		tell(room, NULL, &d);
		text += n;
		left -= n;
	}
}

void course_tell_taken(struct room *room, const struct user *user)
{
	answer(room, &user->course->peer, COURSE_RECLAIMED);
}

void course_dismiss(struct room *room, struct user *user)
{
	answer(room, &user->course->peer, COURSE_EXIT);
}

/* An IPv6 network counts as one address: whoever has one has 2^64. */
static size_t address_size(const struct course_peer *peer)
{
	return peer->family == AF_INET6 ? 8 : 4;
}

static bool stranger_may(struct room *room, const struct course_peer *peer)
{
	uint32_t hash = hash_bytes(&room->config->secret, peer->address, address_size(peer));
	struct bucket *own = &room->strangers[hash % STRANGERS_SIZE];

	return bucket_take(own, STRANGER_RATE, STRANGER_BURST, room->now) &&
	       bucket_take(&room->all_strangers, STRANGERS_RATE, STRANGERS_BURST, room->now);
}

static uint32_t count_at_address(const struct room *room, const struct course_peer *peer)
{
	uint32_t n = 0;

	COURSE_FOREACH(l, room)
	{
		const struct course_peer *other = &listed(l)->course->peer;

		n += other->family == peer->family &&
		     memcmp(other->address, peer->address, address_size(peer)) == 0;
	}
	return n;
}

/* What keeps a name out, or NULL. */
static const char *refuse_name(const struct room *room, const struct user *user,
			       const struct course_request *r, char name[ROOM_NICK_MAX + 1])
{
	struct user *owner;

	if (r->name_size > room->config->nick_length)
		return COURSE_LONG_NAME;
	memcpy(name, r->name, r->name_size);
	name[r->name_size] = '\0';
	if (strlen(name) != r->name_size || !name_is_nick(name, room->config->nick_length))
		return COURSE_BAD_NAME;
	owner = user_by_like_nick(room, name);
	return name_is_reserved(name) || (owner && owner != user) ||
			       (room->config->nick_protection && account_of_nick(room, name))
		       ? COURSE_TAKEN
		       : NULL;
}

static const char *refuse_peer(const struct room *room, const struct course_peer *peer)
{
	const struct room_config *c = room->config;

	if (room->counts.course_users >= c->course_users_max ||
	    (c->course_users_per_address &&
	     count_at_address(room, peer) >= c->course_users_per_address))
		return COURSE_FULL;
	return NULL;
}

static bool is_closed(const struct channel *channel, const struct user *user)
{
	return channel_is_banned(channel, user) ||
	       ((channel->modes & MODE_INVITE_ONLY) && !channel_is_invited(channel, user)) ||
	       channel->key || (channel->limit && channel->n_members >= channel->limit);
}

/* The new user stands in the tables, named, but in no channel yet. */
static int new_member(struct room *room, const struct course_peer *peer, const char *name,
		      struct user **ret)
{
	struct user *user;
	int r = user_new_course(room, peer, &user);

	if (r < 0)
		return r;
	user_set_queue(room, user, QUEUE_COURSE);
	r = user_set_nick(room, user, name);
	if (r < 0) {
		user_quit(room, user, "Out of memory", false);
		return r;
	}
	user_count_registered(room, user);
	*ret = user;
	return 0;
}

static void admit(struct room *room, const struct course_peer *peer, const char *name)
{
	struct channel *channel = channel_find(room, room->config->course_channel);
	struct user *user;

	if (new_member(room, peer, name, &user) < 0)
		return;
	if ((channel && is_closed(channel, user)) || kline_of(room, user)) {
		user_quit(room, user, "Not admitted", false);
		answer(room, peer, COURSE_CLOSED);
		return;
	}
	if (!channel && channel_new(room, room->config->course_channel, &channel) < 0) {
		user_quit(room, user, "Out of memory", false);
		return;
	}
	answer(room, peer, COURSE_OK);
	if (enter_channel(room, user, channel, 0) < 0) {
		course_dismiss(room, user);
		user_quit(room, user, "Out of memory", false);
	}
}

/* The same again from the same address: the answer was lost. Another name: it has changed. */
static void login(struct room *room, struct user *user, const struct course_peer *peer,
		  const struct course_request *r)
{
	char name[ROOM_NICK_MAX + 1];
	const char *refusal = refuse_name(room, user, r, name);

	if (!refusal && user && strcmp(user->nick, name) == 0) {
		answer(room, peer, COURSE_OK);
		return;
	}
	if (!refusal && !user)
		refusal = refuse_peer(room, peer);
	if (refusal) {
		answer(room, peer, refusal);
		return;
	}
	if (user)
		user_quit(room, user, "Changed name", false);
	admit(room, peer, name);
}

/* As it was logged in with, or in letters of the other case: to the room that is one name. */
static bool is_own_name(const struct user *user, const struct course_request *r)
{
	bool same = strlen(user->nick) == r->name_size;

	for (size_t i = 0; i < r->name_size && same; i++)
		same = name_fold(user->nick[i]) == name_fold(r->name[i]);
	return same;
}

static void say(struct room *room, struct user *user, const struct course_request *r)
{
	const struct channel *channel = user->seats[0].channel;
	char text[COURSE_DATAGRAM_MAX];

	if (!is_own_name(user, r))
		return;
	user->spoke = room->now;
	if (!may_speak(channel, user)) {
		answer(room, &user->course->peer, COURSE_SILENCED);
		return;
	}
	course_plain(text, sizeof(text), r->text, r->text_size);
	say_in_channel(room, user, channel, "PRIVMSG", text, NULL);
}

static void handle_member(struct room *room, struct user *user, const struct course_peer *peer,
			  const struct course_request *r)
{
	struct course_user *course = user->course;

	course->peer = *peer; /* it may have come to another address of ours */
	user_set_queue(room, user, QUEUE_COURSE);
	if (r->verb == COURSE_LEAVE) {
		if (is_own_name(user, r)) {
			course_dismiss(room, user);
			user_quit(room, user, "Client quit", false);
		}
		return;
	}
	if (!bucket_take(&course->flood, room->config->course_rate, room->config->course_burst,
			 room->now)) {
		if (!course->told_too_fast)
			answer(room, peer, COURSE_TOO_FAST);
		course->told_too_fast = true;
		return;
	}
	course->told_too_fast = false;
	if (r->verb == COURSE_SAY)
		say(room, user, r);
	else
		login(room, user, peer, r);
}

/* Every answer is as short as a refusal: see course.h. */
static void handle_stranger(struct room *room, const struct course_peer *peer,
			    const struct course_request *r)
{
	if (!stranger_may(room, peer))
		return;
	if (r->verb == COURSE_LOGIN)
		login(room, NULL, peer, r);
	else
		answer(room, peer, r->verb == COURSE_LEAVE ? COURSE_EXIT : COURSE_STRANGER);
}

void room_datagram(struct room *room, const struct course_peer *peer, const char *data, size_t size)
{
	struct user *user = user_by_peer(room, peer);
	struct course_request request;

	if (course_parse(data, MIN(size, COURSE_DATAGRAM_MAX), &request) < 0)
		return;
	if (user)
		handle_member(room, user, peer, &request);
	else
		handle_stranger(room, peer, &request);
}
