/* SPDX-License-Identifier: MIT */
/* K-lines: who is kept out of the server, by user@host. They outlive it: the host keeps them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/kline-mask.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define KLINES_MAX 1000

static void free_kline(struct kline *k)
{
	free(k->mask);
	free(k->reason);
	free(k->by);
}

void klines_free(struct room *room)
{
	for (size_t i = 0; i < room->n_klines; i++)
		free_kline(&room->klines[i]);
	free(TAKE_PTR(room->klines));
	room->n_klines = 0;
}

static void remove_at(struct room *room, size_t i)
{
	free_kline(&room->klines[i]);
	room->n_klines--;
	memmove(&room->klines[i], &room->klines[i + 1],
		(room->n_klines - i) * sizeof(room->klines[0]));
}

static bool remove_mask(struct room *room, const char *mask)
{
	for (size_t i = 0; i < room->n_klines; i++) {
		if (name_equal(room->klines[i].mask, mask)) {
			remove_at(room, i);
			return true;
		}
	}
	return false;
}

static void drop_expired(struct room *room)
{
	for (size_t i = room->n_klines; i-- > 0;) {
		if (room->klines[i].until && room->klines[i].until <= room->realtime)
			remove_at(room, i);
	}
}

static int add(struct room *room, const struct room_kline *from)
{
	struct kline new = { strdup(from->mask), strdup(from->reason), strdup(from->by),
			     from->at,           from->until,          kline_network(from->mask) };
	struct kline *more = reallocarray(room->klines, room->n_klines + 1, sizeof(*more));

	if (more)
		room->klines = more;
	if (!more || !new.mask || !new.reason || !new.by) {
		free_kline(&new);
		return -ENOMEM;
	}
	room->klines[room->n_klines++] = new;
	return 0;
}

int room_set_klines(struct room *room, const struct room_kline *klines, size_t n)
{
	int r = 0;

	klines_free(room);
	for (size_t i = 0; i < n && i < KLINES_MAX && r == 0; i++)
		r = add(room, &klines[i]);
	return r;
}

static bool fits(const struct kline *k, const struct user *user)
{
	return kline_fits(k->mask, &k->network, user->username, user->host, user_address(user));
}

const char *kline_of(struct room *room, const struct user *user)
{
	/* Who could undo it is let in: he has shown by his account who he is. */
	if (oper_may_be(room, user))
		return NULL;
	if (room->n_klines > 0)
		drop_expired(room);
	for (size_t i = 0; i < room->n_klines; i++) {
		if (fits(&room->klines[i], user))
			return room->klines[i].reason;
	}
	return NULL;
}

void send_klines(struct room *room, struct user *user)
{
	drop_expired(room);
	for (size_t i = 0; i < room->n_klines; i++) {
		const struct kline *k = &room->klines[i];
		const char *host = strrchr(k->mask, '@');

		if (host)
			reply(room, user, RPL_STATSKLINE, host + 1, (int)(host - k->mask), k->mask,
			      k->reason);
	}
}

/* --- the commands ------------------------------------------------------------------------- */

/* Those whom the new one fits go; not the one who asked, nor who is an operator or could be. */
static void throw_out_all(struct room *room, const struct kline *k)
{
	char reason[IRC_LINE_MAX];
	struct list *next;

	snprintf(reason, sizeof(reason), "Banned: %s", k->reason);
	for (size_t id = 0; id < room->users_room; id++) {
		struct user *user = room->users[id];

		if (!user || !user->registered || oper_may_be(room, user) || !fits(k, user))
			continue;
		reply(room, user, ERR_YOUREBANNEDCREEP, k->reason);
		throw_out(room, user, reason);
	}
	for (struct list *l = room->queues[QUEUE_COURSE].next; l != &room->queues[QUEUE_COURSE];
	     l = next) {
		struct user *user = CONTAINER_OF(l, struct user, timer);

		next = l->next;
		if (fits(k, user))
			throw_out(room, user, reason);
	}
}

static void tell_operation(struct room *room, const char *what, const char *by, const char *mask,
			   const char *reason)
{
	char text[IRC_LINE_MAX];

	snprintf(text, sizeof(text), "%s %s %s%s%s", by, what, mask, *reason ? ": " : "", reason);
	room_tell_opers(room, text);
}

static void refuse_mask(struct room *room, struct user *user, const char *code, const char *why)
{
	send_text(room, user, ":%s FAIL KLINE %s :%s", room->server, code, why);
}

/* False: there is a mask, but what stands before it is none, nor a time. */
static bool read_time(const struct irc_message *m, int *ret_at, uint64_t *ret)
{
	bool time = m->n_params > 1 && kline_read_time(m->params[0], ret) == 0;

	*ret_at = time;
	return time || m->n_params < 2 || kline_is_like_mask(m->params[0]) ||
	       !kline_is_like_mask(m->params[1]);
}

/* "KLINE [time] user@host [:reason]" */
void command_kline(struct room *room, struct user *user, struct irc_message *m)
{
	char by[OPER_TEXT_MAX], mask[KLINE_MAX + 1];
	struct room_kline k = { .mask = mask, .by = by, .at = room->realtime };
	struct room_operation operation = {
		.kind = ROOM_KLINE, .by = by, .target = mask, .at = room->realtime
	};
	struct error e;
	uint64_t time = 0;
	int at;

	if (!oper_or_refuse(room, user))
		return;
	if (!read_time(m, &at, &time)) {
		refuse_mask(room, user, "INVALID_TIME",
			    "A time is as in 30min, 12h or 1d, ten years at most; a mere number is "
			    "minutes");
		return;
	}
	if (kline_read(m->params[at], room->config, mask, &e) < 0) {
		refuse_mask(room, user, "INVALID_MASK", e.text);
		return;
	}
	k.reason = operation.reason = m->n_params > at + 1 && *m->params[at + 1]
					      ? m->params[at + 1]
					      : "no reason was given";
	if (time > 0)
		k.until = operation.until = room->realtime + time;
	oper_text(user, by);
	drop_expired(room);
	remove_mask(room, mask);
	if (room->n_klines >= KLINES_MAX || add(room, &k) < 0) {
		refuse_mask(room, user, "TOO_MANY", "There are too many");
		return;
	}
	operate(room, &operation);
	tell_operation(room, "keeps out", by, mask, k.reason);
	throw_out_all(room, &room->klines[room->n_klines - 1]);
}

void command_unkline(struct room *room, struct user *user, struct irc_message *m)
{
	char by[OPER_TEXT_MAX], mask[KLINE_MAX + 1];
	struct room_operation operation = { .kind = ROOM_UNKLINE, .by = by, .target = mask };

	if (!oper_or_refuse(room, user))
		return;
	snprintf(mask, sizeof(mask), "%s%s", strchr(m->params[0], '@') ? "" : "*@", m->params[0]);
	if (!remove_mask(room, mask)) {
		send_text(room, user, ":%s FAIL UNKLINE NO_SUCH_MASK :There is none; see STATS k",
			  room->server);
		return;
	}
	oper_text(user, by);
	operate(room, &operation);
	tell_operation(room, "lets in again", by, mask, "");
}
