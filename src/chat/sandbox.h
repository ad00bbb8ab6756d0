/* SPDX-License-Identifier: MIT */
/*
 * The walls around the process that faces the network, so that whoever takes it over by a fault in
 * it gets little: of the files only its own (Landlock), of the system calls those that it makes
 * (seccomp), nothing of root, no program to execute and no process to start, no new connection
 * anywhere: not to the supervisor's control socket, above all. What needs more was done before,
 * or is done by the admin child.
 *
 * What stays: its clients, what its database holds, its own memory with the TLS key in it;
 * datagrams to any Unix socket that it may write to, for that is how it says that it is alive, and
 * from the course's port; and what the admin child does for those of whom the room says that they
 * are operators.
 */
#ifndef FOSTER_CHAT_SANDBOX_H
#define FOSTER_CHAT_SANDBOX_H

#include <stdint.h>

#include "base/error.h"

#define SANDBOX_FILES 4

enum sandbox_mode {
	SANDBOX_AUTO,     /* as much of it as the kernel and the build have */
	SANDBOX_REQUIRED, /* all of it, or no start */
	SANDBOX_OFF,
};

struct sandbox_settings {
	uint32_t mode;    /* enum sandbox_mode */
	const char *user; /* whom to become; NULL: stay who we are */
	const char *files
		[SANDBOX_FILES]; /* to be read again later, as what stands beside them; or NULL */
	const char *directory;   /* to be written to; made if need be; NULL: none */
};

/*
 * Becomes the user, and goes into the sandbox, for good. To be called before there is another
 * thread. Says in the log what holds. 0, or -errno with what could not be had; then the process is
 * to end.
 */
int sandbox_enter(const struct sandbox_settings *settings, struct error *e);

#endif
