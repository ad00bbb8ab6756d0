/* SPDX-License-Identifier: MIT */
/* foster-chatd as a whole: see server.h. */
#include "chat/server.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/units.h"
#include "chat/accounts.h"
#include "chat/admin/admin.h"
#include "chat/datagram.h"
#include "chat/footprint.h"
#include "chat/history.h"
#include "chat/sandbox.h"
#include "chat/status.h"

#define GOODBYE_SECONDS    1
#define ORPHAN_SECONDS     1                   /* from the end of the admin children to ours */
#define NOT_ASKED_INTERVAL (10 * USEC_PER_SEC) /* between lines in the log */
#define EXPIRES_SOON       (7 * 86400LL)       /* seconds */

struct server {
	struct event_base *base;
	struct chat_config *config;
	const char *path;
	struct room *room;
	struct connections *connections;
	struct datagrams *datagrams;
	struct accounts *accounts; /* NULL: none configured */
	struct admin *admin;
	struct status *status;
	struct history *history; /* NULL: none is kept */
	struct event *signals, *timer;
	struct sockets *sockets; /* until they are the connections' */
	uint64_t timer_at;       /* what the timer is set to; 0: not set */
	int signal_fd;
	bool supervised, stopping, failed, goodbye_over, rehash;
	unsigned not_asked; /* what operators asked for and found nobody to answer */
	uint64_t not_asked_told;
	bool tls_open; /* there are sockets for TLS */
};

static void on_room_send(void *arg, uint32_t id, const char *data, size_t size)
{
	connections_send(((struct server *)arg)->connections, id, data, size);
}

static void on_room_close(void *arg, uint32_t id)
{
	connections_close(((struct server *)arg)->connections, id);
}

static void on_room_datagram(void *arg, const struct course_peer *peer, const char *data,
			     size_t size)
{
	struct server *s = arg;

	/* Not at the turn's end as the rest: what is sent must have been kept. */
	history_write(s->history);
	datagrams_send(s->datagrams, peer, data, size);
}

static void on_room_keep(void *arg, const struct history_record *record)
{
	history_keep(((struct server *)arg)->history, record);
}

static int on_room_fetch(void *arg, struct history_query *query)
{
	return history_fetch(((struct server *)arg)->history, query);
}

static void on_room_ask(void *arg, const struct room_question *question)
{
	accounts_ask(((struct server *)arg)->accounts, question);
}

/* To the admin child, which alone may speak with the supervisor. */
static bool on_room_command(void *arg, const struct room_command *command)
{
	struct server *s = arg;
	uint64_t now = now_monotonic();

	if (admin_ask(s->admin, command))
		return true;
	s->not_asked++;
	if (s->not_asked == 1 || now >= s->not_asked_told + NOT_ASKED_INTERVAL) {
		log_warning("admin: %s (%s): not asked, the admin child is busy; %u in all so far",
			    command->source, command->account ? command->account : "no account",
			    s->not_asked);
		s->not_asked_told = now;
	}
	return false;
}

/* All of it is in the log. The config is read when the room is at rest. */
static void on_room_operate(void *arg, const struct room_operation *o)
{
	struct server *s = arg;

	switch (o->kind) {
	case ROOM_REHASH:
		log_notice("%s reads the config again", o->by);
		s->rehash = true;
		break;
	case ROOM_KILL: log_notice("%s throws out %s: %s", o->by, o->target, o->reason); break;
	case ROOM_KLINE:
		log_notice("%s keeps out %s: %s", o->by, o->target, o->reason);
		accounts_keep_kline(s->accounts, o);
		break;
	case ROOM_UNKLINE:
		log_notice("%s lets in %s again", o->by, o->target);
		accounts_keep_kline(s->accounts, o);
		break;
	}
}

static void tell_room_the_time(struct server *s)
{
	room_set_time(s->room, now_monotonic(), now_realtime());
}

static void on_history(void *arg, const struct history_query *query,
		       const struct history_answer *answer)
{
	struct server *s = arg;

	tell_room_the_time(s);
	connections_answer_begin(s->connections, query->connection);
	room_history(s->room, query, answer);
	connections_answer_end(s->connections);
}

