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
#include "supervisor/main-process.h"
#include "supervisor/spawn.h"
#include "supervisor/stage.h"
#include "supervisor/table.h"
#include "supervisor/upgrade.h"

#define AWAIT        200 /* us; about two wake-ups of a sleeping processor */
#define READS_A_TURN 4   /* packets; then SIGCHLD and the exec pipes are looked at again */
#define OUT_MAX      (16 * 1024)
#define FEW_STRINGS  120 /* their pointers leave the stack on one page or two */

/* Each on pages of its own: what is written between two forks is copied by page. */
static char in[LINK_MESSAGE_MAX] __attribute__((aligned(4096)));
static bool hello_due, synced_due;

/* The packet that is being filled, or waits for room in the socket. */
static struct {
	char data[OUT_MAX] __attribute__((aligned(4096)));
	size_t size;
	int fd; /* a copy; -1: none */
} out = { .fd = -1 };

static void forget_packet(void)
{
	out.size = 0;
	out.fd = fd_close(out.fd);
}

void manager_link_open(struct supervisor *s)
{
	table_tell_all(s->table);
	/* The one before may have died in the middle of the end. */
	if (s->end_signal && !s->signalled[s->end_signal])
		s->signalled[s->end_signal] = 1;
	hello_due = synced_due = true;
	forget_packet();
	s->link_blocked = false;
}

static void close_link(struct supervisor *s)
{
	s->link_fd = fd_close(s->link_fd);
}

/* --- to the manager ------------------------------------------------------------------- */

/* False when the socket is full. */
static bool send_packet(struct supervisor *s)
{
	ssize_t n = out.size > 0 ? fd_send(s->link_fd, out.data, out.size, &out.fd,
					   out.fd >= 0 ? 1 : 0, 0)
				 : 0;

	/* Also what speaks of memory, or of descriptors on their way, passes. */
	if (n == -EAGAIN || n == -ENOBUFS || n == -ENOMEM || n == -ETOOMANYREFS)
		return false;
	/* EPIPE: the manager is gone, and the next one is told everything anew. */
	if (n < 0 && n != -EPIPE && n != -ECONNRESET)
		log_error_errno(n, "link to foster-manager");
	if (out.size > 0)
		keeper_expect_answer(s);
	forget_packet();
	return true;
}

/* Adds a message to the packet. False, and it is to be told later, when the socket is full. */
static bool send_message(struct supervisor *s, const void *data, size_t size, int fd)
{
	struct link_header *header;

	if ((out.size + size > sizeof(out.data) || (fd >= 0 && out.fd >= 0)) && !send_packet(s))
		return false;
	header = memcpy(out.data + out.size, data, size);
	header->size = size;
	out.size += size;
	/* A copy: the place may be closed before the packet goes. */
	if (fd >= 0)
		out.fd = supervisor_copy_fd(fd);
	return true;
}

static bool send_hello(struct supervisor *s)
{
	const struct table_upgrade *upgrade = table_upgrade(s->table);
	struct link_hello hello = {
		.header.type = LINK_HELLO,
		.version = LINK_VERSION,
		.supervisor_pid = s->pid,
		.run_id = table_run_id(s->table),
		.generation = s->keeper.generation,
		.upgrades = upgrade->attempts,
		.outcome = upgrade->outcome,
		.error = upgrade->error,
		.renewed = s->upgrade.fresh && upgrade->outcome == UPGRADE_TAKEN_OVER,
	};

	return send_message(s, &hello, sizeof(hello), -1);
}

static const struct {
	uint32_t what;
	enum link_type type;
	size_t size;
} slot_news[] = {
	{ TELL_CHILD, LINK_CHILD, sizeof(struct link_child) },
	{ TELL_SPAWNED, LINK_SPAWNED, LINK_NEWS_SIZE },
	{ TELL_STARTED, LINK_STARTED, LINK_NEWS_SIZE },
	{ TELL_EXITED, LINK_EXITED, LINK_NEWS_SIZE },
};

void manager_link_refuse(struct supervisor *s, uint32_t slot, int error)
{
	struct link_child news = {
		.header.type = LINK_SPAWNED, .slot = slot, .step = STEP_FORK, .error = error
	};

	if (s->link_fd >= 0)
		send_message(s, &news, LINK_NEWS_SIZE, -1);
}

static bool tell_signalled(struct supervisor *s, uint32_t index, struct table_slot *slot)
{
	struct link_signal news = {
		.header.type = LINK_SIGNALLED,
		.slot = index,
		.signo = slot->signal_number,
		.instance = slot->child.instance,
		.error = slot->signal_error,
	};

	return send_message(s, &news, sizeof(news), -1);
}

/* Before the end of the one that was taken, which may be known already. */
static bool tell_main_taken(struct supervisor *s, uint32_t index, struct table_slot *slot)
{
	struct link_main news = {
		.header.type = LINK_MAIN_TAKEN,
		.slot = index,
		.pid = slot->main_pid,
		.instance = slot->child.instance,
		.error = slot->main_error,
	};

	if ((slot->tell & TELL_MAIN_TAKEN) && !send_message(s, &news, sizeof(news), -1))
		return false;
	slot->tell &= ~TELL_MAIN_TAKEN;
	return true;
}

