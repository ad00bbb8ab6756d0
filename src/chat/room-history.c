/* SPDX-License-Identifier: MIT */
/*
 * History, as far as it is the room's: what is kept, who may read it (CHATHISTORY of IRCv3), and
 * how it is told. The keeping and looking up is done by others, see history.h.
 *
 *	CHATHISTORY -> fetch() -> ... -> room_history() -> a batch
 *
 * A member of a channel may read all that was said there while everybody could join (no +i, no
 * +k), for then he could have heard it. What was said while it was closed is for those who were
 * in it then: after they joined, and until they leave. So a closed channel that was left by all
 * tells nothing to who makes it anew. The operators' channel is closed, but all of it is for
 * whoever may come in there.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/strv.h"
#include "base/units.h"
#include "chat/names.h"
#include "chat/numerics.h"
#include "chat/room-commands.h"
#include "chat/utf8.h"

#define FETCHING_MAX 64 /* answers that a user may wait for */
#define SHOWN_MAX    80 /* bytes of a parameter in an error */
#define BATCH_MAX    24 /* bytes of a batch's name */

_Static_assert(HISTORY_CHANNEL_MAX == ROOM_CHANNEL_MAX, "every channel's name fits");

/* --- keeping ------------------------------------------------------------------------------ */

bool history_is_for(const struct room *room, const char *channel)
{
	if (!room->config->history)
		return false;
	STRV_FOREACH(mask, room->config->history_channels) {
		if (name_matches(*mask, channel))
			return true;
	}
	return false;
}

static void fold(char *buf, const char *name)
{
	size_t i;

	for (i = 0; name[i] && i < HISTORY_CHANNEL_MAX; i++)
		buf[i] = name_fold(name[i]);
	buf[i] = '\0';
}

static bool is_kept(const struct room *room, const struct channel *channel)
{
	return (channel->modes & MODE_HISTORY) && room->output.keep;
}

static bool is_closed(const struct room *room, const struct channel *channel)
{
	return (channel->modes & MODE_INVITE_ONLY) || channel->key || channel == room->operators;
}

static void keep(const struct delivery *d, const struct channel *channel, enum history_kind kind)
{
	struct room *room = d->room;
	char name[HISTORY_CHANNEL_MAX + 1], tags[TAGGED_LINE_MAX];
	struct history_record record = {
		.channel = name,
		.id = { room->config->created, d->id },
		.time = room->realtime / USEC_PER_MSEC,
		.kind = kind,
		.closed = is_closed(room, channel),
		.line = d->line->bytes,
		.line_size = d->line->size - 2,
	};

	fold(name, channel->name);
	record.tags = delivery_tags_to_keep(d, tags);
	record.tags_size = strlen(record.tags);
	room->output.keep(room->output.arg, &record);
}

void history_message(const struct delivery *d, const struct channel *channel)
{
	if (is_kept(d->room, channel))
		keep(d, channel, HISTORY_MESSAGE);
}

void history_event(struct delivery *d, const struct channel *channel)
{
	if (!is_kept(d->room, channel))
		return;
	if (d->id == 0)
		d->id = ++d->room->messages;
	keep(d, channel, HISTORY_EVENT);
}

void history_event_of_user(struct delivery *d, const struct user *user)
{
	for (size_t i = 0; i < user->n_seats; i++)
		history_event(d, user->seats[i].channel);
}

void channel_event(struct room *room, const struct channel *channel, const struct user *from,
		   const struct irc_line *line)
{
	struct delivery d;

	delivery_begin_from(&d, room, line, from);
	history_event(&d, channel);
	channel_deliver(&d, channel, NULL);
}

/* --- asking ------------------------------------------------------------------------------- */

