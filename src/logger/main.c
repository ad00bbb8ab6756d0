/* SPDX-License-Identifier: MIT */
/*
 * foster-log: one process that reads the pipes of all services and writes what comes to their
 * files, or to the journal or syslog. It is told of pipes and what to do with them over the
 * channel on its standard input (base/logger.h). It never ends while a pipe may still bring
 * something, but for LOGGER_QUIT, or when another logger takes the pipes over.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "logger/channel.h"
#include "logger/compress.h"
#include "logger/count.h"
#include "logger/datagram.h"
#include "logger/file.h"
#include "logger/rotation.h"
#include "logger/stream.h"

#define EVENTS_A_TURN 64
#define CHANNEL       STDIN_FILENO
#define COUNTS        (STDERR_FILENO + 1)
#define LAST_TRIES    (3 * USEC_PER_SEC) /* for what cannot be written at the end */

static int epoll_fd = -1;
static enum channel_state channel;
static volatile sig_atomic_t dismissed; /* SIGUSR1: another logger takes the pipes over */
static volatile sig_atomic_t reopen;    /* SIGHUP */
static volatile sig_atomic_t news;      /* SIGIO: see stream.c */
static sigset_t waiting_mask;
static char channel_tag, compress_tag; /* what events are of, when it is no stream */

/* --- the loop --------------------------------------------------------------------------- */

static void read_channel(void)
{
	channel = channel_read(CHANNEL);
	if (channel == CHANNEL_GONE)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, CHANNEL, NULL);
}

static void watch_channel(bool writable)
{
	static bool watched;
	struct epoll_event event = { .events = EPOLLIN | (writable ? EPOLLOUT : 0),
				     .data.ptr = &channel_tag };

	if (writable != watched && channel == CHANNEL_OPEN)
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, CHANNEL, &event);
	watched = writable;
}

static void handle_event(const struct epoll_event *event)
{
	if (event->data.ptr == &channel_tag)
		read_channel();
	else if (event->data.ptr == &compress_tag)
		compress_done(); /* closes what was watched */
	else if (datagram_is_peer(event->data.ptr))
		streams_writable(event->data.ptr);
	else
		stream_event(event->data.ptr, event->events & (EPOLLHUP | EPOLLERR));
}

static void compress_next(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = &compress_tag };
	int fd = compress_begin();

	if (fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		compress_done();
}

/* Rounded up: one that is waited for must be due then. */
static int milliseconds(uint64_t usec)
{
	return usec == UINT64_MAX ? -1 : (int)(usec / USEC_PER_MSEC) + 1;
}

static void turn(uint64_t longest)
{
	struct epoll_event events[EVENTS_A_TURN];
	uint64_t next = streams_retry(now_monotonic());
	int n;

	watch_channel(channel_tell_rest());
	/* The signals are let in here alone: what was begun is done by then. */
	n = epoll_pwait(epoll_fd, events, EVENTS_A_TURN,
			milliseconds(next < longest ? next : longest), &waiting_mask);

	if (reopen)
		log_files_close();
	reopen = 0;
	if (news) {
		news = 0;
		streams_news();
	}
	for (int i = 0; i < n && !dismissed; i++)
		handle_event(&events[i]);
	streams_bury();
	if (n < EVENTS_A_TURN) /* not while all services are being started */
		rotation_look();
	compress_next();
}

/* All is written that can be: what cannot, because the disk is full say, gets a last chance. */
static void finish(void)
{
	uint64_t deadline = now_monotonic() + LAST_TRIES;

	streams_close_all();
	streams_bury();
	for (uint64_t now;
	     streams_number() > 0 && (now = now_monotonic()) < deadline && !dismissed;)
		turn(deadline - now);
	if (streams_number() > 0 && !dismissed)
		log_error("the output of %zu service%s could not be written, and is lost",
			  streams_number(), streams_number() == 1 ? "" : "s");
}

static void run(void)
{
	while (channel <= CHANNEL_GONE && !dismissed &&
	       (channel == CHANNEL_OPEN || streams_number() > 0))
		turn(UINT64_MAX);
	/* What is in the pipes stays there: the next logger finds it. */
	if (channel == CHANNEL_LEAVE || dismissed)
		streams_write_notes();
	else
		finish();
}

/* --- start ------------------------------------------------------------------------------ */

static void on_signal(int signo)
{
	if (signo == SIGUSR1)
		dismissed = 1;
	else if (signo == SIGHUP)
		reopen = 1;
	else
		news = 1;
}

static void catch_signals(void)
{
	static const int caught[] = { SIGUSR1, SIGHUP, SIGIO };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	/* A terminal's Ctrl-C, and the end of the services' process group, are not for us: the
	 * last lines come after them. A file may be larger than a limit: that is said where it
	 * is written. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigprocmask(SIG_SETMASK, NULL, &waiting_mask);
	sigemptyset(&blocked);
	for (size_t i = 0; i < ELEMENTSOF(caught); i++) {
		sigaction(caught[i], &action, NULL);
		sigaddset(&blocked, caught[i]);
		sigdelset(&waiting_mask, caught[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, NULL);
}

static int init(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = &channel_tag };
	struct rlimit limit;
	int error;

	catch_signals();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return -errno;
	datagram_init(epoll_fd);
	error = streams_init(epoll_fd);
	if (error < 0)
		return error;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, CHANNEL, &event) < 0 ? -errno : 0;
}

/* From the manager, as base/logger.h tells; without it nothing is counted until LOGGER_COUNT. */
static void take_counts(void)
{
	const char *given = getenv("LISTEN_FDS");

	if (given && strcmp(given, "1") == 0 && fd_set_cloexec(COUNTS, true) == 0)
		count_to(COUNTS);
}

int main(void)
{
	int error;

	fd_fill_stdio();
	/* Executed by descriptor it has that one's name, before Linux 6.14. */
	prctl(PR_SET_NAME, "foster-log");
	log_init("foster-log");
	error = init();
	if (error < 0) {
		log_error_errno(error, "standard input must be the channel of foster-manager");
		return EXIT_FAILURE;
	}
	take_counts();
	run();
	return EXIT_SUCCESS;
}
