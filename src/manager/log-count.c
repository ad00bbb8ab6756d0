/* SPDX-License-Identifier: MIT */
/* Counts of the logger: see log-count.h. */
#include "manager/log-count.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "manager/manager.h"
#include "manager/supervisor-link.h"

#define SIZE (LOGGER_NUMBERS * sizeof(struct logger_count))
/* In the store: of another release's layout it has another name. */
#define STORED_NAME "log-counts-2"

struct log_counts {
	int fd;
	struct logger_count *counts; /* LOGGER_NUMBERS of them */
};

/* Whoever has it can rely on its size: touching what has been cut off is a SIGBUS. */
static int make(void)
{
	_cleanup_close_ int fd = memfd_create("foster-log-counts", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, SIZE) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* The last manager's; negative: there is none of this layout. */
static int take(struct manager *m)
{
	const char *name = supervisor_link_stored(m, PLACE_LOGGER_COUNTS);
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!name || strcmp(name, STORED_NAME) != 0)
		return -ENOENT;
	fd = supervisor_link_fetch(m, PLACE_LOGGER_COUNTS);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size != SIZE)
		return -ENOENT;
	return TAKE_FD(fd);
}

static int map(struct log_counts *c)
{
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	c->counts = memory;
	return 0;
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
		c->fd = make();
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
	if (c->counts)
		munmap(c->counts, SIZE);
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
	const struct logger_count *from = c ? &c->counts[number] : NULL;
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

void log_counts_clear(struct log_counts *c, uint32_t number)
{
	if (c)
		memset(&c->counts[number], 0, sizeof(c->counts[number]));
}
