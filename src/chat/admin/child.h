/* SPDX-License-Identifier: MIT */
/*
 * The admin child's own life: it follows the supervisor's events over the control socket and tells
 * its parent of them, and does there what operators ask, if they may. A process of its own, so it
 * may block.
 */
#ifndef FOSTER_CHAT_ADMIN_CHILD_H
#define FOSTER_CHAT_ADMIN_CHILD_H

#include <stdint.h>

struct chat_config;

struct child_arguments {
	const char *control;              /* path; NULL: there is no supervisor, only wait */
	int fd;                           /* to the parent: packet.h */
	uint64_t last;                    /* the number of the last event that was told; 0: none */
	uint64_t announced;               /* that of the last announcement */
	const struct chat_config *config; /* of now */
	const char *path;                 /* of its file, to be read again; NULL: there is none */
};

/* Returns the exit code when the parent's end of fd has closed. */
int child_run(const struct child_arguments *arguments);

#endif
