/* SPDX-License-Identifier: MIT */
/*
 * Which file a socket of the run directory was bound to. A socket that fosterd keeps does not tell:
 * its file may have been deleted, and the one of that name be of a manager that was killed before
 * fosterd had its socket. So the file's identity is part of the name under which it is kept.
 */
#ifndef FOSTER_MANAGER_SOCKET_FILE_H
#define FOSTER_MANAGER_SOCKET_FILE_H

#include <stdbool.h>

#define SOCKET_FILE_MAX 64

/* "control:INODE:BIRTH" of the socket at path; "control" alone when there is none. Returns buf. */
const char *socket_file_name(const char *word, const char *path, char buf[SOCKET_FILE_MAX]);

/* Is there a socket at path, and the one of that name? One without an identity is any. */
bool socket_file_is(const char *name, const char *path);

#endif
