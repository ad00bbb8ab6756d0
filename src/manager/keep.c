/* SPDX-License-Identifier: MIT */
/* Sockets in systemd's store: see keep.h. */
#include "manager/keep.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/units.h"
#include "manager/given.h"
#include "manager/manager.h"
#include "manager/supervisor-link.h"
#include "manager/systemd.h"

#define PREFIX        "foster-"
#define KEEP_NAME_MAX 64

static bool is_offered(const struct manager *m)
{
	const char *text = getenv("FDSTORE");
	int64_t n;

	return m->report && text && parse_int(text, 1, INT64_MAX, &n) == 0;
}

/*
 * A name there has no colons, and here few bytes (GIVEN_NAME_MAX): a hash of the key. False: the
 * socket's file is gone.
 */
static bool make_name(const char *key, const char *path, char name[KEEP_NAME_MAX])
{
	uint64_t hash = UINT64_C(14695981039346656037);
	struct stat st = { 0 };

	if (*path && (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)))
		return false;
	for (const char *p = key; *p; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
	snprintf(name, KEEP_NAME_MAX, PREFIX "%016llx.%llx", (unsigned long long)hash,
		 (unsigned long long)st.st_ino);
	return true;
}

bool keep_is_name(const char *name)
{
	return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

void keep_store(struct manager *m, const char *key, const char *path, int fd)
{
	char name[KEEP_NAME_MAX], lines[KEEP_NAME_MAX + 64];
	int error;

	if (!is_offered(m) || !make_name(key, path, name))
		return;
	snprintf(lines, sizeof(lines), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	error = systemd_send_fd(m->supervisor_pid, lines, fd);
	if (error < 0)
		log_warning_errno(error, "%s: not in systemd's store", key);
}

static void release(struct manager *m, const char *name)
{
	char lines[KEEP_NAME_MAX + 64];

	snprintf(lines, sizeof(lines), "FDSTOREREMOVE=1\nFDNAME=%.*s", KEEP_NAME_MAX, name);
	systemd_send(m->supervisor_pid, lines);
}

void keep_release(struct manager *m, const char *key, const char *path)
{
	char name[KEEP_NAME_MAX];

	if (is_offered(m) && make_name(key, path, name))
		release(m, name);
}

int keep_take(struct manager *m, const char *key, const char *path)
{
	char name[KEEP_NAME_MAX];
	uint32_t place;
	int fd;

	if (!make_name(key, path, name) || given_places(m, name, &place, 1) == 0)
		return -ENOENT;
	fd = supervisor_link_fetch(m, place);
	supervisor_link_drop(m, place);
	return fd < 0 ? -ENOENT : fd;
}

void keep_tidy(struct manager *m)
{
	for (uint32_t i = 0; i < GIVEN_MAX; i++) {
		const char *name = given_name(m, i);

		if (!name || !keep_is_name(name))
			continue;
		release(m, name);
		supervisor_link_drop(m, GIVEN_FIRST + i);
	}
}
