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
#include "ctl/log-print.h"
#include "ctl/log-reader.h"

#define LINES_DEFAULT  10
#define NAME_WIDTH_MAX 24
#define LOST_LOOK      500 /* ms: is the directory there again? */

/* One file of one service, with those rotated away from it. */
struct source {
	char *service, *path;
	bool is_stderr;
	struct log_style style;
	struct log_reader *reader;
	struct log_text next; /* its next line, where has is true */
	bool has;
	struct line *last; /* a ring of its last lines; NULL: they are printed as they come */
	size_t n_last;
	bool timeless; /* one of them says no time */
	int watch;     /* of its directory, or -1 */
};

struct line {
	char *text;
	size_t size;
	uint64_t number; /* in the order of all */
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

	uint64_t n_lines;
	int code;
};

/* --- sources ---------------------------------------------------------------------------- */

static int add_source(struct log *log, const char *service, const char *path, bool is_stderr,
		      struct log_style style)
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
			      .style = style,
			      .reader = log_reader_new(path),
			      .watch = -1 };
	log->n++;
	return s->service && s->path && s->reader ? EXIT_OK : out_of_memory();
}

/* Which of its files are asked for; that there are none is said. */
static int add_service(struct log *log, const char *name, const json_t *service)
{
	const char *out = member_text(service, "log_file");
	const char *err = member_text(service, "log_stderr_file");
	const char *stream = log->ctl->stream, *format = member_text(service, "log_format"),
		   *stamps = member_text(service, "log_timestamps");
	/* A manager of an earlier version does not tell. */
	struct log_style style = { .objects = !format || strcmp(format, "json") == 0,
				   .stamped = !stamps || strcmp(stamps, "no") != 0 };
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
		code = add_source(log, name, out, false, style);
	if (code == EXIT_OK && err && (!stream || strcmp(stream, "stderr") == 0))
		code = add_source(log, name, err, true, style);
	return code;
}

