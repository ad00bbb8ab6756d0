/* SPDX-License-Identifier: MIT */
/*
 * Lines on their way out, with the tags that each receiver asked for in front; and answers with a
 * label, which are kept until it is known how many lines they have.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "chat/room-internal.h"

#define LABEL_MAX HISTORY_LABEL_MAX

enum tag_kind {
	TAG_TIME = 1 << 0,
	TAG_MESSAGE = 1 << 1, /* msgid, and those between clients */
	TAG_ACCOUNT = 1 << 2,
};

unsigned tags_wanted(uint32_t caps)
{
	return (caps & CAP_SERVER_TIME ? TAG_TIME : 0) |
	       (caps & CAP_MESSAGE_TAGS ? TAG_MESSAGE : 0) |
	       (caps & CAP_ACCOUNT_TAG ? TAG_ACCOUNT : 0);
}

/* --- tags ------------------------------------------------------------------------------- */

char *tag_time(uint64_t ms, char buf[TAG_TEXT_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	char text[24];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		text[0] = '\0';
	snprintf(buf, TAG_TEXT_MAX, "time=%s.%03uZ", text, (unsigned)(ms % 1000));
	return buf;
}

/* Never twice, over restarts too: the server does not start twice in a microsecond. */
char *tag_id(const struct history_id *id, char buf[TAG_TEXT_MAX])
{
	snprintf(buf, TAG_TEXT_MAX, "msgid=%llx-%llx", (unsigned long long)id->boot,
		 (unsigned long long)id->number);
	return buf;
}

static const char *time_tag(struct room *room)
{
	uint64_t ms = room->realtime / USEC_PER_MSEC;

	if (!room->time_tag[0] || room->time_tag_of != ms)
		tag_time(ms, room->time_tag);
	room->time_tag_of = ms;
	return room->time_tag;
}

static size_t add_tag(char *buf, size_t size, size_t n, const char *tag)
{
	return n + snprintf(buf + n, size - n, "%s%s", n > 0 ? ";" : "", tag);
}

/* "account=name"; of what a name may be made of only the backslash is written otherwise. */
static const char *account_tag(const char *account, char *buf, size_t size)
{
	size_t n = snprintf(buf, size, "account=");

	for (; *account && n + 3 < size; account++) {
		if (*account == '\\')
			buf[n++] = '\\';
		buf[n++] = *account;
	}
	buf[n] = '\0';
	return buf;
}

/* The line as those get it who want these tags, of which it may have none. */
static void make_tagged(struct delivery *d, unsigned tags)
{
	const struct history_id id = { d->room->config->created, d->id };
	char *buf = d->text[tags], tag[2 * ROOM_NICK_MAX + 16];
	size_t n = 0, size = IRC_TAGS_MAX + SERVER_TAGS_MAX - 2;

	if (tags & TAG_TIME)
		n = add_tag(buf + 1, size, n, time_tag(d->room));
	if ((tags & TAG_MESSAGE) && d->id)
		n = add_tag(buf + 1, size, n, tag_id(&id, tag));
	if ((tags & TAG_ACCOUNT) && d->account)
		n = add_tag(buf + 1, size, n, account_tag(d->account, tag, sizeof(tag)));
	if ((tags & TAG_MESSAGE) && d->bot)
		n = add_tag(buf + 1, size, n, "bot");
	if ((tags & TAG_MESSAGE) && d->client && *d->client)
		n = add_tag(buf + 1, size, n, d->client);
	d->tags[tags] = n;
	if (n > 0) {
		buf[0] = '@';
		buf[n + 1] = ' ';
		n += 2;
	}
	memcpy(buf + n, d->line->bytes, d->line->size);
	d->size[tags] = n + d->line->size;
}

const char *delivery_tags_to_keep(const struct delivery *d, char *buf)
{
	char tag[2 * ROOM_NICK_MAX + 16];
	size_t n = 0;

	buf[0] = '\0';
	if (d->account)
		n = add_tag(buf, TAGGED_LINE_MAX, n, account_tag(d->account, tag, sizeof(tag)));
	if (d->bot)
		n = add_tag(buf, TAGGED_LINE_MAX, n, "bot");
	if (d->client && *d->client)
		add_tag(buf, TAGGED_LINE_MAX, n, d->client);
	return buf;
}

/* --- labels ----------------------------------------------------------------------------- */

/* One line of an answer: its tags and itself stand behind this. */
struct kept_line {
	uint16_t tags, size;
};

struct label {
	const struct user *user; /* NULL: no command with a label is under way */
	char text[LABEL_MAX];
	char *data; /* kept lines, one behind the other */
	size_t size, room;
	size_t n;
};

static void emit(struct room *room, const struct label *l, const char *first, const char *tags,
		 size_t n_tags, const char *line, size_t size)
{
	char text[TAGGED_LINE_MAX + LABEL_MAX + 16];
	int n = 0;

	if (*first || n_tags > 0)
		n = snprintf(text, sizeof(text) - size, "@%s%s%.*s ", first,
			     *first && n_tags > 0 ? ";" : "", (int)n_tags, tags);
	memcpy(text + n, line, size);
	room->output.send(room->output.arg, l->user->id, text, n + size);
}

static bool keep(struct label *l, const char *tags, size_t n_tags, const struct irc_line *line)
{
	struct kept_line head = { .tags = n_tags, .size = line->size };
	size_t size = sizeof(head) + n_tags + line->size;

	if (l->size + size > l->room) {
		size_t n = (l->size + size) * 2;
		char *more = realloc(l->data, n);

		if (!more)
			return false;
		l->data = more;
		l->room = n;
	}
	memcpy(l->data + l->size, &head, sizeof(head));
	memcpy(l->data + l->size + sizeof(head), tags, n_tags);
	memcpy(l->data + l->size + sizeof(head) + n_tags, line->bytes, line->size);
	l->size += size;
	l->n++;
	return true;
}

static void flush(struct room *room, const char *first)
{
	struct label *l = room->label;

	for (size_t at = 0; at < l->size;) {
		struct kept_line head;
		const char *tags = l->data + at + sizeof(head);

		memcpy(&head, l->data + at, sizeof(head));
		emit(room, l, first, tags, head.tags, tags + head.tags, head.size);
		at += sizeof(head) + head.tags + head.size;
	}
	l->size = l->n = 0;
}

static void forget(struct room *room)
{
	free(room->label->data);
	free(room->label);
	room->label = NULL;
}

void label_begin(struct room *room, struct user *user, const char *label)
{
	struct label *l;

	if (!*label || strlen(label) >= LABEL_MAX)
		return;
	l = room->label = calloc(1, sizeof(*l));
	if (!l)
		return;
	l->user = user;
	snprintf(l->text, sizeof(l->text), "%s", label);
}

void label_abandon(struct room *room, const struct user *user)
{
	if (!room->label || room->label->user != user)
		return;
	flush(room, "");
	forget(room);
}

void label_take(struct room *room, const struct user *user, char ret[HISTORY_LABEL_MAX])
{
	ret[0] = '\0';
	if (!room->label || room->label->user != user)
		return;
	memcpy(ret, room->label->text, LABEL_MAX);
	label_abandon(room, user);
}

void label_resume(struct room *room, struct user *user, const char *label)
{
	if ((user->caps & CAP_LABELED_RESPONSE) && (user->caps & CAP_BATCH))
		label_begin(room, user, label);
}

void label_acknowledge(struct room *room, const struct user *user, const char *label)
{
	if (*label && (user->caps & CAP_LABELED_RESPONSE)) {
		char text[LABEL_MAX + IRC_LINE_MAX];
		int n = snprintf(text, sizeof(text), "@label=%s :%s ACK\r\n", label, room->server);

		room->output.send(room->output.arg, user->id, text, n);
	}
}

/* Several lines: they are put into a batch, which has the label. */
static void end_batch(struct room *room, const char *label)
{
	const struct label *l = room->label;
	char tag[32];
	struct irc_line line;
	unsigned long long serial = ++room->serial;

	irc_format(&line, ":%s BATCH +%llx labeled-response", room->server, serial);
	emit(room, l, label, "", 0, line.bytes, line.size);
	snprintf(tag, sizeof(tag), "batch=%llx", serial);
	flush(room, tag);
	irc_format(&line, ":%s BATCH -%llx", room->server, serial);
	emit(room, l, "", "", 0, line.bytes, line.size);
}

void label_end(struct room *room)
{
	struct label *l = room->label;
	char label[LABEL_MAX + 8];
	struct irc_line line;

	if (!l)
		return;
	snprintf(label, sizeof(label), "label=%s", l->text);
	if (l->n > 1) {
		end_batch(room, label);
	} else if (l->n == 1) {
		flush(room, label);
	} else {
		irc_format(&line, ":%s ACK", room->server);
		emit(room, l, label, "", 0, line.bytes, line.size);
	}
	forget(room);
}

/* --- delivery --------------------------------------------------------------------------- */

void delivery_begin(struct delivery *d, struct room *room, const struct irc_line *line)
{
	d->room = room;
	d->line = line;
	d->client = NULL;
	d->account = NULL;
	d->bot = false;
	d->id = 0;
	d->wanted = d->unwanted = 0;
	memset(d->size, 0, sizeof(d->size));
}

void delivery_begin_from(struct delivery *d, struct room *room, const struct irc_line *line,
			 const struct user *from)
{
	delivery_begin(d, room, line);
	d->account = from->account;
}

void delivery_begin_message(struct delivery *d, struct room *room, const struct irc_line *line,
			    const struct user *from, const char *client)
{
	delivery_begin_from(d, room, line, from);
	d->client = client;
	d->bot = from->bot;
	d->id = ++room->messages;
}

bool delivery_is_for(const struct delivery *d, const struct user *user)
{
	return (user->caps & d->wanted) == d->wanted && !(user->caps & d->unwanted);
}

void deliver_tagged(struct delivery *d, const struct user *user, uint32_t id, unsigned tags)
{
	const struct room_output *output = &d->room->output;
	struct label *l = d->room->label;

	if (id == ROOM_NOBODY)
		return;
	if (tags && !d->size[tags])
		make_tagged(d, tags);
	if (l && l->user == user && keep(l, d->text[tags] + 1, tags ? d->tags[tags] : 0, d->line))
		return;
	if (tags)
		output->send(output->arg, id, d->text[tags], d->size[tags]);
	else
		output->send(output->arg, id, d->line->bytes, d->line->size);
}

void deliver_to_target(struct delivery *d, const struct user *user)
{
	struct label *label = d->room->label;

	d->room->label = NULL;
	deliver(d, user);
	d->room->label = label;
}

void deliver(struct delivery *d, const struct user *user)
{
	if (!user->course && delivery_is_for(d, user))
		deliver_tagged(d, user, user->id, tags_wanted(user->caps));
}

void send_line(struct room *room, const struct user *user, const struct irc_line *line)
{
	struct delivery d;

	delivery_begin(&d, room, line);
	deliver(&d, user);
}
