/* SPDX-License-Identifier: MIT */
/*
 * The end: of all services that must not outlive the supervisor, in reverse order of their
 * dependencies, then of the logger, then of supervisor and manager. Or the end of this manager
 * alone, when the supervisor is gone.
 */
#ifndef FOSTER_MANAGER_SHUTDOWN_H
#define FOSTER_MANAGER_SHUTDOWN_H

#include <stdbool.h>

#include "base/macro.h"
#include "manager/history.h"

struct evhttp_request;
struct manager;
struct service;

struct shutdown_how {
	bool all;  /* services that are no daemons, too */
	bool join; /* first wait until those that are no daemons have ended by themselves */
	int code;  /* the supervisor's exit code */
	struct asker by;
};

int shutdown_init(struct manager *); /* 0 or -ENOMEM */
void shutdown_free(struct manager *);

/* Begins, or widens what has begun (all after not all). */
void shutdown_begin(struct manager *, struct shutdown_how);
bool shutdown_is_under_way(const struct manager *);
const struct shutdown_how *shutdown_asked(const struct manager *); /* NULL: it is not under way */
bool shutdown_is_joining(const struct manager *); /* waits for the own end of services */

/* Whether the shutdown that is under way, or else one so asked for, waits for it to end. */
bool shutdown_waits_for(const struct manager *, const struct shutdown_how *asked,
			const struct service *);

/* The request gets progress, a JSON object a line, until the end. */
void shutdown_follow(struct manager *, struct evhttp_request *);

/* The supervisor got a signal: SIGTERM, SIGINT, SIGPWR end, SIGHUP reloads. */
void shutdown_signal(struct manager *, int signo, int sender);

/* A service changed: perhaps it was the last one, or the one of --join. */
void shutdown_service_changed(struct service *);

/* The supervisor is gone: ends the trees of its daemons, and leaves. */
NORETURN void shutdown_without_supervisor(struct manager *);

#endif
