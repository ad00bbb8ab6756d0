/* SPDX-License-Identifier: MIT */
/* What is being done with a pipe's first bytes: see intent.h. */
#include "logger/intent.h"

#include <stdbool.h>

#include "logger/count.h"
#include "logger/stream.h"

/* In this order in memory: whoever comes after us sees what was stored before the last of them. */
static void store(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
}

static bool is_of_file(const struct logger_count *c, const struct log_file *f)
{
	return c->file != 0 && c->file == f->inode && c->device == f->device;
}

void intent_write(const struct stream *s, size_t size)
{
	struct logger_count *c = count_of(s);

	if (!c)
		return;
	/*
	 * Unless it is the second write of a look: the pipe still holds what the first one wrote.
	 */
	if (c->stage != LOGGER_STAGE_WRITING || !is_of_file(c, &s->file) ||
	    c->after != s->file.size) {
		if (c->stage == LOGGER_STAGE_WRITING) /* to another file, or it was emptied */
			store(&c->file, 0);
		store(&c->device, s->file.device);
		store(&c->before, s->file.size);
	}
	store(&c->after, s->file.size + size);
	store(&c->file, s->file.inode);
	store(&c->stage, LOGGER_STAGE_WRITING);
}

/* FNV-1a. */
static uint64_t sum_of(const char *data, size_t n)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ (unsigned char)data[i]) * 0x100000001b3;
	return sum;
}

void intent_take(const struct stream *s, const char *data, size_t n)
{
	struct logger_count *c = count_of(s);

	if (!c || c->stage == LOGGER_STAGE_NONE)
		return;
	store(&c->taken, n > 0 && data[n - 1] != '\n' ? n : 0);
	store(&c->sum, sum_of(data, c->taken));
	store(&c->stage, LOGGER_STAGE_TAKING);
}

void intent_done(const struct stream *s)
{
	struct logger_count *c = count_of(s);

	if (c)
		store(&c->stage, LOGGER_STAGE_NONE);
}

void intent_forget(const struct stream *s)
{
	struct logger_count *c = count_of(s);

	if (!c)
		return;
	store(&c->stage, LOGGER_STAGE_NONE);
	store(&c->file, 0);
}

enum intent intent_left(const struct stream *s, const char *data, size_t n, uint64_t *ret_before)
{
	const struct logger_count *c = count_of(s);

	if (!c || !is_of_file(c, &s->file))
		return INTENT_UNKNOWN;
	if (c->stage != LOGGER_STAGE_NONE && (s->file.size < c->before || s->file.size > c->after))
		return INTENT_UNKNOWN;
	*ret_before = c->before;
	if (c->stage == LOGGER_STAGE_WRITING)
		return INTENT_WRITTEN;
	if (c->stage == LOGGER_STAGE_TAKING && c->taken > 0 && c->taken <= n &&
	    sum_of(data, c->taken) == c->sum)
		return INTENT_AGAIN;
	return INTENT_DONE;
}
