/* SPDX-License-Identifier: MIT */
/* The admin child, as its parent sees it: see admin.h. */
#include "chat/admin/admin.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <foster/process.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/units.h"
#include "chat/admin/child.h"
#include "chat/admin/packet.h"
#include "chat/room.h"

#define TURN           16   /* packets read before others come to their turn */
#define MEMBERS_MAX    8    /* two live; the others have ended and are not reaped yet */
#define TERMINATE_TIME 2000 /* ms */

/* One of the two, or who was. */
struct member {
	pid_t pid;               /* 0: free */
	uint64_t since;          /* monotonic */
	foster_process *process; /* NULL: made by another */
	int guard[2];            /* of one that was made by another; else -1 */
};

struct admin {
	struct event_base *base;
	const char *control;
	struct admin_events events;
	struct member members[MEMBERS_MAX];
	struct child_arguments child;
	struct event *packets, *room_for_reload;
	bool reload_due;    /* not told yet, for they are busy */
	uint64_t last;      /* the number up to which all events were told */
	uint64_t announced; /* that of the last announcement */
	int fd;             /* our end of the pair; -1: both have gone */
};

/* --- the two -------------------------------------------------------------------------------- */

static struct member *find_member(struct admin *a, pid_t pid)
{
	for (size_t i = 0; i < ELEMENTSOF(a->members); i++) {
		if (a->members[i].pid == pid)
			return &a->members[i];
	}
	return NULL;
}

/* Takes the guard's two descriptors over. NULL: there is no place. */
static struct member *add_member(struct admin *a, pid_t pid, const int *guard)
{
	struct member *m = find_member(a, 0);

	if (m)
		*m = (struct member){ .pid = pid,
				      .since = now_monotonic(),
				      .guard = { guard ? guard[0] : -1, guard ? guard[1] : -1 } };
	return m;
}

/* One that lives dies of it, unless it has a process object. */
static void forget_member(struct member *m)
{
	fd_close(m->guard[0]);
	fd_close(m->guard[1]);
	if (m->process && foster_process_free(m->process) < 0)
		log_warning("admin: the process object is still in use");
	*m = (struct member){ .guard = { -1, -1 } };
}

static void tell_end(const struct member *m, const siginfo_t *info)
{
	char lived[DURATION_TEXT_MAX];

	format_duration(lived, sizeof(lived), now_monotonic() - m->since);
	log_warning("admin[%d]: ended after %s (%s %d)", m->pid, lived,
		    info->si_code == CLD_EXITED ? "exit" : "signal", info->si_status);
}

/* Reaps one child that has ended, whoever made it. False: there is none. */
static bool reap_one(struct admin *a, bool tell)
{
	siginfo_t info = { 0 };
	struct member *m;

	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return false;
	m = find_member(a, info.si_pid);
	if (m && m->process)
		foster_process_join(m->process, 0);
	else
		waitid(P_PID, info.si_pid, &info, WEXITED | WNOHANG);
	if (m && tell)
		tell_end(m, &info);
	if (m)
		forget_member(m);
	return true;
}

void admin_reap(struct admin *a)
{
	while (reap_one(a, true))
		;
}

static size_t count_members(const struct admin *a)
{
	size_t n = 0;

	for (size_t i = 0; i < ELEMENTSOF(a->members); i++)
		n += a->members[i].pid > 0;
	return n;
}

/* --- what they say -------------------------------------------------------------------------- */

static bool send_packet(struct admin *a, const struct packet *p)
{
	ssize_t n = -1;

	if (a->fd >= 0)
		n = send(a->fd, p, packet_size(p), MSG_DONTWAIT | MSG_NOSIGNAL);
	return n > 0;
}

/* One that leads from now on goes on where the last one was. */
static void send_state(struct admin *a)
{
	static struct packet p = { .kind = PACKET_STATE };

	p.seq = a->last;
	p.number = a->announced;
	send_packet(a, &p); /* fails when it is busy: it asks again */
}

static void handle_packet(struct admin *a, const struct packet *p)
{
	const struct room_command to = {
		.id = p->id, .since = p->since, .in_channel = p->in_channel, .nick = p->nick
	};

	if (p->seq > 0)
		a->last = p->seq;
	switch (p->kind) {
	case PACKET_ANNOUNCEMENT:
		a->announced = p->number;
		a->events.announce(a->events.arg, p->text);
		break;
	case PACKET_EVENT: a->events.event(a->events.arg, p->text, p->tags); break;
	case PACKET_ANSWER: a->events.answer(a->events.arg, &to, p->text); break;
	case PACKET_HELLO: send_state(a); break;
	}
}

static void close_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(fds[i]);
}

/* It may have been reaped before we read of it. */
static bool is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* False: both have gone, and all that they sent is read. */
static bool take_packet(struct admin *a)
{
	static struct packet p;
	int fds[2];
	size_t n_fds;
	ssize_t n;

	do {
		n_fds = ELEMENTSOF(fds);
		n = fd_receive(a->fd, &p, sizeof(p), fds, &n_fds, MSG_DONTWAIT);
	} while (n == -EINTR);
	if (n == -EAGAIN)
		return true;
	if (n <= 0)
		return false;
	if (!packet_is_whole(&p, n))
		close_fds(fds, n_fds);
	else if (p.kind != PACKET_STAND_IN) {
		close_fds(fds, n_fds);
		handle_packet(a, &p);
	} else if (n_fds < 2 || !is_child((pid_t)p.id) || !add_member(a, (pid_t)p.id, fds))
		close_fds(fds, n_fds); /* which ends it, and another is made */
	return true;
}

