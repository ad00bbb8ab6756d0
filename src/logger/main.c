/* SPDX-License-Identifier: MIT */
/*
 * foster-log: one process that reads the pipes of all services and appends what comes to their
 * files. It is told of pipes and files over the channel on its standard input (base/logger.h).
 * It never blocks a service longer than a write to its file takes; it never ends while a pipe
 * may still bring something, but for LOGGER_QUIT, or when another logger takes the pipes over.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/link.h"
#include "base/log.h"
#include "base/logger.h"
#include "logger/file.h"

#define BUFFER        (64 * 1024)
#define PACKET        (16 * 1024) /* more than the manager puts into one */
#define EVENTS_A_TURN 64
#define CHANNEL       STDIN_FILENO
#define CHANNEL_EVENT UINT32_MAX

struct stream {
	int pipe;     /* read end; 0: none. So those that were never used cost no memory */
	bool closing; /* write what is there, then forget */
	struct log_file file;
};

static struct stream streams[LINK_SLOTS];
static unsigned n_open;
static int epoll_fd = -1;
static bool channel_open = true, quitting;
static volatile sig_atomic_t dismissed; /* SIGUSR1: another logger takes the pipes over */
static sigset_t waiting_mask;
static char buffer[BUFFER];
static char packet[PACKET] __attribute__((aligned(8)));

static void close_stream(struct stream *s)
{
	if (!s->pipe)
		return;
	fd_close(s->pipe);
	s->pipe = 0;
	log_file_clear(&s->file);
	n_open--;
}

/*
 * Moves what the pipe has, at most so many buffers: one busy service must not keep the others
 * waiting. False at the end of the pipe.
 */
static bool move(struct stream *s, int buffers)
{
	for (int i = 0; i < buffers; i++) {
		ssize_t n = read(s->pipe, buffer, sizeof(buffer));

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		log_file_write(&s->file, buffer, n);
		if ((size_t)n < sizeof(buffer))
			return true;
	}
	return true;
}

/* The pipe's whole content, for a stream that is to be forgotten. */
static void drain(struct stream *s)
{
	/* What it holds now: a writer that is faster than the disk would keep us for ever. */
	ssize_t n, left = fcntl(s->pipe, F_GETPIPE_SZ);

	for (; left > 0 && (n = read(s->pipe, buffer, sizeof(buffer))) > 0; left -= n)
		log_file_write(&s->file, buffer, n);
}

/* --- the channel ------------------------------------------------------------------------ */

/* Takes the pipe. */
static void open_stream(const struct logger_message *m, int pipe)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = m->number };
	struct stream *s;

	if (m->number >= LINK_SLOTS || pipe < 0) {
		fd_close(pipe);
		return;
	}
	s = &streams[m->number];
	if (s->pipe) {
		drain(s);
		close_stream(s);
	}
	if (log_file_init(&s->file, m->path) < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe, &event) < 0) {
		log_error_errno(-errno, "%s: cannot be written", m->path);
		fd_close(pipe);
		return;
	}
	s->pipe = pipe;
	n_open++;
}

/* Takes fd. */
static void handle(const struct logger_message *m, int fd)
{
	switch (m->type) {
	case LOGGER_OPEN: open_stream(m, TAKE_FD(fd)); break;
	case LOGGER_CLOSE:
		if (m->number < LINK_SLOTS && streams[m->number].pipe) {
			drain(&streams[m->number]);
			close_stream(&streams[m->number]);
		}
		break;
	case LOGGER_QUIT: quitting = true; break;
	default: log_warning("a message of type %u has no meaning here", m->type);
	}
	fd_close(fd);
}

/* A packet of n bytes. */
static void handle_packet(size_t n, const int *fds, size_t n_fds)
{
	size_t used = 0;

	for (const char *p = packet, *end = packet + n; p < end;) {
		const struct logger_message *m = (const void *)p;
		size_t left = end - p;

		if (left <= offsetof(struct logger_message, path) ||
		    m->size <= offsetof(struct logger_message, path) || m->size > left ||
		    m->size % 4 != 0 || p[m->size - 1] != '\0') {
			log_error("the manager sent %zu bytes that are no message", left);
			break;
		}
		handle(m, m->type == LOGGER_OPEN && used < n_fds ? fds[used++] : -1);
		p += m->size;
	}
	while (used < n_fds)
		fd_close(fds[used++]);
}

static void read_channel(void)
{
	for (int i = 0; i < EVENTS_A_TURN; i++) {
		int fds[FD_PASS_MAX];
		size_t n_fds = FD_PASS_MAX;
		ssize_t n = fd_receive(CHANNEL, packet, sizeof(packet), fds, &n_fds, MSG_DONTWAIT);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			/* Nobody is left to tell us of new pipes; those that we have go on. */
			channel_open = false;
			epoll_ctl(epoll_fd, EPOLL_CTL_DEL, CHANNEL, NULL);
			return;
		}
		handle_packet(n, fds, n_fds);
	}
}

/* --- the loop --------------------------------------------------------------------------- */

static void handle_event(const struct epoll_event *event)
{
	struct stream *s;

	if (event->data.u32 == CHANNEL_EVENT) {
		read_channel();
		return;
	}
	s = &streams[event->data.u32];
	if (s->pipe && !move(s, 4))
		close_stream(s);
}

static void run(void)
{
	struct epoll_event events[EVENTS_A_TURN];

	while (!quitting && (channel_open || n_open > 0)) {
		/* The signal is let in here alone: what was read has been written by then. */
		int n = epoll_pwait(epoll_fd, events, EVENTS_A_TURN, -1, &waiting_mask);

		if (dismissed)
			return;
		for (int i = 0; i < n; i++)
			handle_event(&events[i]);
	}
	for (size_t i = 0; i < LINK_SLOTS; i++) {
		if (streams[i].pipe) {
			drain(&streams[i]);
			close_stream(&streams[i]);
		}
	}
}

static void on_dismissed(int signo)
{
	dismissed = 1;
}

static void catch_dismissal(void)
{
	struct sigaction action = { .sa_handler = on_dismissed };
	sigset_t blocked;

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &waiting_mask);
	sigdelset(&waiting_mask, SIGUSR1);
}

static int init(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = CHANNEL_EVENT };
	struct rlimit limit;

	signal(SIGPIPE, SIG_IGN);
	/* A terminal's Ctrl-C, and the end of the services' process group, are not for us: the
	 * last lines come after them. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	catch_dismissal();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, CHANNEL, &event) < 0)
		return -errno;
	return 0;
}

int main(void)
{
	int error;

	fd_fill_stdio();
	log_init("foster-log");
	error = init();
	if (error < 0) {
		log_error_errno(error, "standard input must be the channel of foster-manager");
		return EXIT_FAILURE;
	}
	run();
	return EXIT_SUCCESS;
}
