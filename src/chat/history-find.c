/* SPDX-License-Identifier: MIT */
/* Questions to the history's database: see history-db.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "chat/history-db-internal.h"

#define AHEAD INT64_MAX

/* A place between messages, or one of them. */
struct place {
	int64_t time, id;
};

/* An answer that grows. */
struct builder {
	struct history_answer *answer;
	size_t items_room, text_size, text_room;
};

static int add_text(struct builder *b, const char *text, uint32_t *ret)
{
	size_t size = strlen(text) + 1, room = b->text_room ? b->text_room : 4096;
	char *more;

	while (b->text_size + size > room)
		room *= 2;
	if (room != b->text_room) {
		more = realloc(b->answer->text, room);
		if (!more)
			return -ENOMEM;
		b->answer->text = more;
		b->text_room = room;
	}
	memcpy(b->answer->text + b->text_size, text, size);
	*ret = (uint32_t)b->text_size;
	b->text_size += size;
	return 0;
}

static int add_item(struct builder *b, const struct history_item *item, const char *tags,
		    const char *line)
{
	struct history_answer *a = b->answer;
	struct history_item *more;
	int r;

	if (a->n_items == b->items_room) {
		size_t room = b->items_room ? b->items_room * 2 : 32;

		more = reallocarray(a->items, room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		a->items = more;
		b->items_room = room;
	}
	a->items[a->n_items] = *item;
	r = add_text(b, tags ? tags : "", &a->items[a->n_items].tags);
	if (r == 0)
		r = add_text(b, line ? line : "", &a->items[a->n_items].line);
	if (r == 0)
		a->n_items++;
	return r;
}

/* What stays the same from one select to the next. */
struct search {
	struct history_db *db;
	const struct history_query *q;
	const struct history_target *target;
	int64_t channel, oldest;
};

static const struct place beginning = { -1, -1 }, end = { AHEAD, AHEAD };

static sqlite3_stmt *bind_select(const struct search *s, bool up, struct place low,
				 struct place high, uint32_t limit)
{
	sqlite3_stmt *statement = s->db->statements[up ? SELECT_UP : SELECT_DOWN];
	const int64_t values[] = { s->channel,
				   low.time,
				   low.id,
				   high.time,
				   high.id,
				   s->q->events ? HISTORY_EVENT : HISTORY_MESSAGE,
				   s->oldest,
				   (int64_t)s->q->boot,
				   (int64_t)s->target->joined,
				   (int64_t)s->q->until,
				   limit,
				   s->target->all };

	for (size_t i = 0; i < ELEMENTSOF(values); i++)
		sqlite3_bind_int64(statement, (int)i + 1, values[i]);
	return statement;
}

static void reverse(struct history_item *items, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct history_item item = items[i];

		items[i] = items[n - 1 - i];
		items[n - 1 - i] = item;
	}
}

/* At most limit between low and high, from below or from above; in order, in any case. */
static int collect(const struct search *s, struct builder *b, bool up, struct place low,
		   struct place high, uint32_t limit)
{
	sqlite3_stmt *statement = bind_select(s, up, low, high, limit);
	size_t first = b->answer->n_items;
	int code, r = 0;

	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct history_item item = {
			.time = (uint64_t)sqlite3_column_int64(statement, 0),
			.id = { (uint64_t)sqlite3_column_int64(statement, 1),
				(uint64_t)sqlite3_column_int64(statement, 2) },
			.event = sqlite3_column_int(statement, 3) == HISTORY_EVENT,
		};

		r = add_item(b, &item, (const char *)sqlite3_column_text(statement, 4),
			     (const char *)sqlite3_column_text(statement, 5));
	}
	sqlite3_reset(statement);
	if (!up)
		reverse(b->answer->items + first, b->answer->n_items - first);
	return r < 0 ? r : code == SQLITE_DONE ? 0 : -EIO;
}

/* -ENOENT: there is no such message. */
static int find_place(const struct search *s, const struct history_point *point, struct place *ret)
{
	sqlite3_stmt *find = s->db->statements[FIND_MESSAGE];
	int code;

	if (point->kind == HISTORY_AT_TIME) {
		/* Before all that was said then; just_after() is behind it. */
		*ret = (struct place){ (int64_t)point->time, -1 };
		return 0;
	}
	sqlite3_bind_int64(find, 1, s->channel);
	sqlite3_bind_int64(find, 2, (int64_t)point->id.boot);
	sqlite3_bind_int64(find, 3, (int64_t)point->id.number);
	code = sqlite3_step(find);
	if (code == SQLITE_ROW)
		*ret = (struct place){ sqlite3_column_int64(find, 0),
				       sqlite3_column_int64(find, 1) };
	sqlite3_reset(find);
	return code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -ENOENT : -EIO;
}

