/* SPDX-License-Identifier: MIT */
/*
 * The control API: HTTP/1.1 and JSON over the Unix socket "control" in the run directory. The
 * listener lies in the supervisor's store: while the manager is replaced, clients wait and none
 * is refused; when somebody deletes the socket's file, it is made again. Who may what follows
 * from the peer's credentials.
 *
 *	control.c	   the listener, access, the table of paths
 *	control-service.c  what is done to services, and those who wait for it
 *	control-other.c	   all else
 *	control-json.c	   a service as JSON
 *	control-tail.c	   the last lines of a log
 *	control-why.c	   why services are as they are, and what a shutdown waits for
 *	control-usage.c	   what services use; requests that need a census of processes
 *	control-metrics.c  numbers for Prometheus
 *	control-drain.c	   who is in the middle of a request
 */
#ifndef FOSTER_MANAGER_CONTROL_H
#define FOSTER_MANAGER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "manager/history.h"

struct evbuffer;
struct evhttp_request;
struct evkeyvalq;
struct manager;
struct service;

/* Opens the listener, or takes the last manager's. 0 or -errno. */
int control_init(struct manager *);
void control_shutdown(struct manager *);

/* Takes no more connections: who comes now waits for the next manager. */
void control_close_door(struct manager *);
/* Somebody has connected and not asked yet, or is being answered. */
bool control_is_busy(const struct manager *);

/* Something about the service changed: those who wait for it are looked at. */
void control_service_changed(struct service *);
/* The service is about to be forgotten: nobody waits for it any more. */
void control_service_gone(struct service *);

/*
 * To be called by a close callback for the request that it was answering. libevent gives up a
 * request whose connection failed in the middle of an answer: it is then ours to free.
 */
void control_request_closed(struct evhttp_request *);

/* --- between the control*.c files ------------------------------------------------------- */

enum access {
	ACCESS_NONE,
	ACCESS_READ,
	ACCESS_ALL
};

/* One request. */
struct call {
	struct manager *manager;
	struct evhttp_request *request;
	struct evkeyvalq *query;
	struct service *service; /* of a path that names one; else NULL */
	char peer[192];          /* "uid 1000, pid 123, for alice" */
	struct asker asker;      /* the same; its command only of what changes anything */
};

/* Reply and be done; object is taken. */
void control_reply(struct call *, int status, json_t *object);

/* The same for an answer that is printed piece by piece; takes the buffer. JSON, unless another
 * Content-Type was set. */
void control_reply_text(struct call *, int status, struct evbuffer *text);
void control_out_of_memory(struct call *, struct evbuffer *text);

/* Appends an object as text, and drops it. 0 or -ENOMEM. */
int control_print(struct evbuffer *to, json_t *object);

/*
 * Appends a list of those services that are meant (NULL: all), one after the other: ten thousand
 * as one tree of values would be made and freed in memory that no cache holds, and that the
 * manager keeps. 0 or -ENOMEM.
 */
struct control_listing {
	bool (*is_meant)(const struct service *, const void *arg);
	json_t *(*make)(const struct service *, const void *arg);
	const void *arg;
};
int control_print_list(struct evbuffer *to, const struct manager *, const struct control_listing *);

/* Replies with the text, or that it could not be made; takes the buffer, which may be NULL. */
void control_reply_printed(struct call *, struct evbuffer *text, int error);
void control_error(struct call *, int status, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Query parameters. control_number: -EINVAL has been replied already. */
bool control_flag(const struct call *, const char *name);
int control_number(struct call *, const char *name, uint64_t missing, uint64_t *ret);
const char *control_text(const struct call *, const char *name); /* NULL: not given */

/* Tells of the request in the log and as an event; NULL service: all. */
void control_tell(const struct call *, const char *verb, const struct service *);

/* control-service.c */
void control_list(struct call *);
void control_show(struct call *);
void control_start(struct call *);
void control_stop(struct call *);
void control_restart(struct call *);
void control_signal(struct call *);
void control_join(struct call *);

/* control-other.c */
void control_events(struct call *);
void control_reload(struct call *);
void control_shutdown_all(struct call *);
void control_announce(struct call *);
void control_version(struct call *);
void control_reopen(struct call *);

/* control-why.c */
void control_why(struct call *);
void control_why_all(struct call *);
void control_blocking(struct call *);

/* control-metrics.c */
void control_metrics(struct call *);

/* control-usage.c */
void control_usage(struct call *);

/*
 * Takes a census of all processes, a piece at a time, and replies with what print() then puts
 * into the buffer, 0 or -ENOMEM. service is that of the call, or NULL; arg is a number that
 * print() gets.
 */
struct census;
typedef int census_reply(struct manager *, struct service *service, unsigned arg,
			 const struct census *, struct evbuffer *to);
void control_reply_with_census(struct call *, census_reply *print, unsigned arg);

/*
 * control-tail.c: at most ten lines, a new reference; of the file that was rotated away before,
 * too, when it has less. objects: they are of log-format = json, and their text is wanted.
 */
json_t *control_tail(const char *path, bool objects);

/* control-json.c; all return a new reference */
json_t *control_service_json(const struct service *, bool full);
json_t *control_string(const char *);             /* any bytes; null for NULL */
json_t *control_text_or_null(const char *);       /* the same; null for "", too */
json_t *control_wall_time(uint64_t monotonic_us); /* "2026-11-23T10:00:00Z" */

/* control-drain.c: the request was read; its answer is on its way; is anybody not done yet? */
void control_note_request(struct evhttp_request *);
void control_note_answer(struct evhttp_request *);
bool control_has_busy_client(const char *socket_path);
void control_forget_clients(void);

/* Waiters, at the end of the manager. */
void control_drop_waiters(void);

#endif
