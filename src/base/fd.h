/* SPDX-License-Identifier: MIT */
/* File descriptors: closing, flags, whole reads and writes, passing over Unix sockets. */
#ifndef FOSTER_BASE_FD_H
#define FOSTER_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/macro.h"

/* Closes fd unless it is negative; errno is kept. Always returns -1: fd = fd_close(fd). */
int fd_close(int fd);

static inline void fd_cleanup(int *fd)
{
	fd_close(*fd);
}
#define _cleanup_close_ _cleanup_(fd_cleanup)

int fd_copy(int fd);                  /* a CLOEXEC one with another number, or -errno */
int fd_set_nonblock(int fd, bool on); /* 0 or -errno */
int fd_set_cloexec(int fd, bool on);  /* 0 or -errno */

/*
 * Opens /dev/null on each of fds 0 to 2 that is closed, so that no later socket or file takes
 * one of those numbers. To be called first in main(). 0 or -errno.
 */
int fd_fill_stdio(void);

/* Writes all of it, through EINTR and short writes. Blocking fds. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t size);

/* The directories above path that are not there: "a" and "a/b" of "a/b/c". 0 or -errno. */
int fd_make_directories(const char *path, mode_t mode);

/*
 * Reads a whole file of at most max bytes. *ret_data is NUL-terminated and the caller's to
 * free; *ret_size (may be NULL) does not count the NUL. 0 or -errno; -EFBIG above max.
 */
int fd_read_file(const char *path, size_t max, char **ret_data, size_t *ret_size);
/* The same of a regular file, else -EISDIR or -EMEDIUMTYPE: it never waits for a writer. */
int fd_read_regular(const char *path, size_t max, char **ret_data, size_t *ret_size);
int fd_read_all(int fd, size_t max, char **ret_data, size_t *ret_size);

/*
 * One message with up to FD_PASS_MAX descriptors over a Unix socket. Both return the number of
 * bytes or -errno. Received descriptors are CLOEXEC and the caller's to close; *n_fds holds the
 * room on entry and the number received on return; what does not fit is closed and -EMSGSIZE
 * returned.
 */
#define FD_PASS_MAX 253 /* SCM_MAX_FD, see unix(7) */
ssize_t fd_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds, int flags);
ssize_t fd_receive(int sock, void *data, size_t size, int *ret_fds, size_t *n_fds, int flags);

#endif
