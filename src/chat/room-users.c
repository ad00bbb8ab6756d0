/* SPDX-License-Identifier: MIT */
/*
 * The user table: who is here, by connection, by nick, by the course's address; and how a user
 * goes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "chat/names.h"
#include "chat/room-internal.h"

#define PEER_KEY_SIZE offsetof(struct course_peer, local)

struct user *user_by_id(const struct room *room, uint32_t id)
{
	return id < room->users_room ? room->users[id] : NULL;
}

static bool nick_matches(const struct hash_node *node, const void *key)
{
	return name_equal(CONTAINER_OF(node, struct user, by_nick)->nick, key);
}

struct user *user_by_nick(const struct room *room, const char *nick)
{
	struct hash_node *node;

	if (strlen(nick) > ROOM_NICK_MAX)
		return NULL;
	node = hash_find(&room->nicks, hash_name(&room->config->secret, nick), nick_matches, nick);
	return node ? CONTAINER_OF(node, struct user, by_nick) : NULL;
}

static bool nick_is_like(const struct hash_node *node, const void *key)
{
	return name_alike(CONTAINER_OF(node, struct user, by_nick)->nick, key);
}

struct user *user_by_like_nick(const struct room *room, const char *nick)
{
	struct user *user = user_by_nick(room, nick);
	struct hash_node *node;

	if (user || strlen(nick) > ROOM_NICK_MAX)
		return user;
	node = hash_find(&room->nicks, hash_name(&room->config->secret, nick), nick_is_like, nick);
	return node ? CONTAINER_OF(node, struct user, by_nick) : NULL;
}

static uint32_t hash_peer(const struct room *room, const struct course_peer *peer)
{
	return hash_bytes(&room->config->secret, peer, PEER_KEY_SIZE);
}

static bool peer_matches(const struct hash_node *node, const void *key)
{
	const struct course_user *course = CONTAINER_OF(node, struct course_user, by_peer);

	return memcmp(&course->peer, key, PEER_KEY_SIZE) == 0;
}

struct user *user_by_peer(const struct room *room, const struct course_peer *peer)
{
	struct hash_node *node = hash_find(&room->peers, hash_peer(room, peer), peer_matches, peer);

	return node ? CONTAINER_OF(node, struct course_user, by_peer)->user : NULL;
}

static void user_destroy(struct user *user)
{
	if (!user)
		return;
	free(user->nick);
	free(user->username);
	free(user->host);
	free(user->address);
	free(user->realname);
	free(user->away);
	free(user->seats);
	free(user->invites);
	free(user->account);
	free(user->fingerprint);
	free(user->course);
	free(user);
}

static void user_destroyp(struct user **user)
{
	user_destroy(*user);
}

/* What stays within the machine cannot be read on its way. */
static bool is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "0::1") == 0 ||
	       strcmp(host, "localhost") == 0;
}

static int put_on_cloak(const struct room *room, struct user *user)
{
	char shown[ROOM_HOST_MAX + 1];

	if (!room->config->cloak)
		return 0;
	room->config->cloak(room->config->cloak_key, user->host, shown, sizeof(shown));
	user->address = user->host;
	user->host = strdup(shown);
	return user->host ? 0 : -ENOMEM;
}