static void close_pair(struct admin *a)
{
	if (a->packets)
		event_free(a->packets);
	if (a->room_for_reload)
		event_free(a->room_for_reload);
	a->packets = a->room_for_reload = NULL;
	a->fd = fd_close(a->fd);
}

static void on_packets(int fd, short what, void *arg)
{
	struct admin *a = arg;

	for (int i = 0; i < TURN; i++) {
		if (!take_packet(a)) {
			close_pair(a);
			a->events.gone(a->events.arg);
			return;
		}
	}
}

/* --- what they are asked -------------------------------------------------------------------- */

bool admin_ask(struct admin *a, const struct room_command *command)
{
	static struct packet p;

	memset(&p, 0, offsetof(struct packet, text));
	p.kind = PACKET_QUESTION;
	p.id = command->id;
	p.since = command->since;
	p.in_channel = command->in_channel;
	snprintf(p.nick, sizeof(p.nick), "%s", command->nick);
	snprintf(p.account, sizeof(p.account), "%s", command->account ? command->account : "");
	snprintf(p.source, sizeof(p.source), "%s", command->source);
	snprintf(p.text, sizeof(p.text), "%s", command->text);
	/* Rights that a reload took away are not to be asked for after it. */
	return a->control && !a->reload_due && send_packet(a, &p);
}

static void send_reload(int fd, short what, void *arg)
{
	static const struct packet p = { .kind = PACKET_RELOAD };
	struct admin *a = arg;

	a->reload_due = a->fd >= 0 && !send_packet(a, &p);
	if (a->reload_due)
		event_add(a->room_for_reload, NULL);
}

void admin_reload(struct admin *a)
{
	send_reload(a->fd, 0, a);
}

/* --- start and end -------------------------------------------------------------------------- */

/* In the child, on its copy of all this. */
static int run_child(void *arg)
{
	struct admin *a = arg;

	fd_close(a->fd);
	a->events.close_copies(a->events.arg);
	return child_run(&a->child);
}

static int fork_child(struct admin *a, int room, int other, int not_ours, bool stands_by)
{
	struct member *m = add_member(a, 0, NULL);
	int r;

	a->child.pair = (struct admin_pair){
		.room = room, .other = other, .stands_by = stands_by, .leads_since = now_monotonic()
	};
	a->child.not_ours = not_ours;
	m->process = foster_process_new(stands_by ? "stand-in" : "admin", run_child, a);
	if (!m->process)
		return -ENOMEM;
	foster_process_set_daemon(m->process, true);
	r = foster_process_start(m->process);
	if (r < 0)
		forget_member(m);
	else
		m->pid = foster_process_pid(m->process);
	return r;
}

static int start(struct admin *a)
{
	_cleanup_close_ int child_fd = -1, leads = -1, stands_by = -1;
	int pair[2], link[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	a->fd = pair[0];
	child_fd = pair[1];
	r = stand_in_link(link);
	if (r < 0)
		return r;
	leads = link[0];
	stands_by = link[1];
	r = fork_child(a, child_fd, leads, stands_by, false);
	if (r == 0)
		r = fork_child(a, child_fd, stands_by, leads, true);
	if (r < 0)
		return r;
	a->packets = event_new(a->base, a->fd, EV_READ | EV_PERSIST, on_packets, a);
	a->room_for_reload = event_new(a->base, a->fd, EV_WRITE, send_reload, a);
	return a->packets && a->room_for_reload && event_add(a->packets, NULL) == 0 ? 0 : -ENOMEM;
}

int admin_new(struct event_base *base, const char *control, const struct admin_events *events,
	      struct admin **ret)
{
	struct admin *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->base = base;
	a->control = control && *control ? control : NULL;
	a->events = *events;
	a->fd = -1;
	for (size_t i = 0; i < ELEMENTSOF(a->members); i++)
		a->members[i] = (struct member){ .guard = { -1, -1 } };
	a->child.control = a->control;
	a->child.config = a->events.config(a->events.arg, &a->child.path);
	r = start(a);
	if (r < 0) {
		admin_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

/* Until all have ended, TERMINATE_TIME at most: they leave when the room closes its end. */
static void wait_for_ends(struct admin *a)
{
	uint64_t until = now_monotonic() + TERMINATE_TIME * USEC_PER_MSEC, now;
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	for (;;) {
		struct timespec wait;

		while (reap_one(a, false))
			;
		now = now_monotonic();
		if (count_members(a) == 0 || now >= until)
			return;
		wait.tv_sec = (time_t)((until - now) / USEC_PER_SEC);
		wait.tv_nsec = (long)((until - now) % USEC_PER_SEC * 1000);
		sigtimedwait(&ends, NULL, &wait);
	}
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	/* Who was made and has not been read of has its guard in there, and dies of this. */
	close_pair(a);
	wait_for_ends(a);
	for (size_t i = 0; i < ELEMENTSOF(a->members); i++) {
		struct member *m = &a->members[i];

		if (m->process && foster_process_kill(m->process) == 0)
			foster_process_join(m->process, -1);
		forget_member(m);
	}
	free(a);
}