/* Tells all news of a slot, in their order. */
static bool tell_slot(struct supervisor *s, uint32_t index)
{
	struct table_slot *slot = table_slot(s->table, index);

	for (size_t i = 0; i < ELEMENTSOF(slot_news); i++) {
		if (slot_news[i].what == TELL_EXITED && !tell_main_taken(s, index, slot))
			return false;
		if (!(slot->tell & slot_news[i].what))
			continue;
		slot->child.header.type = slot_news[i].type;
		slot->child.slot = index;
		if (!send_message(s, &slot->child, slot_news[i].size, -1))
			return false;
		slot->tell &= ~slot_news[i].what;
		if (slot_news[i].what == TELL_STARTED)
			slot->child.flags |= CHILD_STARTED_TOLD;
	}
	if ((slot->tell & TELL_SIGNALLED) && !tell_signalled(s, index, slot))
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
		news.has_fd = place->fd >= 0;
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

static bool tell_ping(struct supervisor *s)
{
	struct link_header ping = { .type = LINK_PING };

	if (s->keeper.ping_due && !send_message(s, &ping, sizeof(ping), -1))
		return false;
	s->keeper.ping_due = false;
	return true;
}

static bool tell_rehearsed(struct supervisor *s)
{
	struct upgrade *u = &s->upgrade;

	if (u->rehearsed_untold && !send_message(s, &u->rehearsed, sizeof(u->rehearsed), -1))
		return false;
	u->rehearsed_untold = false;
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
	      tell_orphans(s) && tell_signals(s) && tell_ping(s) && tell_rehearsed(s) &&
	      send_packet(s);
	if (all == s->link_blocked) {
		struct epoll_event event = { .events = EPOLLIN | (all ? 0 : EPOLLOUT),
					     .data.u64 = (uint64_t)WATCH_LINK << 32 };

		s->link_blocked = !all;
		epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->link_fd, &event);
	}
}

/* --- from the manager ----------------------------------------------------------------- */

static void handle_spawn(struct supervisor *s, const void *message, size_t size, int fd)
{
	struct spawn_request request;
	size_t n = link_spawn_pointers(message, size);
	/* On the stack where they fit: each page that is written between two forks is copied,
	 * and the stack is anyway. */
	static char *many[LINK_ARGS_MAX + 2 + CHILD_ENV_EXTRA];
	char *few[FEW_STRINGS + CHILD_ENV_EXTRA], **strings = n <= FEW_STRINGS ? few : many;
	int error = link_decode_spawn(message, size, &request, strings, n);

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
	if (slot->child.instance != m->instance || !table_slot_is_alive(slot))
		return -ESRCH;
	if (slot->pidfd >= 0)
		return identity_pidfd_signal(slot->pidfd, m->signo);
	/* Before its setsid there is no such group yet: then it is the process alone. One that
	 * was taken leads which group it likes: those in it are the manager's. */
	if (m->group && !(slot->child.flags & CHILD_TAKEN) && kill(-slot->child.pid, m->signo) == 0)
		/* That one of the group could be signalled does not say that this one was. */
		return kill(slot->child.pid, 0) < 0 && errno == EPERM ? -EPERM : 0;
	return kill(slot->child.pid, m->signo) < 0 ? -errno : 0;
}

static void handle_signal(struct supervisor *s, const void *message, size_t size, int fd)
{
	const struct link_signal *m = message;
	struct table_slot *slot = table_slot(s->table, m->slot);
	int error = slot ? send_signal(slot, m) : -EINVAL;

	/* A group may lose members until then: the manager wants to know from when on it has it. */
	if (!slot || (error == 0 && !m->group))
		return;
	slot->signal_number = m->signo;
	slot->signal_error = -error;
	table_tell_slot(s->table, m->slot, TELL_SIGNALLED);
}

static void handle_note(struct supervisor *s, const void *message, size_t size, int fd)
{
	const struct link_note *m = message;
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
		/* How the rest of its tree is to be found holds until the next start. */
		slot->child.flags &= ~CHILD_STATUS_UNKNOWN;
	}
}

static void handle_main(struct supervisor *s, const void *message, size_t size, int fd)
{
	main_process_take(s, message, fd);
}

static void handle_forget(struct supervisor *s, const void *message, size_t size, int fd)
{
	const struct link_slot *m = message;
	struct table_slot *slot = table_slot(s->table, m->slot);

	if (!slot || table_slot_is_alive(slot))
		return;
	table_set_pid(s->table, m->slot, 0);
	memset(&slot->child, 0, sizeof(slot->child));
}

static void close_place(struct supervisor *s, struct table_place *place)
{
	/* Others have copies of it: closing ours would not end the watch. */
	if (place->is_door)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, place->fd, NULL);
	place->is_door = false;
	place->fd = fd_close(place->fd);
}

