/* SPDX-License-Identifier: MIT */
/*
 * Compressed files, by zlib or libzstd. A library is loaded when it is first needed: most
 * processes that might read or write such a file never do, and start faster without.
 */
#ifndef FOSTER_BASE_PACKED_H
#define FOSTER_BASE_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum packing {
	PACKING_NONE,
	PACKING_GZIP,
	PACKING_ZSTD,
	PACKING_COUNT
};

const char *packing_suffix(enum packing);  /* ".gz"; "" for none */
const char *packing_library(enum packing); /* "libz.so.1": what must be there to be loaded */

/* False: this foster was built without it. Pure. */
bool packing_is_built(enum packing);

struct packed;

/*
 * A stream over fd, which stays the caller's, of GZIP or ZSTD. NULL: *ret_error says why:
 * -ELIBACC where the library is not there, -ENOMEM.
 */
struct packed *packed_reader(enum packing, int fd, int *ret_error);
struct packed *packed_writer(enum packing, int fd, int *ret_error);

/*
 * 0 at the end; -EBADMSG for what was not written by the like, or ends too early; another -errno.
 */
ssize_t packed_read(struct packed *, char *data, size_t size);
int packed_write(struct packed *, const char *data, size_t size); /* all of it: 0 or -errno */

/* Writes what is still in memory, and frees. 0 or -errno. NULL is allowed. */
int packed_close(struct packed *);

/* --- between the packed*.c files -------------------------------------------------------- */

struct packed_kind {
	const char *suffix, *library;
	bool (*find)(void *library); /* its functions; false: one is lacking */
	/* The handle. NULL: *ret_error is what it is set to, or -ENOMEM. */
	void *(*open)(int fd, bool write, int *ret_error);
	ssize_t (*read)(void *handle, char *data, size_t size);
	int (*write)(void *handle, const char *data, size_t size);
	int (*close)(void *handle);
};

extern const struct packed_kind packed_gzip, packed_zstd; /* zstd: find is NULL when not built */

#endif
