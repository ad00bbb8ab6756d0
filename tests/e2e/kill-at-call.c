/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD: the process is killed by SIGKILL as soon as a call of KILL_AT has handed the text
 * KILL_AT_TEXT to the kernel: send, sendmsg, write. Or, with ftruncate, before a file that has the
 * text in it is cut. Then no moment is left in which anything else could be done.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void die_if(const char *call, const void *data, size_t size)
{
	const char *at = getenv("KILL_AT"), *text = getenv("KILL_AT_TEXT");

	if (at && text && strcmp(at, call) == 0 && memmem(data, size, text, strlen(text)))
		syscall(SYS_kill, getpid(), SIGKILL);
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
	ssize_t n = syscall(SYS_write, fd, data, size);

	if (n > 0)
		die_if("write", data, n);
	return n;
}

int ftruncate(int fd, off_t length)
{
	static char data[65536];
	ssize_t n = syscall(SYS_pread64, fd, data, sizeof(data), 0);

	if (n > 0)
		die_if("ftruncate", data, n);
	return syscall(SYS_ftruncate, fd, length);
}
