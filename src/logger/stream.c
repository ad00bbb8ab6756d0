/* SPDX-License-Identifier: MIT */
/* Streams, from pipe to file: see stream.h. */
#include "logger/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log-name.h"
#include "base/log.h"
#include "base/units.h"
#include "logger/channel.h"
#include "logger/intake.h"
#include "logger/lines.h"
#include "logger/rotation.h"

#define LOOKS_A_TURN 4           /* one busy service must not keep the others waiting */
#define BUSY         (48 * 1024) /* bytes of a look: the next one will not be long in coming */
#define WIDEN_AFTER  3           /* busy looks, one behind the other */
#define FIRST_TRY    4096        /* bytes of a look when the last one could not be written */
#define SMALL_LOOKS  32          /* of that size, before a larger one is tried again */
#define SAY_EVERY    (10 * USEC_PER_SEC) /* that there is trouble, at most */
#define RETRY        (100 * USEC_PER_MSEC)
#define NOTE_AFTER   (1 * USEC_PER_SEC)
#define HOLD_MAX     (2 * USEC_PER_SEC) /* for the end of a line, where it must be whole */

static struct stream *by_number[LOGGER_NUMBERS];
static struct stream *all, *dead, *listed;
static struct trouble *troubles; /* those with a time */
static size_t n_streams;
static int epoll_fd;

int streams_init(int fd)
{
	epoll_fd = fd;
	return intake_init();
}

size_t streams_number(void)
{
	return n_streams;
}

/* --- being told ------------------------------------------------------------------------- */

static const uint32_t watch_events[] = {
	[WATCH_LEVEL] = EPOLLIN,
	[WATCH_NEWS] = EPOLLIN | EPOLLET,
	[WATCH_NONE] = EPOLLET, /* a hang-up is told in any case: once */
};

/*
 * A write that finds a pipe with something in it and has to wait until there is room wakes nobody
 * who polls (Linux 6.18), but sends SIGIO to who asked for it. Without that, a pipe in which a
 * part of a line was left would fill, and its writer wait, for ever.
 */
static void set_async(struct stream *s, bool on)
{
	int flags = fcntl(s->pipe, F_GETFL);

	if (on)
		fcntl(s->pipe, F_SETOWN, getpid());
	fcntl(s->pipe, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
}

static void set_watch(struct stream *s, enum stream_watch watch)
{
	struct epoll_event event = { .events = watch_events[watch], .data.ptr = s };

	if (s->watch == watch)
		return;
	if (watch == WATCH_NEWS && !s->listed) {
		s->listed = true;
		s->next_listed = listed;
		listed = s;
	}
	if (watch == WATCH_NEWS || s->watch == WATCH_NEWS)
		set_async(s, watch == WATCH_NEWS);
	s->watch = (unsigned char)watch;
	/* Last: it tells of what came before SIGIO was asked for. */
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->pipe, &event);
}

/* Off the list of those that SIGIO may be of. */
static void unlist(struct stream *s)
{
	struct stream **p = &listed;

	while (s->listed && *p != s)
		p = &(*p)->next_listed;
	if (s->listed)
		*p = s->next_listed;
	s->listed = false;
}

/* --- trouble ---------------------------------------------------------------------------- */

static void forget_time(struct trouble *t)
{
	struct trouble **p = &troubles;

	while (*p && *p != t)
		p = &(*p)->next;
	if (*p)
		*p = t->next;
	t->due = 0;
}

static struct trouble *trouble_of(struct stream *s)
{
	if (!s->trouble) {
		s->trouble = calloc(1, sizeof(*s->trouble));
		if (s->trouble)
			s->trouble->stream = s;
	}
	return s->trouble;
}

static void try_again_at(struct trouble *t, uint64_t due)
{
	if (!t->due) {
		t->next = troubles;
		troubles = t;
	}
	t->due = due;
}

static bool is_stuck(const struct stream *s)
{
	return s->trouble && s->trouble->error < 0;
}

static bool may_drop(const struct stream *s)
{
	return s->settings->set.flags & LOGGER_DROP;
}

/* What it is written to, for messages. */
static const char *target(const struct stream *s)
{
	switch (s->settings->set.sink) {
	case LOGGER_SINK_JOURNAL: return "the journal";
	case LOGGER_SINK_SYSLOG: return "syslog";
	default: return s->settings->directory;
	}
}

/* Nothing can be written: it is tried again a little later. */
static void get_stuck(struct stream *s, int error)
{
	struct trouble *t = trouble_of(s);

	if (!t)
		return; /* the watch tells of it again and again, which is a way to wait, too */
	if (t->error == 0 && (!t->said || now_monotonic() - t->said > SAY_EVERY)) {
		log_error_errno(error, "%s: cannot be written to %s: its output waits%s",
				stream_label(s), target(s),
				may_drop(s) ? ", and is dropped when there is much of it" : "");
		t->said = now_monotonic();
		t->say_end = true;
	}
	t->error = error;
	set_watch(s, may_drop(s) ? WATCH_NEWS : WATCH_NONE);
	try_again_at(t, now_monotonic() + RETRY);
}

