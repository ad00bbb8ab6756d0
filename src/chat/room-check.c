/* SPDX-License-Identifier: MIT */
/* Do the room's tables agree? For tests; it looks at everything. */
#include <errno.h>
#include <string.h>

#include "chat/names.h"
#include "chat/room-internal.h"

#define CHECK(condition, what)            \
	do {                              \
		if (!(condition)) {       \
			*ret_what = what; \
			return -EUCLEAN;  \
		}                         \
	} while (0)

static int check_seats(const struct room *room, const struct user *user, const char **ret_what)
{
	for (size_t i = 0; i < user->n_seats; i++) {
		const struct channel *channel = user->seats[i].channel;
		uint32_t index = user->seats[i].index;

		CHECK(channel_find(room, channel->name) == channel, "a seat in no known channel");
		CHECK(index < channel->n_members, "a seat beyond the members");
		CHECK(channel->members[index].user == user, "a seat of somebody else");
		CHECK(channel->members[index].id == user->id, "a member's id is not its user's");
		CHECK(channel->members[index].course == (user->course != NULL),
		      "a member came by the wrong door");
		for (size_t k = 0; k < i; k++)
			CHECK(user->seats[k].channel != channel, "two seats in one channel");
	}
	return 0;
}

static int check_user(const struct room *room, const struct user *user, const char **ret_what)
{
	CHECK(!user->nick || user_by_nick(room, user->nick) == user, "a nick leads elsewhere");
	CHECK(!user->nick || user_by_like_nick(room, user->nick) == user,
	      "two nicks differ in case alone");
	CHECK(!user->nick || !name_is_reserved(user->nick), "the operators' name is taken");
	CHECK(!user->registered || (user->nick && user->username && user->realname),
	      "registered without a name");
	CHECK(!user->oper || (user->registered && user->account), "an operator without account");
	CHECK(user->registered || user->n_seats == 0, "a member that is not registered");
	CHECK(!user->course || user_by_peer(room, &user->course->peer) == user,
	      "a course address leads elsewhere");
	CHECK(!user->course || user->queue == QUEUE_COURSE, "a course user in another queue");
	CHECK(!user->course || (user->n_seats == 1 && user->seats[0].channel->course),
	      "a course user elsewhere than in the course's channel");
	CHECK(user->course || user_by_id(room, user->id) == user, "an id leads elsewhere");
	return check_seats(room, user, ret_what);
}

static int check_queues(const struct room *room, struct room_counts *counts, size_t *ret_named,
			const char **ret_what)
{
	for (int i = 0; i < QUEUES; i++) {
		uint64_t last = 0;

		for (const struct list *l = room->queues[i].next; l != &room->queues[i];
		     l = l->next) {
			const struct user *user = CONTAINER_OF(l, struct user, timer);
			int r = check_user(room, user, ret_what);

			if (r < 0)
				return r;
			CHECK(user->queue == i, "a user in another queue than it thinks");
			CHECK(user->since >= last, "a queue out of order");
			last = user->since;
			counts->users += user->registered;
			counts->opers += user->oper;
			counts->course_users += user->course != NULL;
			counts->connections += user->course == NULL;
			*ret_named += user->nick != NULL;
		}
	}
	return 0;
}

static int check_channels(const struct room *room, struct room_counts *counts,
			  const char **ret_what)
{
	struct hash_node *node = NULL;

	while ((node = hash_next(&room->channels, node)) != NULL) {
		const struct channel *channel = CONTAINER_OF(node, struct channel, by_name);

		CHECK(channel->n_members > 0, "an empty channel");
		CHECK(channel->masks[LIST_BAN].n + channel->masks[LIST_EXCEPTION].n +
				      channel->masks[LIST_INVITE].n <=
			      room->config->bans_per_channel,
		      "too many masks");
		for (size_t i = 0; i < channel->n_members; i++) {
			const struct member *m = &channel->members[i];

			CHECK(channel_member(channel, m->user) == m, "a member without its seat");
			CHECK(m->tags == tags_wanted(m->user->caps),
			      "a member gets other tags than it asked for");
		}
		counts->channels++;
	}
	return 0;
}

int room_check(const struct room *room, const char **ret_what)
{
	struct room_counts counts = { .users = 0 };
	size_t named = 0;
	int r = check_queues(room, &counts, &named, ret_what);

	if (r == 0)
		r = check_channels(room, &counts, ret_what);
	if (r < 0)
		return r;
	CHECK(memcmp(&counts, &room->counts, sizeof(counts)) == 0, "the counts are wrong");
	named += room->voice != NULL;
	CHECK(room->nicks.count == named, "more nicks than users with one");
	CHECK(room->peers.count == counts.course_users, "more addresses than course users");
	CHECK(room->channels.count == counts.channels, "more channels than counted");
	return 0;
}
