/* SPDX-License-Identifier: MIT */
/* Reading logs: see log-reader.h. */
#include "ctl/log-reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log-name.h"
#include "base/packed.h"
#include "base/strv.h"
#include "ctl/log-line.h"

#define BLOCK ((size_t)256 * 1024)

struct log_reader {
	char *directory, *base, *path; /* of the file that is open, or that could not be opened */
	char **rotated;                /* names, the oldest first */
	size_t next_rotated;
	char *newest; /* the last of them when the current file was opened; NULL: none */
	int fd;
	bool is_current;
	bool in_rotated; /* the last error was of a rotated file: the next call goes on behind it */
	struct packed *packed;
	bool cut; /* what is in the buffer is the last of a file that could not be read on */

	char *buffer;
	size_t room, begin, end; /* what is not given out yet */
	uint64_t time;
};

struct log_reader *log_reader_new(const char *path)
{
	struct log_reader *r = calloc(1, sizeof(*r));
	const char *slash = strrchr(path, '/');

	if (!r)
		return NULL;
	r->fd = -1;
	r->directory = strndup(path, slash ? (size_t)(slash - path) : 0);
	r->base = strdup(slash ? slash + 1 : path);
	return r->directory && r->base ? r : log_reader_free(r);
}

static void close_file(struct log_reader *r)
{
	packed_close(r->packed);
	r->packed = NULL;
	r->fd = fd_close(r->fd);
	r->is_current = false;
}

struct log_reader *log_reader_free(struct log_reader *r)
{
	if (!r)
		return NULL;
	close_file(r);
	strv_free(r->rotated);
	free(r->newest);
	free(r->directory);
	free(r->base);
	free(r->path);
	free(r->buffer);
	free(r);
	return NULL;
}

bool log_reader_may_go_on(const struct log_reader *r, int error)
{
	return error != -ENOMEM && (r->in_rotated || error == -EBADMSG || error == -ELIBACC);
}

/* --- files ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A file is there twice between the end of its compression and the removal of the original. */
static void drop_doubles(const char *base, char **names)
{
	size_t n = strlen(base) + 1 + LOG_NAME_STAMP;
	char **to = names;

	STRV_FOREACH(name, names) {
		if (to > names && strncmp(*name, to[-1], n) == 0)
			free(*name);
		else
			*to++ = *name;
	}
	if (to)
		*to = NULL;
}