static void handle_store(struct supervisor *s, const void *message, size_t size, int fd)
{
	const struct link_place *m = message;
	struct table_place *place = table_place(s->table, m->place);

	if (!place || !m->name[0])
		return;
	/* Without room it does not even arrive. What was there is of no use any more, either. */
	fd = fd < 0 ? -EMFILE : supervisor_copy_fd(fd);
	stage_reserve(fd);
	close_place(s, place);
	if (fd < 0) {
		log_error_errno(fd, "%.*s: cannot keep the descriptor%s", LINK_NAME_MAX, m->name,
				fd == -EMFILE ? " (the hard limit of open files is too low: see "
						"ulimit -Hn, or LimitNOFILE= of systemd)"
					      : "");
		place->name[0] = '\0';
		return;
	}
	place->fd = fd;
	place->is_door = m->is_door;
	/* Edge-triggered: it is the manager that takes what comes. */
	if (m->is_door && supervisor_watch(s, fd, EPOLLIN | EPOLLET, WATCH_DOOR, m->place) < 0)
		log_warning("%s: a manager that hangs is not noticed here", place->name);
	memcpy(place->name, m->name, sizeof(place->name));
	place->name[sizeof(place->name) - 1] = '\0';
}

static void handle_fetch(struct supervisor *s, const void *message, size_t size, int fd)
{
	const struct link_place *m = message;

	if (table_place(s->table, m->place))
		table_tell_place(s->table, m->place, 2);
}

static void handle_drop(struct supervisor *s, const void *message, size_t size, int fd)
{
	const struct link_place *m = message;
	struct table_place *place = table_place(s->table, m->place);

	if (!place)
		return;
	close_place(s, place);
	place->name[0] = '\0';
}

static void handle_running(struct supervisor *s, const void *message, size_t size, int fd)
{
	keeper_ready(s);
}

/* That it came is all. */
static void handle_pong(struct supervisor *s, const void *message, size_t size, int fd)
{
}

static void handle_exit(struct supervisor *s, const void *message, size_t size, int fd)
{
	const struct link_exit *m = message;

	s->ending = true;
	s->exit_code = m->code;
	s->keep = m->keep;
	s->sweep = m->sweep;
	keeper_expect_answer(s); /* its own end */
}

static void handle_rehearse(struct supervisor *s, const void *message, size_t size, int fd)
{
	upgrade_rehearse(s, message);
}

static void handle_take_over(struct supervisor *s, const void *message, size_t size, int fd)
{
	s->upgrade.due = true;
}

static const struct {
	size_t size; /* the least */
	void (*handle)(struct supervisor *, const void *message, size_t size, int fd);
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
	[LINK_PONG] = { sizeof(struct link_header), handle_pong },
	[LINK_REHEARSE] = { sizeof(struct link_program), handle_rehearse },
	[LINK_TAKE_OVER] = { sizeof(struct link_header), handle_take_over },
	[LINK_MAIN] = { sizeof(struct link_main), handle_main },
};

static void dispatch(struct supervisor *s, const struct link_header *header, int fd)
{
	if (header->type >= ELEMENTSOF(handlers) || !handlers[header->type].handle ||
	    header->size < handlers[header->type].size)
		log_error("the manager sent a message of type %u and %u bytes that has no meaning",
			  header->type, header->size);
	else
		handlers[header->type].handle(s, header, header->size, fd);
}

static bool has_fd(const struct link_header *header)
{
	if (header->type == LINK_STORE && header->size >= sizeof(struct link_place))
		return ((const struct link_place *)header)->has_fd;
	return header->type == LINK_MAIN && header->size >= sizeof(struct link_main) &&
	       ((const struct link_main *)header)->has_fd;
}

static void handle_packet(struct supervisor *s, size_t size, const int *fds, size_t n_fds)
{
	const struct link_header *header;
	size_t offset = 0, used = 0;

	while (offset < size && (header = link_next(in, size, &offset)))
		dispatch(s, header, has_fd(header) && used < n_fds ? fds[used++] : -1);
	if (offset < size)
		log_error("the manager sent %zu bytes that are no message", size - offset);
	for (size_t i = 0; i < n_fds; i++)
		fd_close(fds[i]);
}

unsigned manager_link_read(struct supervisor *s)
{
	static int fds[FD_PASS_MAX]; /* not on the stack: see FEW_STRINGS */
	unsigned handled = 0;

	for (int i = 0; i < READS_A_TURN && s->link_fd >= 0; i++) {
		size_t n_fds = FD_PASS_MAX;
		ssize_t n = fd_receive(s->link_fd, in, sizeof(in), fds, &n_fds, MSG_DONTWAIT);

		if (n == -EAGAIN)
			break;
		if (n <= 0) { /* the manager is gone; SIGCHLD tells how */
			close_link(s);
			break;
		}
		keeper_heard(s);
		handle_packet(s, n, fds, n_fds);
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
