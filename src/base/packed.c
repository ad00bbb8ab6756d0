/* SPDX-License-Identifier: MIT */
/* Compressed files: see packed.h. */
#include "base/packed.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

struct packed {
	const struct packed_kind *kind;
	void *handle;
};

static const struct packed_kind none = { .suffix = "", .library = "" };

static const struct packed_kind *const kinds[PACKING_COUNT] = {
	[PACKING_NONE] = &none,
	[PACKING_GZIP] = &packed_gzip,
	[PACKING_ZSTD] = &packed_zstd,
};

const char *packing_suffix(enum packing packing)
{
	return kinds[packing]->suffix;
}

const char *packing_library(enum packing packing)
{
	return kinds[packing]->library;
}

bool packing_is_built(enum packing packing)
{
	return packing == PACKING_NONE || kinds[packing]->find;
}

/* Once, and kept. 0 or -ELIBACC. */
static int load(enum packing packing)
{
	static bool loaded[PACKING_COUNT];
	const struct packed_kind *kind = kinds[packing];
	void *library = NULL;

	if (!loaded[packing] && kind->find)
		library = dlopen(kind->library, RTLD_NOW | RTLD_LOCAL);
	if (library && !(loaded[packing] = kind->find(library)))
		dlclose(library);
	return loaded[packing] ? 0 : -ELIBACC;
}

static struct packed *open_stream(enum packing packing, int fd, bool write, int *ret_error)
{
	const struct packed_kind *kind = kinds[packing];
	int error = load(packing);
	struct packed *p = error == 0 ? calloc(1, sizeof(*p)) : NULL;

	if (p) {
		p->kind = kind;
		p->handle = kind->open(fd, write, &error);
	}
	if (p && p->handle)
		return p;
	free(p);
	*ret_error = error < 0 ? error : -ENOMEM;
	return NULL;
}

struct packed *packed_reader(enum packing packing, int fd, int *ret_error)
{
	return open_stream(packing, fd, false, ret_error);
}

struct packed *packed_writer(enum packing packing, int fd, int *ret_error)
{
	return open_stream(packing, fd, true, ret_error);
}

ssize_t packed_read(struct packed *p, char *data, size_t size)
{
	return size == 0 ? 0 : p->kind->read(p->handle, data, size);
}

int packed_write(struct packed *p, const char *data, size_t size)
{
	return size == 0 ? 0 : p->kind->write(p->handle, data, size);
}

int packed_close(struct packed *p)
{
	int error = p ? p->kind->close(p->handle) : 0;

	free(p);
	return error;
}