/* The host "::1" would start a trailing parameter: it is written "0::1". */
int user_new(struct room *room, const char *host, struct user **ret)
{
	_cleanup_(user_destroyp) struct user *user = calloc(1, sizeof(*user));

	if (!user)
		return -ENOMEM;
	list_start(&user->timer);
	if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.'))
		host += 7; /* IPv4 through a socket of both */
	user->host = malloc(strlen(host) + 2);
	if (!user->host)
		return -ENOMEM;
	snprintf(user->host, MIN(strlen(host) + 2, ROOM_HOST_MAX + 1), "%s%s",
		 host[0] == ':' ? "0" : "", host);
	user->place = place_of(room, user->host);
	user->private = is_loopback(user->host);
	user->spoke = room->now;
	user->signed_on = room->realtime;
	user->serial = ++room->users_made;
	if (put_on_cloak(room, user) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(user);
	return 0;
}

int user_new_course(struct room *room, const struct course_peer *peer, struct user **ret)
{
	char host[INET6_ADDRSTRLEN] = "unknown";
	_cleanup_(user_destroyp) struct user *user = NULL;
	int r;

	inet_ntop(peer->family, peer->address, host, sizeof(host));
	r = user_new(room, host, &user);
	if (r < 0)
		return r;
	user->course = calloc(1, sizeof(*user->course));
	user->username = strdup("udp");
	user->realname = strdup("course");
	if (!user->course || !user->username || !user->realname)
		return -ENOMEM;
	user->course->peer = *peer;
	user->course->user = user;
	hash_add(&room->peers, &user->course->by_peer, hash_peer(room, peer));
	*ret = TAKE_PTR(user);
	return 0;
}

int user_set_nick(struct room *room, struct user *user, const char *nick)
{
	char *copy = strdup(nick);

	if (!copy)
		return -ENOMEM;
	if (user->nick)
		hash_remove(&room->nicks, &user->by_nick);
	free(user->nick);
	user->nick = copy;
	hash_add(&room->nicks, &user->by_nick, hash_name(&room->config->secret, nick));
	return 0;
}

void user_clear_nick(struct room *room, struct user *user)
{
	hash_remove(&room->nicks, &user->by_nick);
	free(TAKE_PTR(user->nick));
}

void user_set_queue(struct room *room, struct user *user, enum queue queue)
{
	user->since = room->now;
	user->queue = queue;
	list_move_last(&room->queues[queue], &user->timer);
}

void user_count_registered(struct room *room, struct user *user)
{
	user->registered = true;
	room->counts.users++;
	room->max_users = MAX(room->max_users, room->counts.users);
	if (user->course)
		room->counts.course_users++;
	monitor_online(room, user);
}

const char *user_address(const struct user *user)
{
	return user->address ? user->address : user->host;
}

const char *room_address(const struct room *room, uint32_t id)
{
	const struct user *user = user_by_id(room, id);

	return user ? user_address(user) : "";
}

bool user_is_local(const struct user *user)
{
	return is_loopback(user_address(user));
}

bool user_may_see_address(const struct user *asker, const struct user *user)
{
	return asker == user || asker->oper;
}

char *user_source(const struct user *user, char buf[SOURCE_MAX])
{
	snprintf(buf, SOURCE_MAX, "%s!%s@%s", nick_or_star(user),
		 user->username ? user->username : "*", user->host);
	return buf;
}

void user_tell_neighbours(struct room *room, struct user *user, const struct irc_line *line)
{
	struct delivery d;

	delivery_begin_from(&d, room, line, user);
	user_deliver_to_neighbours(&d, user);
}

void user_deliver_to_neighbours(struct delivery *d, struct user *user)
{
	struct room *room = d->room;

	user->mark = ++room->mark;
	for (size_t i = 0; i < user->n_seats; i++) {
		const struct channel *channel = user->seats[i].channel;

		for (size_t k = 0; k < channel->n_members; k++) {
			struct member *m = &channel->members[k];

			if (m->course || m->user->mark == room->mark)
				continue;
			m->user->mark = room->mark;
			deliver(d, m->user);
		}
	}
}

bool users_share_channel(struct room *room, const struct user *a, const struct user *b)
{
	for (size_t i = 0; i < a->n_seats; i++) {
		if (channel_member(a->seats[i].channel, b))
			return true;
	}
	return false;
}

void user_free_voice(struct room *room, struct user *voice)
{
	if (voice->nick)
		hash_remove(&room->nicks, &voice->by_nick);
	user_destroy(voice);
}

static void tell_quit(struct room *room, struct user *user, const char *reason)
{
	char source[SOURCE_MAX];
	struct delivery d;
	struct irc_line line;

	irc_format(&line, ":%s QUIT :%s", user_source(user, source), reason);
	delivery_begin_from(&d, room, &line, user);
	history_event_of_user(&d, user);
	user_deliver_to_neighbours(&d, user);
}

static void forget(struct room *room, struct user *user)
{
	monitor_forget(room, user);
	if (user->nick)
		hash_remove(&room->nicks, &user->by_nick);
	if (user->registered) {
		whowas_note(room, user);
		monitor_offline(room, user->nick);
	}
	list_leave(&user->timer);
	if (user->registered) {
		room->counts.users--;
		if (user->course)
			room->counts.course_users--;
	}
	if (user->course) {
		hash_remove(&room->peers, &user->course->by_peer);
	} else {
		room->counts.connections--;
		room->users[user->id] = NULL;
	}
}

void user_quit(struct room *room, struct user *user, const char *reason, bool tell_self)
{
	label_abandon(room, user);
	oper_leave(room, user);
	conversation_end(room, user);
	if (user->n_seats > 0)
		tell_quit(room, user, reason);
	while (user->n_seats > 0)
		leave_channel(room, user, user->seats[user->n_seats - 1].channel, user, NULL);
	if (tell_self && !user->course) {
		send_text(room, user, "ERROR :Closing Link: %s (%s)", user->host, reason);
		room->output.close(room->output.arg, user->id);
	}
	forget(room, user);
	user_destroy(user);
}
