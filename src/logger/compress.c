/* SPDX-License-Identifier: MIT */
/* Compressing: see compress.h. */
#include "logger/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/packed.h"

#define QUEUE_MAX 1000
#define PIECE     (64 * 1024)
#define LOWEST    19

struct job {
	struct job *next;
	enum packing packing;
	char *directory;
	char name[];
};

static struct job *first, **last = &first;
static size_t n_jobs;
static pid_t child;
static int pidfd = -1;

/* --- in the child ----------------------------------------------------------------------- */

static int copy(enum packing packing, int from, int to)
{
	static char data[PIECE];
	int error = 0;
	struct packed *z = packed_writer(packing, to, &error);
	ssize_t n = 0;

	if (!z)
		return error;
	while (error == 0 && (n = read(from, data, sizeof(data))) > 0)
		error = packed_write(z, data, (size_t)n);
	if (n < 0)
		error = -errno;
	n = packed_close(z);
	return error < 0 ? error : (int)n;
}

/* Owner, mode and time of the original: its time is that of its last line. */
static int make_alike(int to, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchown(to, st->st_uid, st->st_gid) < 0 && geteuid() == 0)
		return -errno;
	if (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0)
		return -errno;
	return fdatasync(to) < 0 ? -errno : 0; /* before the original is removed */
}

/*
 * What a child has left that was killed, whichever kind it was to make. True: it had made the whole
 * of it.
 */
static bool take_over(const struct job *job, int directory)
{
	char whole[NAME_MAX + 8], half[2 * NAME_MAX];
	struct stat st;
	bool done = false;

	for (int packing = PACKING_NONE + 1; packing < PACKING_COUNT; packing++) {
		snprintf(whole, sizeof(whole), "%s%s", job->name,
			 packing_suffix((enum packing)packing));
		snprintf(half, sizeof(half), "%s%s", whole, COMPRESS_HALF);
		unlinkat(directory, half, 0);
		done |= fstatat(directory, whole, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode);
	}
	return done;
}

static int compress_file(const struct job *job)
{
	_cleanup_close_ int directory = open(job->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int from = -1, to = -1;
	char half[2 * NAME_MAX], whole[NAME_MAX + 8];
	struct stat st;
	int error;

	snprintf(whole, sizeof(whole), "%s%s", job->name, packing_suffix(job->packing));
	snprintf(half, sizeof(half), "%s%s", whole, COMPRESS_HALF);
	if (take_over(job, directory))
		return unlinkat(directory, job->name, 0) < 0 && errno != ENOENT ? -errno : 0;
	from = openat(directory, job->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return errno == ENOENT ? 0 : -errno; /* removed meanwhile: it was too old */
	to = openat(directory, half, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return -errno;
	error = copy(job->packing, from, to);
	if (error == 0)
		error = make_alike(to, &st);
	if (error == 0 && renameat(directory, half, directory, whole) < 0)
		error = -errno;
	unlinkat(directory, error == 0 ? job->name : half, 0);
	return error;
}

static void NORETURN run(const struct job *job, pid_t parent)
{
	int error;

	/* It must not outlive the logger, whose successor does the same file. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	prctl(PR_SET_NAME, job->packing == PACKING_GZIP ? "foster-log:gzip" : "foster-log:zstd");
	close_range(STDERR_FILENO + 1, ~0U, 0); /* the pipes above all */
	fd_close(STDIN_FILENO);
	setpriority(PRIO_PROCESS, 0, LOWEST);
	error = compress_file(job);
	if (error < 0)
		log_error_errno(error, "%s/%s: cannot be compressed%s%s", job->directory, job->name,
				error == -ELIBACC ? ": there is no " : "",
				error == -ELIBACC ? packing_library(job->packing) : "");
	_exit(error < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* --- in the logger ---------------------------------------------------------------------- */

static bool is_queued(const char *directory, const char *name)
{
	for (const struct job *job = first; job; job = job->next) {
		if (strcmp(job->name, name) == 0 && strcmp(job->directory, directory) == 0)
			return true;
	}
	return false;
}

void compress_later(const char *directory, const char *name, enum packing packing)
{
	struct job *job;

	/* The directory is looked at again: nothing is forgotten for long. */
	if (n_jobs >= QUEUE_MAX || is_queued(directory, name))
		return;
	job = calloc(1, sizeof(*job) + strlen(name) + 1);
	if (!job)
		return;
	job->directory = strdup(directory);
	if (!job->directory) {
		free(job);
		return;
	}
	strcpy(job->name, name);
	job->packing = packing;
	*last = job;
	last = &job->next;
	n_jobs++;
}

static void drop_first(void)
{
	struct job *job = first;

	first = job->next;
	if (!first)
		last = &first;
	n_jobs--;
	free(job->directory);
	free(job);
}

int compress_begin(void)
{
	pid_t self;

	if (child > 0 || !first)
		return -1;
	self = getpid();
	child = fork();
	if (child == 0)
		run(first, self);
	if (child > 0)
		pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	if (child < 0 || pidfd < 0) {
		log_warning_errno(-errno, "%s/%s: is not compressed", first->directory,
				  first->name);
		compress_done();
		return -1;
	}
	fd_set_cloexec(pidfd, true);
	return pidfd;
}

void compress_done(void)
{
	if (child > 0)
		waitpid(child, NULL, 0);
	child = 0;
	pidfd = fd_close(pidfd);
	if (first)
		drop_first();
}
