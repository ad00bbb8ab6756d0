/* SPDX-License-Identifier: MIT */
/* Compressed files: see gzip.h. */
#include "base/gzip.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"
#include "base/macro.h"

struct gzip {
	gzFile file;
};

static struct {
	void *library;
	__typeof__(&gzdopen) open;
	__typeof__(&gzread) read;
	__typeof__(&gzwrite) write;
	__typeof__(&gzclose) close;
} z;

static int load(void)
{
	if (z.library)
		return 0;
	z.library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!z.library)
		return -ENOENT;
	z.open = (__typeof__(z.open))dlsym(z.library, "gzdopen");
	z.read = (__typeof__(z.read))dlsym(z.library, "gzread");
	z.write = (__typeof__(z.write))dlsym(z.library, "gzwrite");
	z.close = (__typeof__(z.close))dlsym(z.library, "gzclose");
	if (z.open && z.read && z.write && z.close)
		return 0;
	dlclose(z.library);
	z.library = NULL;
	return -ENOENT;
}

struct gzip *gzip_open(int fd, const char *mode, int *ret_error)
{
	int error = load(), copy = error < 0 ? -1 : fd_copy(fd);
	struct gzip *g = error < 0 ? NULL : calloc(1, sizeof(*g));

	if (g && copy >= 0)
		g->file = z.open(copy, mode);
	if (g && g->file)
		return g;
	*ret_error = error < 0 ? error : -ENOMEM;
	fd_close(copy);
	free(g);
	return NULL;
}

ssize_t gzip_read(struct gzip *g, char *data, size_t size)
{
	int n = z.read(g->file, data, (unsigned)MIN(size, (size_t)INT_MAX));

	return n < 0 ? -EBADMSG : n;
}

int gzip_write(struct gzip *g, const char *data, size_t size)
{
	return size == 0 || z.write(g->file, data, (unsigned)size) == (int)size ? 0 : -EIO;
}

int gzip_close(struct gzip *g)
{
	int error = g && z.close(g->file) != Z_OK ? -EIO : 0;

	free(g);
	return error;
}
