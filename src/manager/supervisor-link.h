/* SPDX-License-Identifier: MIT */
/* The manager's end of the link to the supervisor: base/link.h says what the messages mean. */
#ifndef FOSTER_MANAGER_SUPERVISOR_LINK_H
#define FOSTER_MANAGER_SUPERVISOR_LINK_H

#include <stdint.h>

#include "base/link.h"

struct manager;

/* Reads from LINK_FD from now on. 0 or -errno. */
int supervisor_link_open(struct manager *);
void supervisor_link_close(struct manager *); /* sends what is queued first */

/* Never block: what the socket does not take is queued. */
void supervisor_link_note(struct manager *, struct link_note *); /* fills in its header */
void supervisor_link_spawn(struct manager *, const struct spawn_request *, int *ret_error);
void supervisor_link_signal(struct manager *, uint32_t slot, uint64_t instance, int signo,
			    bool group);
/* That process is the service's main one; takes pidfd. The answer goes to handover_answered(). */
void supervisor_link_main(struct manager *, uint32_t slot, uint64_t instance, pid_t pid, int pidfd);
/* Takes fd; a negative one, of a call that failed, is told in the log. */
void supervisor_link_store(struct manager *, uint32_t place, const char *name, int fd);
void supervisor_link_drop(struct manager *, uint32_t place);
void supervisor_link_forget(struct manager *, uint32_t slot);
void supervisor_link_exit(struct manager *, int code, bool keep, bool sweep);
void supervisor_link_running(struct manager *);
void supervisor_link_rehearse(struct manager *, uint32_t words, const char *program);
void supervisor_link_take_over(struct manager *);

/*
 * Asks for the descriptor of a place and waits for it, at most some seconds: at the manager's
 * start only, or soon after.
 * The fd (CLOEXEC, the caller's), or -errno; -ENOENT when the place is empty.
 */
int supervisor_link_fetch(struct manager *, uint32_t place);

/*
 * Asks for a log pipe, or a pipe of readiness: the answer goes to logs_fetched() or
 * readiness_fetched().
 */
void supervisor_link_ask(struct manager *, uint32_t place);

/* Reads the snapshot that a new manager gets, up to SYNCED; blocks. 0 or -errno. */
int supervisor_link_sync(struct manager *);

/* The place's name in the snapshot, or NULL when it was empty. */
const char *supervisor_link_stored(struct manager *, uint32_t place);

/*
 * Until this is called, news (ends, starts, signals) are kept: the services must have their
 * past back first. Handles what was kept.
 */
void supervisor_link_go_live(struct manager *);

/* Sends what is queued; blocks, at most timeout_ms. To be called before waiting for an answer. */
void supervisor_link_flush(struct manager *, int timeout_ms);

/* Handles what has arrived, now: for one who met a pid that may be in it. */
void supervisor_link_catch_up(struct manager *);

#endif