static void PRINTF(4, 5)
	fail(struct room *room, const struct user *user, const char *code, const char *fmt, ...)
{
	char text[IRC_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_text(room, user, ":%s FAIL CHATHISTORY %s %s", room->server, code, text);
}

/*
 * A parameter that is repeated: one word, and not so long that no place is left for what is wrong.
 */
static const char *shown(const char *text, char buf[SHOWN_MAX + 1])
{
	size_t n = utf8_cut(text, strcspn(text, " "), SHOWN_MAX);

	if (n == 0 || text[0] == ':')
		return "*";
	memcpy(buf, text, n);
	buf[n] = '\0';
	return buf;
}

static void set_target(const struct room *room, struct history_target *target,
		       const struct channel *channel, const struct user *user)
{
	fold(target->channel, channel->name);
	target->all = channel == room->operators;
	for (size_t i = 0; i < user->n_seats; i++) {
		if (user->seats[i].channel == channel)
			target->joined = user->seats[i].joined;
	}
}

static struct history_query *query_new(const struct room *room, const struct user *user,
				       size_t n_targets)
{
	struct history_query *q = calloc(1, sizeof(*q) + n_targets * sizeof(q->targets[0]));

	if (!q)
		return NULL;
	q->connection = user->id;
	q->user = user->serial;
	q->boot = room->config->created;
	q->until = room->messages;
	q->n_targets = n_targets;
	return q;
}

/* Takes the query over, in any case. */
static int fetch(struct room *room, struct user *user, struct history_query *q)
{
	int r = -EAGAIN;

	if (room->output.fetch && user->n_fetching < FETCHING_MAX)
		r = room->output.fetch(room->output.arg, q);
	if (r < 0)
		free(q);
	else
		user->n_fetching++;
	return r;
}

struct verb {
	const char *name;
	enum history_verb verb;
	int n_points;
};

static const struct verb verbs[] = {
	{ "AFTER", HISTORY_AFTER, 1 },   { "AROUND", HISTORY_AROUND, 1 },
	{ "BEFORE", HISTORY_BEFORE, 1 }, { "BETWEEN", HISTORY_BETWEEN, 2 },
	{ "LATEST", HISTORY_LATEST, 1 }, { "TARGETS", HISTORY_TARGETS, 2 },
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
		if (strcasecmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static const char *verb_name(enum history_verb verb)
{
	for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
		if (verbs[i].verb == verb)
			return verbs[i].name;
	}
	return "*";
}

/* n digits at *text, which moves behind them and behind the character end, if that is not NUL. */
static bool take_digits(const char **text, int n, char end, int *ret)
{
	int number = 0;

	for (int i = 0; i < n; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		number = number * 10 + (**text - '0');
	}
	if (end && *(*text)++ != end)
		return false;
	*ret = number;
	return true;
}

/* "2026-11-23T10:00:00.000Z"; any number of digits behind the dot, or none and no dot. */
static bool parse_time_stamp(const char *text, uint64_t *ret)
{
	struct tm tm = { .tm_sec = 0 };
	int weight = 100;
	time_t seconds;

	if (!take_digits(&text, 4, '-', &tm.tm_year) || !take_digits(&text, 2, '-', &tm.tm_mon) ||
	    !take_digits(&text, 2, 'T', &tm.tm_mday) || !take_digits(&text, 2, ':', &tm.tm_hour) ||
	    !take_digits(&text, 2, ':', &tm.tm_min) || !take_digits(&text, 2, '\0', &tm.tm_sec))
		return false;
	if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	seconds = timegm(&tm);
	if (seconds < 0)
		return false;
	*ret = (uint64_t)seconds * 1000;
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++, weight /= 10)
			*ret += (uint64_t)(*text - '0') * weight;
	}
	return strcmp(text, "Z") == 0;
}

/* Hexadecimal, as tag_id() writes it: nothing else is an id of ours. */
static bool take_hex(const char **text, uint64_t *ret)
{
	uint64_t number = 0;
	int n = 0;

	for (; n < 16; n++, (*text)++) {
		char c = **text;

		if (c >= '0' && c <= '9')
			number = number * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			number = number * 16 + (c - 'a' + 10);
		else
			break;
	}
	*ret = number;
	return n > 0;
}

static bool parse_id(const char *text, struct history_id *ret)
{
	return take_hex(&text, &ret->boot) && *text++ == '-' && take_hex(&text, &ret->number) &&
	       *text == '\0';
}

