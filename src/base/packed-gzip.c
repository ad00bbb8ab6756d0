/* SPDX-License-Identifier: MIT */
/* gzip's format, by zlib: see packed.h. */
#include <errno.h>
#include <limits.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"
#include "base/library.h"
#include "base/macro.h"
#include "base/packed.h"

#define LIBRARY "libz.so.1"

static struct {
	__typeof__(&gzdopen) open;
	__typeof__(&gzread) read;
	__typeof__(&gzwrite) write;
	__typeof__(&gzdirect) direct;
	__typeof__(&gzerror) error;
	__typeof__(&gzclose) close;
} z;

static bool find(void *library)
{
	const struct library_function functions[] = {
		LIBRARY_FUNCTION(z.open, gzdopen),  LIBRARY_FUNCTION(z.read, gzread),
		LIBRARY_FUNCTION(z.write, gzwrite), LIBRARY_FUNCTION(z.direct, gzdirect),
		LIBRARY_FUNCTION(z.error, gzerror), LIBRARY_FUNCTION(z.close, gzclose),
	};

	return library_find(library, functions, ELEMENTSOF(functions));
}

static void *open_gzip(int fd, bool write, int *ret_error)
{
	int copy = fd_copy(fd); /* zlib closes it */
	gzFile file = copy < 0 ? NULL : z.open(copy, write ? "w" : "r");

	if (!file) {
		*ret_error = copy < 0 ? copy : -ENOMEM;
		fd_close(copy);
	}
	return file;
}

/*
 * zlib passes on what is no gzip, and does not mind an end that comes too early until it is closed.
 */
static ssize_t read_gzip(void *file, char *data, size_t size)
{
	int n = z.read(file, data, (unsigned)MIN(size, (size_t)INT_MAX)), error = Z_OK;

	if (n < 0 || z.direct(file))
		return -EBADMSG;
	if (n == 0)
		z.error(file, &error);
	return error == Z_OK ? n : -EBADMSG;
}

static int write_gzip(void *file, const char *data, size_t size)
{
	errno = 0;
	if (z.write(file, data, (unsigned)size) == (int)size)
		return 0;
	return errno ? -errno : -EIO;
}

static int close_gzip(void *file)
{
	errno = 0;
	if (z.close(file) == Z_OK)
		return 0;
	return errno ? -errno : -EIO;
}

const struct packed_kind packed_gzip = {
	.suffix = ".gz",
	.library = LIBRARY,
	.find = find,
	.open = open_gzip,
	.read = read_gzip,
	.write = write_gzip,
	.close = close_gzip,
};
