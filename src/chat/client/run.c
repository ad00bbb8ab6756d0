/* SPDX-License-Identifier: MIT */
/*
 * The loop: see run.h. What is typed is read only when the session takes a line, and when what
 * was said before has gone out: so a script is held up, and no queue grows without a bound.
 */
#include "chat/client/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"
#include "chat/client/terminal.h"
#include "chat/utf8.h"

#define INPUT_MAX       8192
#define WAITING_MAX     65536
#define READ_MAX        16384
#define READS_AT_ONCE   16                    /* then others come to their turn */
#define BACKGROUND_LOOK (500 * USEC_PER_MSEC) /* is the terminal ours again? */
#define SIGNAL_EXIT     128

enum {
	POLL_SIGNALS,
	POLL_DOOR,
	POLL_INPUT,
	POLLED
};

struct run {
	struct session *session;
	const struct door_options *options;
	struct door *door;
	bool door_failed;
	struct error door_error;
	struct editor editor;
	bool terminal, taken; /* there is one; it is ours now */
	char input[INPUT_MAX];
	size_t input_size;
	bool input_ended;
	int signals, ended_by; /* ended_by: a signal, or 0 */
	int output_error;
};

/* --- the session's host ------------------------------------------------------------------- */

/* An error is told to the session by the loop: not while it is busy. */
static void send_out(void *context, const char *bytes, size_t size)
{
	struct run *r = context;

	if (r->door_failed)
		return;
	if (!r->door && door_open(r->options, &r->door, &r->door_error) < 0) {
		r->door_failed = true;
		return;
	}
	if (door_write(r->door, bytes, size) < 0) {
		error_set_errno(&r->door_error, -ENOMEM, "send");
		r->door_failed = true;
	}
}

static void show(void *context, enum session_style style, const char *line)
{
	terminal_show(style, line);
}

/* --- the door ----------------------------------------------------------------------------- */

static void lost(struct run *r, int err)
{
	bool nobody = err == -ECONNREFUSED;

	session_lost(r->session, nobody ? NULL : r->door_error.text, now_monotonic());
	if (r->options->datagrams && nobody)
		return; /* the socket is as good as before */
	door_close(r->door);
	r->door = NULL;
}

static void read_door(struct run *r)
{
	char buf[READ_MAX];

	for (int i = 0; i < READS_AT_ONCE && r->door; i++) {
		ssize_t n = door_read(r->door, buf, sizeof(buf), &r->door_error);

		if (n == 0)
			return;
		if (n < 0) {
			lost(r, (int)n);
			return;
		}
		session_receive(r->session, buf, (size_t)n, now_monotonic());
	}
}

static void work_door(struct run *r)
{
	int err = 0;

	if (r->door_failed) {
		r->door_failed = false;
		lost(r, -EIO);
		return;
	}
	if (r->door)
		err = door_work(r->door, &r->door_error);
	if (err < 0)
		lost(r, err);
	else if (r->door)
		read_door(r);
}

/* --- what is typed ------------------------------------------------------------------------ */

static bool takes_input(const struct run *r, uint64_t now)
{
	return session_line_at(r->session) <= now &&
	       (!r->door || door_waiting(r->door) < WAITING_MAX) && (!r->terminal || r->taken);
}

static void drop_input(struct run *r, size_t n)
{
	r->input_size -= n;
	memmove(r->input, r->input + n, r->input_size);
	explicit_bzero(r->input + r->input_size, n);
}

static bool is_hidden(const struct run *r)
{
	return session_phase(r->session) == SESSION_PASSWORD;
}

static void type_key(struct run *r, uint64_t now)
{
	unsigned char key = (unsigned char)r->input[0];
	bool hidden = is_hidden(r);
	const char *text = editor_text(&r->editor);

	drop_input(r, 1);
	switch (editor_key(&r->editor, key)) {
	case EDITOR_LINE:
		terminal_keep_line(session_prompt(r->session), hidden ? "" : text);
		session_type(r->session, text, strlen(text), now);
		editor_clear(&r->editor, !hidden);
		break;
	case EDITOR_END: session_leave(r->session, now); break;
	case EDITOR_CHANGED:
	case EDITOR_NOTHING: break;
	}
}

/* False: there is no whole line. One that is longer than the buffer is several. */
static bool type_line(struct run *r, uint64_t now)
{
	char *end = memchr(r->input, '\n', r->input_size);
	size_t n = end ? (size_t)(end - r->input) : r->input_size;

	if (!end && r->input_size == sizeof(r->input))
		n = utf8_cut(r->input, r->input_size, r->input_size - 4);
	else if (!end && !(r->input_ended && n > 0))
		return false;
	if (n == 0 && !end)
		n = r->input_size; /* it is no UTF-8 at all */
	session_type(r->session, r->input, n, now);
	drop_input(r, n + (end ? 1 : 0));
	return true;
}

/* Whether there was anything that the session took. */
static bool type_input(struct run *r, uint64_t now)
{
	bool typed = false;

	while (r->input_size > 0 && takes_input(r, now)) {
		if (r->terminal)
			type_key(r, now);
		else if (!type_line(r, now))
			break;
		typed = true;
	}
	if (r->input_ended && r->input_size == 0 && takes_input(r, now)) {
		session_leave(r->session, now);
		typed = true;
	}
	return typed;
}

