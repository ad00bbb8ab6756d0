/* SPDX-License-Identifier: MIT */
/*
 * The logger and the pipes to it. A service's pipe is made when it is first started with log =
 * file, journal or syslog, and lies in the supervisor's store under the number of its slot; one
 * of standard error alone (log-stderr = apart) lies at PLACE_STDERR and on. The logger gets the
 * read ends, and is told what to do with each. The logger itself is a service that no
 * configuration names.
 */
#ifndef FOSTER_MANAGER_LOGS_H
#define FOSTER_MANAGER_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_child;
struct manager;
struct service;

/*
 * Makes the channel, or takes the last manager's again, and starts the logger unless child
 * (NULL: none) is one that runs. 0 or -errno.
 */
int logs_init(struct manager *, const struct link_child *child);
void logs_shutdown(struct manager *);

/* The places of a service's standard output and error. Makes its pipes when there are none. */
uint32_t logs_place(struct service *);
uint32_t logs_stderr_place(struct service *, uint32_t stdout_place);

bool logs_is_logged(const struct service *); /* its output goes through the logger */
bool logs_is_place(uint32_t place);          /* of a pipe */

/* Of the logger's program, so that a newer release that was installed does not meet us half way. */
uint32_t logs_program_place(struct manager *);

/*
 * What the logger gets as descriptor 3: the memory that it counts in. It has that from its start,
 * for a pipe that its predecessor was told of may be the first thing that waits in the channel.
 * How many.
 */
size_t logs_places(const struct manager *, uint32_t *places);

/* The place of standard input: the logger's channel, or nothing. */
uint32_t logs_stdin_place(const struct service *);

void logs_spawned(struct service *); /* it has a process */
void logs_changed(struct service *); /* it has another configuration */

/*
 * The service was adopted: its pipes, which it still has, are taken back for the new logger,
 * unless that has been done already. They are read as it was started, whatever the configuration
 * says now: one that nobody read would stop it when it is full.
 */
void logs_adopt(struct service *);

/* A pipe that was asked for: goes to the new logger. fd stays the caller's. */
void logs_fetched(struct manager *, uint32_t place, int fd);

/*
 * Tells the logger of all pipes and settings again. What the last manager was about to tell when
 * it died is lost, while the supervisor may have had the pipe, and have started its service,
 * already: the two sockets do not empty at the same moment.
 */
void logs_catch_up(struct manager *);

/*
 * The service is gone for good. Its pipe is not, before all that is in it is written; until then
 * its slot is not to be given to another: logs_hold_slot().
 */
void logs_forget(struct service *);
bool logs_hold_slot(const struct manager *, uint32_t slot);

/* What the last manager has kept of such a pipe. False: the place is of something else. */
bool logs_closing_fetched(struct manager *, uint32_t place, int fd);

/* Sends what the logger has not been told yet. */
void logs_flush(struct manager *);

/*
 * Has the logger replaced, which may be of an earlier release: it exits at once, leaves in the
 * pipes what it has not written, and the next one is started when it has ended: never do two of
 * them read a pipe.
 */
void logs_renew(struct manager *);

/* The logger is to write what it has and exit; true when there is none that runs. */
bool logs_quit(struct manager *);

/* Files are closed, and opened anew by their names: they have been moved away. */
void logs_reopen(struct manager *);

/* True for the logger's own service; its new process needs all pipes again. */
bool logs_is_logger(const struct service *);
void logs_logger_started(struct service *);
void logs_logger_ended(struct service *); /* or it is about to be started */

/* The file of its output, or of its standard error alone. Returns buf; NULL: it has none. */
char *logs_path(const struct service *, bool only_stderr, char *buf, size_t size);

/* What was written of its output, or of its standard error alone. False: it has no such pipe. */
struct logger_count;
bool logs_count(const struct service *, bool only_stderr, struct logger_count *ret);
uint64_t logs_dropped(const struct service *); /* lines, of both and for whatever reason */

/*
 * The service ended by itself and not well: when its last lines are written an event is made with
 * them. Of many at once a few are.
 */
void logs_crashed(struct service *, int pid, const char *end);

/* The logger as a service. */
struct service *logs_service(const struct manager *);

#define LOGGER_NAME ".logger"

#endif
