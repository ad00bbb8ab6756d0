/* SPDX-License-Identifier: MIT */
/* The manager's end of the link: see supervisor-link.h. */
#include "manager/supervisor-link.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "manager/fd-store.h"
#include "manager/handover.h"
#include "manager/logs.h"
#include "manager/manager.h"
#include "manager/packet-queue.h"
#include "manager/readiness.h"
#include "manager/restore.h"
#include "manager/service.h"
#include "manager/shutdown.h"
#include "manager/tree.h"
#include "manager/upgrade.h"

#define FETCH_TIMEOUT_MS 5000

/* What came before the services had their past back. */
struct deferred {
	struct deferred *next;
	uint32_t type;
	char data[] __attribute__((aligned(8))); /* a message */
};

struct supervisor_link {
	bool live;    /* news are handled as they come, not kept */
	bool reading; /* a packet is being handled */
	struct deferred *first_deferred, *last_deferred;
	struct event *readable;
	struct packet_queue *out;
	int fetched; /* the answer to a FETCH; -1: none yet, -2: an empty place */
	char *stored[LINK_PLACES];
	char buffer[LINK_MESSAGE_MAX] __attribute__((aligned(8)));
};

/* --- out ------------------------------------------------------------------------------ */

/* Takes fd. */
static void send_message(struct manager *m, void *message, size_t size, int fd)
{
	((struct link_header *)message)->size = size;
	packet_queue_send(m->link->out, message, size, fd);
}

void supervisor_link_note(struct manager *m, struct link_note *note)
{
	note->header.type = LINK_NOTE;
	send_message(m, note, sizeof(*note), -1);
}

void supervisor_link_spawn(struct manager *m, const struct spawn_request *r, int *ret_error)
{
	static char buffer[LINK_MESSAGE_MAX] __attribute__((aligned(8)));
	ssize_t size = link_encode_spawn(r, buffer, sizeof(buffer));

	*ret_error = size < 0 ? (int)size : 0;
	if (size >= 0)
		send_message(m, buffer, size, -1);
}

void supervisor_link_signal(struct manager *m, uint32_t slot, uint64_t instance, int signo,
			    bool group)
{
	struct link_signal message = { .header.type = LINK_SIGNAL,
				       .slot = slot,
				       .instance = instance,
				       .signo = signo,
				       .group = group };

	send_message(m, &message, sizeof(message), -1);
}

void supervisor_link_main(struct manager *m, uint32_t slot, uint64_t instance, pid_t pid, int pidfd)
{
	struct link_main message = { .header.type = LINK_MAIN,
				     .slot = slot,
				     .instance = instance,
				     .pid = pid,
				     .has_fd = 1 };

	send_message(m, &message, sizeof(message), pidfd);
}

static void send_place(struct manager *m, enum link_type type, uint32_t place, const char *name,
		       int fd)
{
	struct link_place message = { .header.type = type,
				      .place = place,
				      .has_fd = fd >= 0,
				      .is_door = place == PLACE_CONTROL };

	if (name)
		strncpy(message.name, name, sizeof(message.name) - 1);
	send_message(m, &message, sizeof(message), fd);
}

void supervisor_link_store(struct manager *m, uint32_t place, const char *name, int fd)
{
	if (fd >= 0) {
		send_place(m, LINK_STORE, place, name, fd);
		return;
	}
	log_error_errno(fd, "%s: cannot be kept with fosterd", name);
	/* What is there is of no use any more: the next manager must not take it for this. */
	send_place(m, LINK_DROP, place, NULL, -1);
}

void supervisor_link_drop(struct manager *m, uint32_t place)
{
	send_place(m, LINK_DROP, place, NULL, -1);
	if (place < LINK_PLACES) {
		free(m->link->stored[place]);
		m->link->stored[place] = NULL;
	}
}

