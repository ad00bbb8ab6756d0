/* SPDX-License-Identifier: MIT */
/*
 * Compressed files, by zlib, which is loaded when it is first needed: most processes that might
 * read or write one never do, and start faster without.
 */
#ifndef FOSTER_BASE_GZIP_H
#define FOSTER_BASE_GZIP_H

#include <stddef.h>
#include <sys/types.h>

struct gzip;

/*
 * A stream over fd, which stays the caller's: mode "r" or "w". NULL: *ret_error says why: -ENOENT
 * where there is no zlib, -ENOMEM.
 */
struct gzip *gzip_open(int fd, const char *mode, int *ret_error);

ssize_t gzip_read(struct gzip *, char *data, size_t size);    /* 0 at the end; -EBADMSG, -EIO */
int gzip_write(struct gzip *, const char *data, size_t size); /* all of it: 0 or -EIO */

/* Writes what is still in memory, and frees. 0 or -EIO. NULL is allowed. */
int gzip_close(struct gzip *);

#endif
