/* SPDX-License-Identifier: MIT */
/*
 * The admin child's own life: it follows the supervisor's announcements over the control socket
 * and hands each text to its parent. A process of its own, so it may block.
 */
#ifndef FOSTER_CHAT_ADMIN_CHILD_H
#define FOSTER_CHAT_ADMIN_CHILD_H

struct child_arguments {
	const char *control; /* path; NULL: there is no supervisor, only wait */
	int fd;              /* to the parent: SOCK_SEQPACKET, a packet an announcement */
};

/* Returns the exit code when the parent's end of fd has closed. */
int child_run(const struct child_arguments *arguments);

#endif
