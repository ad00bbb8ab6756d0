/* SPDX-License-Identifier: MIT */
/*
 * MONITOR: clients name those whose coming and going they want to hear of. A name that somebody
 * monitors is in a table of its own, with all who do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

struct monitored {
	struct hash_node by_name;
	char *name;
	struct user **watchers;
	size_t n, room;
};

static bool name_is(const struct hash_node *node, const void *key)
{
	return name_equal(CONTAINER_OF(node, struct monitored, by_name)->name, key);
}

static struct monitored *find(const struct room *room, const char *name)
{
	struct hash_node *node =
		hash_find(&room->monitored, hash_name(&room->config->secret, name), name_is, name);

	return node ? CONTAINER_OF(node, struct monitored, by_name) : NULL;
}

static void free_if_unused(struct room *room, struct monitored *t)
{
	if (t->n > 0)
		return;
	hash_remove(&room->monitored, &t->by_name);
	free(t->watchers);
	free(t->name);
	free(t);
}

static struct monitored *find_or_make(struct room *room, const char *name)
{
	struct monitored *t = find(room, name);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (t)
		t->name = strdup(name);
	if (!t || !t->name) {
		free(t);
		return NULL;
	}
	hash_add(&room->monitored, &t->by_name, hash_name(&room->config->secret, name));
	return t;
}

static bool is_watched_by(const struct monitored *t, const struct user *user)
{
	for (size_t i = 0; i < user->n_monitored; i++) {
		if (user->monitored[i] == t)
			return true;
	}
	return false;
}

static int watch(struct room *room, struct user *user, const char *name)
{
	struct monitored *t;

	if (!user->monitored)
		user->monitored = calloc(MONITOR_MAX, sizeof(struct monitored *));
	t = user->monitored ? find_or_make(room, name) : NULL;
	if (!t)
		return -ENOMEM;
	if (is_watched_by(t, user))
		return -EEXIST;
	if (t->n == t->room) {
		size_t n = t->room ? t->room * 2 : 2;
		struct user **more = reallocarray(t->watchers, n, sizeof(struct user *));

		if (!more) {
			free_if_unused(room, t);
			return -ENOMEM;
		}
		t->watchers = more;
		t->room = n;
	}
	t->watchers[t->n++] = user;
	user->monitored[user->n_monitored++] = t;
	return 0;
}

static void unwatch(struct room *room, struct user *user, size_t index)
{
	struct monitored *t = user->monitored[index];

	user->monitored[index] = user->monitored[--user->n_monitored];
	for (size_t i = 0; i < t->n; i++) {
		if (t->watchers[i] == user) {
			t->watchers[i] = t->watchers[--t->n];
			break;
		}
	}
	free_if_unused(room, t);
}

void monitor_forget(struct room *room, struct user *user)
{
	while (user->n_monitored > 0)
		unwatch(room, user, user->n_monitored - 1);
	free(user->monitored);
	user->monitored = NULL;
}

/* --- who comes and goes ------------------------------------------------------------------- */

void monitor_online(struct room *room, const struct user *user)
{
	struct monitored *t = room->monitored.count > 0 ? find(room, user->nick) : NULL;
	char source[SOURCE_MAX];

	for (size_t i = 0; t && i < t->n; i++)
		reply(room, t->watchers[i], RPL_MONONLINE, user_source(user, source));
}

void monitor_offline(struct room *room, const char *nick)
{
	struct monitored *t = room->monitored.count > 0 ? find(room, nick) : NULL;

	for (size_t i = 0; t && i < t->n; i++)
		reply(room, t->watchers[i], RPL_MONOFFLINE, nick);
}

static void tell_state(struct room *room, struct user *user, const char *name)
{
	const struct user *other = user_by_nick(room, name);
	char source[SOURCE_MAX];

	if (other && other->registered)
		reply(room, user, RPL_MONONLINE, user_source(other, source));
	else
		reply(room, user, RPL_MONOFFLINE, name);
}

/* --- the command -------------------------------------------------------------------------- */

static void add(struct room *room, struct user *user, char *names)
{
	char *name;

	while ((name = irc_next_item(&names, ',')) != NULL) {
		if (!name_is_nick(name, room->config->nick_length))
			continue;
		if (user->n_monitored == MONITOR_MAX) {
			reply(room, user, ERR_MONLISTFULL, MONITOR_MAX, name, names ? "," : "",
			      names ? names : "");
			return;
		}
		if (watch(room, user, name) == 0)
			tell_state(room, user, name);
	}
}

static void take_away(struct room *room, struct user *user, char *names)
{
	char *name;

	while ((name = irc_next_item(&names, ',')) != NULL) {
		for (size_t i = 0; i < user->n_monitored; i++) {
			if (name_equal(user->monitored[i]->name, name)) {
				unwatch(room, user, i);
				break;
			}
		}
	}
}

static void list(struct room *room, struct user *user)
{
	for (size_t i = 0; i < user->n_monitored; i++)
		reply(room, user, "732", ":%s", user->monitored[i]->name);
	reply(room, user, RPL_ENDOFMONLIST);
}

void command_monitor(struct room *room, struct user *user, struct irc_message *m)
{
	char verb = m->params[0][0] && !m->params[0][1] ? name_fold(m->params[0][0]) : '\0';

	if ((verb == '+' || verb == '-') && m->n_params < 2) {
		reply(room, user, ERR_NEEDMOREPARAMS, "MONITOR");
		return;
	}
	switch (verb) {
	case '+': add(room, user, m->params[1]); break;
	case '-': take_away(room, user, m->params[1]); break;
	case 'c': monitor_forget(room, user); break;
	case 'l': list(room, user); break;
	case 's':
		for (size_t i = 0; i < user->n_monitored; i++)
			tell_state(room, user, user->monitored[i]->name);
		break;
	}
}
