/* SPDX-License-Identifier: MIT */
/* The room as a whole: its life, its connections, its clock. */
#include "chat/room.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/course.h"
#include "chat/room-internal.h"

#define TICK_MAX 64 /* users that are timed out at once */

struct room *room_new(const struct room_config *config, const struct room_output *output)
{
	struct room *room = calloc(1, sizeof(*room));

	if (!room)
		return NULL;
	assert(config->nick_length > 0 && config->nick_length <= ROOM_NICK_MAX);
	room->config = config;
	room->output = *output;
	room->server = config->server_name;
	for (int i = 0; i < QUEUES; i++)
		list_start(&room->queues[i]);
	room->strangers = calloc(STRANGERS_SIZE, sizeof(*room->strangers));
	if (!room->strangers || hash_init(&room->nicks) < 0 || hash_init(&room->channels) < 0 ||
	    hash_init(&room->peers) < 0 || hash_init(&room->monitored) < 0 ||
	    hash_init(&room->owned) < 0 || hash_init(&room->guards) < 0 ||
	    operators_open(room) < 0) {
		room_free(room);
		return NULL;
	}
	return room;
}

static void mute_send(void *arg, uint32_t id, const char *data, size_t size)
{
}

static void mute_close(void *arg, uint32_t id)
{
}

static void mute_datagram(void *arg, const struct course_peer *peer, const char *data, size_t size)
{
}

static void mute_ask(void *arg, const struct room_question *question)
{
}

/* One of the users that are left, or NULL. */
static struct user *any_user(struct room *room)
{
	for (int i = 0; i < QUEUES; i++) {
		if (!list_is_alone(&room->queues[i]))
			return CONTAINER_OF(room->queues[i].next, struct user, timer);
	}
	return NULL;
}

void room_free(struct room *room)
{
	struct user *user;

	if (!room)
		return;
	room->output = (struct room_output){
		.send = mute_send, .close = mute_close, .datagram = mute_datagram, .ask = mute_ask
	};
	while ((user = any_user(room)) != NULL)
		user_quit(room, user, "", false);
	operators_close(room);
	hash_clear(&room->nicks);
	hash_clear(&room->channels);
	hash_clear(&room->peers);
	hash_clear(&room->monitored);
	owned_free(room);
	klines_free(room);
	whowas_free(room);
	guards_free(room);
	free(room->strangers);
	free(room->users);
	free(room);
}

void room_configure(struct room *room, const struct room_config *config)
{
	const struct room_config *before = room->config;

	room->config = config;
	for (size_t id = 0; id < room->users_room; id++) {
		if (!room->users[id])
			continue;
		caps_changed(room, room->users[id], before);
		oper_check(room, room->users[id]);
		operators_check(room, room->users[id], "no right to be here any more");
	}
}

void room_set_time(struct room *room, uint64_t monotonic, uint64_t realtime)
{
	bool first = room->now == 0;

	room->now = MAX(room->now, monotonic);
	room->realtime = realtime;
	if (first)
		operators_begin(room);
}

static int make_place(struct room *room, uint32_t id)
{
	size_t n = room->users_room ? room->users_room : 64;
	struct user **more;

	if (id < room->users_room)
		return 0;
	while (n <= id)
		n *= 2;
	more = reallocarray(room->users, n, sizeof(struct user *));
	if (!more)
		return -ENOMEM;
	memset(more + room->users_room, 0, (n - room->users_room) * sizeof(struct user *));
	room->users = more;
	room->users_room = n;
	return 0;
}

int room_opened(struct room *room, uint32_t id, const char *host)
{
	struct user *user;
	int r = make_place(room, id);

	if (r < 0)
		return r;
	if (room->users[id])
		return -EEXIST;
	r = user_new(room, host, &user);
	if (r < 0)
		return r;
	user->id = id;
	room->users[id] = user;
	room->counts.connections++;
	user_set_queue(room, user, QUEUE_REGISTERING);
	return 0;
}

void room_secured(struct room *room, uint32_t id, const char *fingerprint)
{
	struct user *user = user_by_id(room, id);

	if (!user)
		return;
	user->secure = user->private = true;
	if (fingerprint && !user->fingerprint)
		user->fingerprint = strdup(fingerprint);
}

void room_closed(struct room *room, uint32_t id, const char *reason)
{
	struct user *user = user_by_id(room, id);

	if (user)
		user_quit(room, user, reason, false);
}

static uint64_t timeout_of(const struct room *room, enum queue queue)
{
	const struct room_config *c = room->config;
	uint64_t timeouts[QUEUES] = { [QUEUE_REGISTERING] = c->registration_timeout,
				      [QUEUE_ACTIVE] = c->ping_interval,
				      [QUEUE_PINGED] = c->ping_timeout,
				      [QUEUE_COURSE] = c->course_timeout };

	return timeouts[queue];
}

/* When the first of the queue is due. */
static uint64_t queue_deadline(const struct room *room, enum queue queue)
{
	const struct list *head = &room->queues[queue];
	uint64_t timeout = timeout_of(room, queue);

	if (list_is_alone(head) || timeout == 0)
		return USEC_INFINITY;
	return CONTAINER_OF(head->next, struct user, timer)->since + timeout;
}

static void time_out(struct room *room, struct user *user)
{
	char reason[64];

	switch ((enum queue)user->queue) {
	case QUEUE_REGISTERING: user_quit(room, user, "Registration timed out", true); return;
	case QUEUE_ACTIVE:
		user_set_queue(room, user, QUEUE_PINGED);
		send_text(room, user, "PING :%s", room->server);
		return;
	case QUEUE_PINGED:
		snprintf(reason, sizeof(reason), "Ping timeout: %llu seconds",
			 (unsigned long long)(room->config->ping_timeout / USEC_PER_SEC));
		user_quit(room, user, reason, true);
		return;
	case QUEUE_COURSE:
		/* So that a client that is only quiet learns that it hears no more. */
		course_dismiss(room, user);
		user_quit(room, user, "Timed out", false);
		return;
	case QUEUES: break;
	}
}

void room_tick(struct room *room)
{
	int left = TICK_MAX;

	for (int i = 0; i < QUEUES; i++) {
		for (; left > 0 && queue_deadline(room, i) <= room->now; left--)
			time_out(room, CONTAINER_OF(room->queues[i].next, struct user, timer));
	}
}

uint64_t room_deadline(const struct room *room)
{
	uint64_t first = USEC_INFINITY;

	for (int i = 0; i < QUEUES; i++)
		first = MIN(first, queue_deadline(room, i));
	return first;
}

void room_shutdown(struct room *room, const char *reason)
{
	course_announce(room, COURSE_SHUTDOWN);
	for (size_t id = 0; id < room->users_room; id++) {
		struct user *user = room->users[id];

		/* All go at once: nobody is told of each of the others. */
		while (user && user->n_seats > 0)
			channel_remove(room, user->seats[0].channel, user);
		if (user)
			user_quit(room, user, reason, true);
	}
	while (!list_is_alone(&room->queues[QUEUE_COURSE])) {
		struct user *user =
			CONTAINER_OF(room->queues[QUEUE_COURSE].next, struct user, timer);

		while (user->n_seats > 0)
			channel_remove(room, user->seats[0].channel, user);
		user_quit(room, user, reason, false);
	}
}

size_t room_take_work(struct room *room)
{
	size_t work = room->work;

	room->work = 0;
	return work;
}

void room_count(const struct room *room, struct room_counts *ret)
{
	*ret = room->counts;
}
