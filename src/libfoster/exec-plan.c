/* SPDX-License-Identifier: MIT */
/* Finding a program in PATH and executing it. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libfoster/exec-plan.h"

/* Where there is no PATH at all. As glibc's execvp(3): without the current directory. */
#define DEFAULT_PATH "/bin:/usr/bin"

static size_t count_directories(const char *path)
{
	size_t n = 1;

	for (; *path; path++)
		n += *path == ':';
	return n;
}

/* Writes "directory/program", or just the program where the directory is empty; the end. */
static char *put_path(char *to, const char *directory, size_t length, const char *program)
{
	if (length > 0) {
		to = mempcpy(to, directory, length);
		*to++ = '/';
	}
	return stpcpy(to, program) + 1;
}

char **exec_plan_paths(const char *program)
{
	/* A program of no name would be found in every directory: that directory itself. */
	bool as_is = !*program || strchr(program, '/');
	const char *path = as_is ? "" : getenv("PATH");
	size_t n, i = 0;
	char **paths, *text;

	if (!path)
		path = DEFAULT_PATH;
	n = count_directories(path);
	/* Pointers first, then the text: a directory's colon or NUL makes room for its slash. */
	paths = malloc((n + 1) * sizeof(*paths) + strlen(path) + 1 + n * (strlen(program) + 1));
	if (!paths)
		return NULL;
	text = (char *)(paths + n + 1);
	for (const char *at = path;; at++) {
		size_t length = strcspn(at, ":");

		paths[i++] = text;
		text = put_path(text, at, length, program);
		at += length;
		if (!*at)
			break;
	}
	paths[i] = NULL;
	return paths;
}

/* Errors that say: not in this directory, so look in the next. */
static bool is_absent(int err)
{
	return err == ENOENT || err == ENOTDIR || err == ESTALE || err == ENODEV ||
	       err == ETIMEDOUT;
}

int exec_plan_run(char *const paths[], char *const argv[])
{
	bool denied = false;

	for (; *paths; paths++) {
		execve(*paths, argv, environ);
		if (errno == EACCES)
			denied = true;
		else if (!is_absent(errno))
			return -errno;
	}
	return denied ? -EACCES : -ENOENT;
}
