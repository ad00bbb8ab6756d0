/* SPDX-License-Identifier: MIT */
/* The logger's files: see file.h. */
#include "logger/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "logger/rotation.h"

#define OPEN_MAX_FILES 512
/* What else is open, or about to come: the pipes of a message, a directory that is looked at. */
#define SPARE        104
#define RENAME_AGAIN (5 * USEC_PER_SEC) /* after it failed */
/* Not through a symlink: whoever may write to the directory must not choose the file. Not waiting
 * for the reader of a fifo, either. */
#define FLAGS (O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK)

static struct log_file *newest, *oldest;
static unsigned n_open, may_be_open = OPEN_MAX_FILES;

static void unlink_open(struct log_file *f)
{
	*(f->newer ? &f->newer->older : &newest) = f->older;
	*(f->older ? &f->older->newer : &oldest) = f->newer;
	f->newer = f->older = NULL;
}

static void link_newest(struct log_file *f)
{
	f->older = newest;
	f->newer = NULL;
	if (newest)
		newest->newer = f;
	else
		oldest = f;
	newest = f;
}

void log_file_init(struct log_file *f)
{
	*f = (struct log_file){ .fd = -1, .ends_line = true };
}

void log_file_close(struct log_file *f)
{
	if (f->fd < 0)
		return;
	unlink_open(f);
	f->fd = fd_close(f->fd);
	n_open--;
}

void log_files_close(void)
{
	while (newest)
		log_file_close(newest);
}

void log_files_make_room(size_t n_pipes)
{
	struct rlimit limit;
	size_t most = OPEN_MAX_FILES;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < n_pipes + SPARE + most)
		most = limit.rlim_cur > n_pipes + SPARE ? limit.rlim_cur - n_pipes - SPARE : 1;
	may_be_open = (unsigned)most;
	while (n_open > may_be_open)
		log_file_close(oldest);
}

/* --- opening ---------------------------------------------------------------------------- */

/* Days begin at midnight, weeks on Monday, as the clock on the wall has it. */
static uint64_t period_of(const struct logger_settings *set, uint64_t realtime)
{
	static const int64_t monday = 3 * 24 * 3600; /* 1970 began on a Thursday */
	time_t seconds = realtime / USEC_PER_SEC;
	struct tm tm = { 0 };

	if (!set->period)
		return 0;
	localtime_r(&seconds, &tm);
	return (realtime + (uint64_t)(tm.tm_gmtoff + monday) * USEC_PER_SEC) / set->period;
}

