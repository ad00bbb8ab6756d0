/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD: a cgroup has no file cgroup.kill, as before Linux 5.14. What the file does is in
 * the kernel, and a mount cannot hide it: the cgroups are made later. It makes the file
 * NO_CGROUP_KILL_MARK when somebody asked for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int is_hidden(const char *path)
{
	const char *slash = strrchr(path, '/'), *mark = getenv("NO_CGROUP_KILL_MARK");

	if (strcmp(slash ? slash + 1 : path, "cgroup.kill") != 0)
		return 0;
	if (mark)
		syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY, 0600));
	return 1;
}

static int open_at(int fd, const char *path, int flags, mode_t mode)
{
	if (is_hidden(path)) {
		errno = ENOENT;
		return -1;
	}
	return syscall(SYS_openat, fd, path, flags, mode);
}

/* All names under which the C library has it. */
#define OPENAT(name)                                        \
	int name(int fd, const char *path, int flags, ...); \
	int name(int fd, const char *path, int flags, ...)  \
	{                                                   \
		va_list ap;                                 \
		mode_t mode;                                \
                                                            \
		va_start(ap, flags);                        \
		mode = va_arg(ap, mode_t);                  \
		va_end(ap);                                 \
		return open_at(fd, path, flags, mode);      \
	}

#undef openat
OPENAT(openat)
OPENAT(openat64)
OPENAT(__openat_2)
OPENAT(__openat64_2)

int faccessat(int fd, const char *path, int mode, int flags)
{
	if (is_hidden(path)) {
		errno = ENOENT;
		return -1;
	}
	return syscall(SYS_faccessat2, fd, path, mode, flags);
}
