/* SPDX-License-Identifier: MIT */
/* K-lines: who is kept out of the server, by user@host. They outlive it: the host keeps them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"

#define KLINES_MAX     1000
#define KLINE_MAX      100 /* bytes of a mask */
#define MINUTES_MAX    (10 * 366 * 24 * 60)
#define PLAIN_AT_LEAST 2 /* letters and digits of a host's mask: else it fits too many */

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
	struct kline new = { strdup(from->mask), strdup(from->reason), strdup(from->by), from->at,
			     from->until };
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

static bool fits(const char *mask, const struct user *user)
{
	char name[SOURCE_MAX];

	snprintf(name, sizeof(name), "%s@%s", user->username, user->host);
	if (name_matches(mask, name))
		return true;
	snprintf(name, sizeof(name), "%s@%s", user->username, user_address(user));
	return user->address && name_matches(mask, name);
}

const char *kline_of(struct room *room, const struct user *user)
{
	if (room->n_klines > 0)
		drop_expired(room);
	for (size_t i = 0; i < room->n_klines; i++) {
		if (fits(room->klines[i].mask, user))
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

/* "host" is "*@host". False: it is none, or would fit almost everybody. */
static bool read_mask(const char *text, char mask[KLINE_MAX + 1])
{
	const char *host = strrchr(text, '@');
	int plain = 0;

	if (strlen(text) > KLINE_MAX - 2 || strpbrk(text, "! :") == text || text[0] == '@')
		return false;
	for (const char *p = host ? host + 1 : text; *p; p++) {
		char c = name_fold(*p);

		plain += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			 (unsigned char)c >= 0x80;
	}
	snprintf(mask, KLINE_MAX + 1, "%s%s", host ? "" : "*@", text);
	return plain >= PLAIN_AT_LEAST && !strchr(text, '!') && !strchr(text, ' ');
}

/* Those whom the new one fits go; not the one who asked, nor other operators. */
static void throw_out_all(struct room *room, const struct room_kline *k)
{
	char reason[IRC_LINE_MAX];
	struct list *next;

	snprintf(reason, sizeof(reason), "Banned: %s", k->reason);
	for (size_t id = 0; id < room->users_room; id++) {
		struct user *user = room->users[id];

		if (!user || !user->registered || user->oper || !fits(k->mask, user))
			continue;
		reply(room, user, ERR_YOUREBANNEDCREEP, k->reason);
		throw_out(room, user, reason);
	}
	for (struct list *l = room->queues[QUEUE_COURSE].next; l != &room->queues[QUEUE_COURSE];
	     l = next) {
		struct user *user = CONTAINER_OF(l, struct user, timer);

		next = l->next;
		if (fits(k->mask, user))
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

/* "KLINE [minutes] user@host [:reason]" */
void command_kline(struct room *room, struct user *user, struct irc_message *m)
{
	char by[OPER_TEXT_MAX], mask[KLINE_MAX + 1];
	int64_t minutes = 0;
	int at = m->n_params > 1 && parse_int(m->params[0], 0, MINUTES_MAX, &minutes) == 0;
	const char *reason = m->n_params > at + 1 && *m->params[at + 1] ? m->params[at + 1]
									: "no reason was given";
	struct room_kline k = { .mask = mask, .reason = reason, .by = by, .at = room->realtime };
	struct room_operation operation = {
		.kind = ROOM_KLINE, .by = by, .target = mask, .reason = reason, .at = room->realtime
	};

	if (!oper_or_refuse(room, user))
		return;
	if (!read_mask(m->params[at], mask)) {
		send_text(room, user,
			  ":%s FAIL KLINE INVALID_MASK :It takes user@host, and not "
			  "everybody's",
			  room->server);
		return;
	}
	if (minutes > 0)
		k.until = operation.until = room->realtime + (uint64_t)minutes * 60 * USEC_PER_SEC;
	oper_text(user, by);
	drop_expired(room);
	remove_mask(room, mask);
	if (room->n_klines >= KLINES_MAX || add(room, &k) < 0) {
		send_text(room, user, ":%s FAIL KLINE TOO_MANY :There are too many", room->server);
		return;
	}
	operate(room, &operation);
	tell_operation(room, "keeps out", by, mask, reason);
	throw_out_all(room, &k);
}

void command_unkline(struct room *room, struct user *user, struct irc_message *m)
{
	char by[OPER_TEXT_MAX], mask[KLINE_MAX + 1];
	struct room_operation operation = { .kind = ROOM_UNKLINE, .by = by, .target = mask };

	if (!oper_or_refuse(room, user))
		return;
	if (!read_mask(m->params[0], mask) || !remove_mask(room, mask)) {
		send_text(room, user, ":%s FAIL UNKLINE NO_SUCH_MASK :There is none; see STATS k",
			  room->server);
		return;
	}
	oper_text(user, by);
	operate(room, &operation);
	tell_operation(room, "lets in again", by, mask, "");
}