static void get_going(struct stream *s)
{
	if (s->trouble->say_end)
		log_notice("%s: is written again", stream_label(s));
	s->trouble->say_end = false;
	s->trouble->error = 0;
	set_watch(s, WATCH_LEVEL);
}

/* --- lines that are dropped ------------------------------------------------------------- */

static void tell_dropped(struct trouble *t)
{
	if (t->untold > 0)
		channel_tell(LOGGER_DROPPED, t->stream->number, t->untold);
	t->untold = 0;
}

static void count_dropped(struct stream *s, uint64_t lines, int error)
{
	struct trouble *t = trouble_of(s);

	if (!t || lines == 0)
		return;
	t->dropped += lines;
	t->untold += lines;
	t->drop_error = error;
	if (!t->due)
		try_again_at(t, now_monotonic() + NOTE_AFTER);
}

/* Says in the log itself what is missing there. 0 or -errno. */
static int write_note(struct stream *s)
{
	struct trouble *t = s->trouble;
	char text[160];
	int error;

	if (!t || t->dropped == 0)
		return 0;
	snprintf(text, sizeof(text), "foster-log: %" PRIu64 " line%s dropped: %s", t->dropped,
		 t->dropped == 1 ? " was" : "s were",
		 t->drop_error < 0 ? strerror(-t->drop_error) : "more than log-rate");
	error = stream_write_note(s, text);
	if (error < 0)
		return error;
	t->dropped = 0;
	tell_dropped(t);
	return 0;
}

/* Up to the last newline, or all of it: then the rest of the line goes, too. */
static size_t drop(struct stream *s, const char *data, size_t n, int error)
{
	const char *newline = memrchr(data, '\n', n);
	size_t size = newline ? (size_t)(newline + 1 - data) : n;

	count_dropped(s, newline ? lines_count(data, size) : 1, error);
	s->skipping = !newline;
	intake_discard(s->pipe, size);
	return size;
}

/* The rest of a line whose beginning was dropped. */
static void skip(struct stream *s, const char *data, size_t n)
{
	const char *newline = memchr(data, '\n', n);

	s->skipping = !newline;
	intake_discard(s->pipe, newline ? (size_t)(newline + 1 - data) : n);
}

/* It may not keep its service waiting: what does not fit into half of the pipe goes. */
static void make_room(struct stream *s)
{
	while (intake_held(s->pipe) >= intake_capacity(s->pipe) / 2) {
		const char *data;
		ssize_t n = intake_look(s->pipe, INTAKE_MAX, &data);

		if (n <= 0)
			return;
		if (s->skipping)
			skip(s, data, (size_t)n);
		else
			drop(s, data, (size_t)n, s->trouble->error);
	}
}

/* --- one look --------------------------------------------------------------------------- */

enum outcome {
	WENT_ON, /* something was done */
	DRY,     /* the pipe holds nothing */
	HELD,    /* what it holds is no whole line yet */
	STUCK,
	ENDED,
};

/* The bytes of lines that may pass; what is behind them must not. */
static size_t within_rate(struct stream *s, const char *data, size_t n)
{
	const struct logger_settings *set = &s->settings->set;
	const char *p = data;
	uint64_t lines;

	if (!s->rate)
		return n;
	lines = rate_left(s->rate, set->rate_lines, set->rate_period, now_monotonic());
	for (; lines > 0; lines--) {
		p = memchr(p, '\n', n - (size_t)(p - data));
		if (!p)
			return n;
		p++;
	}
	return memchr(p, '\n', n - (size_t)(p - data)) ? (size_t)(p - data) : n;
}

/* Ends with a line where the next look will bring its rest: files are cut between lines. */
static size_t whole_lines(const char *data, size_t n)
{
	const char *newline = n >= BUSY ? memrchr(data, '\n', n) : NULL;

	return newline ? (size_t)(newline + 1 - data) : n;
}

static void widen(struct stream *s, size_t n)
{
	if (n < BUSY) {
		s->full_looks = 0;
	} else if (s->full_looks < WIDEN_AFTER && ++s->full_looks == WIDEN_AFTER) {
		intake_widen(s->pipe);
	}
}

/* There is not room for all of it, but perhaps for less: a disk is filled to its end. */
static bool try_less(struct stream *s, size_t n, int error)
{
	struct trouble *t = trouble_of(s);

	if (!t || n <= FIRST_TRY || (error != -ENOSPC && error != -EDQUOT))
		return false;
	t->small = SMALL_LOOKS;
	return true;
}

