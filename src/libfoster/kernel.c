/* SPDX-License-Identifier: MIT */
/*
 * Thin wrappers of system calls. The pidfd calls go through syscall(2): glibc has wrappers only
 * from 2.36 on, and a program that links an older one must still run.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pidfd-info.h"
#include "libfoster/kernel.h"

/* An enum member in glibc from 2.36 on, and not at all before. */
#define IDTYPE_PIDFD ((idtype_t)3)

int fd_above_stdio(int fd)
{
	int moved, err;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	err = errno;
	close(fd);
	return moved < 0 ? -err : moved;
}

void fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int socket_pair(int ret_fds[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int fd = fd_above_stdio(fds[i]);

		if (fd < 0) {
			fds[i] = -1;
			fd_drop(&fds[0]);
			fd_drop(&fds[1]);
			return fd;
		}
		fds[i] = fd;
	}
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

int pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd_above_stdio(fd);
}

int pidfd_signal(int pidfd, int signo)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

/* What waitid(2) told, in waitpid's form, which is also the form PIDFD_GET_INFO uses. */
static int wait_status(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return (info->si_status & 0xff) << 8;
	return info->si_status & 0x7f;
}

int pidfd_reap(int pidfd, int *ret_status)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(IDTYPE_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
		return -errno;
	if (info.si_pid == 0)
		return 0;
	*ret_status = wait_status(&info);
	return 1;
}

int pidfd_exit_info(int pidfd, int *ret_status)
{
	/*
	 * Between the moment another thread's wait() takes a zombie and the moment the kernel
	 * files its status lie some microseconds, or more if that thread is preempted there.
	 * POLLHUP comes after both, and wakes.
	 */
	for (int try = 0; try < 10; try++) {
		struct pollfd reaped = { .fd = pidfd };
		int r = pidfd_info_exit(pidfd, ret_status);

		if (r != -EAGAIN)
			return r;
		poll(&reaped, 1, 100);
	}
	return -ENODATA;
}