/* Clients tell only those who use them; and an admin is better told before they do. */
static void warn_of_certificate(const struct server *s)
{
	long long seconds = s->config->tls ? tls_context_expires_in(s->config->tls) : 0;

	if (seconds < 0)
		log_warning("tls-certificate %s has expired", s->config->tls_certificate);
	else if (seconds > 0 && seconds < EXPIRES_SOON)
		log_warning("tls-certificate %s expires in %lld day%s", s->config->tls_certificate,
			    seconds / 86400, seconds / 86400 == 1 ? "" : "s");
}

/*
 * Tells whether what is running could be told of the change, and goes on with it. In fixed what
 * changed and stays as it was until a restart.
 */
static bool reload(struct server *s, char fixed[CHANGED_MAX])
{
	struct chat_config *next;
	struct error e;

	if (!s->path) {
		log_notice("there is no config file to read again");
		return false;
	}
	if (chat_config_load(s->path, &next, &e) < 0) {
		log_error("the config stays as it was: %s", e.text);
		return false;
	}
	if (s->tls_open && !next->tls) {
		log_error("the config stays as it was: TLS sockets are open, and it has no "
			  "tls-certificate any more");
		chat_config_free(next);
		return false;
	}
	chat_config_keep_fixed(next, s->config, fixed, CHANGED_MAX);
	if (*fixed)
		log_warning("%s ha%s changed; that takes a restart", fixed,
			    strchr(fixed, ',') ? "ve" : "s");
	room_configure(s->room, &next->room);
	connections_set_limits(s->connections, &next->limits);
	connections_set_tls(s->connections, next->tls);
	history_set_limits(s->history, &next->history);
	chat_config_free(s->config);
	s->config = next;
	warn_of_certificate(s);
	admin_reload(s->admin);
	log_info("config read again from %s", s->path);
	return true;
}

static void reload_and_tell(struct server *s)
{
	char fixed[CHANGED_MAX] = "", text[CHANGED_MAX + 64];
	bool done;

	s->rehash = false;
	status_reloading(s->status);
	tell_room_the_time(s);
	done = reload(s, fixed);
	status_ready(s->status);
	snprintf(text, sizeof(text), "The config was read again%s%s",
		 *fixed ? "; a restart takes: " : "", fixed);
	room_tell_opers(s->room, done ? text : "The config stays as it was; the log says why");
}

static void on_signal(int fd, short what, void *arg)
{
	struct signalfd_siginfo info;
	struct server *s = arg;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD: admin_reap(s->admin); break;
		case SIGHUP: reload_and_tell(s); break;
		default: s->stopping = true;
		}
	}
}

static void on_timer(int fd, short what, void *arg)
{
	struct server *s = arg;

	s->timer_at = 0;
	tell_room_the_time(s);
	room_tick(s->room);
}

static void on_announcement(void *arg, const char *text)
{
	struct server *s = arg;

	tell_room_the_time(s);
	room_announce(s->room, text);
}

static void on_operators_event(void *arg, const char *text, const char *tags)
{
	struct server *s = arg;

	tell_room_the_time(s);
	room_operators_say(s->room, text, tags);
}

static void on_operators_answer(void *arg, const struct room_command *to, const char *text)
{
	struct server *s = arg;

	tell_room_the_time(s);
	room_operators_answer(s->room, to, text);
}

static void on_orphaned(int fd, short what, void *arg)
{
	struct server *s = arg;

	if (s->stopping)
		return;
	log_error("the admin child and its stand-in have both ended: the room has to be started "
		  "anew");
	s->failed = s->stopping = true;
}

/* A stop that was sent to them as well comes to us, too, in a moment. */
static void on_admin_gone(void *arg)
{
	const struct timeval wait = { .tv_sec = ORPHAN_SECONDS };
	struct server *s = arg;

	if (!s->supervised) {
		log_warning("the admin child and its stand-in have both ended");
		return;
	}
	if (event_base_once(s->base, -1, EV_TIMEOUT, on_orphaned, s, &wait) < 0)
		on_orphaned(-1, 0, s);
}