static void read_input(struct run *r)
{
	ssize_t n = read(STDIN_FILENO, r->input + r->input_size, sizeof(r->input) - r->input_size);

	if (n > 0)
		r->input_size += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		r->input_ended = true;
}

/* --- signals ------------------------------------------------------------------------------ */

/* An ignored one stays so: whoever started us wants that. */
static int watch_signals(void)
{
	static const int watched[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH
	};
	struct sigaction action;
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < ELEMENTSOF(watched); i++) {
		if (sigaction(watched[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&set, watched[i]);
	}
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Stops as the signal would have done if it were not watched. Comes back after SIGCONT. */
static void stop(struct run *r)
{
	sigset_t set;

	terminal_give_back();
	r->taken = false;
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void take_signal(struct run *r, int signo)
{
	switch (signo) {
	case SIGTSTP: stop(r); break;
	case SIGCONT: r->taken = false; break; /* others may have had the terminal */
	case SIGWINCH: terminal_resized(); break;
	default:
		if (signo != SIGINT || !r->terminal)
			r->ended_by = signo;
		session_leave(r->session, now_monotonic());
	}
}

static void read_signals(struct run *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == sizeof(info))
		take_signal(r, (int)info.ssi_signo);
}

/* --- the loop ----------------------------------------------------------------------------- */

static int until_ms(uint64_t when, uint64_t now)
{
	uint64_t ms;

	if (when == USEC_INFINITY)
		return -1;
	if (when <= now)
		return 0;
	ms = (when - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
	return (int)MIN(ms, (uint64_t)60 * 1000);
}

static uint64_t next_time(const struct run *r, uint64_t now)
{
	uint64_t next = session_deadline(r->session), line_at = session_line_at(r->session);

	if (line_at > now)
		next = MIN(next, line_at);
	if (r->terminal && !r->taken)
		next = MIN(next, now + BACKGROUND_LOOK);
	return next;
}

static void draw(struct run *r)
{
	int err;

	if (r->terminal && !r->taken) {
		r->taken = terminal_take();
		terminal_resized();
	}
	terminal_draw(session_prompt(r->session), is_hidden(r) ? "" : editor_text(&r->editor));
	err = terminal_flush();
	if (err < 0)
		r->output_error = err;
}

static void turn(struct run *r)
{
	uint64_t now = now_monotonic();
	struct pollfd polled[POLLED] = {
		[POLL_SIGNALS] = { .fd = r->signals, .events = POLLIN },
		[POLL_DOOR] = { .fd = -1 },
		[POLL_INPUT] = { .fd = -1, .events = POLLIN },
	};

	if (r->door) {
		polled[POLL_DOOR].fd = door_fd(r->door);
		polled[POLL_DOOR].events = door_events(r->door);
	}
	if (takes_input(r, now) && !r->input_ended && r->input_size < sizeof(r->input))
		polled[POLL_INPUT].fd = STDIN_FILENO;
	if (poll(polled, POLLED, until_ms(next_time(r, now), now)) < 0 && errno != EINTR)
		return;
	if (polled[POLL_SIGNALS].revents)
		read_signals(r);
	if (polled[POLL_INPUT].revents)
		read_input(r);
	now = now_monotonic();
	session_tick(r->session, now);
	/* What comes in may make the session take what was typed long ago. */
	do
		work_door(r);
	while (type_input(r, now));
}

static int exit_code(const struct run *r)
{
	if (r->ended_by)
		return SIGNAL_EXIT + r->ended_by;
	if (r->output_error < 0)
		fprintf(stderr, "foster-chat: cannot write: %s\n", strerror(-r->output_error));
	return session_failed(r->session) || r->output_error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void loop(struct run *r)
{
	session_start(r->session, now_monotonic());
	work_door(r);
	draw(r);
	while (session_phase(r->session) != SESSION_ENDED && r->output_error == 0) {
		turn(r);
		draw(r);
	}
	/* The last word to the room, if it is taken at once; also when nobody reads us any more. */
	session_leave(r->session, now_monotonic());
	if (r->door && !r->door_failed)
		door_work(r->door, &r->door_error);
	terminal_give_back();
}

int run(struct session_options *options, const struct door_options *door)
{
	struct run r = { .options = door };
	const struct session_host host = { .send = send_out, .show = show, .context = &r };
	int code = EXIT_FAILURE;

	r.terminal = terminal_init();
	options->patient = r.terminal;
	if (options->account && !r.terminal && isatty(STDIN_FILENO)) {
		fputs("foster-chat: a password is typed on a terminal that shows the prompt, or "
		      "is the first line of what is not a terminal\n",
		      stderr);
		return EXIT_FAILURE;
	}
	r.signals = watch_signals();
	r.session = session_new(options, &host);
	if (r.signals >= 0 && r.session) {
		loop(&r);
		code = exit_code(&r);
	} else {
		fprintf(stderr, "foster-chat: cannot start: %s\n", strerror(errno));
	}
	session_free(r.session);
	door_close(r.door);
	editor_free(&r.editor);
	explicit_bzero(r.input, sizeof(r.input));
	fd_close(r.signals);
	return code;
}
