/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's end of the link: see manager-link.h. Nothing is queued as messages: what is
 * to be told is marked in the table and built from it when there is room to send. So a slow
 * manager costs no memory, and a dead one loses nothing.
 */
#include "supervisor/manager-link.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "supervisor/child.h"
#include "supervisor/identity.h"
#include "supervisor/keeper.h"
#include "supervisor/spawn.h"
#include "supervisor/table.h"

#define AWAIT        200 /* us; about two wake-ups of a sleeping processor */
#define READS_A_TURN 32  /* then SIGCHLD and the exec pipes are looked at again */

/* Each on pages of its own: what is written between two forks is copied by page. */
static char message[LINK_MESSAGE_MAX] __attribute__((aligned(4096)));
static char *strings[LINK_ARGS_MAX + 2 + CHILD_ENV_EXTRA] __attribute__((aligned(4096)));
static bool hello_due, synced_due;

void manager_link_open(struct supervisor *s)
{
	table_tell_all(s->table);
	/* The one before may have died in the middle of the end. */
	if (s->end_signal && !s->signalled[s->end_signal])
		s->signalled[s->end_signal] = 1;
	hello_due = synced_due = true;
	s->link_blocked = false;
}

static void close_link(struct supervisor *s)
{
	s->link_fd = fd_close(s->link_fd);
}

/* --- to the manager ------------------------------------------------------------------- */

/* True when sent or not sendable ever; false when the buffer is full. */
static bool send_message(struct supervisor *s, const void *data, size_t size, int fd)
{
	ssize_t n = fd_send(s->link_fd, data, size, &fd, fd >= 0 ? 1 : 0, 0);

	if (n == -EAGAIN)
		return false;
	/* EPIPE: the manager is gone, and the next one is told everything anew. */
	if (n < 0 && n != -EPIPE && n != -ECONNRESET)
		log_error_errno(n, "link to foster-manager");
	return true;
}

static bool send_hello(struct supervisor *s)
{
	struct link_hello hello = {
		.header.type = LINK_HELLO,
		.version = LINK_VERSION,
		.supervisor_pid = s->pid,
		.run_id = table_run_id(s->table),
		.generation = s->keeper.generation,
	};

	return send_message(s, &hello, sizeof(hello), -1);
}

static const struct {
	uint32_t what;
	enum link_type type;
} slot_news[] = {
	{ TELL_CHILD, LINK_CHILD },
	{ TELL_SPAWNED, LINK_SPAWNED },
	{ TELL_STARTED, LINK_STARTED },
	{ TELL_EXITED, LINK_EXITED },
};

static bool tell_unsignalled(struct supervisor *s, uint32_t index, struct table_slot *slot)
{
	struct link_signal news = {
		.header.type = LINK_UNSIGNALLED,
		.slot = index,
		.signo = slot->signal_number,
		.instance = slot->child.instance,
		.error = slot->signal_error,
	};

	return send_message(s, &news, sizeof(news), -1);
}

/* Tells all news of a slot, in their order. */
static bool tell_slot(struct supervisor *s, uint32_t index)
{
	struct table_slot *slot = table_slot(s->table, index);

	for (size_t i = 0; i < ELEMENTSOF(slot_news); i++) {
		if (!(slot->tell & slot_news[i].what))
			continue;
		slot->child.header.type = slot_news[i].type;
		slot->child.slot = index;
		if (!send_message(s, &slot->child, sizeof(slot->child), -1))
			return false;
		slot->tell &= ~slot_news[i].what;
	}
	if ((slot->tell & TELL_UNSIGNALLED) && !tell_unsignalled(s, index, slot))
		return false;
	slot->tell = 0;
	return true;
}

static bool tell_place(struct supervisor *s, uint32_t index)
{
	struct table_place *place = table_place(s->table, index);
	struct link_place news = { .place = index };

	memcpy(news.name, place->name, sizeof(news.name));
	if (place->tell & 1) {
		news.header.type = LINK_STORED;
		if (!send_message(s, &news, sizeof(news), -1))
			return false;
		place->tell &= ~1U;
	}
	if (place->tell & 2) {
		news.header.type = LINK_FD_REPLY;
		if (!send_message(s, &news, sizeof(news), place->fd))
			return false;
	}
	place->tell = 0;
	return true;
}

