/* SPDX-License-Identifier: MIT */
/*
 * fosterctl log: the lines of services, over the files that were rotated away and the one that is
 * written, those of several services in the order of their times; with -f also what comes.
 * The manager is asked where the files are; they are read here.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <regex.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log-name.h"
#include "base/strv.h"
#include "base/text.h"
#include "base/units.h"
#include "ctl/client.h"
#include "ctl/log-line.h"
#include "ctl/log-reader.h"
#include "ctl/table.h"

#define LINES_DEFAULT  10
#define NAME_WIDTH_MAX 24

/* One file of one service, with those rotated away from it. */
struct source {
	char *service, *path;
	bool is_stderr;
	struct log_reader *reader;
	struct log_text next; /* its next line, where has is true */
	bool has;
};

struct line {
	size_t source;
	char *text;
	size_t size;
	bool whole;
};

struct log {
	const struct ctl *ctl;
	struct source *sources;
	size_t n, room;
	int width; /* of the longest name, when there are several */

	uint64_t since; /* us; 0: from the beginning */
	size_t count;   /* lines; SIZE_MAX: all */
	regex_t regex;
	bool has_regex;

	struct line *last; /* a ring of the last count lines; NULL: they are printed as they come */
	size_t n_last;
	int code;
};

/* --- sources ---------------------------------------------------------------------------- */

static int add_source(struct log *log, const char *service, const char *path, bool is_stderr)
{
	struct source *s;

	if (log->n == log->room) {
		size_t room = log->room ? log->room * 2 : 8;
		struct source *bigger = reallocarray(log->sources, room, sizeof(*bigger));

		if (!bigger)
			return out_of_memory();
		log->sources = bigger;
		log->room = room;
	}
	s = &log->sources[log->n];
	*s = (struct source){ .service = strdup(service),
			      .path = strdup(path),
			      .is_stderr = is_stderr,
			      .reader = log_reader_new(path) };
	log->n++;
	return s->service && s->path && s->reader ? EXIT_OK : out_of_memory();
}

/* Which of its files are asked for; that there are none is said. */
static int add_service(struct log *log, const char *name, const json_t *service)
{
	const char *out = member_text(service, "log_file");
	const char *err = member_text(service, "log_stderr_file");
	const char *stream = log->ctl->stream;
	int code = EXIT_OK;

	if (!out) {
		complain("%s: its output does not go to a file (log = %s)", name,
			 member_text(service, "log_type") ? member_text(service, "log_type")
							  : "none");
		return EXIT_FAILED;
	}
	if (stream && !err) {
		complain("%s: its standard error is not apart from its standard output; with "
			 "log-stderr = apart it would be",
			 name);
		return EXIT_FAILED;
	}
	if (!stream || strcmp(stream, "stdout") == 0)
		code = add_source(log, name, out, false);
	if (code == EXIT_OK && err && (!stream || strcmp(stream, "stderr") == 0))
		code = add_source(log, name, err, true);
	return code;
}

static int find_sources(struct log *log, char **words, size_t n)
{
	_cleanup_strv_ char **names = NULL;
	int code = client_expand(log->ctl, words, n, &names);

	STRV_FOREACH(name, names) {
		_cleanup_free_ char *target = client_target(*name, "");
		_cleanup_answer_ struct answer answer = { 0 };
		int r;

		if (!target)
			return out_of_memory();
		client_call(log->ctl, "GET", target, NULL, ANSWER_MAX, &answer);
		r = client_check(log->ctl, *name, answer.error, answer.status, answer.json);
		if (r == EXIT_OK)
			r = add_service(log, *name, answer.json);
		code = worse(code, r);
		if (strv_length(names) > 1)
			log->width = MAX(log->width, MIN((int)strlen(*name), NAME_WIDTH_MAX));
	}
	return code;
}

/* --- what is asked for ------------------------------------------------------------------ */

