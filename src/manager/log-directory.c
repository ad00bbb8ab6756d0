/* SPDX-License-Identifier: MIT */
/* The directory of the logs: see log-directory.h. */
#include "manager/log-directory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "manager/config.h"
#include "manager/manager.h"

static void usual(const struct manager_options *o, char *buf, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (o->private_directory)
		snprintf(buf, size, "%s/log", o->run_directory);
	else if (geteuid() == 0)
		snprintf(buf, size, "%s", LOGDIR);
	else if (state && *state)
		snprintf(buf, size, "%s/foster/log", state);
	else
		snprintf(buf, size, "%s/.local/state/foster/log", home ? home : "");
}

static char *path_of(const struct manager *m, const struct config *c)
{
	char path[PATH_MAX];

	if (c->log_directory)
		return strdup(c->log_directory);
	usual(&m->options, path, sizeof(path));
	return strdup(path);
}

bool log_directory_differs(const struct manager *m, const struct config *c)
{
	_cleanup_free_ char *path = path_of(m, c);

	return path && m->log_directory && strcmp(path, m->log_directory) != 0;
}

static int make_all(char *path)
{
	for (char *p = path + 1;; p++) {
		char was = *p;
		int error;

		if (was != '/' && was != '\0')
			continue;
		*p = '\0';
		error = mkdir(path, 0750) < 0 && errno != EEXIST ? -errno : 0;
		if (error < 0)
			return log_error_errno(error, "log-directory %s", path);
		*p = was;
		if (was == '\0')
			return 0;
	}
}

int log_directory_make(struct manager *m, const struct config *c)
{
	char *path = path_of(m, c);
	int error = path ? make_all(path) : -ENOMEM;

	if (error < 0) {
		free(path);
		return error;
	}
	free(m->log_directory);
	m->log_directory = path;
	return 0;
}
