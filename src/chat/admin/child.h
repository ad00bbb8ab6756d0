/* SPDX-License-Identifier: MIT */
/*
 * The admin child's own life: it follows the supervisor's events over the control socket and tells
 * its parent of them, and does there what operators ask, if they may. A process of its own, so it
 * may block.
 */
#ifndef FOSTER_CHAT_ADMIN_CHILD_H
#define FOSTER_CHAT_ADMIN_CHILD_H

#include "chat/admin/stand-in.h"

struct chat_config;

struct child_arguments {
	const char *control;              /* path; NULL: there is no supervisor, only wait */
	struct admin_pair pair;           /* it leads, or stands by */
	int not_ours;                     /* the other's end of the link: to be closed */
	const struct chat_config *config; /* of now */
	const char *path;                 /* of its file, to be read again; NULL: there is none */
};

/* Returns the exit code when the room has closed its end; in each stand-in that it makes, too. */
int child_run(const struct child_arguments *arguments);

#endif