static bool tell_signals(struct supervisor *s)
{
	for (int signo = 1; signo <= 64; signo++) {
		struct link_got got = { .header.type = LINK_GOT_SIGNAL,
					.signo = signo,
					.sender = s->signalled[signo] - 1 };

		if (!s->signalled[signo])
			continue;
		if (!send_message(s, &got, sizeof(got), -1))
			return false;
		s->signalled[signo] = 0;
	}
	return true;
}

static bool tell_places(struct supervisor *s)
{
	for (int64_t i; (i = table_pop_place(s->table)) >= 0;) {
		if (!tell_place(s, i)) {
			table_unpop_place(s->table, i);
			return false;
		}
	}
	return true;
}

static bool tell_slots(struct supervisor *s)
{
	for (int64_t i; (i = table_pop_slot(s->table)) >= 0;) {
		if (!tell_slot(s, i)) {
			table_unpop_slot(s->table, i);
			return false;
		}
	}
	return true;
}

static bool tell_orphans(struct supervisor *s)
{
	if (!s->orphans_untold)
		return true;
	s->orphans.header.type = LINK_ORPHANS;
	if (!send_message(s, &s->orphans, sizeof(s->orphans), -1))
		return false;
	s->orphans_untold = false;
	return true;
}

static bool tell_synced(struct supervisor *s)
{
	struct link_header synced = { .type = LINK_SYNCED };

	if (synced_due && !send_message(s, &synced, sizeof(synced), -1))
		return false;
	synced_due = false;
	return true;
}

static bool tell_hello(struct supervisor *s)
{
	if (hello_due && !send_hello(s))
		return false;
	hello_due = false;
	return true;
}

void manager_link_flush(struct supervisor *s)
{
	bool all;

	if (s->link_fd < 0)
		return;
	all = tell_hello(s) && tell_places(s) && tell_slots(s) && tell_synced(s) &&
	      tell_orphans(s) && tell_signals(s);
	if (all == s->link_blocked) {
		struct epoll_event event = { .events = EPOLLIN | (all ? 0 : EPOLLOUT),
					     .data.u64 = (uint64_t)WATCH_LINK << 32 };

		s->link_blocked = !all;
		epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->link_fd, &event);
	}
}

/* --- from the manager ----------------------------------------------------------------- */

static void handle_spawn(struct supervisor *s, size_t size, int fd)
{
	struct spawn_request request;
	int error = link_decode_spawn(message, size, &request, strings,
				      ELEMENTSOF(strings) - CHILD_ENV_EXTRA);

	if (error < 0)
		log_error_errno(error, "the manager sent a start that cannot be read");
	else
		spawn_child(s, &request);
}

/*
 * A child that we have not reaped keeps its pid, and the process group that it leads keeps
 * its number: no other process can be hit. An adopted one is signalled through its pidfd.
 */
static int send_signal(const struct table_slot *slot, const struct link_signal *m)
{
	if (slot->child.instance != m->instance ||
	    (slot->child.state != CHILD_FORKED && slot->child.state != CHILD_RUNNING))
		return -ESRCH;
	if (slot->pidfd >= 0)
		return identity_pidfd_signal(slot->pidfd, m->signo);
	/* Before its setsid there is no such group yet: then it is the process alone. */
	if (m->group && kill(-slot->child.pid, m->signo) == 0)
		return 0;
	return kill(slot->child.pid, m->signo) < 0 ? -errno : 0;
}

static void handle_signal(struct supervisor *s, size_t size, int fd)
{
	const struct link_signal *m = (const void *)message;
	struct table_slot *slot = table_slot(s->table, m->slot);
	int error = slot ? send_signal(slot, m) : -EINVAL;

	if (error == 0 || !slot)
		return;
	slot->signal_number = m->signo;
	slot->signal_error = -error;
	table_tell_slot(s->table, m->slot, TELL_UNSIGNALLED);
}

static void handle_note(struct supervisor *s, size_t size, int fd)
{
	const struct link_note *m = (const void *)message;
	struct table_slot *slot = table_slot(s->table, m->slot);

	if (!slot || m->note_size > LINK_NOTE_MAX)
		return;
	memcpy(slot->child.name, m->name, sizeof(slot->child.name));
	slot->child.name[LINK_NAME_MAX - 1] = '\0';
	memcpy(slot->child.note, m->note, m->note_size);
	slot->child.note_size = m->note_size;
	if ((m->flags & LINK_NOTE_EXIT_SEEN) && slot->child.state == CHILD_EXITED) {
		table_set_pid(s->table, m->slot, 0);
		slot->child.state = CHILD_NONE;
		slot->child.flags = 0;
	}
}

