/* SPDX-License-Identifier: MIT */
/* Sockets' files: see socket-file.h. */
#include "manager/socket-file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* False: there is no socket. An inode's number is used again soon; the time of its birth is not. */
static bool identify(const char *path, char *buf, size_t size)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_INO | STATX_BTIME, &st) <
		    0 ||
	    !S_ISSOCK(st.stx_mode))
		return false;
	if (!(st.stx_mask & STATX_BTIME))
		st.stx_btime.tv_sec = st.stx_btime.tv_nsec = 0;
	snprintf(buf, size, "%llx:%llx.%x", (unsigned long long)st.stx_ino,
		 (unsigned long long)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
	return true;
}

const char *socket_file_name(const char *word, const char *path, char buf[SOCKET_FILE_MAX])
{
	char identity[SOCKET_FILE_MAX / 2 + 16];

	if (identify(path, identity, sizeof(identity)))
		snprintf(buf, SOCKET_FILE_MAX, "%.12s:%s", word, identity);
	else
		snprintf(buf, SOCKET_FILE_MAX, "%.12s", word);
	return buf;
}

bool socket_file_is(const char *name, const char *path)
{
	const char *kept = strchr(name, ':');
	char identity[SOCKET_FILE_MAX];

	return identify(path, identity, sizeof(identity)) &&
	       (!kept || strcmp(kept + 1, identity) == 0);
}
