/* SPDX-License-Identifier: MIT */
/* What is being done with a pipe's first bytes: see intent.h. */
#include "logger/intent.h"

#include "base/macro.h"
#include "logger/count.h"
#include "logger/intake.h"
#include "logger/stream.h"

#define SUMMED ((size_t)64) /* bytes: whether the pipe still begins as it did */

static struct logger_record *record_of(struct logger_count *c)
{
	return &c->records[c->stage & 1];
}

static enum logger_stage stage_of(const struct logger_count *c)
{
	return (enum logger_stage)(c->stage >> 1);
}

/* Whoever comes after us sees what was stored before. */
static void set_stage(struct logger_count *c, enum logger_stage stage, unsigned record)
{
	__atomic_store_n(&c->stage, (uint64_t)stage << 1 | record, __ATOMIC_RELEASE);
}

/* At any moment one of the two records is whole, and it is the one that holds. */
static void begin(struct logger_count *c, enum logger_stage stage, const struct logger_record *r)
{
	unsigned next = !(c->stage & 1);

	c->records[next] = *r;
	set_stage(c, stage, next);
}

/* FNV-1a. */
static uint64_t sum_of(const char *data, size_t n)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < MIN(n, SUMMED); i++)
		sum = (sum ^ (unsigned char)data[i]) * 0x100000001b3;
	return sum;
}

/* Of the first n bytes of the pipe. */
static struct logger_record make(const struct stream *s, const char *data, size_t n)
{
	struct logger_record r = { .pipe = s->pipe_inode, .done = n, .sum = sum_of(data, n) };

	r.last = n > 0 ? (uint8_t)data[n - 1] : 0;
	r.taken = (uint8_t)~r.last;
	return r;
}

void intent_write(const struct stream *s, const char *data, size_t done, size_t size)
{
	struct logger_count *c = count_of(s);
	struct logger_record r;

	if (!c)
		return;
	r = make(s, data, done);
	if (size > 0) {
		r.file = s->file.inode;
		r.device = s->file.device;
		r.before = s->file.size;
		r.after = s->file.size + size;
	}
	begin(c, LOGGER_STAGE_WRITING, &r);
}

void intent_done(const struct stream *s)
{
	struct logger_count *c = count_of(s);

	if (c)
		set_stage(c, LOGGER_STAGE_NONE, c->stage & 1);
}

static void take_out(const struct stream *s, struct logger_count *c, const struct logger_record *r)
{
	begin(c, LOGGER_STAGE_TAKING, r);
	intake_take(s->pipe, (size_t)r->done, &record_of(c)->taken);
}

void intent_take_out(const struct stream *s, const char *data, size_t n)
{
	struct logger_count *c = count_of(s);
	struct logger_record r;

	if (!c) {
		intake_discard(s->pipe, n);
		return;
	}
	r = make(s, data, n);
	if (n > 0)
		take_out(s, c, &r);
	intent_done(s);
}

/* Of this very pipe: it may be about one that had the number before. */
static bool is_record_of(const struct stream *s, struct logger_count *c, enum logger_stage stage)
{
	return c && stage_of(c) == stage && record_of(c)->pipe == s->pipe_inode;
}

/*
 * The pipe is where it was. That it also begins as it did is looked at because the kernel moves a
 * pipe's bytes page by page, and stops at a page of ours that it cannot have: rather a line is
 * written twice than that one is lost.
 */
static bool is_there(const struct stream *s, const struct logger_record *r)
{
	const char *data;
	ssize_t n = MIN((size_t)r->done, SUMMED);

	return r->done <= INTAKE_MAX && intake_held(s->pipe) >= r->done &&
	       intake_look(s->pipe, (size_t)n, &data) == n && sum_of(data, (size_t)n) == r->sum;
}

void intent_resume(const struct stream *s)
{
	struct logger_count *c = count_of(s);
	struct logger_record *r;

	if (!is_record_of(s, c, LOGGER_STAGE_TAKING))
		return;
	r = record_of(c);
	if (__atomic_load_n(&r->taken, __ATOMIC_RELAXED) != r->last && is_there(s, r))
		intake_take(s->pipe, (size_t)r->done, &r->taken);
	intent_done(s);
}

bool intent_was_writing(const struct stream *s, struct logger_record *ret)
{
	struct logger_count *c = count_of(s);

	if (!is_record_of(s, c, LOGGER_STAGE_WRITING))
		return false;
	*ret = *record_of(c);
	return true;
}

void intent_resume_done(const struct stream *s)
{
	struct logger_record r;

	if (!intent_was_writing(s, &r))
		return;
	if (r.done > 0 && is_there(s, &r))
		take_out(s, count_of(s), &r);
	intent_done(s);
}
