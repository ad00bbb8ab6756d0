/* SPDX-License-Identifier: MIT */
/* Pipes to the logger: see log-pipe.h. */
#include "manager/log-pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

void log_pipe_clear(struct log_pipe *p)
{
	p->both = fd_close(p->both);
	p->reader = fd_close(p->reader);
}

/* Opens the pipe of fd anew in another mode. The fd, or -errno. */
static int reopen(int fd, int flags)
{
	char path[32];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, flags | O_CLOEXEC);
	return copy < 0 ? -errno : copy;
}

int log_pipe_reader(int fd)
{
	return reopen(fd, O_RDONLY | O_NONBLOCK);
}

int log_pipe_make(struct log_pipe *p, uid_t uid)
{
	_cleanup_close_ int writer = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	p->reader = ends[0];
	writer = ends[1];
	p->both = reopen(p->reader, O_RDWR);
	if (p->both < 0)
		return p->both;
	/* So that the service may open /dev/stdout and /dev/stderr as its own user. */
	if (uid != (uid_t)-1 && fchown(p->reader, uid, (gid_t)-1) < 0)
		log_warning_errno(-errno, "fchown of a log pipe");
	return 0;
}

/* Ours is open for both directions, which no other program does with a pipe. */
static bool is_ours(pid_t pid, int number, int fd)
{
	_cleanup_free_ char *text = NULL;
	char path[48], *flags;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, number);
	if (fd_read_file(path, 4096, &text, NULL) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && (strtol(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) == O_RDWR;
}

int log_pipe_adopt(struct log_pipe *p, pid_t pid, int fd)
{
	char path[48];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (stat(path, &st) < 0 ||
	    !S_ISFIFO(st.st_mode)) /* to open a terminal is to do something */
		return -ENOTCONN;
	p->both = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (!is_ours(pid, fd, p->both))
		return -ENOTCONN;
	p->reader = log_pipe_reader(p->both);
	return p->reader < 0 ? p->reader : fd_set_nonblock(p->both, false);
}

bool log_pipe_is_same(pid_t pid, int a, int b)
{
	struct stat x, y;
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, a);
	if (stat(path, &x) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, b);
	return stat(path, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
