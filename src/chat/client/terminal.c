/* SPDX-License-Identifier: MIT */
/* The user's terminal: see terminal.h. */
#include "chat/client/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

#define ERASE_LINE      "\r\033[K"
#define DIM             "\033[2m"
#define NORMAL          "\033[m"
#define NOTICE_MARK     "-- " /* nobody in the room can say a line that begins so */
#define COLUMNS_DEFAULT 80
#define COLUMNS_LEAST   8 /* for what is typed, beside the prompt */

static struct {
	bool is_terminal, dims;
	volatile sig_atomic_t taken; /* read in a signal's handler */
	struct termios found;
	bool drawn; /* a prompt stands in the last line */
	char line[EDITOR_LINE_MAX * 2], *out;
	size_t columns, out_size, out_room;
} terminal;

/* --- what goes out ------------------------------------------------------------------------ */

static void put(const char *text)
{
	size_t size = strlen(text), room = terminal.out_room ? terminal.out_room : 4096;
	char *more;

	while (room < terminal.out_size + size)
		room *= 2;
	if (room != terminal.out_room) {
		more = realloc(terminal.out, room);
		if (!more)
			return;
		terminal.out = more;
		terminal.out_room = room;
	}
	memcpy(terminal.out + terminal.out_size, text, size);
	terminal.out_size += size;
}

int terminal_flush(void)
{
	int r = fd_write_all(STDOUT_FILENO, terminal.out, terminal.out_size);

	terminal.out_size = 0;
	return r;
}

static void erase_prompt(void)
{
	if (terminal.drawn)
		put(ERASE_LINE);
	terminal.drawn = false;
}

static void show_plain(enum session_style style, const char *line)
{
	static const char name[] = "foster-chat: ";

	if (style != SHOW_TROUBLE) {
		put(style == SHOW_NOTICE ? NOTICE_MARK : "");
		put(line);
		put("\n");
		return;
	}
	terminal_flush(); /* so that both keep their order where they go to one place */
	fd_write_all(STDERR_FILENO, name, strlen(name));
	fd_write_all(STDERR_FILENO, line, strlen(line));
	fd_write_all(STDERR_FILENO, "\n", 1);
}

void terminal_show(enum session_style style, const char *line)
{
	bool dim = terminal.dims && style == SHOW_NOTICE;

	if (!terminal.is_terminal) {
		show_plain(style, line);
		return;
	}
	erase_prompt();
	put(dim ? DIM : "");
	put(style == SHOW_SAID ? "" : NOTICE_MARK);
	put(line);
	put(dim ? NORMAL "\n" : "\n");
}

void terminal_draw(const char *prompt, const char *text)
{
	char line[sizeof(terminal.line)];
	size_t width = editor_width(prompt), columns = COLUMNS_LEAST;

	if (!terminal.is_terminal || !terminal.taken)
		return;
	if (width + COLUMNS_LEAST < terminal.columns)
		columns = terminal.columns - 1 - width;
	snprintf(line, sizeof(line), "%s%s", prompt, editor_tail(text, columns));
	if (terminal.drawn && strcmp(line, terminal.line) == 0)
		return;
	erase_prompt();
	if (!*line)
		return;
	put(ERASE_LINE);
	put(line);
	memcpy(terminal.line, line, sizeof(line));
	terminal.drawn = true;
}

void terminal_keep_line(const char *prompt, const char *text)
{
	if (!terminal.is_terminal)
		return;
	erase_prompt();
	put(prompt);
	put(text);
	put("\n");
}

void terminal_resized(void)
{
	struct winsize size;

	terminal.columns = COLUMNS_DEFAULT;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		terminal.columns = size.ws_col;
	erase_prompt();
}

/* --- its modes ---------------------------------------------------------------------------- */

/* What ends the process by itself: the terminal goes back first. */
static void on_fatal(int signo)
{
	if (terminal.taken)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal.found);
	raise(signo); /* SA_RESETHAND: this time it does what it does */
}

static void watch_fatal(void)
{
	static const int fatal[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
	struct sigaction action = { .sa_handler = on_fatal, .sa_flags = SA_RESETHAND };

	for (size_t i = 0; i < ELEMENTSOF(fatal); i++)
		sigaction(fatal[i], &action, NULL);
}

bool terminal_init(void)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	terminal.is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term &&
			       strcmp(term, "dumb") != 0;
	terminal.dims = !(no_color && *no_color);
	if (terminal.is_terminal) {
		terminal_resized();
		watch_fatal();
	}
	return terminal.is_terminal;
}

/* Signals of keys stay on; so do those of output. */
bool terminal_take(void)
{
	struct termios raw;

	if (!terminal.is_terminal || tcgetpgrp(STDIN_FILENO) != getpgrp())
		return false;
	if (!terminal.taken && tcgetattr(STDIN_FILENO, &terminal.found) < 0)
		return false;
	raw = terminal.found;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
	raw.c_iflag |= ICRNL;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal.taken = 1;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	return true;
}

void terminal_give_back(void)
{
	erase_prompt();
	terminal_flush();
	if (terminal.taken)
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal.found);
	terminal.taken = 0;
}
