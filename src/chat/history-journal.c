/* SPDX-License-Identifier: MIT */
/* The history's journal: see history-journal.h. */
#include "config.h"

#include "chat/history-journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "chat/history-record.h"

#define PENDING_FIRST 16384
#define PENDING_MAX   (1U << 20) /* bytes that wait in memory while the file takes none */
#define PENDING_KEEP  65536      /* a larger buffer is given back after a burst */
#define CHUNK         65536

int journal_init(struct journal *j, const char *path)
{
	*j = (struct journal){ .fd = { -1, -1 }, .path = strdup(path) };
	return j->path ? 0 : -ENOMEM;
}

static void close_files(struct journal *j)
{
	for (int i = 0; i < 2; i++)
		j->fd[i] = fd_close(j->fd[i]);
}

void journal_clear(struct journal *j)
{
	close_files(j);
	free(TAKE_PTR(j->pending));
	free(TAKE_PTR(j->path));
}

/* --- opening ------------------------------------------------------------------------------ */

/* How much of the file is whole records, and the id of the first. -errno. */
static off_t measure(int fd, struct history_id *ret_first)
{
	_cleanup_free_ char *buf = malloc(CHUNK);
	char channel[HISTORY_CHANNEL_MAX + 1];
	struct history_record record;
	off_t whole = 0;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		ssize_t have = pread(fd, buf, CHUNK, whole), n = 0, used = 0;

		if (have < 0)
			return -errno;
		while ((n = history_record_decode(buf + used, have - used, &record, channel)) > 0) {
			if (whole + used == 0)
				*ret_first = record.id;
			used += n;
		}
		whole += used;
		/* HISTORY_RECORD_MAX is less than CHUNK: without progress there is no more. */
		if (used == 0 || n < 0)
			return whole;
	}
}

/* A lock of the process: unlike others it does not live on in a child that was forked. */
static int lock_file(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
}

static int open_file(struct journal *j, int i, struct history_id *ret_first)
{
	char path[PATH_MAX];
	off_t whole;
	int r;

	snprintf(path, sizeof(path), "%s.journal-%d", j->path, i);
	j->fd[i] = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (j->fd[i] < 0)
		return -errno;
	r = lock_file(j->fd[i]);
	if (r < 0)
		return r;
	whole = measure(j->fd[i], ret_first);
	if (whole < 0)
		return (int)whole;
	if (ftruncate(j->fd[i], whole) < 0)
		return -errno;
	j->size[i] = whole;
	return 0;
}

int journal_open(struct journal *j, struct error *e)
{
	struct history_id first[2] = { { 0, 0 } };
	bool newer;
	int made = fd_make_directories(j->path, 0700);

	if (made < 0)
		return error_set_errno(e, made, "the directory of %s", j->path);
	for (int i = 0; i < 2; i++) {
		int r = open_file(j, i, &first[i]);

		if (r < 0) {
			close_files(j);
			if (r == -EBUSY)
				return error_set(e, r, "%s.journal-%d: another process has it",
						 j->path, i);
			return error_set_errno(e, r, "%s.journal-%d", j->path, i);
		}
	}
	newer = first[0].boot != first[1].boot ? first[0].boot < first[1].boot
					       : first[0].number < first[1].number;
	/* An empty one is written to: then the other has no end that is written on. */
	j->current = j->size[0] == 0 ? 0 : j->size[1] == 0 ? 1 : newer;
	return 0;
}

/* --- writing ------------------------------------------------------------------------------ */

static bool make_room(struct journal *j)
{
	size_t room = j->pending_room ? j->pending_room : PENDING_FIRST;
	char *more;

	while (j->pending_size + HISTORY_RECORD_MAX > room)
		room *= 2;
	if (room > PENDING_MAX)
		return false;
	if (room == j->pending_room)
		return true;
	more = realloc(j->pending, room);
	if (!more)
		return false;
	j->pending = more;
	j->pending_room = room;
	return true;
}

void journal_add(struct journal *j, const struct history_record *record)
{
	struct error ignored;
	size_t n = 0;

	/* Earlier than need be is never wrong. */
	if (!make_room(j) && (journal_write(j, &ignored) < 0 || !make_room(j))) {
		j->lost++;
		return;
	}
	n = history_record_encode(record, j->pending + j->pending_size,
				  j->pending_room - j->pending_size);
	j->pending_size += n;
	j->pending_records += n > 0;
	j->lost += n == 0;
}

static void forget_pending(struct journal *j)
{
	j->pending_size = j->pending_records = 0;
	if (j->pending_room > PENDING_KEEP) {
		free(TAKE_PTR(j->pending));
		j->pending_room = 0;
	}
}

int journal_write(struct journal *j, struct error *e)
{
	int fd = j->fd[j->current], r;
	ssize_t n;

	if (j->pending_size == 0)
		return 0;
	if (fd < 0)
		return error_set(e, -EBADF, "%s: its journal is not open", j->path);
	if (j->size[j->current] + (off_t)j->pending_size > JOURNAL_MAX)
		return error_set(e, -EFBIG, "%s: its journal is full", j->path);
	do
		n = write(fd, j->pending, j->pending_size);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)j->pending_size) {
		j->size[j->current] += n;
		forget_pending(j);
		return 0;
	}
	r = n < 0 ? -errno : -ENOSPC;
	/* Half of it would hide what comes behind. */
	if (n > 0 && ftruncate(fd, j->size[j->current]) < 0)
		r = -errno;
	return error_set_errno(e, r, "%s.journal-%d", j->path, j->current);
}

/* --- taking in ---------------------------------------------------------------------------- */

int journal_begin_take(struct journal *j)
{
	int other = !j->current;

	if (j->size[other] == 0 && j->size[j->current] > 0) {
		j->current = other;
		other = !other;
	}
	return j->size[other] > 0 ? j->fd[other] : -1;
}

int journal_end_take(struct journal *j, struct error *e)
{
	int other = !j->current;

	if (ftruncate(j->fd[other], 0) < 0)
		return error_set_errno(e, -errno, "%s.journal-%d", j->path, other);
	j->size[other] = 0;
	return 0;
}
