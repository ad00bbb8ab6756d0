/* SPDX-License-Identifier: MIT */
/* Where foster's cgroups are: see cgroup-path.h. */
#include "manager/cgroup-path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"

#define NOTE     "cgroup" /* in the run directory */
#define TEXT_MAX (1 << 20)
#ifndef CGROUP2_SUPER_MAGIC
#define CGROUP2_SUPER_MAGIC 0x63677270
#endif

/* --- our own cgroup --------------------------------------------------------------------- */

/* "\040" and its like, as proc(5) writes blanks and backslashes, back to what they stand for. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		unsigned code;

		if (s[0] == '\\' && sscanf(s + 1, "%3o", &code) == 1 && strlen(s) >= 4) {
			*to++ = (char)code;
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* A line of mountinfo: its root and mount point, where it is of cgroup v2. */
static bool is_cgroup2(const char *line, char root[PATH_MAX], char point[PATH_MAX])
{
	const char *type = strstr(line, " - ");
	const char *end = strchr(line, '\n');

	if (!type || (end && type > end) || strncmp(type, " - cgroup2 ", 11) != 0 ||
	    sscanf(line, "%*d %*d %*s %4095s %4095s", root, point) != 2)
		return false;
	unescape(root);
	unescape(point);
	return true;
}

/* What is left of path below root; NULL when it is elsewhere. */
static const char *below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") == 0)
		return path;
	return strncmp(path, root, n) == 0 && (path[n] == '/' || !path[n]) ? path + n : NULL;
}

int cgroup_path_from(const char *cgroup, const char *mountinfo, char *buf, size_t size)
{
	char root[PATH_MAX], point[PATH_MAX], own[PATH_MAX];
	const char *line = strncmp(cgroup, "0::", 3) == 0 ? cgroup : strstr(cgroup, "\n0::");

	if (!line || sscanf(line, " 0::%4095[^\n]", own) != 1)
		return -ENOENT;
	for (line = mountinfo; line && *line; line = strchr(line, '\n')) {
		const char *rest;

		line += *line == '\n';
		if (!is_cgroup2(line, root, point) || !(rest = below(own, root)))
			continue;
		if (strcmp(rest, "/") == 0)
			rest = "";
		return snprintf(buf, size, "%s%s", point, rest) < (int)size ? 0 : -ENAMETOOLONG;
	}
	return -ENOENT;
}

static int own_path(char *buf, size_t size)
{
	_cleanup_free_ char *cgroup = NULL, *mountinfo = NULL;

	if (fd_read_file("/proc/self/cgroup", TEXT_MAX, &cgroup, NULL) < 0 ||
	    fd_read_file("/proc/self/mountinfo", TEXT_MAX, &mountinfo, NULL) < 0)
		return -ENOENT;
	return cgroup_path_from(cgroup, mountinfo, buf, size);
}

/* --- the note --------------------------------------------------------------------------- */

static bool is_usable(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC &&
	       access(path, W_OK) == 0;
}

/* Where an earlier fosterd of this run directory had them; NULL: nowhere. */
static char *read_note(const char *run_directory, uint64_t run_id)
{
	_cleanup_free_ char *path = NULL;
	char note[PATH_MAX], name[40];
	const char *slash;

	snprintf(note, sizeof(note), "%s/" NOTE, run_directory);
	if (fd_read_file(note, PATH_MAX, &path, NULL) < 0)
		return NULL;
	path[strcspn(path, "\n")] = '\0';
	snprintf(name, sizeof(name), "/foster-%016llx", (unsigned long long)run_id);
	slash = strrchr(path, '/');
	return slash && strcmp(slash, name) == 0 && is_usable(path) ? TAKE_PTR(path) : NULL;
}

static int write_note(const char *run_directory, const char *path)
{
	_cleanup_close_ int fd = -1;
	char note[PATH_MAX];

	snprintf(note, sizeof(note), "%s/" NOTE, run_directory);
	fd = open(note, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	return fd_write_all(fd, path, strlen(path));
}

/* --- the directory ---------------------------------------------------------------------- */

static int make_directory(const char *base, uint64_t run_id, char **ret_path)
{
	char *path;

	if (asprintf(&path, "%s/foster-%016llx", base, (unsigned long long)run_id) < 0)
		return -ENOMEM;
	*ret_path = path;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (is_usable(path))
		return 0;
	rmdir(path); /* of another file system, if it is empty */
	return -EROFS;
}

int cgroup_path_find(const char *run_directory, const char *wanted, uint64_t run_id,
		     char **ret_path)
{
	bool automatic = !wanted || strcmp(wanted, "auto") == 0;
	char own[PATH_MAX];
	int error;

	*ret_path = NULL;
	if (!automatic && strcmp(wanted, "no") == 0)
		return -ENOENT;
	*ret_path = read_note(run_directory, run_id);
	if (*ret_path)
		return 0;
	if (automatic && own_path(own, sizeof(own)) < 0)
		return -ENOENT;
	error = make_directory(automatic ? own : wanted, run_id, ret_path);
	if (error == 0)
		error = write_note(run_directory, *ret_path);
	/* Nobody has asked for them, and few may: not worth a word. */
	return automatic && (error == -EACCES || error == -EPERM || error == -EROFS) ? -ENOENT
										     : error;
}

void cgroup_path_remove(const char *run_directory, const char *path)
{
	char note[PATH_MAX];

	if (rmdir(path) < 0 && errno != ENOENT)
		return;
	snprintf(note, sizeof(note), "%s/" NOTE, run_directory);
	unlink(note);
}