static int parse_count(struct log *log)
{
	const struct ctl *ctl = log->ctl;
	int64_t count;

	log->count = ctl->since || ctl->grep ? SIZE_MAX : LINES_DEFAULT;
	if (!ctl->count)
		return EXIT_OK;
	if (strcmp(ctl->count, "all") == 0) {
		log->count = SIZE_MAX;
		return EXIT_OK;
	}
	if (parse_int(ctl->count, 0, 100000000, &count) < 0) {
		complain("--count=%s: this takes a number of lines, or all", ctl->count);
		return EXIT_USAGE;
	}
	log->count = (size_t)count;
	return EXIT_OK;
}

static int parse_options(struct log *log)
{
	const struct ctl *ctl = log->ctl;
	char text[256];
	int error;

	if (ctl->stream && strcmp(ctl->stream, "stdout") != 0 &&
	    strcmp(ctl->stream, "stderr") != 0) {
		complain("--stream=%s: this takes stdout or stderr", ctl->stream);
		return EXIT_USAGE;
	}
	if (ctl->since && log_since_parse(ctl->since, now_realtime(), &log->since) < 0) {
		complain("--since=%s: this takes a time, as \"2026-11-25 13:40\", 13:40, "
			 "yesterday or 2026-11-25T13:40:00Z, or a duration before now, as 10min",
			 ctl->since);
		return EXIT_USAGE;
	}
	error = ctl->grep ? regcomp(&log->regex, ctl->grep, REG_EXTENDED | REG_NOSUB) : 0;
	if (error != 0) {
		regerror(error, &log->regex, text, sizeof(text));
		complain("--grep=%s: %s (an extended regular expression, as of grep -E)", ctl->grep,
			 text);
		return EXIT_USAGE;
	}
	log->has_regex = ctl->grep;
	return parse_count(log);
}

/* regexec() takes a string: a NUL byte in a line would end it. */
static bool is_asked_for(const struct log *log, const struct log_text *text)
{
	_cleanup_free_ char *copy = NULL;

	if (log->since > 0 && text->time != LOG_TIME_NONE && text->time < log->since)
		return false;
	if (!log->has_regex)
		return true;
	copy = malloc(text->size + 1);
	if (!copy)
		return true;
	memcpy(copy, text->data, text->size);
	copy[text->size] = '\0';
	for (char *nul = copy; (nul = memchr(nul, '\0', (size_t)(copy + text->size - nul)));)
		*nul = ' ';
	return regexec(&log->regex, copy, 0, NULL, 0) == 0;
}

/* --- printing --------------------------------------------------------------------------- */

static enum colour colour_of(size_t source)
{
	static const enum colour colours[] = { COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BOLD };

	return colours[source % ELEMENTSOF(colours)];
}

/* A service's own bytes: on a terminal nothing in them does anything. */
static void print_bytes(const struct log *log, const char *data, size_t size)
{
	_cleanup_free_ char *copy = NULL;

	if (log->ctl->width == 0) {
		fwrite(data, 1, size, stdout);
		return;
	}
	copy = malloc(size + 1);
	if (!copy)
		return;
	memcpy(copy, data, size);
	copy[size] = '\0';
	for (char *nul = copy; (nul = memchr(nul, '\0', (size_t)(copy + size - nul)));)
		*nul = '?';
	print_disarmed(stdout, copy);
}

/* A line that is JSON has its time and text printed; false: it is none. */
static bool print_object(const struct log *log, const char *data, size_t size)
{
	_cleanup_json_ json_t *object =
		size > 0 && data[0] == '{' ? json_loadb(data, size, JSON_ALLOW_NUL, NULL) : NULL;
	const json_t *text = json_object_get(object, "text");
	const char *time = member_text(object, "time");

	if (!json_is_string(text) || !time)
		return false;
	colour_print(stdout, log->ctl->colours, COLOUR_DIM, time);
	putchar(' ');
	print_bytes(log, json_string_value(text), json_string_length(text));
	return true;
}

static void print_text(const struct log *log, const char *data, size_t size)
{
	char time[64];
	size_t n = 0;

	if (print_object(log, data, size))
		return;
	if (log_time_parse(data, size, &n) == LOG_TIME_NONE || n >= sizeof(time))
		n = 0;
	if (n > 0) {
		snprintf(time, sizeof(time), "%.*s", (int)n, data);
		colour_print(stdout, log->ctl->colours, COLOUR_DIM, time);
	}
	print_bytes(log, data + n, size - n);
}

