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
#include "logger/count.h"
#include "logger/intake.h"
#include "logger/intent.h"
#include "logger/lines.h"
#include "logger/rotation.h"

#define LOOKS_A_TURN 4 /* one busy service must not keep the others waiting */
#define DROPS_A_TURN 16
#define BUSY         (48 * 1024) /* bytes of a look: the next one will not be long in coming */
#define WIDEN_AFTER  3           /* busy looks, one behind the other */
#define FIRST_TRY    4096        /* bytes of a look when the last one could not be written */
#define SMALL_LOOKS  32          /* of that size, before a larger one is tried again */
#define HOLD_MAX     (2 * USEC_PER_SEC) /* for the end of a line, where it must be whole */

static struct stream *by_number[LOGGER_NUMBERS];
static struct stream *all, *dead, *listed;
static size_t n_streams, n_closing;
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

bool stream_has_number(const struct stream *s)
{
	return by_number[s->number] == s;
}

void streams_count(void)
{
	for (struct stream *s = all; s; s = s->next) {
		if (!stream_has_number(s))
			continue;
		count_begin(s);
		stream_recall_dropped(s);
		if (s->placed) /* it was another logger that was at anything */
			intent_done(s);
	}
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

void stream_watch(struct stream *s, enum stream_watch watch)
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

/* --- lines that are dropped ------------------------------------------------------------- */

/* Up to the last newline, or all of it: then the rest of the line goes, too. */
static size_t drop(struct stream *s, const char *data, size_t n, int error)
{
	const char *newline = memrchr(data, '\n', n);
	size_t size = newline ? (size_t)(newline + 1 - data) : n;

	stream_count_dropped(s, newline ? lines_count(data, size) : 1, error);
	if (!stream_is_placed(s))
		intent_done(s); /* what it wrote is in the pipe no more */
	s->skipping = !newline;
	s->mid_line = false;
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
	/* Room was made by then, so a write that is still to come tells of itself. */
	for (int i = 0; i < DROPS_A_TURN && intake_held(s->pipe) >= intake_capacity(s->pipe) / 2;
	     i++) {
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

static const char *behind_line(const char *p, const char *end)
{
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	return newline ? newline + 1 : end;
}

/*
 * The bytes of lines that may pass; what is behind them must not. A line counts when it begins: so
 * one that may has its end, too, and of one that may not there is nothing.
 */
static size_t within_rate(struct stream *s, const char *data, size_t n)
{
	const struct logger_settings *set = &s->settings->set;
	const char *end = data + n, *p = data;
	uint64_t lines;

	if (!s->rate)
		return n;
	if (s->mid_line)
		p = behind_line(p, end);
	lines = rate_left(s->rate, set->rate_lines, set->rate_period, now_monotonic());
	for (; lines > 0 && p < end; lines--)
		p = behind_line(p, end);
	return (size_t)(p - data);
}

/* How many lines begin in these bytes. */
static uint64_t lines_begun(const char *data, size_t n, bool inside)
{
	return n > 0 ? lines_count(data, n - 1) + !inside : 0;
}

/* Ends with a line where the next look will bring its rest: files are cut between lines. */
static size_t whole_lines(const char *data, size_t n)
{
	const char *newline = n >= BUSY ? memrchr(data, '\n', n) : NULL;

	return newline ? (size_t)(newline + 1 - data) : n;
}

static void widen(struct stream *s, size_t n)
{
	if (n < BUSY || s->settings->set.buffer > 0) { /* else it is as large as it may be */
		s->full_looks = 0;
	} else if (s->full_looks < WIDEN_AFTER && ++s->full_looks == WIDEN_AFTER) {
		intake_widen(s->pipe);
	}
}

/* There is not room for all of it, but perhaps for less: a disk is filled to its end. */
static bool try_less(struct stream *s, size_t n, int error)
{
	struct trouble *t = stream_trouble(s);

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
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = intake_capacity(s->pipe) / page;

	return pages > 2 ? (pages - 1) / 2 * page : page / 2;
}

/* less: a part of it may be tried when there is no room for all. */
static enum outcome write_some(struct stream *s, const char *data, size_t n, bool less)
{
	bool last = s->hung_up || s->closing || s->unfinished;
	size_t size = whole_lines(data, n), may = within_rate(s, data, size), used = 0;
	bool mid_line = s->mid_line;
	int error = may > 0 ? stream_write(s, data, may, last, &used) : 0;

	/* A line that the pipe may have no room to end. */
	if (error == 0 && used == 0 && may > patience(s))
		error = stream_write(s, data, may, true, &used);
	if (s->rate)
		rate_pass(s->rate, s->settings->set.rate_lines, s->settings->set.rate_period,
			  lines_begun(data, used, mid_line));
	if (used > 0)
		s->mid_line = data[used - 1] != '\n';
	count_written(s, data, used);
	intent_take_out(s, data, used);
	if (s->trouble && used > 0) { /* what is left has just begun */
		trouble_set(s->trouble, TROUBLE_HOLD, 0);
		trouble_set(s->trouble, TROUBLE_SLOW, 0);
	}
	if (error < 0 && less && try_less(s, n, error))
		return WENT_ON;
	if (error == -EAGAIN && used > 0 && stream_is_stuck(s)) /* slow it is, and no more */
		stream_get_going(s);
	if (error < 0) {
		stream_get_stuck(s, error);
		return STUCK;
	}
	if (stream_is_stuck(s))
		stream_get_going(s);
	if (s->trouble && s->trouble->small > 0)
		s->trouble->small--;
	if (used == may && may < size)
		used += drop(s, data + used, size - used, 0);
	return used > 0 ? WENT_ON : HELD;
}

static enum outcome look(struct stream *s)
{
	const char *data;
	bool small = stream_is_stuck(s) || (s->trouble && s->trouble->small > 0);
	ssize_t n = intake_look(s->pipe, small ? FIRST_TRY : INTAKE_MAX, &data);
	enum outcome outcome;
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
	if (!stream_is_placed(s)) { /* the pipe may begin elsewhere then */
		error = stream_place(s);
		s->mid_line = error == 0 && s->inside;
		if (error == 0)
			return WENT_ON;
		stream_get_stuck(s, error);
		return STUCK;
	}
	error = 0;
	/* What was too much is told of by the second, not between any two lines. */
	if (s->trouble && s->trouble->drop_error < 0)
		error = stream_note_dropped(s);
	if (error < 0) {
		stream_get_stuck(s, error);
		return STUCK;
	}
	outcome = write_some(s, data, (size_t)n, true);
	if (outcome != HELD || !small || n < FIRST_TRY)
		return outcome;
	/* It is longer than a look that was to be small. */
	n = intake_look(s->pipe, INTAKE_MAX, &data);
	return n > 0 ? write_some(s, data, (size_t)n, false) : outcome;
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
	if (s->trouble && !stream_is_stuck(s))
		stream_note_dropped(s);
	stream_get_fast(s);
	if (s->trouble)
		trouble_forget(s->trouble);
	if (s->close_value)
		channel_tell_surely(LOGGER_CLOSED, s->number, s->close_value);
	n_closing -= s->closing;
	take_out(s);
	unlist(s);
	n_streams--;
	/* A child that has just been forked to compress may have it still: no event may come. */
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->pipe, NULL);
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
	int error = stream_note_dropped(s);

	if (error < 0) {
		stream_get_stuck(s, error);
		return;
	}
	s->trouble->error = 0;
	count_blocked(s, false);
	stream_watch(s, WATCH_LEVEL);
}

/* What is there is no whole line. Its end is not waited for too long. */
static void hold(struct stream *s)
{
	struct trouble *t = stream_trouble(s);

	stream_watch(s, WATCH_NEWS);
	if (t && !t->times[TROUBLE_HOLD])
		trouble_set(t, TROUBLE_HOLD, now_monotonic() + HOLD_MAX);
}

/* True when the stream has ended. */
bool stream_pump(struct stream *s, int looks)
{
	enum outcome outcome = WENT_ON;

	while (outcome == WENT_ON && looks-- > 0)
		outcome = look(s);
	if (outcome == ENDED) {
		end(s);
		return true;
	}
	if (outcome != STUCK)
		stream_get_fast(s);
	if (outcome == HELD)
		hold(s);
	else if (outcome == WENT_ON && stream_is_stuck(s)) /* the rest of a dropped line went */
		stream_try_later(s);
	else if (outcome == WENT_ON)
		stream_watch(s, WATCH_LEVEL);
	else if (outcome == DRY && stream_is_stuck(s))
		start_anew(s);
	return false;
}

/* What the pipe holds now: a writer that is faster than the disk would keep us for ever. */
void stream_drain(struct stream *s)
{
	int looks = (int)(intake_capacity(s->pipe) / 4096) + 1;

	if (!stream_is_stuck(s) && !stream_pump(s, looks) && s->closing && !stream_is_stuck(s) &&
	    !stream_is_slow(s))
		end(s);
}

/* What an earlier logger was about to compress. */
static void look_for_left(const struct stream *s)
{
	char name[LOG_FILE_NAME_MAX];

	if (s->settings->set.sink == LOGGER_SINK_FILE &&
	    settings_packing(s->settings) != PACKING_NONE)
		rotation_look_later(s->settings, log_name(name, sizeof(name), s->name,
							  s->number >= LOGGER_STDERR));
}

/* How large the pipe is to be, and was to be before. */
static void set_buffer(struct stream *s, uint64_t before)
{
	uint64_t size = s->settings->set.buffer;
	int error = size != before ? intake_resize(s->pipe, size) : 0;

	/* EBUSY: it holds more than that at the moment. */
	if (error < 0 && size > 0)
		log_warning_errno(error,
				  "%s: its pipe stays at %zu bytes, for log-buffer = %" PRIu64
				  " cannot be had%s",
				  stream_label(s), intake_capacity(s->pipe), size,
				  error == -EPERM ? " (see /proc/sys/fs/pipe-max-size and "
						    "pipe-user-pages-soft)"
						  : "");
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

static bool is_pipe_of(const struct stream *s, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == s->pipe_inode && st.st_dev == s->pipe_device;
}

static struct stream *make(uint32_t number, int pipe, struct settings *settings, const char *name)
{
	struct stream *s = calloc(1, sizeof(*s) + strlen(name) + 1);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };
	struct stat st;

	if (!s || fstat(pipe, &st) < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe, &event) < 0) {
		free(s);
		return NULL;
	}
	strcpy(s->name, name);
	s->number = number;
	s->pipe = pipe;
	s->pipe_inode = st.st_ino;
	s->pipe_device = st.st_dev;
	s->settings = settings;
	log_file_init(&s->file);
	set_rate(s);
	set_buffer(s, 0);
	look_for_left(s);
	count_begin(s);
	stream_recall_dropped(s);
	s->next = all;
	if (all)
		all->before = s;
	all = s;
	n_streams++;
	return s;
}

/* One that is being closed: never are there two streams that read one pipe. */
static struct stream *take_back(int pipe)
{
	struct stream *s = n_closing > 0 ? all : NULL;

	while (s && !(s->closing && is_pipe_of(s, pipe)))
		s = s->next;
	if (!s)
		return NULL;
	n_closing--;
	s->closing = false;
	s->close_value = 0;
	return s;
}

void stream_open(uint32_t number, int pipe, struct settings *settings, const char *name)
{
	struct stream *s = by_number[number];

	if (!s)
		s = by_number[number] = take_back(pipe);
	if (s && is_pipe_of(s, pipe) && strcmp(s->name, name) == 0) {
		fd_close(pipe);
		stream_set(number, settings);
		return;
	}
	stream_close(number, 0);
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
	uint64_t buffer;

	if (!s) {
		settings_put(settings);
		return;
	}
	buffer = s->settings->set.buffer;
	if (stream_is_slow(s)) { /* it may wait for another daemon */
		stream_get_fast(s);
		stream_watch(s, WATCH_LEVEL);
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
	set_buffer(s, buffer);
	look_for_left(s);
	if (stream_is_stuck(s))
		trouble_set(s->trouble, TROUBLE_TRY, now_monotonic());
}

/* All that is there, a part of a line too. */
void stream_write_unfinished(struct stream *s)
{
	s->unfinished = true;
	stream_drain(s);
	s->unfinished = false;
	/* Empty, it is asked for no news: with each of them all are looked into that are. */
	if (!s->dead && s->watch == WATCH_NEWS && !stream_is_stuck(s))
		stream_watch(s, WATCH_LEVEL);
}

void stream_run(uint32_t number, uint32_t pid, const char *instance)
{
	struct stream *s = by_number[number];

	if (!s)
		return;
	if (s->pid != 0 && s->pid != pid) /* what is there is the last one's */
		stream_write_unfinished(s);
	if (s->dead)
		return;
	free(s->instance);
	free(s->members);
	s->members = NULL;
	s->instance = *instance ? strdup(instance) : NULL;
	s->pid = pid;
}

static void begin_to_close(struct stream *s)
{
	n_closing += !s->closing;
	s->closing = true;
	stream_drain(s);
}

void stream_close(uint32_t number, uint64_t value)
{
	struct stream *s = by_number[number];

	if (!s) /* it was meant for the last logger: nobody has read that pipe to its end */
		return;
	by_number[number] = NULL; /* it may have to wait, and the number is another's by then */
	s->close_value = value;
	begin_to_close(s);
}

void stream_sync(uint32_t number)
{
	if (by_number[number])
		stream_write_unfinished(by_number[number]);
}

void stream_event(struct stream *s, bool hung_up)
{
	if (s->dead)
		return;
	s->hung_up |= hung_up;
	if (!stream_is_stuck(s))
		stream_pump(s, LOOKS_A_TURN);
	else if (stream_may_drop(s))
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
		begin_to_close(s);
	}
}

void streams_write_notes(void)
{
	for (struct stream *s = all; s; s = s->next)
		stream_note_dropped(s);
}