void supervisor_link_forget(struct manager *m, uint32_t slot)
{
	struct link_slot message = { .header.type = LINK_FORGET, .slot = slot };

	send_message(m, &message, sizeof(message), -1);
}

void supervisor_link_exit(struct manager *m, int code, bool keep, bool sweep)
{
	struct link_exit message = {
		.header.type = LINK_EXIT, .code = code, .keep = keep, .sweep = sweep
	};

	send_message(m, &message, sizeof(message), -1);
}

void supervisor_link_running(struct manager *m)
{
	struct link_header message = { .type = LINK_RUNNING };

	send_message(m, &message, sizeof(message), -1);
}

void supervisor_link_rehearse(struct manager *m, uint32_t words, const char *program)
{
	struct link_program message = { .header.type = LINK_REHEARSE,
					.words = words,
					.config = PLACE_CONFIG };

	strncpy(message.path, program, sizeof(message.path) - 1);
	send_message(m, &message, sizeof(message), -1);
}

void supervisor_link_take_over(struct manager *m)
{
	struct link_header message = { .type = LINK_TAKE_OVER };

	send_message(m, &message, sizeof(message), -1);
}

/* --- in ------------------------------------------------------------------------------- */

static struct service *service_of(struct manager *m, uint32_t slot)
{
	return slot < LINK_SLOTS ? m->by_slot[slot] : NULL;
}

static void on_spawned(struct manager *m, const void *message)
{
	const struct link_child *child = message;
	struct service *s = service_of(m, child->slot);

	if (s)
		service_spawned(s, child);
}

static void on_started(struct manager *m, const void *message)
{
	const struct link_child *child = message;
	struct service *s = service_of(m, child->slot);

	if (s)
		service_started(s, child);
}

static void on_exited(struct manager *m, const void *message)
{
	const struct link_child *child = message;
	struct service *s = service_of(m, child->slot);

	if (s)
		service_exited(s, child);
}

static void on_signalled(struct manager *m, const void *message)
{
	const struct link_signal *news = message;
	struct service *s = service_of(m, news->slot);

	if (!s || news->instance != s->instance)
		return;
	if (news->error == 0) {
		trees_group_signalled(s);
	} else if (news->error != ESRCH) {
		service_unsignalled(s, s->pid, news->signo, news->error);
	} else if (s->pid > 0) {
		/* The supervisor knows no such process: its end was missed. */
		const struct link_child gone = { .flags = CHILD_STATUS_UNKNOWN };

		service_exited(s, &gone);
	}
}

static void on_main_taken(struct manager *m, const void *message)
{
	const struct link_main *answer = message;
	struct service *s = service_of(m, answer->slot);

	if (s)
		handover_answered(s, answer);
}

static void on_orphans(struct manager *m, const void *message)
{
	memcpy(&m->orphans, message, sizeof(m->orphans));
}

static void on_got_signal(struct manager *m, const void *message)
{
	const struct link_got *got = message;

	shutdown_signal(m, got->signo, got->sender);
}

static void on_hello(struct manager *m, const void *message)
{
	const struct link_hello *hello = message;

	if (hello->version != LINK_VERSION) {
		log_error("fosterd speaks version %u of the link, this foster-manager version %u: "
			  "they are of different releases",
			  hello->version, LINK_VERSION);
		exit(EXIT_FAILURE);
	}
	m->supervisor_pid = hello->supervisor_pid;
	m->run_id = hello->run_id;
	m->generation = hello->generation;
	m->hello = *hello;
}

static void on_child(struct manager *m, const void *message)
{
	restore_child(m, message);
}

static void on_stored(struct manager *m, const void *message)
{
	const struct link_place *place = message;

	if (place->place < LINK_PLACES) {
		free(m->link->stored[place->place]);
		m->link->stored[place->place] = strndup(place->name, sizeof(place->name));
	}
}

static void on_ping(struct manager *m, const void *message)
{
	struct link_header pong = { .type = LINK_PONG };

	send_message(m, &pong, sizeof(pong), -1);
}

