/* SPDX-License-Identifier: MIT */
/*
 * fosterctl: asks and commands foster-manager through fosterd's control socket, which speaks
 * HTTP and JSON. It starts fast: no event loop, no HTTP library, no locale until one is needed.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "ctl/ctl.h"
#include "ctl/options.h"

void complain(const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fflush(stdout);
	fprintf(stderr, "fosterctl: %s\n", text);
}

/* DIR/control, of the option, the environment, or where fosterd of this user puts it. */
static char *find_socket(const struct ctl *ctl)
{
	const char *directory = ctl->run_directory, *below = "";
	char *path;

	if (!directory)
		directory = getenv("FOSTER_RUN_DIRECTORY");
	if (!directory && geteuid() == 0)
		directory = PKGRUNTIMEDIR;
	if (!directory) {
		directory = getenv("XDG_RUNTIME_DIR");
		below = "/foster";
	}
	if (!directory || !*directory) {
		complain("where is fosterd's run directory? Name it with --run-directory, or set "
			 "FOSTER_RUN_DIRECTORY or XDG_RUNTIME_DIR");
		return NULL;
	}
	if (asprintf(&path, "%s%s/control", directory, below) < 0) {
		complain("out of memory");
		return NULL;
	}
	return path;
}

static void look_at_terminal(struct ctl *ctl)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return;
	ctl->colours =
		!ctl->no_color && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
	if (columns && atoi(columns) > 0)
		ctl->width = (size_t)atoi(columns);
	else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		ctl->width = size.ws_col;
	else
		ctl->width = 80;
}

static bool needs_socket(const struct command_line *line)
{
	const char *word = line->verb->online_word;

	return !line->verb->offline ||
	       (word && line->n_args > 0 && strcmp(line->args[0], word) == 0);
}

static int run(struct ctl *ctl, const struct command_line *line)
{
	if (ctl->version) {
		printf("fosterctl %s\n", PACKAGE_VERSION);
		return EXIT_OK;
	}
	if (ctl->help) {
		options_print_help(line->verb, stdout);
		return EXIT_OK;
	}
	if (!line->verb) {
		options_print_help(NULL, stderr);
		return EXIT_USAGE;
	}
	look_at_terminal(ctl);
	if (needs_socket(line)) {
		ctl->socket_path = find_socket(ctl);
		if (!ctl->socket_path)
			return EXIT_FAILED;
	}
	return line->verb->run(ctl, line->args, line->n_args);
}

int main(int argc, char **argv)
{
	struct command_line line;
	struct ctl ctl = { 0 };
	int code;

	if (fd_fill_stdio() < 0)
		return EXIT_FAILED;
	code = options_parse(argc, argv, &ctl, &line);
	if (code == EXIT_OK)
		code = run(&ctl, &line);
	free(ctl.socket_path);
	if (fflush(stdout) != 0 && code == EXIT_OK) {
		complain("cannot write: %s", strerror(errno));
		code = EXIT_FAILED;
	}
	return code;
}
