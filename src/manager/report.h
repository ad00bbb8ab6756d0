/* SPDX-License-Identifier: MIT */
/*
 * What systemd is told of foster, as sd_notify(3) has it, when there is a NOTIFY_SOCKET:
 *
 *	READY=1		each service has had its first try: it is up, or it was not, and then
 *			STATUS says so. One that may start for ever (start-timeout = infinity)
 *			is not waited for. So a start takes as long as the slowest service may,
 *			and no service can make it fail or hang.
 *	STATUS=		how many services are in which state, in words, and the names of those in
 *			trouble; only when it changed, at most five times a second
 *	RELOADING=1	and READY=1 around a reload
 *	STOPPING=1	at the begin of the end
 *	EXTEND_TIMEOUT_USEC=	while a start or the end takes its time
 *	ERRNO=		the start has failed
 *
 * WATCHDOG=1 is not the manager's: see supervisor/systemd.h.
 */
#ifndef FOSTER_MANAGER_REPORT_H
#define FOSTER_MANAGER_REPORT_H

#include <stdbool.h>

#include "base/macro.h"

struct manager;

int report_init(struct manager *); /* 0 or -ENOMEM */
void report_free(struct manager *);

/* Services have changed, or have been started: looks at them a moment later. */
void report_changed(struct manager *);

void report_reloading(struct manager *);
void report_reloaded(struct manager *, bool good);
void report_stopping(struct manager *);
/* The end still goes on: to be called every second or so. */
void report_patience(struct manager *);

/* Why the start is about to fail, for people; then the error itself (a negative errno). */
void report_reason(struct manager *, const char *fmt, ...) PRINTF(2, 3);
void report_failed(struct manager *, int error);

#endif
