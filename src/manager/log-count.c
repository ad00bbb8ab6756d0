/* SPDX-License-Identifier: MIT */
/* Counts of the logger: see log-count.h. */
#include "manager/log-count.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/guarded-map.h"
#include "base/log.h"
#include "base/macro.h"
#include "manager/manager.h"
#include "manager/supervisor-link.h"

/* In the store: of another release's layout it has another name. */
#define STORED_NAME "log-counts-" STRINGIFY(LOGGER_MEMORY_VERSION)
#define NEW_FILE    LOGGER_MEMORY_FILE ".new"

struct log_counts {
	int fd;
	struct logger_memory *memory;
};

static void read_boot_id(char *buf, size_t size)
{
	_cleanup_free_ char *text = NULL;

	memset(buf, 0, size);
	if (fd_read_file("/proc/sys/kernel/random/boot_id", 4096, &text, NULL) == 0)
		strncpy(buf, text, size - 1);
}

static struct logger_memory_head make_head(void)
{
	struct logger_memory_head head = { .magic = LOGGER_MEMORY_MAGIC,
					   .version = LOGGER_MEMORY_VERSION,
					   .size_of_count = sizeof(struct logger_count) };

	read_boot_id(head.boot_id, sizeof(head.boot_id));
	return head;
}

static bool is_of_our_layout(int fd)
{
	const struct logger_memory_head ours = make_head();
	struct logger_memory_head head;
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == sizeof(struct logger_memory) &&
	       pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
	       memcmp(&head, &ours, sizeof(head)) == 0;
}

/* The pages of what is used alone are there. 0 or -errno. */
static int fill_in(int fd)
{
	const struct logger_memory_head head = make_head();
	ssize_t n;

	if (ftruncate(fd, sizeof(struct logger_memory)) < 0)
		return -errno;
	n = pwrite(fd, &head, sizeof(head), 0);
	return n == sizeof(head) ? 0 : n < 0 ? -errno : -ENOSPC;
}

/*
 * What the last fosterd left. Nobody else may have put it there, or could write to it.
 */
static int open_left(int directory)
{
	_cleanup_close_ int fd =
		openat(directory, LOGGER_MEMORY_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1 ||
	    (st.st_mode & 077) || !is_of_our_layout(fd))
		return -ENOENT;
	return TAKE_FD(fd);
}

/* Another file, and whole before it has the name: who still has the old one mapped keeps that. */
static int make_file(int directory)
{
	_cleanup_close_ int fd = -1;
	int error;

	unlinkat(directory, NEW_FILE, 0);
	fd = openat(directory, NEW_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	error = fill_in(fd);
	if (error == 0 && renameat(directory, NEW_FILE, directory, LOGGER_MEMORY_FILE) < 0)
		error = -errno;
	if (error < 0) {
		unlinkat(directory, NEW_FILE, 0);
		return error;
	}
	return TAKE_FD(fd);
}

static int open_or_make(const struct manager *m)
{
	_cleanup_close_ int directory =
		open(m->options.run_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = directory < 0 ? -errno : open_left(directory);

	return directory >= 0 && fd < 0 ? make_file(directory) : fd;
}

/* Lives as long as fosterd. */
static int make_memory(void)
{
	_cleanup_close_ int fd = memfd_create("foster-log-counts", MFD_CLOEXEC);
	int error = fd < 0 ? -errno : fill_in(fd);

	return error < 0 ? error : TAKE_FD(fd);
}

static int make(const struct manager *m)
{
	int fd = open_or_make(m);

	if (fd >= 0)
		return fd;
	log_warning_errno(fd,
			  "%s/" LOGGER_MEMORY_FILE ": what is logged is counted, and known to "
			  "the next logger, as long as fosterd lives",
			  m->options.run_directory);
	return make_memory();
}

/* The last manager's; negative: there is none of this layout. */
static int take(struct manager *m)
{
	const char *name = supervisor_link_stored(m, PLACE_LOGGER_COUNTS);
	_cleanup_close_ int fd = -1;

	if (!name || strcmp(name, STORED_NAME) != 0)
		return -ENOENT;
	fd = supervisor_link_fetch(m, PLACE_LOGGER_COUNTS);
	return fd >= 0 && is_of_our_layout(fd) ? TAKE_FD(fd) : -ENOENT;
}

static int map(struct log_counts *c)
{
	c->memory = guarded_map(c->fd, sizeof(*c->memory));
	return c->memory ? 0 : -errno;
}

struct log_counts *log_counts_new(struct manager *m)
{
	struct log_counts *c = calloc(1, sizeof(*c));
	bool taken;
	int error;

	if (!c)
		return NULL;
	c->fd = take(m);
	taken = c->fd >= 0;
	if (!taken)
		c->fd = make(m);
	error = c->fd < 0 ? c->fd : map(c);
	if (error < 0) {
		log_warning_errno(error, "what is logged cannot be counted");
		return log_counts_free(c);
	}
	if (!taken)
		supervisor_link_store(m, PLACE_LOGGER_COUNTS, STORED_NAME, fd_copy(c->fd));
	return c;
}

struct log_counts *log_counts_free(struct log_counts *c)
{
	if (!c)
		return NULL;
	if (c->memory)
		guarded_unmap();
	fd_close(c->fd);
	free(c);
	return NULL;
}

int log_counts_fd(const struct log_counts *c)
{
	return c ? fd_copy(c->fd) : -1;
}

struct logger_count log_counts_of(const struct log_counts *c, uint32_t number)
{
	const struct logger_count *from = c ? &c->memory->counts[number] : NULL;
	struct logger_count count = { 0 };

	if (!from)
		return count;
	count.pipe = __atomic_load_n(&from->pipe, __ATOMIC_RELAXED);
	count.lines = __atomic_load_n(&from->lines, __ATOMIC_RELAXED);
	count.bytes = __atomic_load_n(&from->bytes, __ATOMIC_RELAXED);
	for (size_t i = 0; i < _LOGGER_LOSSES; i++)
		count.lost[i] = __atomic_load_n(&from->lost[i], __ATOMIC_RELAXED);
	count.blocked = __atomic_load_n(&from->blocked, __ATOMIC_RELAXED);
	return count;
}

void log_counts_begin(struct log_counts *c, uint32_t number, int pipe)
{
	struct logger_count *count = c ? &c->memory->counts[number] : NULL;
	struct stat st;

	if (!count || fstat(pipe, &st) < 0)
		return;
	/* Who writes here for the last pipe of the number stops it. */
	__atomic_store_n(&count->pipe, 0, __ATOMIC_RELEASE);
	memset(count, 0, sizeof(*count));
	count->pipe_device = st.st_dev;
	__atomic_store_n(&count->pipe, st.st_ino, __ATOMIC_RELEASE);
}

void log_counts_no_pipe(struct log_counts *c, uint32_t number)
{
	if (c)
		__atomic_store_n(&c->memory->counts[number].pipe, LOGGER_NO_PIPE, __ATOMIC_RELEASE);
}

bool log_counts_say(const struct log_counts *c, uint32_t number)
{
	return c && c->memory->counts[number].pipe != 0;
}

bool log_counts_is_of(const struct log_counts *c, uint32_t number, int pipe)
{
	const struct logger_count *count = c ? &c->memory->counts[number] : NULL;
	struct stat st;

	return count && fstat(pipe, &st) == 0 && count->pipe == st.st_ino &&
	       count->pipe_device == st.st_dev;
}