static void on_rehearsed(struct manager *m, const void *message)
{
	upgrade_rehearsed(m, message);
}

static void on_synced(struct manager *m, const void *message)
{
	m->synced = true;
}

static const struct {
	size_t size;
	void (*handle)(struct manager *, const void *message);
} handlers[] = {
	[LINK_HELLO] = { sizeof(struct link_hello), on_hello },
	[LINK_CHILD] = { sizeof(struct link_child), on_child },
	[LINK_STORED] = { sizeof(struct link_place), on_stored },
	[LINK_SYNCED] = { sizeof(struct link_header), on_synced },
	[LINK_SPAWNED] = { LINK_NEWS_SIZE, on_spawned },
	[LINK_STARTED] = { LINK_NEWS_SIZE, on_started },
	[LINK_EXITED] = { LINK_NEWS_SIZE, on_exited },
	[LINK_SIGNALLED] = { sizeof(struct link_signal), on_signalled },
	[LINK_MAIN_TAKEN] = { sizeof(struct link_main), on_main_taken },
	[LINK_ORPHANS] = { sizeof(struct link_orphans), on_orphans },
	[LINK_PING] = { sizeof(struct link_header), on_ping },
	[LINK_REHEARSED] = { sizeof(struct link_rehearsed), on_rehearsed },
	[LINK_GOT_SIGNAL] = { sizeof(struct link_got), on_got_signal },
};

/* A service's pipe was asked for in passing; anything else is waited for. Takes fd. */
static void take_fetched(struct manager *m, const struct link_place *place, int fd)
{
	if (logs_is_place(place->place)) {
		logs_fetched(m, place->place, fd);
		fd_close(fd);
	} else if (place->place >= PLACE_READY && place->place < PLACE_READY + LINK_SLOTS) {
		if (logs_closing_fetched(m, place->place, fd))
			fd_close(fd);
		else
			readiness_fetched(m, place->place, fd);
	} else if (place->place >= PLACE_FD_STORE) {
		fd_store_fetched(m, place->place, fd);
	} else {
		m->link->fetched = fd >= 0 ? fd : -2;
	}
}

/* While a snapshot is being read, and until it is put to use, news would find no service. */
static bool is_news(uint32_t type)
{
	return type != LINK_HELLO && type != LINK_CHILD && type != LINK_STORED &&
	       type != LINK_SYNCED;
}

static void defer(struct supervisor_link *l, const struct link_header *header)
{
	struct deferred *d = malloc(sizeof(*d) + header->size);

	if (!d) {
		log_error("out of memory: news of fosterd are lost");
		return;
	}
	d->next = NULL;
	d->type = header->type;
	memcpy(d->data, header, header->size);
	if (l->last_deferred)
		l->last_deferred->next = d;
	else
		l->first_deferred = d;
	l->last_deferred = d;
}

void supervisor_link_go_live(struct manager *m)
{
	struct supervisor_link *l = m->link;

	l->live = true;
	while (l->first_deferred) {
		struct deferred *d = l->first_deferred;

		l->first_deferred = d->next;
		handlers[d->type].handle(m, d->data);
		free(d);
	}
	l->last_deferred = NULL;
}

static void handle(struct manager *m, const struct link_header *header, int fd)
{
	struct supervisor_link *l = m->link;

	if (header->type == LINK_FD_REPLY && header->size >= sizeof(struct link_place))
		take_fetched(m, (const void *)header, fd);
	else if (header->type >= ELEMENTSOF(handlers) || !handlers[header->type].handle ||
		 header->size < handlers[header->type].size)
		log_error("fosterd sent a message of type %u and %u bytes that has no meaning",
			  header->type, header->size);
	else if (!l->live && is_news(header->type))
		defer(l, header);
	else
		handlers[header->type].handle(m, header);
}