/*
 * How much of a line without its end may stay in a pipe. Two pages one behind the
 * other hold more than one page's bytes, or they would be one: so a full pipe holds more than half.
 */
static size_t patience(const struct stream *s)
{
	size_t pages = intake_capacity(s->pipe) / 4096;

	return pages > 1 ? (pages - 1) / 2 * 4096 : 0;
}

static enum outcome write_some(struct stream *s, const char *data, size_t n)
{
	bool last = s->hung_up || s->closing || s->unfinished;
	size_t size = whole_lines(data, n), may = within_rate(s, data, size), used = 0;
	int error = may > 0 ? stream_write(s, data, may, last, &used) : 0;

	/* A line that the pipe may have no room to end. */
	if (error == 0 && used == 0 && may > patience(s))
		error = stream_write(s, data, may, true, &used);
	if (s->rate)
		rate_pass(s->rate, s->settings->set.rate_lines, s->settings->set.rate_period,
			  lines_count(data, used));
	intake_discard(s->pipe, used);
	if (error < 0 && try_less(s, n, error))
		return WENT_ON;
	if (error < 0) {
		get_stuck(s, error);
		return STUCK;
	}
	if (is_stuck(s))
		get_going(s);
	if (s->trouble && s->trouble->small > 0)
		s->trouble->small--;
	if (used == may && may < size)
		used += drop(s, data + used, size - used, 0);
	return used > 0 ? WENT_ON : HELD;
}

static enum outcome look(struct stream *s)
{
	const char *data;
	bool small = is_stuck(s) || (s->trouble && s->trouble->small > 0);
	ssize_t n = intake_look(s->pipe, small ? FIRST_TRY : INTAKE_MAX, &data);
	int error;

	if (n == -EAGAIN)
		return DRY;
	if (n <= 0)
		return ENDED;
	widen(s, (size_t)n);
	if (s->skipping) {
		skip(s, data, (size_t)n);
		return WENT_ON;
	}
	/* What was too much is told of by the second, not between any two lines. */
	error = s->trouble && s->trouble->drop_error < 0 ? write_note(s) : 0;
	if (error < 0) {
		get_stuck(s, error);
		return STUCK;
	}
	return write_some(s, data, (size_t)n);
}

/* --- a stream's life -------------------------------------------------------------------- */

static void take_out(struct stream *s)
{
	if (by_number[s->number] == s)
		by_number[s->number] = NULL;
	*(s->before ? &s->before->next : &all) = s->next;
	if (s->next)
		s->next->before = s->before;
}

static void end(struct stream *s)
{
	if (s->trouble && !is_stuck(s))
		write_note(s);
	if (s->trouble)
		forget_time(s->trouble);
	take_out(s);
	unlist(s);
	n_streams--;
	s->pipe = fd_close(s->pipe);
	log_file_close(&s->file);
	s->dead = true;
	s->next = dead;
	dead = s;
}

void streams_bury(void)
{
	while (dead) {
		struct stream *s = dead;

		dead = s->next;
		settings_put(s->settings);
		free(s->trouble);
		free(s->rate);
		free(s->members);
		free(s->instance);
		free(s);
	}
}

/* All that could not be written was dropped: what comes next is a new try. */
static void start_anew(struct stream *s)
{
	int error = write_note(s);

	if (error < 0) {
		get_stuck(s, error);
		return;
	}
	s->trouble->error = 0;
	set_watch(s, WATCH_LEVEL);
}

/* What is there is no whole line. It is not waited for too long, whatever its service is at. */
static void hold(struct stream *s)
{
	struct trouble *t = trouble_of(s);

	set_watch(s, WATCH_NEWS);
	if (t && !t->due)
		try_again_at(t, now_monotonic() + HOLD_MAX);
}

/* True when the stream has ended. */
static bool pump(struct stream *s, int looks)
{
	enum outcome outcome = WENT_ON;

	while (outcome == WENT_ON && looks-- > 0)
		outcome = look(s);
	if (outcome == ENDED) {
		end(s);
		return true;
	}
	if (outcome == HELD)
		hold(s);
	else if (outcome == WENT_ON)
		set_watch(s, WATCH_LEVEL);
	else if (outcome == DRY && is_stuck(s))
		start_anew(s);
	return false;
}

/* What the pipe holds now: a writer that is faster than the disk would keep us for ever. */
static void drain(struct stream *s)
{
	int looks = (int)(intake_capacity(s->pipe) / 4096) + 1;

	if (!is_stuck(s) && !pump(s, looks) && s->closing && !is_stuck(s))
		end(s);
}

/* What an earlier logger was about to compress. */
static void look_for_left(const struct stream *s)
{
	char name[LOG_FILE_NAME_MAX];

	if (s->settings->set.sink == LOGGER_SINK_FILE && (s->settings->set.flags & LOGGER_GZIP))
		rotation_look_later(s->settings, log_name(name, sizeof(name), s->name,
							  s->number >= LOGGER_STDERR));
}