/* One of "timestamp=...", "msgid=..."; "*" is nowhere. False: it was told why not. */
static bool parse_point(struct room *room, const struct user *user, const struct verb *verb,
			const char *text, struct history_point *ret)
{
	static const char time_head[] = "timestamp=", id_head[] = "msgid=";
	char buf[SHOWN_MAX + 1];

	if (strcmp(text, "*") == 0 && verb->verb == HISTORY_LATEST)
		return true;
	if (strncmp(text, time_head, sizeof(time_head) - 1) == 0) {
		ret->kind = HISTORY_AT_TIME;
		if (parse_time_stamp(text + sizeof(time_head) - 1, &ret->time))
			return true;
		fail(room, user, "INVALID_PARAMS",
		     "%s :That is no time; write 2026-11-23T10:00:00.000Z", verb->name);
		return false;
	}
	if (strncmp(text, id_head, sizeof(id_head) - 1) == 0 && verb->verb != HISTORY_TARGETS) {
		ret->kind = HISTORY_AT_MESSAGE;
		if (parse_id(text + sizeof(id_head) - 1, &ret->id))
			return true;
		fail(room, user, "INVALID_PARAMS", "%s :That is no message's id", verb->name);
		return false;
	}
	fail(room, user, "INVALID_MSGREFTYPE", "%s %s :%s", verb->name, shown(text, buf),
	     verb->verb == HISTORY_TARGETS ? "timestamp= is taken"
					   : "timestamp= and msgid= are taken");
	return false;
}

static struct history_query *query_of_channel(struct room *room, struct user *user,
					      const struct verb *verb, const char *name)
{
	const struct channel *channel = channel_find(room, name);
	struct history_query *q;
	char buf[SHOWN_MAX + 1];

	if (!channel || !channel_member(channel, user)) {
		fail(room, user, "INVALID_TARGET", "%s %s :You are in no such channel", verb->name,
		     shown(name, buf));
		return NULL;
	}
	q = query_new(room, user, 1);
	if (q)
		set_target(room, &q->targets[0], channel, user);
	return q;
}

static struct history_query *query_of_all(struct room *room, struct user *user)
{
	struct history_query *q = query_new(room, user, user->n_seats);

	for (size_t i = 0; q && i < user->n_seats; i++)
		set_target(room, &q->targets[i], user->seats[i].channel, user);
	return q;
}

void command_chathistory(struct room *room, struct user *user, struct irc_message *m)
{
	const struct verb *verb = m->n_params > 0 ? find_verb(m->params[0]) : NULL;
	int first = verb && verb->verb == HISTORY_TARGETS ? 1 : 2;
	struct history_point points[2] = { { .kind = HISTORY_NOWHERE } };
	struct history_query *q;
	char buf[SHOWN_MAX + 1], label[HISTORY_LABEL_MAX];
	int64_t limit;

	if (!room->config->history) {
		reply(room, user, ERR_UNKNOWNCOMMAND, m->command);
		return;
	}
	if (!verb || m->n_params != first + verb->n_points + 1) {
		fail(room, user, "INVALID_PARAMS", "%s :%s",
		     shown(m->n_params > 0 ? m->params[0] : "", buf),
		     !verb ? "There is no such subcommand" : "The number of parameters is wrong");
		return;
	}
	if (parse_int(m->params[m->n_params - 1], 1, INT32_MAX, &limit) < 0) {
		fail(room, user, "INVALID_PARAMS", "%s :The limit is no number from 1 on",
		     verb->name);
		return;
	}
	for (int i = 0; i < verb->n_points; i++) {
		if (!parse_point(room, user, verb, m->params[first + i], &points[i]))
			return;
	}
	q = first == 1 ? query_of_all(room, user)
		       : query_of_channel(room, user, verb, m->params[1]);
	if (!q)
		return;
	q->verb = verb->verb;
	q->from = points[0];
	q->to = points[1];
	q->limit = MIN(limit, HISTORY_LIMIT);
	q->events = user->caps & CAP_EVENT_PLAYBACK;
	label_take(room, user, q->label);
	memcpy(label, q->label, sizeof(label));
	if (fetch(room, user, q) == 0)
		return;
	label_begin(room, user, label);
	fail(room, user, "MESSAGE_ERROR", "%s %s :Try again later", verb->name,
	     first == 1 ? "*" : m->params[1]);
}

/* --- coming in ---------------------------------------------------------------------------- */