static int list_rotated(struct log_reader *r)
{
	_cleanup_strv_ char **names = NULL;
	DIR *dir = opendir(*r->directory ? r->directory : "/");
	const struct dirent *entry;
	int error = dir ? 0 : -errno;
	enum packing packing;

	while (error == 0 && (entry = readdir(dir))) {
		if (log_name_is_rotated(entry->d_name, r->base, &packing))
			error = strv_push(&names, entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (error < 0)
		return error;
	if (names)
		qsort(names, strv_length(names), sizeof(*names), compare);
	drop_doubles(r->base, names);
	strv_free(r->rotated);
	r->rotated = TAKE_PTR(names);
	r->next_rotated = 0;
	return 0;
}

static int set_path(struct log_reader *r, const char *name)
{
	free(r->path);
	if (asprintf(&r->path, "%s/%s", r->directory, name) < 0)
		r->path = NULL;
	return r->path ? 0 : -ENOMEM;
}

static int open_path(struct log_reader *r)
{
	struct stat st;

	r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (r->fd < 0)
		return -errno;
	if (fstat(r->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close_file(r);
		return -EINVAL;
	}
	return 0;
}

/* It was compressed since the directory was read. */
static int open_compressed(struct log_reader *r, const char *name, enum packing *ret)
{
	int error = -ENOENT;

	for (int packing = PACKING_NONE + 1; error == -ENOENT && packing < PACKING_COUNT;
	     packing++) {
		_cleanup_free_ char *longer = NULL;

		*ret = (enum packing)packing;
		if (asprintf(&longer, "%s%s", name, packing_suffix(*ret)) < 0 ||
		    set_path(r, longer) < 0)
			return -ENOMEM;
		error = open_path(r);
	}
	return error;
}

/* -ENOENT: it was removed, because it was too old, since the directory was read. */
static int open_rotated(struct log_reader *r, const char *name)
{
	enum packing packing;
	int error = set_path(r, name);

	log_name_base(name, &packing);
	if (error == 0)
		error = open_path(r);
	if (error == -ENOENT && packing == PACKING_NONE && r->path)
		error = open_compressed(r, name, &packing);
	if (error == 0 && packing != PACKING_NONE) {
		r->packed = packed_reader(packing, r->fd, &error);
		if (!r->packed)
			close_file(r);
	}
	return error;
}

static int open_current(struct log_reader *r)
{
	size_t n = strv_length(r->rotated);
	int error = set_path(r, r->base);

	if (error == 0)
		error = open_path(r);
	if (error < 0)
		return error;
	free(r->newest);
	r->newest = n > 0 ? strdup(r->rotated[n - 1]) : NULL;
	r->is_current = true;
	return 0;
}

/* Behind the rotated files that are not newer than the one of that name. */
static void skip_up_to(struct log_reader *r, const char *name)
{
	while (name && r->rotated && r->rotated[r->next_rotated] &&
	       strncmp(r->rotated[r->next_rotated], name, strlen(r->base) + 1 + LOG_NAME_STAMP) <=
		       0)
		r->next_rotated++;
}

/*
 * Opens the file that is written. 1; 0: there is none, as none has been made yet, or not again;
 * -EAGAIN when it was rotated away since the directory was read: then that comes first.
 */
static int open_last(struct log_reader *r)
{
	size_t n = strv_length(r->rotated);
	_cleanup_free_ char *newest = n > 0 ? strdup(r->rotated[n - 1]) : NULL;
	int opened = open_current(r), error;

	if (opened < 0 && opened != -ENOENT)
		return opened;
	error = list_rotated(r);
	if (error < 0)
		return error == -ENOENT && opened < 0 ? 0 : error;
	skip_up_to(r, newest);
	if (!r->rotated || !r->rotated[r->next_rotated])
		return opened < 0 ? 0 : 1;
	close_file(r);
	return -EAGAIN;
}

/* The next file in order. 1, 0: there is none, or a negative errno. */
static int open_next(struct log_reader *r)
{
	int result;

	do {
		result = -ENOENT;
		while (result == -ENOENT && r->rotated && r->rotated[r->next_rotated])
			result = open_rotated(r, r->rotated[r->next_rotated++]);
		if (result == 0)
			return 1;
		r->in_rotated = result != -ENOENT;
		if (result == -ENOENT)
			result = open_last(r);
	} while (result == -EAGAIN);
	return result;
}

static bool is_open_file(const struct log_reader *r, const char *path)
{
	struct stat ours, named;

	return fstat(r->fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_ino == named.st_ino &&
	       ours.st_dev == named.st_dev;
}

/*
 * The current file's name is another file's now. While it is nobody's, the logger may still write
 * to the file that somebody has moved away: until it is told to reopen its files.
 */
static bool was_rotated(const struct log_reader *r)
{
	struct stat named;

	return stat(r->path, &named) == 0 && !is_open_file(r, r->path);
}

/* Emptied, by who has copied it away. What was not read before is lost with it. */
static bool was_truncated(const struct log_reader *r)
{
	struct stat st;

	return !r->packed && fstat(r->fd, &st) == 0 && st.st_size < lseek(r->fd, 0, SEEK_CUR);
}

/*
 * Whether the file that was the current one is the next of the rotated ones: then it is the first
 * of those that are newer than any was when it was opened. Moved away by somebody else it is none.
 */
static bool is_next(struct log_reader *r)
{
	struct stat st;

	if (!r->rotated || !r->rotated[r->next_rotated])
		return false;
	if (fstat(r->fd, &st) == 0 && st.st_nlink == 0)
		return true; /* it was compressed meanwhile, and removed */
	return set_path(r, r->rotated[r->next_rotated]) == 0 && is_open_file(r, r->path);
}

static int follow_rotation(struct log_reader *r)
{
	int error = list_rotated(r);

	if (error == 0) {
		skip_up_to(r, r->newest);
		r->next_rotated += is_next(r);
	}
	close_file(r);
	return error < 0 ? error : open_next(r);
}

/* --- where to begin --------------------------------------------------------------------- */

static ssize_t read_some(struct log_reader *r, char *to, size_t size)
{
	ssize_t n;

	if (r->packed)
		return packed_read(r->packed, to, size);
	n = read(r->fd, to, size);
	return n < 0 ? -errno : n;
}

static int count_lines(struct log_reader *r, size_t *ret)
{
	_cleanup_free_ char *block = malloc(BLOCK);
	ssize_t n = 0;

	*ret = 0;
	while (block && (n = read_some(r, block, BLOCK)) > 0) {
		for (const char *p = block; (p = memchr(p, '\n', (size_t)(block + n - p))); p++)
			++*ret;
	}
	return !block ? -ENOMEM : (int)n;
}

int log_reader_seek_lines(struct log_reader *r, size_t lines)
{
	int error = list_rotated(r);
	size_t n = strv_length(r->rotated), found = 0;

	if (error < 0)
		return error == -ENOENT ? 0 : error;
	for (size_t i = n + 1; i > 0 && found < lines; i--) {
		size_t more = 0;

		error = i == n + 1 ? open_current(r) : open_rotated(r, r->rotated[i - 1]);
		if (error == 0)
			error = count_lines(r, &more);
		close_file(r);
		/* Told of when it is read; one that is not of ours to read may have many lines. */
		if (error < 0 && i == n + 1 && error != -ENOENT)
			return error;
		r->next_rotated = MIN(i - 1, n);
		found += more;
	}
	return 0;
}

int log_reader_seek_time(struct log_reader *r, uint64_t since)
{
	char stamp[LOG_NAME_STAMP + 2];
	int error = list_rotated(r);

	if (error < 0)
		return error == -ENOENT ? 0 : error;
	/* What was rotated away before has nothing of it. */
	log_name_stamp(stamp, since);
	while (since > 0 && r->rotated && r->rotated[r->next_rotated] &&
	       strncmp(r->rotated[r->next_rotated] + strlen(r->base), stamp, strlen(stamp)) < 0)
		r->next_rotated++;
	return 0;
}

/* --- lines ------------------------------------------------------------------------------ */

/* 1 when there is more in the buffer, 0 at the end of the file. */
static int fill(struct log_reader *r)
{
	ssize_t n;

	r->in_rotated = !r->is_current;
	if (r->begin > 0) {
		memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
		r->end -= r->begin;
		r->begin = 0;
	}
	if (r->room - r->end < BLOCK) {
		char *bigger = realloc(r->buffer, r->room + 2 * BLOCK);

		if (!bigger)
			return -ENOMEM;
		r->buffer = bigger;
		r->room += 2 * BLOCK;
	}
	n = read_some(r, r->buffer + r->end, r->room - r->end);
	if (n < 0)
		return (int)n;
	r->end += (size_t)n;
	return n > 0;
}

/* More bytes, of this file or of the next. 1, 0 when there are none, or a negative errno. */
static int more(struct log_reader *r)
{
	int result = r->fd < 0 ? 0 : fill(r);

	if (result < 0 && log_reader_may_go_on(r, result)) {
		close_file(r);
		r->cut = true;
	}
	if (result != 0)
		return result;
	if (r->fd >= 0 && r->is_current) {
		if (was_truncated(r)) {
			r->begin = r->end = 0;
			return lseek(r->fd, 0, SEEK_SET) < 0 ? -errno : fill(r);
		}
		if (!was_rotated(r))
			return 0;
		/* What was written between the last look and the rotation. */
		result = fill(r);
		if (result == 0)
			result = follow_rotation(r);
		return result;
	}
	close_file(r);
	result = open_next(r);
	return result <= 0 ? result : more(r);
}

static int give(struct log_reader *r, size_t size, bool whole, struct log_text *ret)
{
	uint64_t time = log_line_time(r->buffer + r->begin, size);

	r->time = time != LOG_TIME_NONE ? time : r->time;
	*ret = (struct log_text){ r->buffer + r->begin, size, r->time, whole };
	r->begin += size + whole;
	return 1;
}

int log_reader_next(struct log_reader *r, bool partial, struct log_text *ret, const char **ret_path)
{
	size_t looked = 0;

	for (;;) {
		const char *from = r->buffer + r->begin;
		size_t size = r->end - r->begin;
		const char *newline =
			size > looked ? memchr(from + looked, '\n', size - looked) : NULL;
		int result;

		if (newline)
			return give(r, (size_t)(newline - from), true, ret);
		if (r->cut && size > 0)
			return give(r, size, false, ret);
		r->cut = false;
		looked = size;
		result = more(r);
		*ret_path = r->path ? r->path : r->directory;
		if (result < 0)
			return result;
		if (result == 0 && partial && size > 0)
			return give(r, size, false, ret);
		if (result == 0)
			return 0;
	}
}
