/* SPDX-License-Identifier: MIT */
/*
 * Pipes of services to the logger. One descriptor is open for both directions: one number holds
 * both ends, so the pipe and what is in it live as long as that does, whoever reads or writes.
 */
#ifndef FOSTER_MANAGER_LOG_PIPE_H
#define FOSTER_MANAGER_LOG_PIPE_H

#include <stdbool.h>
#include <sys/types.h>

struct log_pipe {
	int both, reader; /* the reader does not block */
};
#define LOG_PIPE_NONE  \
	{              \
		-1, -1 \
	}
void log_pipe_clear(struct log_pipe *);

/* A new one, for a service that runs as uid; (uid_t)-1: as we do. 0 or -errno. */
int log_pipe_make(struct log_pipe *, uid_t uid);

/* The one that is descriptor fd of a process; -ENOTCONN when that is no pipe of ours. */
int log_pipe_adopt(struct log_pipe *, pid_t pid, int fd);

/* True when two descriptors of a process are the same pipe or file. */
bool log_pipe_is_same(pid_t pid, int a, int b);

/* A read end of the pipe of another descriptor; or -errno. */
int log_pipe_reader(int fd);

#endif