static void replay(struct room *room, struct user *user, const struct channel *channel)
{
	struct history_query *q = query_new(room, user, 1);

	if (!q)
		return;
	set_target(room, &q->targets[0], channel, user);
	q->replay = true;
	q->verb = HISTORY_LATEST;
	q->limit = MIN(room->config->history_on_join, HISTORY_LIMIT);
	fetch(room, user, q);
}

void history_welcome(struct room *room, struct user *user, const struct channel *channel)
{
	char duration[DURATION_TEXT_MAX] = "ever", *nothing;

	if (!(channel->modes & MODE_HISTORY))
		return;
	if (room->config->history_age)
		format_duration(duration, sizeof(duration), room->config->history_age);
	nothing = strstr(duration, " 0"); /* "30d 0h" */
	if (nothing)
		*nothing = '\0';
	send_text(room, user,
		  ":%s NOTICE %s :What is said here is kept for %s, for its members to read (+H)",
		  room->server, channel->name, duration);
	if (room->config->history_on_join && !user->bot && !(user->caps & CAP_CHATHISTORY))
		replay(room, user, channel);
}

/* --- telling ------------------------------------------------------------------------------ */

/* Where a second word of text would be, or the end. */
static size_t next_word(const char *text, size_t at)
{
	at += strcspn(text + at, " ");
	return at + strspn(text + at, " ");
}

/* JOIN is kept as those with extended-join get it. */
static int line_size(const struct user *user, const struct history_item *item, const char *line)
{
	size_t verb = next_word(line, 0), channel, end;

	if (!item->event || (user->caps & CAP_EXTENDED_JOIN) ||
	    strncmp(line + verb, "JOIN ", 5) != 0)
		return (int)strlen(line);
	channel = next_word(line, verb);
	end = channel + strcspn(line + channel, " ");
	return (int)end;
}

/*
 * A client that shows no times of its own gets them within the text, which may need a second line
 * then. *ret_rest: what is left for that, after the head and the date; "" when all is in.
 */
static void format_dated(struct irc_line *line, const struct history_item *item, const char *kept,
			 char *rest, size_t rest_size)
{
	static const char action[] = "\1ACTION ";
	time_t seconds = (time_t)(item->time / 1000);
	const char *text = strstr(kept + 1, " :"), *end = "";
	size_t head, size, n, skip;
	char date[32];
	struct tm tm;

	rest[0] = '\0';
	if (!text || !gmtime_r(&seconds, &tm) ||
	    strftime(date, sizeof(date), "[%Y-%m-%d %H:%M] ", &tm) == 0) {
		irc_format(line, "%s", kept);
		return;
	}
	text += 2;
	size = strlen(text);
	if (strncmp(text, action, sizeof(action) - 1) == 0) {
		text += sizeof(action) - 1;
		size -= sizeof(action) - 1;
		end = "\1";
		size -= size > 0 && text[size - 1] == '\1';
	}
	head = text - kept;
	n = irc_fit_plain(text, size, head + strlen(date) + strlen(end), &skip);
	irc_format(line, "%.*s%s%.*s%s", (int)head, kept, date, (int)n, text, end);
	n += skip;
	if (n < size)
		snprintf(rest, rest_size, "%.*s%.*s%s", (int)head, kept, (int)(size - n), text + n,
			 end);
}

static void tell_item(struct room *room, const struct user *user,
		      const struct history_answer *answer, const struct history_item *item,
		      const char *batch, bool replayed)
{
	const char *kept = answer->text + item->line, *tags = answer->text + item->tags;
	char text[TAGGED_LINE_MAX + BATCH_MAX + 64], time[TAG_TEXT_MAX], id[TAG_TEXT_MAX];
	size_t account = strncmp(tags, "account=", 8) == 0 ? strcspn(tags, ";") : 0;
	char rest[IRC_LINE_MAX] = "";
	struct irc_line line;
	size_t n = 0;

	if (replayed && !(user->caps & CAP_SERVER_TIME))
		format_dated(&line, item, kept, rest, sizeof(rest));
	else
		irc_format(&line, "%.*s", line_size(user, item, kept), kept);
	if (*batch)
		n += snprintf(text + n, sizeof(text) - n, ";batch=%s", batch);
	if (user->caps & CAP_SERVER_TIME)
		n += snprintf(text + n, sizeof(text) - n, ";%s", tag_time(item->time, time));
	if (account && (user->caps & CAP_ACCOUNT_TAG))
		n += snprintf(text + n, sizeof(text) - n, ";%.*s", (int)account, tags);
	tags += account;
	if (user->caps & CAP_MESSAGE_TAGS)
		n += snprintf(text + n, sizeof(text) - n, ";%s%s%s", tag_id(&item->id, id),
			      *tags && *tags != ';' ? ";" : "", tags);
	if (n > 0) {
		text[0] = '@';
		text[n++] = ' ';
	}
	memcpy(text + n, line.bytes, line.size);
	room->output.send(room->output.arg, user->id, text, n + line.size);
	if (*rest) {
		irc_format(&line, "%s", rest);
		send_line(room, user, &line);
	}
}