static void set_rate(struct stream *s)
{
	if (s->settings->set.rate_lines == 0) {
		free(s->rate);
		s->rate = NULL;
	} else if (!s->rate) {
		s->rate = calloc(1, sizeof(*s->rate));
	}
}

static bool is_same_pipe(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static struct stream *make(uint32_t number, int pipe, struct settings *settings, const char *name)
{
	struct stream *s = calloc(1, sizeof(*s) + strlen(name) + 1);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };

	if (!s || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe, &event) < 0) {
		free(s);
		return NULL;
	}
	strcpy(s->name, name);
	s->number = number;
	s->pipe = pipe;
	s->settings = settings;
	log_file_init(&s->file);
	set_rate(s);
	look_for_left(s);
	s->next = all;
	if (all)
		all->before = s;
	all = s;
	n_streams++;
	return s;
}

void stream_open(uint32_t number, int pipe, struct settings *settings, const char *name)
{
	struct stream *s = by_number[number];

	if (s && is_same_pipe(s->pipe, pipe) && strcmp(s->name, name) == 0) {
		fd_close(pipe);
		stream_set(number, settings);
		return;
	}
	stream_close(number);
	s = make(number, pipe, settings, name);
	if (!s) {
		log_error_errno(-errno, "%s: cannot be read", name);
		fd_close(pipe);
		settings_put(settings);
	}
	by_number[number] = s;
}

void stream_set(uint32_t number, struct settings *settings)
{
	struct stream *s = by_number[number];

	if (!s) {
		settings_put(settings);
		return;
	}
	if (s->settings != settings) {
		log_file_close(&s->file); /* it may be another one, or of another mode */
		free(s->members);
		s->members = NULL;
		s->placed = false;
	}
	settings_put(s->settings);
	s->settings = settings;
	set_rate(s);
	look_for_left(s);
	if (is_stuck(s))
		try_again_at(s->trouble, now_monotonic());
}

/* All that is there, a part of a line too. */
static void write_unfinished(struct stream *s)
{
	s->unfinished = true;
	drain(s);
	s->unfinished = false;
}

void stream_run(uint32_t number, uint32_t pid, const char *instance)
{
	struct stream *s = by_number[number];

	if (!s)
		return;
	if (s->pid != 0 && s->pid != pid) /* what is there is the last one's */
		write_unfinished(s);
	if (s->dead)
		return;
	free(s->instance);
	free(s->members);
	s->members = NULL;
	s->instance = *instance ? strdup(instance) : NULL;
	s->pid = pid;
}

void stream_close(uint32_t number)
{
	struct stream *s = by_number[number];

	if (!s)
		return;
	by_number[number] = NULL; /* it may have to wait, and the number is another's by then */
	s->closing = true;
	drain(s);
}

void stream_sync(uint32_t number)
{
	if (by_number[number])
		write_unfinished(by_number[number]);
}

void stream_event(struct stream *s, bool hung_up)
{
	if (s->dead)
		return;
	s->hung_up |= hung_up;
	if (!is_stuck(s))
		pump(s, LOOKS_A_TURN);
	else if (may_drop(s))
		make_room(s);
}

void streams_news(void)
{
	for (struct stream *s = listed, *next; s; s = next) {
		next = s->next_listed;
		if (s->watch == WATCH_NEWS)
			stream_event(s, false);
		else
			unlist(s);
	}
}

void streams_close_all(void)
{
	for (struct stream *s = all, *next; s; s = next) {
		next = s->next;
		s->closing = true;
		drain(s);
	}
}

void streams_write_notes(void)
{
	for (struct stream *s = all; s; s = s->next)
		write_note(s);
}

/* --- trying again ----------------------------------------------------------------------- */

static void retry(struct trouble *t)
{
	struct stream *s = t->stream;
	int error;

	if (is_stuck(s)) {
		if (!pump(s, LOOKS_A_TURN) && s->closing)
			drain(s);
		return;
	}
	error = write_note(s);
	if (error < 0)
		get_stuck(s, error);
	else if (s->watch == WATCH_NEWS)
		write_unfinished(s);
}

uint64_t streams_retry(uint64_t now)
{
	struct trouble *due = NULL;
	uint64_t next = UINT64_MAX;

	for (struct trouble *t = troubles, *after; t; t = after) {
		after = t->next;
		if (t->due > now) {
			next = t->due < next ? t->due : next;
			continue;
		}
		forget_time(t);
		t->next = due;
		due = t;
	}
	while (due) {
		struct trouble *t = due;

		due = t->next;
		retry(t);
		if (!t->stream->dead && t->due && t->due < next)
			next = t->due;
	}
	return next == UINT64_MAX ? next : next > now ? next - now : 0;
}
