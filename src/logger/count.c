/* SPDX-License-Identifier: MIT */
/* Counting: see count.h. */
#include "logger/count.h"

#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/guarded-map.h"
#include "base/log.h"
#include "logger/lines.h"
#include "logger/stream.h"

static struct logger_memory *memory; /* NULL: nothing is counted */

static bool is_ours(int fd)
{
	struct logger_memory_head head;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 &&
	       st.st_size >= (off_t)sizeof(struct logger_memory) &&
	       pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
	       head.magic == LOGGER_MEMORY_MAGIC && head.version == LOGGER_MEMORY_VERSION &&
	       head.size_of_count == sizeof(struct logger_count);
}

void count_to(int fd)
{
	bool ours = is_ours(fd);

	/* Its pages are there when they are first touched, of those numbers alone that are used. */
	if (ours) {
		guarded_unmap();
		memory = guarded_map(fd, sizeof(*memory));
	}
	fd_close(fd);
	if (ours && memory)
		streams_count();
	else
		log_warning("what is written cannot be counted: no memory for it came");
}

/* Its number may be another one's by now, or that of nobody: then it is being closed. */
struct logger_count *count_of(const struct stream *s)
{
	struct logger_count *c = memory ? &memory->counts[s->number] : NULL;

	return c && c->pipe == s->pipe_inode ? c : NULL;
}

void count_begin(const struct stream *s)
{
	struct logger_count *c = memory ? &memory->counts[s->number] : NULL;

	if (!c)
		return;
	if (c->pipe != s->pipe_inode || c->pipe_device != s->pipe_device) {
		memset(c, 0, sizeof(*c));
		c->pipe_device = s->pipe_device;
		__atomic_store_n(&c->pipe, s->pipe_inode, __ATOMIC_RELEASE);
	}
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

void count_told(const struct stream *s)
{
	struct logger_count *c = count_of(s);

	if (c)
		memcpy(c->told, c->lost, sizeof(c->told));
}

uint64_t count_untold(const struct stream *s, enum logger_loss loss)
{
	const struct logger_count *c = count_of(s);

	return c && c->lost[loss] > c->told[loss] ? c->lost[loss] - c->told[loss] : 0;
}

void count_blocked(const struct stream *s, bool blocked)
{
	struct logger_count *c = count_of(s);

	if (c)
		__atomic_store_n(&c->blocked, blocked, __ATOMIC_RELAXED);
}