/* "@batch=x;..." in front, or "@label=y;..." of the batch's own line. */
static void tell_tagged(struct room *room, const struct user *user, const char *key,
			const char *value, const struct irc_line *line)
{
	char text[IRC_LINE_MAX + HISTORY_LABEL_MAX + 16];
	int n = *value ? snprintf(text, sizeof(text) - IRC_LINE_MAX, "@%s=%s ", key, value) : 0;

	memcpy(text + n, line->bytes, line->size);
	room->output.send(room->output.arg, user->id, text, n + line->size);
}

static void tell_target(struct room *room, const struct user *user,
			const struct history_answer *answer, const struct history_item *item,
			const char *batch)
{
	const struct channel *channel = channel_find(room, answer->text + item->line);
	char time[TAG_TEXT_MAX];
	struct irc_line line;

	if (!channel || !channel_member(channel, user))
		return;
	irc_format(&line, ":%s CHATHISTORY TARGETS %s %s", room->server, channel->name,
		   tag_time(item->time, time) + strlen("time="));
	tell_tagged(room, user, "batch", batch, &line);
}

static void tell_batch(struct room *room, const struct user *user, const struct history_query *q,
		       const struct history_answer *answer, const struct channel *channel)
{
	bool in_batch = user->caps & CAP_BATCH;
	char batch[BATCH_MAX] = "";
	struct irc_line line;

	if (in_batch) {
		snprintf(batch, sizeof(batch), "%llx", (unsigned long long)++room->serial);
		irc_format(&line, ":%s BATCH +%s %s%s%s", room->server, batch,
			   channel ? "chathistory" : "draft/chathistory-targets",
			   channel ? " " : "", channel ? channel->name : "");
		tell_tagged(room, user, "label", q->label, &line);
	}
	for (size_t i = 0; i < answer->n_items; i++) {
		if (channel)
			tell_item(room, user, answer, &answer->items[i], batch, q->replay);
		else
			tell_target(room, user, answer, &answer->items[i], batch);
	}
	if (in_batch) {
		irc_format(&line, ":%s BATCH -%s", room->server, batch);
		send_line(room, user, &line);
	}
}

static void tell_error(struct room *room, struct user *user, const struct history_query *q,
		       const char *code, const char *why)
{
	if (q->replay)
		return;
	label_begin(room, user, q->label);
	fail(room, user, code, "%s %s :%s", verb_name(q->verb),
	     q->verb == HISTORY_TARGETS ? "*" : q->targets[0].channel, why);
	label_end(room);
}

void room_history(struct room *room, const struct history_query *q,
		  const struct history_answer *answer)
{
	struct user *user = user_by_id(room, q->connection);
	const struct channel *channel = NULL;

	if (!user || user->serial != q->user)
		return;
	user->n_fetching--;
	if (q->verb != HISTORY_TARGETS) {
		channel = channel_find(room, q->targets[0].channel);
		if (!channel || !channel_member(channel, user)) {
			tell_error(room, user, q, "INVALID_TARGET", "You are there no more");
			return;
		}
	}
	if (answer->error)
		tell_error(room, user, q, "MESSAGE_ERROR",
			   answer->error == -ENOENT ? "There is no such message"
						    : "The history cannot be read now");
	else if (!q->replay || answer->n_items > 0)
		tell_batch(room, user, q, answer, channel);
}