/* A time as a lower end: what was said at that very time is not after it. */
static struct place just_after(struct place place)
{
	return place.id < 0 ? (struct place){ place.time, AHEAD } : place;
}

static int around(const struct search *s, struct builder *b, struct place at)
{
	uint32_t before = s->q->limit / 2;
	/* The message itself is among those after. */
	struct place low = { at.time, at.id < 0 ? -1 : at.id - 1 };
	int r = collect(s, b, false, beginning, at, before);

	if (r < 0)
		return r;
	return collect(s, b, true, low, end, s->q->limit - (uint32_t)b->answer->n_items);
}

static int between(const struct search *s, struct builder *b, struct place from, struct place to)
{
	bool up = from.time < to.time || (from.time == to.time && from.id <= to.id);

	if (up)
		return collect(s, b, true, just_after(from), to, s->q->limit);
	return collect(s, b, false, just_after(to), from, s->q->limit);
}

static int find_in_channel(struct search *s, struct builder *b)
{
	const struct history_query *q = s->q;
	struct place from = beginning, to = end;
	int r = 0;

	if (q->from.kind != HISTORY_NOWHERE)
		r = find_place(s, &q->from, &from);
	if (r == 0 && q->to.kind != HISTORY_NOWHERE)
		r = find_place(s, &q->to, &to);
	if (r < 0)
		return r;
	switch (q->verb) {
	case HISTORY_LATEST:
		return collect(s, b, false,
			       q->from.kind == HISTORY_NOWHERE ? beginning : just_after(from), end,
			       q->limit);
	case HISTORY_BEFORE: return collect(s, b, false, beginning, from, q->limit);
	case HISTORY_AFTER: return collect(s, b, true, just_after(from), end, q->limit);
	case HISTORY_AROUND: return around(s, b, from);
	case HISTORY_BETWEEN: return between(s, b, from, to);
	case HISTORY_TARGETS: break;
	}
	return -EINVAL;
}

/* When was something last said in the channel? */
static int find_last(struct search *s, struct history_item *ret)
{
	sqlite3_stmt *statement = bind_select(s, false, beginning, end, 1);
	int code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		*ret = (struct history_item){ .time = (uint64_t)sqlite3_column_int64(statement,
										     0) };
	sqlite3_reset(statement);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -EIO;
}

static int compare_times(const void *a, const void *b)
{
	uint64_t one = ((const struct history_item *)a)->time;
	uint64_t other = ((const struct history_item *)b)->time;

	return one < other ? -1 : one > other;
}

static int find_targets(struct search *s, struct builder *b)
{
	const struct history_query *q = s->q;
	uint64_t low = MIN(q->from.time, q->to.time), high = MAX(q->from.time, q->to.time);
	struct history_answer *a = b->answer;

	for (size_t i = 0; i < q->n_targets; i++) {
		struct history_item item = { .time = 0 };
		int r = history_db_channel(s->db, q->targets[i].channel, &s->channel);

		s->target = &q->targets[i];
		if (r == 0 && s->channel >= 0)
			r = find_last(s, &item);
		if (r > 0 && item.time > low && item.time < high)
			r = add_item(b, &item, "", q->targets[i].channel);
		if (r < 0)
			return r;
	}
	if (a->n_items > 0)
		qsort(a->items, a->n_items, sizeof(a->items[0]), compare_times);
	if (a->n_items > q->limit) { /* the first ones as seen from where it starts */
		if (q->from.time > q->to.time)
			memmove(a->items, a->items + a->n_items - q->limit,
				q->limit * sizeof(a->items[0]));
		a->n_items = q->limit;
	}
	return 0;
}

int history_db_find(struct history_db *db, const struct history_query *q, uint64_t oldest,
		    struct history_answer *ret, struct error *e)
{
	struct history_answer answer = { .error = 0 };
	struct builder b = { .answer = &answer };
	struct search s = { .db = db, .q = q, .oldest = (int64_t)oldest };
	int r = history_db_ready(db, e);

	if (r < 0)
		return r;
	if (q->verb == HISTORY_TARGETS) {
		r = find_targets(&s, &b);
	} else {
		s.target = &q->targets[0];
		r = history_db_channel(db, s.target->channel, &s.channel);
		/* Nothing was ever kept: that is no error, unless a message is asked for. */
		if (r == 0)
			r = find_in_channel(&s, &b);
	}
	if (r < 0) {
		history_answer_clear(&answer);
		if (r == -EIO && (r = history_db_fail(db, e)) == -EUCLEAN)
			history_db_set_aside(db);
		if (r == -ENOMEM)
			error_set(e, r, "out of memory");
		return r;
	}
	*ret = answer;
	return 0;
}

void history_answer_clear(struct history_answer *answer)
{
	free(TAKE_PTR(answer->items));
	free(TAKE_PTR(answer->text));
	answer->n_items = 0;
}
