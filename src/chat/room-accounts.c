/* SPDX-License-Identifier: MIT */
/*
 * Who is logged in to which account, and whose nicks are whose. The table of owned nicks is the
 * host's knowledge, as it said it last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

struct owned {
	struct hash_node by_nick;
	char *nick, *account;
};

/* --- owned nicks -------------------------------------------------------------------------- */

static void free_owned(struct owned *owned)
{
	free(owned->nick);
	free(owned->account);
	free(owned);
}

static void clear_owned(struct hash_table *table)
{
	struct hash_node *node = NULL, *next;

	for (node = hash_next(table, NULL); node; node = next) {
		next = hash_next(table, node);
		free_owned(CONTAINER_OF(node, struct owned, by_nick));
	}
	hash_clear(table);
}

void owned_free(struct room *room)
{
	clear_owned(&room->owned);
}

static bool nick_is(const struct hash_node *node, const void *key)
{
	return name_equal(CONTAINER_OF(node, struct owned, by_nick)->nick, key);
}

static bool nick_is_like(const struct hash_node *node, const void *key)
{
	return name_alike(CONTAINER_OF(node, struct owned, by_nick)->nick, key);
}

static struct owned *find_in(const struct room *room, const struct hash_table *table,
			     const char *nick)
{
	uint32_t hash = hash_name(&room->config->secret, nick);
	struct hash_node *node = hash_find(table, hash, nick_is, nick);

	if (!node)
		node = hash_find(table, hash, nick_is_like, nick);
	return node ? CONTAINER_OF(node, struct owned, by_nick) : NULL;
}

static struct owned *find_owned(const struct room *room, const char *nick)
{
	return find_in(room, &room->owned, nick);
}

const char *account_of_nick(const struct room *room, const char *nick)
{
	const struct owned *owned = room->owned.count > 0 ? find_owned(room, nick) : NULL;

	return owned ? owned->account : NULL;
}

static int add_to(const struct room *room, struct hash_table *table, const char *nick,
		  const char *account)
{
	struct owned *owned = calloc(1, sizeof(*owned));

	if (!owned)
		return -ENOMEM;
	owned->nick = strdup(nick);
	owned->account = strdup(account);
	if (!owned->nick || !owned->account) {
		free_owned(owned);
		return -ENOMEM;
	}
	hash_add(table, &owned->by_nick, hash_name(&room->config->secret, nick));
	return 0;
}

int add_owned(struct room *room, const char *nick, const char *account)
{
	return find_owned(room, nick) ? 0 : add_to(room, &room->owned, nick, account);
}

static bool exists(const struct room *room, const char *account)
{
	const char *owner = account_of_nick(room, account);

	return owner && name_equal(owner, account);
}

/* Who has the nick already keeps it until its owner wants it. */
static void tell_owned(struct room *room, struct user *user)
{
	send_text(room, user,
		  ":%s NOTICE %s :%s is an account's nick now: log in to it, or its owner may take "
		  "it from you",
		  room->server, user->nick, user->nick);
}

int room_set_accounts(struct room *room, const struct room_owned *owned, size_t n)
{
	struct hash_table next = { 0 }, last = room->owned;
	int r = hash_init(&next);

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_to(room, &next, owned[i].nick, owned[i].account);
	if (r < 0) {
		clear_owned(&next);
		return r;
	}
	room->owned = next;
	for (size_t id = 0; id < room->users_room; id++) {
		struct user *user = room->users[id];

		if (user && user->account && !exists(room, user->account))
			log_out(room, user);
		if (user && user->registered && !may_use_nick(room, user, user->nick) &&
		    !find_in(room, &last, user->nick))
			tell_owned(room, user);
	}
	clear_owned(&last);
	return 0;
}

bool owns_nick(const struct room *room, const struct user *user, const char *nick)
{
	const char *owner = account_of_nick(room, nick);

	return owner && user->account && name_equal(owner, user->account);
}

bool may_use_nick(const struct room *room, const struct user *user, const char *nick)
{
	return !room->config->nick_protection || !account_of_nick(room, nick) ||
	       owns_nick(room, user, nick);
}

/* --- logging in and out ------------------------------------------------------------------- */

const char *account_or_star(const struct user *user)
{
	return user->account ? user->account : "*";
}

static void account_changed(struct room *room, struct user *user)
{
	oper_check(room, user);
	operators_check(room, user, "logged out");
}

static void tell_account(struct room *room, struct user *user)
{
	char source[SOURCE_MAX];
	struct irc_line line;
	struct delivery d;

	irc_format(&line, ":%s ACCOUNT %s", user_source(user, source), account_or_star(user));
	delivery_begin_from(&d, room, &line, user);
	d.wanted = CAP_ACCOUNT_NOTIFY;
	deliver(&d, user);
	user_deliver_to_neighbours(&d, user);
}

void log_in(struct room *room, struct user *user, const char *account)
{
	bool same = user->account && strcmp(user->account, account) == 0;
	char source[SOURCE_MAX], *copy = same ? NULL : strdup(account);

	if (!same && !copy) {
		reply(room, user, ERR_SASLFAIL);
		return;
	}
	if (!same) {
		free(user->account);
		user->account = copy;
	}
	reply(room, user, RPL_LOGGEDIN, user_source(user, source), user->account, user->account);
	if (!same && user->registered)
		tell_account(room, user);
	account_changed(room, user);
}

void log_out(struct room *room, struct user *user)
{
	char source[SOURCE_MAX];

	free(TAKE_PTR(user->account));
	reply(room, user, RPL_LOGGEDOUT, user_source(user, source));
	if (user->registered)
		tell_account(room, user);
	account_changed(room, user);
}