static const struct chat_config *config_of_now(void *arg, const char **ret_path)
{
	const struct server *s = arg;

	*ret_path = s->path;
	return s->config;
}

static void close_copies(void *arg)
{
	struct server *s = arg;

	sockets_close(s->sockets);
	fd_close(s->signal_fd);
}

/*
 * One timer for all that the room waits for, in whole seconds, so that a thousand users are not
 * a thousand wake-ups. What is due already is what room_tick() has left. One that is set too
 * early is left alone: it finds nothing due and is set anew.
 */
static void set_timer(struct server *s)
{
	uint64_t at = room_deadline(s->room), now;
	struct timeval wait;

	if (at == USEC_INFINITY)
		return;
	now = now_monotonic();
	if (at > now)
		at = (at + USEC_PER_SEC - 1) / USEC_PER_SEC * USEC_PER_SEC;
	if (s->timer_at && s->timer_at <= at)
		return;
	s->timer_at = at;
	at = at > now ? at - now : 0;
	wait = (struct timeval){ .tv_sec = at / USEC_PER_SEC, .tv_usec = at % USEC_PER_SEC };
	evtimer_add(s->timer, &wait);
}

static int watch_signals(struct server *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	/* By descriptor, not by handlers: the admin child, a copy of this process, would run
	 * them, and take its signals for ours. */
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return -errno;
	s->signals = event_new(s->base, s->signal_fd, EV_READ | EV_PERSIST, on_signal, s);
	return s->signals && event_add(s->signals, NULL) == 0 ? 0 : -ENOMEM;
}

static int listen_on(struct server *s, int *fds, size_t n, bool tls)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = connections_listen(s->connections, fds[i], tls);
		if (r == 0)
			fds[i] = -1;
	}
	return r;
}

static int open_doors(struct server *s, struct sockets *sockets)
{
	int r = listen_on(s, sockets->irc, sockets->n_irc, false);

	connections_set_tls(s->connections, s->config->tls);
	s->tls_open = sockets->n_tls > 0;
	if (r == 0)
		r = listen_on(s, sockets->tls, sockets->n_tls, true);
	for (size_t i = 0; i < sockets->n_course && r == 0; i++) {
		r = datagrams_add(s->datagrams, sockets->course[i]);
		if (r == 0)
			sockets->course[i] = -1;
	}
	return r;
}

/* Before the doors are open: who is configured to have accounts has them, or does not start. */
static int open_accounts(struct server *s, struct error *e)
{
	_cleanup_free_ char *path = NULL;

	if (!s->config->room.accounts)
		return 0;
	path = chat_config_state_file(s->config, "accounts.db");
	if (!path)
		return -ENOMEM;
	return accounts_new(s->base, s->room, path, &s->accounts, e);
}

static int open_history(struct server *s)
{
	const struct history_events events = { on_history, s };
	_cleanup_free_ char *path = NULL;

	if (!s->config->room.history)
		return 0;
	path = chat_config_state_file(s->config, "history.db");
	if (path)
		s->history = history_new(s->base, path, &s->config->history, &events);
	return s->history ? 0 : -ENOMEM;
}

/* What needs more than the sandbox has is done before: sockets, the config, the admin child. */
static int go_into_sandbox(const struct server *s, struct error *e)
{
	const struct chat_config *c = s->config;
	const struct sandbox_settings settings = {
		.mode = c->sandbox,
		.user = c->user,
		.files = { s->path, c->motd_file, c->tls_certificate, c->tls_key },
		.directory = c->room.accounts || c->room.history ? c->state_directory : NULL,
	};
	int r = notify_keep_socket();

	return r < 0 ? r : sandbox_enter(&settings, e);
}