/* The directory was there when foster started; whoever removed it wants it back empty. */
static int open_directory(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && mkdir(path, 0750) == 0)
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int make_file(int directory, const struct log_place *place)
{
	const struct logger_settings *set = &place->settings->set;
	_cleanup_close_ int fd =
		openat(directory, place->name, FLAGS | O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		return -errno;
	if ((set->uid != UINT32_MAX || set->gid != UINT32_MAX) &&
	    fchown(fd, set->uid, set->gid) < 0)
		log_warning_errno(-errno, "%s/%s: cannot be given to its owner",
				  place->settings->directory, place->name);
	if (fchmod(fd, set->mode) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int open_there(int directory, const struct log_place *place)
{
	int fd = openat(directory, place->name, FLAGS | O_RDWR);

	/* Of a mode that forbids reading: nobody sees how it ends, then. */
	if (fd < 0 && errno == EACCES)
		fd = openat(directory, place->name, FLAGS | O_WRONLY);
	if (fd < 0 && errno == ENOENT)
		return make_file(directory, place);
	return fd < 0 ? -errno : fd;
}

static void look_at_end(struct log_file *f, int fd, uint64_t size)
{
	char last = '\n';

	if (size > 0 && pread(fd, &last, 1, (off_t)size - 1) < 1)
		last = '\n';
	f->size = size;
	f->ends_line = last == '\n';
}

/* A file, and of no other name: a hard link to another's file is as bad as a symlink. */
static int look_at(struct log_file *f, const struct log_place *place, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
		return -EMLINK;
	look_at_end(f, fd, (uint64_t)st.st_size);
	f->inode = st.st_ino;
	f->device = st.st_dev;
	f->period = period_of(&place->settings->set,
			      st.st_size > 0 ? (uint64_t)st.st_mtim.tv_sec * USEC_PER_SEC
					     : now_realtime());
	return 0;
}

static int open_file(struct log_file *f, const struct log_place *place)
{
	_cleanup_close_ int directory = open_directory(place->settings->directory), fd = -1;
	int error;

	if (directory < 0)
		return directory;
	fd = open_there(directory, place);
	error = fd < 0 ? fd : look_at(f, place, fd);
	if (error < 0)
		return error;
	if (n_open >= may_be_open)
		log_file_close(oldest);
	f->fd = TAKE_FD(fd);
	link_newest(f);
	n_open++;
	return 0;
}

/*
 * False: somebody has deleted the file, and what is written to it would be nowhere. Somebody may
 * also have emptied it, or written to it.
 */
static bool look_again(struct log_file *f)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0 || st.st_nlink == 0)
		return false;
	f->size = (uint64_t)st.st_size;
	return true;
}

static size_t room_of(const struct log_file *f, const struct logger_settings *set)
{
	if (set->size == 0 || (f->no_rename && now_monotonic() < f->rename_again))
		return SIZE_MAX;
	return set->size > f->size ? set->size - f->size : 0;
}

int log_file_open(struct log_file *f, const struct log_place *place, uint64_t realtime,
		  bool at_line, size_t *ret_room)
{
	const struct logger_settings *set = &place->settings->set;
	int error = 0;

	if (f->fd >= 0 && !look_again(f))
		log_file_close(f);
	if (f->fd < 0) {
		error = open_file(f, place);
	} else if (f != newest) {
		unlink_open(f);
		link_newest(f);
	}
	if (error == 0 && set->period && at_line && period_of(set, realtime) != f->period) {
		error = f->size > 0 ? log_file_rotate(f, place) : 0;
		f->period = period_of(set, realtime);
	}
	if (error == 0)
		*ret_room = room_of(f, set);
	return error;
}

bool log_file_read(const struct log_file *f, uint64_t from, char *buf, size_t size)
{
	return pread(f->fd, buf, size, (off_t)from) == (ssize_t)size;
}

int log_file_cut(struct log_file *f, uint64_t size)
{
	if (ftruncate(f->fd, (off_t)size) < 0)
		return -errno;
	look_at_end(f, f->fd, size);
	return 0;
}

/* --- writing ---------------------------------------------------------------------------- */

int log_file_rotate(struct log_file *f, const struct log_place *place)
{
	_cleanup_close_ int directory = open_directory(place->settings->directory);
	char to[ROTATED_NAME_MAX];
	int error = directory < 0 ? directory : rotation_rename(directory, place->name, to);

	if (error < 0 && error != -ENOENT) {
		if (!f->no_rename)
			log_error_errno(error, "%s/%s: cannot be rotated, and grows",
					place->settings->directory, place->name);
		f->no_rename = true;
		f->rename_again = now_monotonic() + RENAME_AGAIN;
		return 0;
	}
	f->no_rename = false;
	log_file_close(f);
	rotation_tidy(place->settings, place->name, error == 0 ? to : NULL);
	return open_file(f, place);
}

/* What a failed write has left: the whole of it comes again. */
static void take_back(struct log_file *f)
{
	struct stat st;

	if (fstat(f->fd, &st) == 0 && (uint64_t)st.st_size > f->size &&
	    ftruncate(f->fd, (off_t)f->size) < 0)
		log_warning_errno(-errno, "a part of a write stays in a log file, and comes again");
}

int log_file_write(struct log_file *f, const char *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(f->fd, p, size);
		int error = n < 0 ? -errno : n == 0 ? -EIO : 0;

		if (error == -EINTR)
			continue;
		if (error < 0) {
			take_back(f);
			if (error != -ENOSPC && error != -EDQUOT)
				log_file_close(f); /* it may be another one by the next time */
			return error;
		}
		p += n;
		size -= (size_t)n;
	}
	f->size += (size_t)(p - data);
	return 0;
}
