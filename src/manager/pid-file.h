/* SPDX-License-Identifier: MIT */
/*
 * Pid files: whom a service that forked away names as its main process. What stands there is a
 * claim; whether the process is one of the service's is for the caller to see.
 */
#ifndef FOSTER_MANAGER_PID_FILE_H
#define FOSTER_MANAGER_PID_FILE_H

#include <sys/types.h>

#include "base/error.h"

/*
 * Reads the pid from the first line. The file must be a regular one, no symbolic link, and belong
 * to root, to owner or to our own user. Never blocks. 0; -ENOENT without a text while it is not
 * there or still empty; else -errno, and the error's text says what is wrong.
 */
int pid_file_read(const char *path, uid_t owner, pid_t *ret, struct error *e);

/* Removes the file if it still names that process, and is one that pid_file_read() believes. */
void pid_file_remove(const char *path, uid_t owner, pid_t pid);

#endif
