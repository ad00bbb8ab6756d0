/* SPDX-License-Identifier: MIT */
/*
 * The logger and the pipes to it. A service's pipe is made when it is first started with
 * log = file, and lies in the supervisor's store under the number of its slot; the logger gets
 * the read end. The logger itself is a service that no configuration names.
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

/* The place of a service's standard output and error. Makes its pipe when there is none. */
uint32_t logs_place(struct service *);

/* The place of standard input: the logger's channel, or nothing. */
/* Of the logger's program, so that a newer release that was installed does not meet us half way. */
uint32_t logs_program_place(struct manager *);

uint32_t logs_stdin_place(const struct service *);

/* The service was adopted: its pipe, which it still has, is taken back for the new logger. */
void logs_adopt(struct service *);

/* A pipe that was asked for: goes to the new logger. fd stays the caller's. */
void logs_fetched(struct manager *, uint32_t slot, int fd);

/* The service is gone for good. */
void logs_forget(struct service *);

/* Sends what the logger has not been told yet. */
void logs_flush(struct manager *);

/* Has the logger replaced: it may be of an earlier release. */
void logs_renew(struct manager *);

/* The logger is to write what it has and exit; true when there is none that runs. */
bool logs_quit(struct manager *);

/* True for the logger's own service; its new process needs all pipes again. */
bool logs_is_logger(const struct service *);
void logs_logger_started(struct service *);

/* The file of a service's output; NULL when it has none. Returns buf. */
char *logs_path(const struct service *, char *buf, size_t size);

/* The logger as a service. */
struct service *logs_service(const struct manager *);

#define LOGGER_NAME ".logger"

#endif
