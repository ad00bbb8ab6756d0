/* SPDX-License-Identifier: MIT */
/* Counting: see count.h. */
#include "logger/count.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "logger/lines.h"
#include "logger/stream.h"

#define SIZE (LOGGER_NUMBERS * sizeof(struct logger_count))

static struct logger_count *counts; /* LOGGER_NUMBERS of them; NULL: nothing is counted */

void count_to(int fd)
{
	void *map = MAP_FAILED;
	bool counted = counts;
	struct stat st;

	/* Its pages are there when they are first touched, of those numbers alone that are used. */
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= (off_t)SIZE)
		map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fd_close(fd);
	if (map == MAP_FAILED) {
		log_warning("what is written cannot be counted: no memory for it came");
		return;
	}
	if (counts)
		munmap(counts, SIZE);
	counts = map;
	streams_count(counted);
}

/* Its number may be another one's by now. */
struct logger_count *count_of(const struct stream *s)
{
	return counts && stream_has_number(s) ? &counts[s->number] : NULL;
}

void count_begin(const struct stream *s)
{
	struct logger_count *c = counts ? &counts[s->number] : NULL;
	struct stat st;

	if (!c || fstat(s->pipe, &st) < 0)
		return;
	if (c->pipe != st.st_ino)
		memset(c, 0, sizeof(*c));
	c->pipe = st.st_ino;
	c->blocked = stream_is_stuck(s);
}

void count_written(const struct stream *s, const char *data, size_t n)
{
	struct logger_count *c = n > 0 ? count_of(s) : NULL;

	if (!c)
		return;
	logger_count_add(&c->bytes, n);
	logger_count_add(&c->lines, lines_count(data, n));
}

void count_lost(const struct stream *s, enum logger_loss loss, uint64_t lines)
{
	struct logger_count *c = count_of(s);

	if (c)
		logger_count_add(&c->lost[loss], lines);
}

void count_blocked(const struct stream *s, bool blocked)
{
	struct logger_count *c = count_of(s);

	if (c)
		__atomic_store_n(&c->blocked, blocked, __ATOMIC_RELAXED);
}
