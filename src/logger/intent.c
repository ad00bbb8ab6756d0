/* SPDX-License-Identifier: MIT */
/* What is being done with a pipe's first bytes: see intent.h. */
#include "logger/intent.h"

#include "logger/count.h"
#include "logger/stream.h"

/* In this order in memory: whoever comes after us sees what was stored before the last of them. */
static void store(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELEASE);
}

void intent_write(const struct stream *s)
{
	struct logger_count *c = count_of(s);

	/* The second write to a file, of one look: the pipe still holds what the first one wrote. */
	if (!c || (c->stage == LOGGER_STAGE_WRITING && c->file == s->file.inode))
		return;
	store(&c->stage, LOGGER_STAGE_NONE);
	store(&c->file, s->file.inode);
	store(&c->before, s->file.size);
	store(&c->stage, LOGGER_STAGE_WRITING);
}

static void go_on_to(const struct stream *s, enum logger_stage stage)
{
	struct logger_count *c = count_of(s);

	if (c && c->stage != LOGGER_STAGE_NONE)
		store(&c->stage, stage);
}

void intent_take(const struct stream *s)
{
	go_on_to(s, LOGGER_STAGE_TAKING);
}

void intent_done(const struct stream *s)
{
	go_on_to(s, LOGGER_STAGE_NONE);
}

bool intent_left(const struct stream *s, enum logger_stage *ret_stage, uint64_t *ret_before)
{
	const struct logger_count *c = count_of(s);

	if (!c || c->file == 0 || c->file != s->file.inode)
		return false;
	*ret_stage =
		c->stage <= LOGGER_STAGE_TAKING ? (enum logger_stage)c->stage : LOGGER_STAGE_NONE;
	*ret_before = c->before;
	return true;
}
