/* SPDX-License-Identifier: MIT */
/* /proc: see proc.h. getdents64(2) itself, for opendir(3) allocates. */
#include "supervisor/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define STAT_MAX 1024

bool proc_usable(void)
{
	char text[16];
	ssize_t n = readlink("/proc/self", text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return atoi(text) == getpid();
}

static void visit_entry(const char *name, proc_visit *visit, void *arg)
{
	char *end;
	long number = strtol(name, &end, 10);

	if (end != name && *end == '\0')
		visit(number, arg);
}

int proc_each_entry(const char *directory, proc_visit *visit, void *arg)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char buf[4096];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = getdents64(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const struct dirent64 *)(buf + at);

			visit_entry(entry->d_name, visit, arg);
			at += entry->d_reclen;
		}
	}
	return n < 0 ? -errno : 0;
}

int proc_each_number(const char *file, proc_visit *visit, void *arg)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	char buf[1024];
	int number = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] >= '0' && buf[i] <= '9') {
				number = number * 10 + (buf[i] - '0');
			} else if (number > 0) {
				visit(number, arg);
				number = 0;
			}
		}
	}
	return n < 0 ? -errno : 0;
}

/* /proc/PID/stat behind the name, which may hold anything. NULL: it cannot be read, errno. */
static char *read_stat(pid_t pid, char *text, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[32], *p;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (n < 0)
		return NULL;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (!p)
		errno = EINVAL;
	return p;
}

int proc_state(pid_t pid, struct proc_state *ret)
{
	char text[STAT_MAX], *p = read_stat(pid, text, sizeof(text));

	if (!p)
		return -errno;
	if (sscanf(p + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d",
		   &ret->state, &ret->parent, &ret->threads) != 3)
		return -EINVAL;
	return 0;
}

uint64_t proc_stat_field(pid_t pid, int number)
{
	char text[STAT_MAX], *p = read_stat(pid, text, sizeof(text));

	for (int field = 2; p && field < number; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}
