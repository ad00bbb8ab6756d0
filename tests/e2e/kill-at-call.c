/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD: the process is killed by SIGKILL as soon as a call of KILL_AT has handed the
 * text KILL_AT_TEXT to the kernel: send, sendmsg, write; or has got it from there: read. At its
 * KILL_AT_COUNT-th time, the first unless set. Or, with ftruncate, before a file that has the text
 * in it is cut; with no-read and no-readv, before a pipe is read, with readv, after it was; with
 * no-rename and rename, before and after a file gets another name; with write-part, when the text
 * is written, and nothing of what was to be written behind it. With no-cut it is not killed, but
 * no file can be cut. Then no moment is left in which anything else could be done.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What stands behind the text in data, when it is the time to die; else NULL. */
static const char *behind(const char *call, const void *data, size_t size)
{
	static int times;
	const char *at = getenv("KILL_AT"), *text = getenv("KILL_AT_TEXT");
	const char *count = getenv("KILL_AT_COUNT"), *found;

	if (!at || !text || strcmp(at, call) != 0)
		return NULL;
	found = memmem(data, size, text, strlen(text));
	if (!found || ++times < (count ? atoi(count) : 1))
		return NULL;
	return found + strlen(text);
}

static void die(void)
{
	syscall(SYS_kill, getpid(), SIGKILL);
}

static void die_if(const char *call, const void *data, size_t size)
{
	if (behind(call, data, size))
		die();
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	ssize_t n = syscall(SYS_sendto, fd, data, size, flags, NULL, 0);

	if (n > 0)
		die_if("send", data, n);
	return n;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t n = syscall(SYS_sendmsg, fd, m, flags);

	if (n > 0)
		die_if("sendmsg", m->msg_iov[0].iov_base, m->msg_iov[0].iov_len);
	return n;
}

ssize_t write(int fd, const void *data, size_t size)
{
	const char *end = behind("write-part", data, size);
	ssize_t n = syscall(SYS_write, fd, data, end ? (size_t)(end - (const char *)data) : size);

	if (end)
		die();
	if (n > 0)
		die_if("write", data, n);
	return n;
}

static bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

ssize_t readv(int fd, const struct iovec *to, int n_to)
{
	ssize_t n;

	if (is_pipe(fd))
		die_if("no-readv", "", 1);
	n = syscall(SYS_readv, fd, to, n_to);
	if (n > 0 && is_pipe(fd))
		die_if("readv", "", 1);
	return n;
}

ssize_t read(int fd, void *data, size_t size)
{
	ssize_t n;

	if (is_pipe(fd))
		die_if("no-read", "", 1);
	n = syscall(SYS_read, fd, data, size);
	if (n > 0)
		die_if("read", data, n);
	return n;
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
	int error;

	die_if("no-rename", "", 1);
	error = (int)syscall(SYS_renameat2, from, old, to, new, flags);
	if (error == 0)
		die_if("rename", "", 1);
	return error;
}

int ftruncate(int fd, off_t length)
{
	static char data[65536];
	const char *at = getenv("KILL_AT");
	ssize_t n = syscall(SYS_pread64, fd, data, sizeof(data), 0);

	if (n > 0)
		die_if("ftruncate", data, n);
	if (at && strcmp(at, "no-cut") == 0) {
		errno = EPERM;
		return -1;
	}
	return syscall(SYS_ftruncate, fd, length);
}