static int set_up(struct server *s, struct sockets *sockets, struct error *e)
{
	const struct room_output output = {
		.send = on_room_send,
		.close = on_room_close,
		.datagram = on_room_datagram,
		.command = on_room_command,
		.ask = on_room_ask,
		.operate = on_room_operate,
		.arg = s,
		.keep = on_room_keep,
		.fetch = on_room_fetch,
	};
	const struct admin_events events = { .announce = on_announcement,
					     .event = on_operators_event,
					     .answer = on_operators_answer,
					     .config = config_of_now,
					     .close_copies = close_copies,
					     .gone = on_admin_gone,
					     .arg = s };
	const char *control = getenv("FOSTER_CONTROL");
	int r;

	s->base = event_base_new();
	s->timer = s->base ? evtimer_new(s->base, on_timer, s) : NULL;
	s->supervised = control && *control;
	if (!s->supervised)
		s->config->room.operators_channel = NULL; /* nobody would be heard there */
	s->config->room.on_loopback = sockets_on_loopback(sockets);
	s->room = room_new(&s->config->room, &output);
	if (!s->timer || !s->room)
		return -ENOMEM;
	s->connections =
		connections_new(s->base, s->room, &s->config->limits, &s->config->room.secret);
	s->datagrams = datagrams_new(s->base, s->room);
	s->status = status_new(s->base, s->room);
	if (!s->connections || !s->datagrams || !s->status)
		return -ENOMEM;
	tell_room_the_time(s);
	s->sockets = sockets;
	r = watch_signals(s);
	if (r == 0)
		r = admin_new(s->base, control, &events, &s->admin);
	if (r == 0)
		r = go_into_sandbox(s, e);
	if (r == 0)
		r = open_accounts(s, e);
	if (r == 0)
		r = open_history(s);
	if (r == 0)
		r = open_doors(s, sockets);
	s->sockets = NULL;
	return r;
}

int server_new(struct chat_config *config, const char *path, struct sockets *sockets,
	       struct server **ret, struct error *e)
{
	struct server *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	e->text[0] = '\0';
	if (!s) {
		chat_config_free(config);
	} else {
		s->config = config;
		s->path = path;
		s->signal_fd = -1;
		r = set_up(s, sockets, e);
	}
	sockets_close(sockets);
	if (r < 0) {
		server_free(s);
		return e->text[0] ? r : error_set_errno(e, r, "cannot start");
	}
	*ret = s;
	return 0;
}

/* What a turn of the loop leaves to do, once for all its events. */
static void end_turn(struct server *s)
{
	if (s->rehash)
		reload_and_tell(s);
	history_end_turn(s->history);
	connections_flush(s->connections);
	set_timer(s);
	status_set_trouble(s->status, "history", history_trouble(s->history));
	status_update(s->status);
}

static void on_goodbye_over(int fd, short what, void *arg)
{
	((struct server *)arg)->goodbye_over = true;
}

/* Everybody is told; what the kernel takes within a second is written. */
static void say_goodbye(struct server *s)
{
	const struct timeval limit = { .tv_sec = GOODBYE_SECONDS };

	status_stopping(s->status);
	connections_stop_listening(s->connections);
	datagrams_stop(s->datagrams);
	tell_room_the_time(s);
	room_shutdown(s->room, "Server shutting down");
	history_end_turn(s->history);
	connections_flush(s->connections);
	if (event_base_once(s->base, -1, EV_TIMEOUT, on_goodbye_over, s, &limit) < 0)
		return;
	while (connections_count(s->connections) > 0 && !s->goodbye_over) {
		if (event_base_loop(s->base, EVLOOP_ONCE) < 0)
			break;
		history_end_turn(s->history);
		connections_flush(s->connections);
	}
}

int server_run(struct server *s)
{
	warn_of_certificate(s);
	footprint_drop_code();
	status_ready(s->status);
	end_turn(s);
	while (!s->stopping) {
		if (event_base_loop(s->base, EVLOOP_ONCE) < 0)
			return log_error_errno(-errno, "the event loop has failed");
		end_turn(s);
	}
	say_goodbye(s);
	return s->failed ? -ECHILD : 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	admin_free(s->admin);
	history_free(s->history);
	accounts_free(s->accounts);
	status_free(s->status);
	connections_free(s->connections);
	datagrams_free(s->datagrams);
	room_free(s->room);
	if (s->signals)
		event_free(s->signals);
	if (s->timer)
		event_free(s->timer);
	if (s->base)
		event_base_free(s->base);
	fd_close(s->signal_fd);
	chat_config_free(s->config);
	free(s);
}
