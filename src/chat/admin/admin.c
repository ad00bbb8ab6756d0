/* SPDX-License-Identifier: MIT */
/* The admin child, as its parent sees it: see admin.h. */
#include "chat/admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <foster/process.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/macro.h"
#include "base/units.h"
#include "chat/admin/child.h"
#include "chat/admin/packet.h"
#include "chat/room.h"

#define TURN           16 /* packets read before others come to their turn */
#define DELAY_FIRST    (100 * USEC_PER_MSEC)
#define DELAY_MAX      (30 * USEC_PER_SEC)
#define GOOD_RUN       (60 * USEC_PER_SEC) /* after which the delay starts anew */
#define TERMINATE_TIME 2000                /* ms */

struct admin {
	struct event_base *base;
	const char *control;
	struct admin_events events;
	foster_process *process;
	struct child_arguments child;
	struct event *packets, *sentinel, *restart;
	uint64_t started_at, delay;
	uint64_t last;      /* the number up to which all events were told */
	uint64_t announced; /* that of the last announcement */
	int fd;             /* our end of the pair */
};

static int start(struct admin *a);

static void free_event(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

/* After the child's end, or a start that failed. */
static void clean_up(struct admin *a)
{
	free_event(&a->packets);
	free_event(&a->sentinel);
	a->fd = fd_close(a->fd);
	if (a->process && foster_process_free(a->process) < 0)
		log_warning("admin: the process object is still in use");
	a->process = NULL;
}

static void handle_packet(struct admin *a, const struct packet *p)
{
	const struct room_command to = {
		.id = p->id, .since = p->since, .in_channel = p->in_channel, .nick = p->nick
	};

	if (p->seq > 0)
		a->last = p->seq;
	if (p->kind == PACKET_ANNOUNCEMENT) {
		a->announced = p->number;
		a->events.announce(a->events.arg, p->text);
	}
	if (p->kind == PACKET_EVENT)
		a->events.event(a->events.arg, p->text, p->tags);
	else if (p->kind == PACKET_ANSWER)
		a->events.answer(a->events.arg, &to, p->text);
}

/* False: the child has closed its end. */
static bool take_packet(struct admin *a)
{
	static struct packet p;
	ssize_t n;

	do
		n = recv(a->fd, &p, sizeof(p), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	if (packet_is_whole(&p, n))
		handle_packet(a, &p);
	return true;
}

static void on_packets(int fd, short what, void *arg)
{
	struct admin *a = arg;

	for (int i = 0; i < TURN; i++) {
		if (!take_packet(a)) {
			/* The sentinel says the rest; until then this would stay readable. */
			event_del(a->packets);
			return;
		}
	}
}

static bool send_packet(struct admin *a, const struct packet *p)
{
	ssize_t n = -1;

	if (a->fd >= 0)
		n = send(a->fd, p, packet_size(p), MSG_DONTWAIT | MSG_NOSIGNAL);
	return n > 0;
}

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
	return a->control && send_packet(a, &p);
}

void admin_reload(struct admin *a)
{
	static const struct packet p = { .kind = PACKET_RELOAD };

	/* One that is so busy reads it late: it is started anew. */
	if (a->process && !send_packet(a, &p))
		foster_process_kill(a->process);
}

static void restart_later(struct admin *a)
{
	struct timeval wait = { .tv_sec = a->delay / USEC_PER_SEC,
				.tv_usec = a->delay % USEC_PER_SEC };

	evtimer_add(a->restart, &wait);
	a->delay = MIN(MAX(a->delay * 2, DELAY_FIRST), DELAY_MAX);
}

static void on_end(int fd, short what, void *arg)
{
	struct admin *a = arg;
	char lived[DURATION_TEXT_MAX];
	uint64_t now = now_monotonic();
	int code = 0;

	foster_process_join(a->process, 0);
	foster_process_exitcode(a->process, &code);
	format_duration(lived, sizeof(lived), now - a->started_at);
	log_warning("admin[%d]: ended after %s (%s %d)", foster_process_pid(a->process), lived,
		    code < 0 ? "signal" : "exit", code < 0 ? -code : code);
	/* What it had sent is announced before its end is. */
	while (a->fd >= 0 && take_packet(a) && event_pending(a->packets, EV_READ, NULL))
		;
	clean_up(a);
	if (now - a->started_at >= GOOD_RUN)
		a->delay = 0;
	restart_later(a);
}

static void on_restart(int fd, short what, void *arg)
{
	struct admin *a = arg;
	int r = start(a);

	if (r < 0) {
		log_warning_errno(r, "admin: not started");
		restart_later(a);
	}
}

/* In the child, on its copy of all this. */
static int run_child(void *arg)
{
	struct admin *a = arg;

	fd_close(a->fd);
	a->events.close_copies(a->events.arg);
	return child_run(&a->child);
}

static int fork_child(struct admin *a, int child_fd)
{
	a->child = (struct child_arguments){
		.control = a->control, .fd = child_fd, .last = a->last, .announced = a->announced
	};
	a->child.config = a->events.config(a->events.arg, &a->child.path);
	a->process = foster_process_new("admin", run_child, a);
	if (!a->process)
		return -ENOMEM;
	foster_process_set_daemon(a->process, true);
	return foster_process_start(a->process);
}

static int start(struct admin *a)
{
	_cleanup_close_ int child_fd = -1;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	a->fd = pair[0];
	child_fd = pair[1];
	a->started_at = now_monotonic();
	r = fork_child(a, child_fd);
	if (r < 0) {
		clean_up(a);
		return r;
	}
	a->packets = event_new(a->base, a->fd, EV_READ | EV_PERSIST, on_packets, a);
	a->sentinel = event_new(a->base, foster_process_sentinel(a->process), EV_READ, on_end, a);
	if (!a->packets || event_add(a->packets, NULL) < 0 || !a->sentinel ||
	    event_add(a->sentinel, NULL) < 0)
		return -ENOMEM;
	return 0;
}

int admin_new(struct event_base *base, const char *control, const struct admin_events *events,
	      struct admin **ret)
{
	struct admin *a = calloc(1, sizeof(*a));
	int r = -ENOMEM;

	if (!a)
		return r;
	a->base = base;
	a->control = control && *control ? control : NULL;
	a->events = *events;
	a->fd = -1;
	a->restart = evtimer_new(base, on_restart, a);
	if (a->restart)
		r = start(a);
	if (r < 0) {
		admin_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

static void end_child(struct admin *a)
{
	if (!a->process || foster_process_pid(a->process) == 0)
		return;
	foster_process_terminate(a->process);
	if (foster_process_join(a->process, TERMINATE_TIME) == -ETIMEDOUT) {
		foster_process_kill(a->process);
		foster_process_join(a->process, -1);
	}
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	end_child(a);
	clean_up(a);
	free_event(&a->restart);
	free(a);
}
