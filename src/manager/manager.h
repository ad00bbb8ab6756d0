/* SPDX-License-Identifier: MIT */
/*
 * foster-manager: what the modules of this process share. One event base, no threads; nothing
 * blocks after start but reading a configuration that somebody asked for.
 *
 *	main.c	       options, start, --check
 *	registry.c     services by name, process and slot
 *	config*.c      the configuration; advice.c: what may be told of it
 *	machine.c      the state machine of a service (pure); machine-text.c: it in words
 *	service.c      a service: its machine, process, timers; carries out the machine's actions
 *	depend.c       who must be ready, or gone, before whom
 *	history.c      who wanted it, and its last ends
 *	census.c       all processes, each with the service that it belongs to
 *	note.c	       what the next manager must know of a service
 *	restore.c      what the last manager, or the last supervisor, left
 *	spawn.c	       from configuration to the message that starts a child; the queue of starts
 *	supervisor-link.c  this end of the link
 *	tree.c	       the processes of a service beyond its main one
 *	handover.c     another process for the main one; pid-file.c: who it is said to be
 *	readiness.c    readiness by a descriptor
 *	fd-store.c     descriptors that services leave for their next start
 *	cgroup.c       the same as the kernel knows them; cgroup-path.c: where
 *	proc.c	       /proc
 *	packet-queue.c packets to a socket that may be full
 *	notify-socket.c	   sd_notify's receiving side
 *	sockets.c      listening sockets
 *	given.c	       those that systemd has bound; keep.c: those of ours that it keeps
 *	logs.c	       the logger, and what it is told; log-pipe.c: the pipes to it; log-count.c:
 *		       what it has written
 *	control*.c     the control API
 *	events.c       what happened, for those who follow
 *	report.c       what systemd is told of all this; systemd.c: the seam to libsystemd
 *	reload.c       a new configuration in place of the old one
 *	shutdown.c     the end
 *	upgrade.c      another fosterd and another manager in place of these
 */
#ifndef FOSTER_MANAGER_MANAGER_H
#define FOSTER_MANAGER_MANAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/given.h"
#include "base/link.h"
#include "manager/config.h"

struct event_base;
struct service;
struct supervisor_link;
struct control;
struct logs;
struct notify_socket;
struct report;
struct sockets;
struct events;
struct shutdown;
struct hunts;
struct trees;
struct cgroups;
struct upgrade;

/* Places in the supervisor's store: a service's log pipe has the number of its slot. */
enum {
	PLACE_CONTROL = LINK_SLOTS,
	PLACE_NOTIFY,
	PLACE_CONFIG,
	PLACE_LOGGER,         /* the logger's standard input */
	PLACE_LOGGER_CHANNEL, /* the other end: ours */
	PLACE_CGROUP,         /* the directory of the services' cgroups */
	PLACE_LOGGER_PROGRAM, /* the logger's program: it is of fosterd's release */
	PLACE_UPGRADE,        /* what an upgrade's rehearsal has to say */
	PLACE_READY_END, /* from a start's STORE to its SPAWN: what the service gets of its pipe */
	PLACE_LOGGER_COUNTS,
	PLACE_GIVEN = GIVEN_FIRST,
	PLACE_SOCKETS = GIVEN_FIRST + GIVEN_MAX,
	PLACE_READY = 16384, /* and the slot: the pipe that its readiness is waited for at */
	PLACE_STDERR = PLACE_READY + LINK_SLOTS,    /* a pipe of standard error alone, by slot */
	PLACE_FD_STORE = PLACE_STDERR + LINK_SLOTS, /* up to the last one */
};

/* A configuration with the number of those who still need it. */
struct config_ref {
	struct config *config;
	unsigned refs;
};
struct config_ref *config_ref_new(struct config *); /* takes ownership; NULL: out of memory */
struct config_ref *config_ref_get(struct config_ref *);
struct config_ref *config_ref_put(struct config_ref *); /* always NULL */

struct manager_options {
	const char *config_path, *run_directory, *join;
	bool private_directory; /* the run directory was named by hand: logs go below it */
	bool check;
	const char *rehearse; /* version of the link of the fosterd that might start us */
};

struct manager {
	struct manager_options options;
	struct event_base *base;

	struct config_ref *config;
	struct config_source *source;
	char *log_directory;

	struct service **services; /* in the order of the configuration, orphaned ones last */
	size_t n_services;
	struct service *by_slot[LINK_SLOTS];

	struct supervisor_link *link;
	struct control *control;
	struct logs *logs;
	struct notify_socket *notify;
	struct sockets *sockets;
	struct events *events;
	struct shutdown *shutdown;
	struct report *report; /* NULL: nobody wants to be told */
	struct trees *trees;
	struct hunts *hunts;
	struct cgroups *cgroups;
	struct upgrade *upgrade; /* NULL: none is under way */
	struct link_hello hello;

	pid_t supervisor_pid;
	uint64_t run_id;
	uint32_t generation;
	struct link_orphans orphans;
	bool synced;
};

/* In order: NULL when there is none. */
struct service *manager_find(const struct manager *, const char *name);
struct service *manager_find_pid(const struct manager *, pid_t);
void manager_index_name(struct manager *); /* after services changed */
void manager_index_pid(struct manager *, struct service *, pid_t old, pid_t new);

/* Gives the service a free slot. 0 or -ENOSPC. */
int manager_take_slot(struct manager *, struct service *);
void manager_free_slot(struct manager *, struct service *);

/* Forgets a service that nothing names and nothing runs of. */
void manager_remove(struct manager *, struct service *);

#endif
