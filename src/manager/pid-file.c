/* SPDX-License-Identifier: MIT */
/* Pid files: see pid-file.h. */
#include "manager/pid-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

static int check_file(int fd, const char *path, uid_t owner, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_errno(e, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EINVAL, "%s: no regular file", path);
	if (st.st_uid != 0 && st.st_uid != owner && st.st_uid != geteuid())
		return error_set(e, -EPERM,
				 "%s: belongs to user %u, neither root nor the service's", path,
				 st.st_uid);
	return 0;
}

/* The number on the first line. 0: there is none. */
static pid_t parse_pid(char *text)
{
	char *end;
	long pid;

	text[strcspn(text, "\n")] = '\0';
	errno = 0;
	pid = strtol(text, &end, 10);
	end += strspn(end, " \t\r");
	return errno == 0 && end > text && *end == '\0' && pid > 0 && pid <= INT_MAX ? pid : 0;
}

int pid_file_read(const char *path, uid_t owner, pid_t *ret, struct error *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[64];
	ssize_t n;
	pid_t pid;
	int error;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return error_set(e, -errno, "%s: %s", path,
				 errno == ELOOP ? "is a symbolic link" : strerror(errno));
	error = check_file(fd, path, owner, e);
	if (error < 0)
		return error;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return error_set_errno(e, -errno, "%s", path);
	if (n == 0)
		return -ENOENT; /* it is being written */
	text[n] = '\0';
	pid = parse_pid(text);
	if (pid == 0)
		return error_set(e, -EINVAL, "%s: \"%.20s\" is no pid", path, text);
	*ret = pid;
	return 0;
}

void pid_file_remove(const char *path, uid_t owner, pid_t pid)
{
	struct error e;
	pid_t named;

	if (pid_file_read(path, owner, &named, &e) == 0 && named == pid)
		unlink(path);
}
