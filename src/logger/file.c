/* SPDX-License-Identifier: MIT */
/* The logger's files: see file.h. */
#include "logger/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"

#define OPEN_MAX_FILES 512
#define FLAGS          (O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY)

static struct log_file *newest, *oldest;
static unsigned n_open;

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

static void close_file(struct log_file *f)
{
	if (f->fd < 0)
		return;
	unlink_open(f);
	f->fd = fd_close(f->fd);
	n_open--;
}

int log_file_init(struct log_file *f, const char *path)
{
	*f = (struct log_file){ .fd = -1, .path = strdup(path) };
	return f->path ? 0 : -ENOMEM;
}

void log_file_clear(struct log_file *f)
{
	close_file(f);
	free(f->path);
	f->path = NULL;
}

/* The directory was there when foster started; whoever removed it wants it back empty. */
static int make_directory(const char *path)
{
	_cleanup_free_ char *directory = strdup(path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!slash)
		return -ENOMEM;
	*slash = '\0';
	return mkdir(directory, 0750) < 0 ? -errno : 0;
}

static int open_file(struct log_file *f)
{
	if (f->fd >= 0) {
		unlink_open(f);
		link_newest(f);
		return 0;
	}
	if (n_open >= OPEN_MAX_FILES)
		close_file(oldest);
	/* Not through a symlink: whoever may write to the directory must not choose the file. */
	f->fd = open(f->path, FLAGS, 0640);
	if (f->fd < 0 && errno == ENOENT && make_directory(f->path) == 0)
		f->fd = open(f->path, FLAGS, 0640);
	if (f->fd < 0)
		return -errno;
	link_newest(f);
	n_open++;
	return 0;
}

void log_file_write(struct log_file *f, const char *data, size_t size)
{
	int error = open_file(f);

	if (error == 0)
		error = fd_write_all(f->fd, data, size);
	if (error < 0 && !f->complained)
		log_error_errno(error, "%s: lines are lost", f->path);
	f->complained = error < 0;
}
