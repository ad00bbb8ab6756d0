/* SPDX-License-Identifier: MIT */
/* The run directory, and its lock: see run-directory.h. */
#include "supervisor/run-directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "supervisor/table.h"

#define LOCK_WAIT USEC_PER_SEC

int run_directory_default(char *buf, size_t size)
{
	const char *from_environment = getenv("FOSTER_RUN_DIRECTORY");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (from_environment && *from_environment)
		snprintf(buf, size, "%s", from_environment);
	else if (geteuid() == 0)
		snprintf(buf, size, "%s", PKGRUNTIMEDIR);
	else if (runtime && *runtime)
		snprintf(buf, size, "%s/foster", runtime);
	else {
		log_error("no run directory: XDG_RUNTIME_DIR is not set; use --run-directory DIR");
		return -ENOENT;
	}
	return 0;
}

/* Makes the directory and those above it. 0 or -errno. */
static int make_directories(const char *path)
{
	char part[PATH_MAX];
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/*
 * A supervisor that was killed in the middle of a fork leaves a child that holds its lock until
 * it execs or finds its parent dead: that is waited for. False: a live one has the lock; its
 * pid is in text.
 */
static bool wait_for_lock(int dir_fd, int pid_fd, char *text, size_t size)
{
	uint64_t deadline = now_monotonic() + LOCK_WAIT;

	while (flock(dir_fd, LOCK_EX | LOCK_NB) < 0) {
		bool held = errno == EWOULDBLOCK;
		ssize_t n = pread(pid_fd, text, size - 1, 0);
		pid_t pid;

		text[n > 0 ? n : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		pid = atoi(text);
		if (!held || now_monotonic() > deadline || (pid > 0 && kill(pid, 0) == 0))
			return false;
		poll(NULL, 0, 2);
	}
	return true;
}

/*
 * Takes the lock of the run directory, for as long as we live: a lock on the directory itself,
 * which nobody deletes under us without deleting all of it. The file "lock" tells the pid.
 */
static int take_lock(struct supervisor *s, int dir_fd, const char *directory)
{
	_cleanup_close_ int fd =
		openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	char text[16] = "";

	if (fd < 0)
		return log_error_errno(-errno, "%s/lock", directory);
	if (!wait_for_lock(dir_fd, fd, text, sizeof(text))) {
		log_error("%s is in use by another fosterd%s%s; stop that one with 'fosterctl "
			  "--run-directory %s shutdown', or choose another directory with "
			  "--run-directory DIR",
			  directory, *text ? ", pid " : "", text, directory);
		return -EBUSY;
	}
	s->lock_fd = supervisor_copy_fd(dir_fd);
	snprintf(text, sizeof(text), "%d\n", s->pid);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) < 0)
		log_warning_errno(-errno, "%s/lock", directory);
	return s->lock_fd < 0 ? s->lock_fd : 0;
}

int run_directory_open(struct supervisor *s, const char *directory, char *ret_path)
{
	_cleanup_close_ int dir_fd = -1;
	int error = make_directories(directory);

	if (error < 0)
		return log_error_errno(error, "%s: cannot make the run directory", directory);
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || !realpath(directory, ret_path))
		return log_error_errno(-errno, "%s", directory);
	error = take_lock(s, dir_fd, directory);
	if (error < 0)
		return error;
	s->table = table_open(dir_fd);
	if (!s->table)
		return log_error_errno(-errno, "%s: cannot open the table of children", directory);
	return 0;
}