static void handle_forget(struct supervisor *s, size_t size, int fd)
{
	const struct link_slot *m = (const void *)message;
	struct table_slot *slot = table_slot(s->table, m->slot);

	if (!slot || slot->child.state == CHILD_FORKED || slot->child.state == CHILD_RUNNING)
		return;
	table_set_pid(s->table, m->slot, 0);
	memset(&slot->child, 0, sizeof(slot->child));
}

static void handle_store(struct supervisor *s, size_t size, int fd)
{
	const struct link_place *m = (const void *)message;
	struct table_place *place = table_place(s->table, m->place);

	if (!place || fd < 0 || !m->name[0])
		return;
	fd = supervisor_copy_fd(fd);
	if (fd < 0) {
		log_error_errno(fd, "%.*s: cannot keep the descriptor", LINK_NAME_MAX, m->name);
		return;
	}
	fd_close(place->fd);
	place->fd = fd;
	memcpy(place->name, m->name, sizeof(place->name));
	place->name[sizeof(place->name) - 1] = '\0';
}

static void handle_fetch(struct supervisor *s, size_t size, int fd)
{
	const struct link_place *m = (const void *)message;

	if (table_place(s->table, m->place))
		table_tell_place(s->table, m->place, 2);
}

static void handle_drop(struct supervisor *s, size_t size, int fd)
{
	const struct link_place *m = (const void *)message;
	struct table_place *place = table_place(s->table, m->place);

	if (!place)
		return;
	place->fd = fd_close(place->fd);
	place->name[0] = '\0';
}

static void handle_running(struct supervisor *s, size_t size, int fd)
{
	keeper_ready(s);
}

static void handle_exit(struct supervisor *s, size_t size, int fd)
{
	const struct link_exit *m = (const void *)message;

	s->ending = true;
	s->exit_code = m->code;
	s->keep = m->keep;
}

static const struct {
	size_t size; /* the least */
	void (*handle)(struct supervisor *, size_t size, int fd);
} handlers[] = {
	[LINK_SPAWN] = { sizeof(struct link_header), handle_spawn },
	[LINK_SIGNAL] = { sizeof(struct link_signal), handle_signal },
	[LINK_NOTE] = { sizeof(struct link_note), handle_note },
	[LINK_FORGET] = { sizeof(struct link_slot), handle_forget },
	[LINK_STORE] = { sizeof(struct link_place), handle_store },
	[LINK_FETCH] = { sizeof(struct link_place), handle_fetch },
	[LINK_DROP] = { sizeof(struct link_place), handle_drop },
	[LINK_RUNNING] = { sizeof(struct link_header), handle_running },
	[LINK_EXIT] = { sizeof(struct link_exit), handle_exit },
};

static void dispatch(struct supervisor *s, size_t size, int fd)
{
	const struct link_header *header = (const void *)message;

	if (size < sizeof(*header) || header->type >= ELEMENTSOF(handlers) ||
	    !handlers[header->type].handle || size < handlers[header->type].size)
		log_error("the manager sent a message of %zu bytes that has no meaning", size);
	else
		handlers[header->type].handle(s, size, fd);
}

unsigned manager_link_read(struct supervisor *s)
{
	unsigned handled = 0;

	for (int i = 0; i < READS_A_TURN && s->link_fd >= 0; i++) {
		int fd = -1;
		size_t n_fds = 1;
		ssize_t n =
			fd_receive(s->link_fd, message, sizeof(message), &fd, &n_fds, MSG_DONTWAIT);

		if (n == -EAGAIN)
			break;
		if (n <= 0) { /* the manager is gone; SIGCHLD tells how */
			close_link(s);
			break;
		}
		dispatch(s, n, n_fds > 0 ? fd : -1);
		if (n_fds > 0)
			fd_close(fd);
		handled++;
	}
	return handled;
}

void manager_link_await(struct supervisor *s)
{
	uint64_t deadline = now_monotonic() + AWAIT;

	while (s->link_fd >= 0 && !manager_link_read(s) && now_monotonic() < deadline)
		sched_yield();
}

void manager_link_finish(struct supervisor *s)
{
	/* Nobody else holds the other end: the last read finds the hang-up, and closes ours. */
	for (int i = 0; i < LINK_SLOTS && s->link_fd >= 0; i++)
		manager_link_read(s);
	close_link(s);
}
