/* SPDX-License-Identifier: MIT */
/* Who a pid really is: see identity.h. */
#include "supervisor/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/pidfd-info.h"
#include "supervisor/proc.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446
#endif

int identity_pidfd_open(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd; /* the kernel sets CLOEXEC by itself */
}

int identity_pidfd_signal(int pidfd, int signo)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

/* 0 when pidfds are not of pidfs: then all of them share one inode. */
static uint64_t pidfs_inode(int pidfd)
{
	static bool known; /* one kernel has either all pidfds there or none */
	struct statfs fs;
	struct stat st;

	if (!known) {
		if (fstatfs(pidfd, &fs) < 0 || fs.f_type != PID_FS_MAGIC)
			return 0;
		known = true;
	}
	return fstat(pidfd, &st) < 0 ? 0 : st.st_ino;
}

static uint64_t start_ticks(pid_t pid)
{
	return proc_stat_field(pid, 22);
}

/* The kernel shows it as 0 to those who may not know. */
static bool may_read_status(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return geteuid() == 0 || (stat(path, &st) == 0 && st.st_uid == geteuid());
}

void identity_take(pid_t pid, uint64_t *ret_inode, uint64_t *ret_ticks)
{
	_cleanup_close_ int fd = identity_pidfd_open(pid);

	*ret_inode = fd < 0 ? 0 : pidfs_inode(fd);
	*ret_ticks = *ret_inode ? 0 : start_ticks(pid);
}

int identity_open(pid_t pid, uint64_t inode, uint64_t ticks)
{
	_cleanup_close_ int fd = -1;

	if (pid <= 0 || (!inode && !ticks))
		return -ESRCH;
	fd = identity_pidfd_open(pid);
	if (fd < 0)
		return fd == -EINVAL ? -ESRCH : fd;
	if (inode ? pidfs_inode(fd) != inode : start_ticks(pid) != ticks)
		return -ESRCH;
	/* Between pidfd_open and reading the start time the pid may have gone to another
	 * process only when the pidfd's own had ended: then this fails. */
	if (identity_pidfd_signal(fd, 0) == -ESRCH)
		return -ESRCH;
	return TAKE_FD(fd);
}

/* The value of FOSTER_INSTANCE in the environment, in a static buffer; NULL: it has none. */
static const char *environment_mark(pid_t pid)
{
	static const char name[] = "FOSTER_INSTANCE=";
	static char text[128 * 1024];
	_cleanup_close_ int fd = -1;
	char path[32];
	size_t size = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && size < sizeof(text) - 1 &&
	       (n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += n;
	text[size] = '\0';
	for (const char *p = text; p < text + size; p += strlen(p) + 1) {
		if (strncmp(p, name, strlen(name)) == 0)
			return p + strlen(name);
	}
	return NULL;
}

uint64_t identity_marked_instance(pid_t pid, uint64_t run_id)
{
	const char *mark = environment_mark(pid);
	unsigned long long run, instance;
	int end = 0;

	if (!mark || sscanf(mark, "%16llx.%llu%n", &run, &instance, &end) != 2 || mark[end] ||
	    run != run_id)
		return 0;
	return instance;
}

int identity_open_marked(pid_t pid, uint64_t run_id, uint64_t instance)
{
	_cleanup_close_ int fd = pid > 0 ? identity_pidfd_open(pid) : -ESRCH;

	if (fd < 0)
		return fd == -EINVAL ? -ESRCH : fd;
	if (!instance || identity_marked_instance(pid, run_id) != instance ||
	    identity_pidfd_signal(fd, 0) < 0)
		return -ESRCH;
	return TAKE_FD(fd);
}

int identity_exit_status(int pidfd, pid_t pid, int *ret_status)
{
	struct pollfd reaped = { .fd = pidfd };
	int status, r = pidfd_info_exit(pidfd, ret_status);

	if (r == 0)
		return 0;
	if (may_read_status(pid)) {
		status = proc_stat_field(pid, 52);
		/* It was the zombie that we read of, if it is one still. */
		if (identity_pidfd_signal(pidfd, 0) == 0) {
			*ret_status = status;
			return 0;
		}
	}
	/*
	 * Its parent is reaping it at this moment. That takes the kernel some microseconds; a
	 * parent that is preempted there is not worth more than a short wait.
	 */
	if (r == -EAGAIN && identity_pidfd_signal(pidfd, 0) == -ESRCH) {
		poll(&reaped, 1, 10);
		r = pidfd_info_exit(pidfd, ret_status);
	}
	return r < 0 ? -ENODATA : 0;
}