static void print_json(const struct source *s, const char *data, size_t size)
{
	uint64_t time = log_line_time(data, size);
	_cleanup_free_ char *valid = malloc(3 * size + 1);
	json_t *object;

	if (!valid)
		return;
	object = json_pack("{s:s, s:s, s:s%}", "service", s->service, "stream",
			   s->is_stderr ? "stderr" : "stdout", "line", valid,
			   utf8_make_valid(valid, data, size));
	if (time != LOG_TIME_NONE)
		json_object_set_new(object, "time_us", json_integer((json_int_t)time));
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static void print_line(const struct log *log, size_t source, const char *data, size_t size)
{
	const struct source *s = &log->sources[source];
	char name[NAME_WIDTH_MAX + 8];

	if (log->ctl->json) {
		print_json(s, data, size);
		return;
	}
	if (log->width > 0) {
		snprintf(name, sizeof(name), "%-*.*s", log->width, log->width, s->service);
		colour_print(stdout, log->ctl->colours, colour_of(source), name);
		colour_print(stdout, log->ctl->colours, s->is_stderr ? COLOUR_RED : COLOUR_DIM,
			     s->is_stderr ? " ! " : " | ");
	}
	print_text(log, data, size);
	putchar('\n');
}

/* --- lines in the order of their times -------------------------------------------------- */

static void keep_line(struct log *log, size_t source, const struct log_text *text)
{
	struct line *l = &log->last[log->n_last++ % log->count];
	char *copy = realloc(l->text, text->size + 1);

	if (!copy)
		return;
	memcpy(copy, text->data, text->size);
	*l = (struct line){ source, copy, text->size, text->whole };
}

static void take_line(struct log *log, size_t source, const struct log_text *text)
{
	if (!is_asked_for(log, text))
		return;
	if (log->last && log->count > 0)
		keep_line(log, source, text);
	else if (!log->last && !log->ctl->quiet)
		print_line(log, source, text->data, text->size);
}

/* The libraries that are missing are each told of once: so many files may need them. */
static void complain_of_library(const char *path)
{
	static unsigned told;
	enum packing packing;

	log_name_base(path, &packing);
	if (!(told & 1U << packing))
		complain("%s: it is compressed, and %s%s%s", path,
			 packing_is_built(packing) ? "there is no "
						   : "this foster was built without ",
			 packing_library(packing), "; such files are left out");
	told |= 1U << packing;
}

static void complain_of_file(const char *path, int error)
{
	if (error == -ELIBACC)
		complain_of_library(path);
	else if (error == -EBADMSG)
		complain("%s: it is damaged, and can be read only up to here", path);
	else
		complain("%s: %s%s", path, strerror(-error),
			 error == -EACCES ? "; its owner, its group or root may read it" : "");
}

static void refill(struct log *log, struct source *s, bool partial)
{
	const char *path = s->path;
	int result;

	while ((result = log_reader_next(s->reader, partial, &s->next, &path)) < 0) {
		fflush(stdout); /* what comes before it */
		complain_of_file(path, result);
		log->code = worse(log->code, EXIT_FAILED);
		if (!log_reader_may_go_on(result)) {
			s->reader = log_reader_free(s->reader);
			break;
		}
	}
	s->has = result > 0;
}

/* All that there is now. Lines of one time, or of none, stay in the order of the names. */
static void take_all(struct log *log, bool partial)
{
	for (size_t i = 0; i < log->n; i++) {
		if (log->sources[i].reader)
			refill(log, &log->sources[i], partial);
	}
	for (;;) {
		struct source *first = NULL;

		for (size_t i = 0; i < log->n; i++) {
			struct source *s = &log->sources[i];

			if (s->has && (!first || s->next.time < first->next.time))
				first = s;
		}
		if (!first || ferror(stdout))
			return;
		take_line(log, (size_t)(first - log->sources), &first->next);
		refill(log, first, partial);
	}
}

static void print_last(struct log *log)
{
	size_t n = MIN(log->n_last, log->count);

	for (size_t i = log->n_last - n; i < log->n_last && !log->ctl->quiet; i++) {
		struct line *l = &log->last[i % log->count];

		print_line(log, l->source, l->text, l->size);
	}
	for (size_t i = 0; i < n; i++)
		free(log->last[i].text);
	free(log->last);
	log->last = NULL;
}

static int seek(struct log *log)
{
	bool few = log->count < SIZE_MAX && !log->has_regex && log->since == 0;

	for (size_t i = 0; i < log->n; i++) {
		struct source *s = &log->sources[i];
		int error = few ? log_reader_seek_lines(s->reader, log->count)
				: log_reader_seek_time(s->reader, log->since);

		if (error < 0) {
			complain("%s: %s", s->path, strerror(-error));
			return EXIT_FAILED;
		}
	}
	if (log->count < SIZE_MAX) {
		log->last = calloc(log->count + 1, sizeof(*log->last));
		return log->last ? EXIT_OK : out_of_memory();
	}
	return EXIT_OK;
}

/* --- following -------------------------------------------------------------------------- */

/* Directories are watched: files come and go there. */
static int watch(const struct log *log)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	for (size_t i = 0; fd >= 0 && i < log->n; i++) {
		_cleanup_free_ char *directory = strdup(log->sources[i].path);
		char *slash = directory ? strrchr(directory, '/') : NULL;

		if (slash)
			*slash = '\0';
		if (!slash ||
		    inotify_add_watch(fd, directory, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
			complain("%s: %s", log->sources[i].path, strerror(errno));
			fd_close(fd);
			return -1;
		}
	}
	return fd;
}

/* True when one of the events is of a file of ours, or nobody knows. */
static bool read_events(const struct log *log, int fd)
{
	char events[16384] __attribute__((aligned(8)));
	ssize_t n = read(fd, events, sizeof(events));
	bool ours = false;

	for (const char *p = events; n > 0 && p < events + n;) {
		const struct inotify_event *e = (const void *)p;

		ours |= e->mask & IN_Q_OVERFLOW;
		for (size_t i = 0; e->len > 0 && i < log->n; i++)
			ours |= strcmp(e->name, strrchr(log->sources[i].path, '/') + 1) == 0;
		p += sizeof(*e) + e->len;
	}
	return ours;
}

static int follow(struct log *log, int inotify)
{
	/* Also to see that nobody reads any more. */
	struct pollfd wait[] = { { .fd = inotify, .events = POLLIN },
				 { .fd = STDOUT_FILENO, .events = 0 } };

	while (fflush(stdout) == 0 && poll(wait, ELEMENTSOF(wait), -1) > 0) {
		if (wait[1].revents & (POLLERR | POLLHUP))
			return EXIT_FAILED;
		if (read_events(log, inotify))
			take_all(log, false);
	}
	return EXIT_FAILED;
}

/* ---------------------------------------------------------------------------------------- */

static void log_clear(struct log *log)
{
	for (size_t i = 0; i < log->n; i++) {
		free(log->sources[i].service);
		free(log->sources[i].path);
		log_reader_free(log->sources[i].reader);
	}
	free(log->sources);
	free(log->last);
	if (log->has_regex)
		regfree(&log->regex);
}

int verb_log(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_(log_clear) struct log log = { .ctl = ctl };
	_cleanup_close_ int inotify = -1;
	int code = parse_options(&log);

	if (code != EXIT_OK)
		return code;
	code = find_sources(&log, args, n);
	if (log.n == 0)
		return code;
	/* Before the first look: nothing that comes in between is missed. */
	inotify = ctl->follow ? watch(&log) : -1;
	if (ctl->follow && inotify < 0)
		return EXIT_FAILED;
	log.code = worse(code, seek(&log));
	if (log.code == EXIT_OK || log.code == code) {
		take_all(&log, !ctl->follow);
		if (log.last)
			print_last(&log);
	}
	return ctl->follow ? worse(log.code, follow(&log, inotify)) : log.code;
}

int verb_reopen(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_answer_ struct answer answer = { 0 };

	client_call(ctl, "POST", "/v1/reopen", NULL, ANSWER_MAX, &answer);
	return client_check(ctl, NULL, answer.error, answer.status, answer.json);
}
