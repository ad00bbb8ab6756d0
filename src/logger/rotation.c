/* SPDX-License-Identifier: MIT */
/* Files that have been rotated away: see rotation.h. */
#include "logger/rotation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log-name.h"
#include "base/log.h"
#include "base/units.h"
#include "logger/compress.h"
#include "logger/file.h"

#define SAME_TIME 100 /* files that were rotated in one microsecond */

struct rotated {
	char name[ROTATED_NAME_MAX];
	uint64_t size;
	enum packing packing;
};

struct listing {
	struct rotated *files;
	size_t n, room;
};

/* A file system that has no RENAME_NOREPLACE: nobody else makes such names. */
static int rename_to(int directory, const char *name, const char *to)
{
	struct stat st;

	if (renameat2(directory, name, directory, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (fstatat(directory, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(directory, name, directory, to) < 0 ? -errno : 0;
}

/* Later than all before, or else what is removed first would not be the oldest. */
static uint64_t next_time(void)
{
	static uint64_t last;
	uint64_t now = now_realtime();

	last = now > last ? now : last + 1;
	return last;
}

static int rename_at(int directory, const char *file, const char *name, uint64_t time,
		     char ret[ROTATED_NAME_MAX])
{
	char stamp[LOG_NAME_STAMP + 2];

	snprintf(ret, ROTATED_NAME_MAX, "%s%s", name, log_name_stamp(stamp, time));
	return rename_to(directory, file, ret);
}

int rotation_rename(int directory, const char *name, char ret[ROTATED_NAME_MAX])
{
	int error = -EEXIST;

	for (int i = 0; error == -EEXIST && i < SAME_TIME; i++)
		error = rename_at(directory, name, name, next_time(), ret);
	return error;
}

/* --- which there are -------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct rotated *)a)->name, ((const struct rotated *)b)->name);
}

static int add(struct listing *l, int directory, const char *name, enum packing packing)
{
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    strlen(name) >= ROTATED_NAME_MAX)
		return 0;
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 16;
		struct rotated *bigger = reallocarray(l->files, room, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		l->files = bigger;
		l->room = room;
	}
	l->files[l->n] = (struct rotated){ .size = (uint64_t)st.st_size, .packing = packing };
	strcpy(l->files[l->n++].name, name);
	return 0;
}

/* One that was being compressed when its logger was killed; name loses its ending. */
static bool is_half(char *name, const char *base)
{
	size_t n = strlen(name), ending = strlen(COMPRESS_HALF);
	enum packing packing;

	if (n <= ending || strcmp(name + n - ending, COMPRESS_HALF) != 0)
		return false;
	name[n - ending] = '\0';
	return log_name_is_rotated(name, base, &packing) && packing != PACKING_NONE;
}

/* halves: those are removed that nobody goes on with, as nothing is compressed any more. */
static int list(DIR *dir, const char *base, bool halves, struct listing *l)
{
	struct dirent *entry;
	enum packing packing;
	int error = 0;

	while (error == 0 && (entry = readdir(dir))) {
		char name[sizeof(entry->d_name)];

		strcpy(name, entry->d_name);
		if (log_name_is_rotated(name, base, &packing))
			error = add(l, dirfd(dir), name, packing);
		else if (halves && is_half(name, base))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (l->n > 0)
		qsort(l->files, l->n, sizeof(*l->files), compare_names);
	return error;
}

/* --- which remain ----------------------------------------------------------------------- */

/* How many of the oldest are too many. */
static size_t surplus(const struct listing *l, const struct logger_settings *set)
{
	size_t first = l->n > set->keep ? l->n - set->keep : 0;
	uint64_t sum = 0;

	if (set->keep_size == 0)
		return first;
	/* The one that is written may grow to its size. */
	sum = set->size;
	for (size_t i = l->n; i > first; i--) {
		sum += l->files[i - 1].size;
		if (sum > set->keep_size)
			return i;
	}
	return first;
}

/* Behind the newest of those that there are. */
static void make_newest(int directory, const char *name, const char *file, struct listing *l)
{
	const char *stamp = l->files[l->n - 1].name + strlen(name);
	char to[ROTATED_NAME_MAX];

	if (rename_at(directory, file, name, log_name_time(stamp) + 1, to) < 0)
		return;
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->files[i].name, file) == 0)
			strcpy(l->files[i].name, to);
	}
	qsort(l->files, l->n, sizeof(*l->files), compare_names);
}

void rotation_tidy(const struct settings *settings, const char *name, const char *newest)
{
	enum packing packing = settings_packing(settings);
	DIR *dir = opendir(settings->directory);
	struct listing l = { 0 };
	size_t first;

	if (!dir || list(dir, name, packing == PACKING_NONE, &l) < 0) {
		log_warning_errno(-errno, "%s: the old files of %s are not looked at",
				  settings->directory, name);
	} else {
		if (newest && l.n > 0 && strcmp(l.files[l.n - 1].name, newest) != 0)
			make_newest(dirfd(dir), name, newest, &l);
		first = surplus(&l, &settings->set);
		for (size_t i = 0; i < first; i++)
			unlinkat(dirfd(dir), l.files[i].name, 0);
		for (size_t i = first; i < l.n && packing != PACKING_NONE; i++) {
			if (l.files[i].packing == PACKING_NONE)
				compress_later(settings->directory, l.files[i].name, packing);
		}
	}
	free(l.files);
	if (dir)
		closedir(dir);
}

/* --- what was left ---------------------------------------------------------------------- */

struct wanted {
	enum packing packing;
	char *directory;
	char name[LOG_FILE_NAME_MAX];
};

static struct wanted *wanted;
static size_t n_wanted;

void rotation_look_later(const struct settings *settings, const char *name)
{
	/* Room for one is made where there is room for a power of two. */
	if ((n_wanted & (n_wanted - 1)) == 0) {
		struct wanted *bigger =
			reallocarray(wanted, n_wanted ? n_wanted * 2 : 1, sizeof(*bigger));

		if (!bigger)
			return; /* the next rotation looks, too */
		wanted = bigger;
	}
	wanted[n_wanted].packing = settings_packing(settings);
	wanted[n_wanted].directory = strdup(settings->directory);
	snprintf(wanted[n_wanted].name, sizeof(wanted[0].name), "%s", name);
	if (wanted[n_wanted].directory)
		n_wanted++;
}

static int compare_wanted(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;
	int order = strcmp(x->directory, y->directory);

	return order ? order : strcmp(x->name, y->name);
}

static void look_into(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct wanted key = { .directory = (char *)path };
		const struct wanted *found;
		enum packing packing;
		size_t size = log_name_base(entry->d_name, &packing);

		if (size == 0 || packing != PACKING_NONE || size >= sizeof(key.name))
			continue;
		memcpy(key.name, entry->d_name, size);
		found = bsearch(&key, wanted, n_wanted, sizeof(key), compare_wanted);
		if (found)
			compress_later(path, entry->d_name, found->packing);
	}
	if (dir)
		closedir(dir);
}

void rotation_look(void)
{
	if (n_wanted == 0)
		return;
	qsort(wanted, n_wanted, sizeof(*wanted), compare_wanted);
	for (size_t i = 0; i < n_wanted; i++) {
		if (i == 0 || strcmp(wanted[i].directory, wanted[i - 1].directory) != 0)
			look_into(wanted[i].directory);
	}
	while (n_wanted > 0)
		free(wanted[--n_wanted].directory);
	free(wanted);
	wanted = NULL;
}