static void handle_packet(struct manager *m, size_t size, int fd)
{
	struct supervisor_link *l = m->link;
	const struct link_header *header;
	size_t offset = 0;

	while (offset < size && (header = link_next(l->buffer, size, &offset))) {
		bool has_fd = header->type == LINK_FD_REPLY &&
			      header->size >= sizeof(struct link_place) &&
			      ((const struct link_place *)header)->has_fd;

		handle(m, header, has_fd ? TAKE_FD(fd) : -1);
	}
	if (offset < size)
		log_error("fosterd sent %zu bytes that are no message", size - offset);
	fd_close(fd);
}

/* One packet. False when there is none; the end of the link does not return. */
static bool read_one(struct manager *m, int flags)
{
	struct supervisor_link *l = m->link;
	size_t n_fds = 1;
	int fd = -1;
	ssize_t n;

	assert(!l->reading); /* what is being handled lies in the buffer */
	n = fd_receive(LINK_FD, l->buffer, sizeof(l->buffer), &fd, &n_fds, flags);
	if (n == -EAGAIN)
		return false;
	if (n <= 0)
		shutdown_without_supervisor(m);
	l->reading = true;
	handle_packet(m, n, n_fds > 0 ? fd : -1);
	l->reading = false;
	return true;
}

void supervisor_link_flush(struct manager *m, int timeout_ms)
{
	packet_queue_flush(m->link->out, timeout_ms);
}

void supervisor_link_catch_up(struct manager *m)
{
	for (int i = 0; i < 256 && read_one(m, MSG_DONTWAIT); i++)
		;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	supervisor_link_catch_up(arg);
}

/* Waits for the next message; false when none comes in time. */
static bool wait_one(struct manager *m, int timeout_ms)
{
	struct pollfd p = { .fd = LINK_FD, .events = POLLIN };

	while (!read_one(m, MSG_DONTWAIT)) {
		if (poll(&p, 1, timeout_ms) == 0)
			return false;
	}
	return true;
}

void supervisor_link_ask(struct manager *m, uint32_t place)
{
	send_place(m, LINK_FETCH, place, NULL, -1);
}

int supervisor_link_fetch(struct manager *m, uint32_t place)
{
	struct supervisor_link *l = m->link;

	l->fetched = -1;
	supervisor_link_ask(m, place);
	packet_queue_flush(l->out, FETCH_TIMEOUT_MS);
	while (l->fetched == -1) {
		if (!wait_one(m, FETCH_TIMEOUT_MS))
			return -ETIMEDOUT;
	}
	return l->fetched == -2 ? -ENOENT : TAKE_FD(l->fetched);
}

int supervisor_link_sync(struct manager *m)
{
	while (!m->synced) {
		if (!wait_one(m, FETCH_TIMEOUT_MS))
			return -ETIMEDOUT;
	}
	return 0;
}

const char *supervisor_link_stored(struct manager *m, uint32_t place)
{
	return place < LINK_PLACES ? m->link->stored[place] : NULL;
}

int supervisor_link_open(struct manager *m)
{
	struct supervisor_link *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	m->link = l;
	fd_set_cloexec(LINK_FD, true);
	l->readable = event_new(m->base, LINK_FD, EV_READ | EV_PERSIST, on_readable, m);
	l->out = packet_queue_new(m->base, LINK_FD, "link to fosterd");
	if (!l->readable || !l->out || event_add(l->readable, NULL) < 0)
		return -ENOMEM;
	return 0;
}

void supervisor_link_close(struct manager *m)
{
	struct supervisor_link *l = m->link;

	if (!l)
		return;
	packet_queue_flush(l->out, FETCH_TIMEOUT_MS);
	for (size_t i = 0; i < LINK_PLACES; i++)
		free(l->stored[i]);
	if (l->readable)
		event_free(l->readable);
	packet_queue_free(l->out);
	free(l);
	m->link = NULL;
}
