/* SPDX-License-Identifier: MIT */
/*
 * The admin child, as its parent sees it: a libfoster process with daemon = true, forked at start,
 * before there is a user. It alone opens the supervisor's control socket. What it has to say comes
 * over a socket pair that both hold, and the parent says it to the users of now; what operators ask
 * goes to it, and it alone decides.
 *
 * If it dies its stand-in, forked with it, takes its place (stand-in.h): at once the first time,
 * then later and later. The parent, in its sandbox, could not fork another.
 */
#ifndef FOSTER_CHAT_ADMIN_ADMIN_H
#define FOSTER_CHAT_ADMIN_ADMIN_H

#include <stdbool.h>

#include <event2/event.h>

struct chat_config;
struct room_command;

struct admin_events {
	void (*announce)(void *arg, const char *text);
	/* Of a service, for the operators' channel. */
	void (*event)(void *arg, const char *text, const char *tags);
	void (*answer)(void *arg, const struct room_command *to, const char *text);
	/* The configuration of now, and the path of its file or NULL. */
	const struct chat_config *(*config)(void *arg, const char **ret_path);
	/* In the child: give up the copies of what is the parent's. */
	void (*close_copies)(void *arg);
	/* The admin child and its stand-in have both ended: there will be none any more. */
	void (*gone)(void *arg);
	void *arg;
};

struct admin;

/*
 * Forks. control is the path of the control socket and must live as long; NULL: there is no
 * supervisor, and the child only waits. SIGCHLD must be blocked. 0 or -errno.
 */
int admin_new(struct event_base *base, const char *control, const struct admin_events *events,
	      struct admin **ret);
/* Upon SIGCHLD: reaps every child of the process that has ended. */
void admin_reap(struct admin *admin);
/* Takes a question of an operator; false: not now. */
bool admin_ask(struct admin *admin, const struct room_command *command);
/* The configuration's file is to be read again. */
void admin_reload(struct admin *admin);
/* Ends the two and waits for their end. */
void admin_free(struct admin *admin);

#endif