/* A file in place of a service, whoever has written it: no manager is needed for that. */
static int add_file(struct log *log, const char *path)
{
	const char *base = strrchr(path, '/') + 1;
	_cleanup_free_ char *absolute = *path == '/' ? strdup(path) : NULL, *name = NULL;
	size_t n = strlen(base);

	if (log->ctl->stream) {
		complain("%s: --stream is for services; a file is of one stream", path);
		return EXIT_USAGE;
	}
	if (access(path, F_OK) < 0) {
		complain("%s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	n -= n > 4 && strcmp(base + n - 4, ".log") == 0 ? 4 : 0;
	name = strndup(base, n);
	if (!absolute) {
		_cleanup_free_ char *here = getcwd(NULL, 0);

		if (!here || asprintf(&absolute, "%s/%s", here, path) < 0)
			absolute = NULL;
	}
	if (!name || !absolute)
		return out_of_memory();
	return add_source(log, name, absolute, false,
			  (struct log_style){ .objects = true, .stamped = true });
}

static int find_service(struct log *log, const char *name)
{
	_cleanup_free_ char *target = client_target(name, "");
	_cleanup_answer_ struct answer answer = { 0 };
	int r;

	if (!target)
		return out_of_memory();
	client_call(log->ctl, "GET", target, NULL, ANSWER_MAX, &answer);
	r = client_check(log->ctl, name, answer.error, answer.status, answer.json);
	return r == EXIT_OK ? add_service(log, name, answer.json) : r;
}

static int find_sources(struct log *log, char **words, size_t n)
{
	_cleanup_strv_ char **names = NULL;
	int code = client_expand(log->ctl, words, n, &names);

	STRV_FOREACH(name, names)
		code = worse(code,
			     strchr(*name, '/') ? add_file(log, *name) : find_service(log, *name));
	for (size_t i = 0; strv_length(names) > 1 && i < log->n; i++)
		log->width =
			MAX(log->width, MIN((int)strlen(log->sources[i].service), NAME_WIDTH_MAX));
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

/* In what is said; regexec() takes a string: a NUL byte would end it. */
static bool matches(const struct log *log, const struct source *s, const struct log_text *text)
{
	struct log_said said;
	char *copy;
	bool found;

	log_said(text->data, text->size, &s->style, &said);
	copy = malloc(said.size + 1);
	for (size_t i = 0; copy && i < said.size; i++)
		copy[i] = said.text[i] ? said.text[i] : ' ';
	if (copy)
		copy[said.size] = '\0';
	found = !copy || regexec(&log->regex, copy, 0, NULL, 0) == 0;
	free(copy);
	log_said_clear(&said);
	return found;
}

static bool is_asked_for(const struct log *log, const struct source *s, const struct log_text *text)
{
	if (log->since > 0 && text->time != LOG_TIME_NONE && text->time < log->since)
		return false;
	return !log->has_regex || matches(log, s, text);
}

static void print_line(const struct log *log, const struct source *s, const char *data, size_t size)
{
	const struct log_line line = { .service = s->service,
				       .width = log->width,
				       .colour = (size_t)(s - log->sources),
				       .is_stderr = s->is_stderr,
				       .style = s->style };

	if (!log->ctl->quiet)
		log_print(log->ctl, &line, data, size);
}

/* --- lines in the order of their times -------------------------------------------------- */

static void keep_line(struct log *log, struct source *s, const struct log_text *text)
{
	struct line *l = &s->last[s->n_last++ % log->count];
	char *copy = realloc(l->text, text->size + 1);

	if (!copy)
		return;
	memcpy(copy, text->data, text->size);
	*l = (struct line){ copy, text->size, log->n_lines++ };
	s->timeless |= text->time == LOG_TIME_NONE;
}

static void take_line(struct log *log, struct source *s, const struct log_text *text)
{
	if (!is_asked_for(log, s, text))
		return;
	if (s->last && log->count > 0)
		keep_line(log, s, text);
	else if (!s->last)
		print_line(log, s, text->data, text->size);
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
		if (!log_reader_may_go_on(s->reader, result)) {
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
		take_line(log, first, &first->next);
		refill(log, first, partial);
	}
}

static size_t n_kept(const struct log *log, const struct source *s)
{
	return MIN(s->n_last, log->count);
}

/* The oldest that is kept of it and not printed; from: how many of them there are. */
static const struct line *kept(const struct log *log, const struct source *s, size_t from)
{
	return from > 0 ? &s->last[(s->n_last - from) % log->count] : NULL;
}

/* The last lines of all by their times. */
static void print_merged(const struct log *log, size_t *left)
{
	size_t all = 0;

	for (size_t i = 0; i < log->n; i++)
		all += left[i];
	for (; all > 0; all--) {
		const struct line *first = NULL;
		size_t of = 0;

		for (size_t i = 0; i < log->n; i++) {
			const struct line *l = kept(log, &log->sources[i], left[i]);

			if (l && (!first || l->number < first->number)) {
				first = l;
				of = i;
			}
		}
		left[of]--;
		if (all <= log->count)
			print_line(log, &log->sources[of], first->text, first->size);
	}
}

/* Where lines say no time, nobody knows whose are the last: then those of each are printed. */
static void print_last(struct log *log)
{
	_cleanup_free_ size_t *left = calloc(log->n, sizeof(*left));
	bool timeless = false;

	for (size_t i = 0; left && i < log->n; i++) {
		left[i] = n_kept(log, &log->sources[i]);
		timeless |= log->sources[i].timeless;
	}
	if (left && !timeless)
		print_merged(log, left);
	for (size_t i = 0; i < log->n; i++) {
		struct source *s = &log->sources[i];

		for (size_t n = left && timeless ? left[i] : 0; n > 0; n--) {
			const struct line *l = kept(log, s, n);

			print_line(log, s, l->text, l->size);
		}
		for (size_t n = n_kept(log, s); n > 0; n--)
			free(s->last[n - 1].text);
		free(TAKE_PTR(s->last));
	}
}

static int seek(struct log *log)
{
	bool few = log->count < SIZE_MAX && !log->has_regex && log->since == 0;
	int code = EXIT_OK;

	for (size_t i = 0; i < log->n; i++) {
		struct source *s = &log->sources[i];
		int error = few ? log_reader_seek_lines(s->reader, log->count)
				: log_reader_seek_time(s->reader, log->since);

		if (error < 0) {
			complain_of_file(s->path, error);
			s->reader = log_reader_free(s->reader);
			code = EXIT_FAILED;
		}
		s->last = log->count < SIZE_MAX ? calloc(log->count + 1, sizeof(*s->last)) : NULL;
		if (log->count < SIZE_MAX && !s->last)
			return out_of_memory();
	}
	return code;
}

/* --- following -------------------------------------------------------------------------- */

/*
 * Directories are watched: files come and go there, and so may they. Of a directory that is removed
 * nothing is heard while a file that was in it is open: so one that is gone is looked for.
 */
static int watch(const struct log *log, int inotify, struct source *s)
{
	_cleanup_free_ char *directory = strdup(s->path);
	char *slash = directory ? strrchr(directory, '/') : NULL;

	if (!slash)
		return -ENOMEM;
	slash[slash == directory] = '\0';
	s->watch = inotify_add_watch(inotify, directory,
				     IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE |
					     IN_MOVED_FROM | IN_MOVE_SELF);
	return s->watch < 0 ? -errno : 0;
}

static int watch_all(struct log *log)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), error = fd < 0 ? -errno : 0;

	for (size_t i = 0; error == 0 && i < log->n; i++)
		error = watch(log, fd, &log->sources[i]);
	if (error == 0)
		return fd;
	complain("cannot follow: %s", strerror(-error));
	return fd_close(fd);
}

/* Of the sources in a directory that is no more, or has another name. */
static void lose_watch(struct log *log, int inotify, int watch, bool removed)
{
	if (!removed)
		inotify_rm_watch(inotify, watch);
	for (size_t i = 0; i < log->n; i++) {
		if (log->sources[i].watch == watch)
			log->sources[i].watch = -1;
	}
}

/* True when one of the events is of a file of ours, or nobody knows. */
static bool read_events(struct log *log, int fd)
{
	char events[16384] __attribute__((aligned(8)));
	ssize_t n = read(fd, events, sizeof(events));
	bool ours = false;

	for (const char *p = events; n > 0 && p < events + n;) {
		const struct inotify_event *e = (const void *)p;

		ours |= e->mask & IN_Q_OVERFLOW;
		if (e->mask & (IN_IGNORED | IN_MOVE_SELF))
			lose_watch(log, fd, e->wd, e->mask & IN_IGNORED);
		for (size_t i = 0; e->len > 0 && i < log->n; i++) {
			struct source *s = &log->sources[i];

			if (strcmp(e->name, strrchr(s->path, '/') + 1) != 0)
				continue;
			ours = true;
			if (e->mask & (IN_DELETE | IN_MOVED_FROM))
				s->watch = -1;
		}
		p += sizeof(*e) + e->len;
	}
	return ours;
}

/* How many files that were there are gone. *ret_found: one is there again. */
static size_t watch_again(struct log *log, int inotify, bool *ret_found)
{
	size_t lost = 0;

	*ret_found = false;
	for (size_t i = 0; i < log->n; i++) {
		if (log->sources[i].watch >= 0)
			continue;
		if (watch(log, inotify, &log->sources[i]) == 0 &&
		    access(log->sources[i].path, F_OK) == 0) {
			*ret_found = true;
			continue;
		}
		log->sources[i].watch = -1;
		lost++;
	}
	return lost;
}

static int follow(struct log *log, int inotify)
{
	/* Also to see that nobody reads any more. */
	struct pollfd wait[] = { { .fd = inotify, .events = POLLIN },
				 { .fd = STDOUT_FILENO, .events = 0 } };
	size_t lost = 0;

	while (fflush(stdout) == 0 &&
	       poll(wait, ELEMENTSOF(wait), lost > 0 ? LOST_LOOK : -1) >= 0) {
		bool found, ours;

		if (wait[1].revents & (POLLERR | POLLHUP))
			return EXIT_FAILED;
		ours = read_events(log, inotify);
		lost = watch_again(log, inotify, &found);
		if (ours || found)
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
	inotify = ctl->follow ? watch_all(&log) : -1;
	if (ctl->follow && inotify < 0)
		return EXIT_FAILED;
	log.code = worse(code, seek(&log));
	take_all(&log, !ctl->follow);
	if (log.count < SIZE_MAX)
		print_last(&log);
	return ctl->follow ? worse(log.code, follow(&log, inotify)) : log.code;
}

int verb_reopen(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_answer_ struct answer answer = { 0 };

	client_call(ctl, "POST", "/v1/reopen", NULL, ANSWER_MAX, &answer);
	return client_check(ctl, NULL, answer.error, answer.status, answer.json);
}
