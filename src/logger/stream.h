/* SPDX-License-Identifier: MIT */
/*
 * The streams: a service's pipe, what is to become of what comes out of it, and where it goes.
 *
 * What a pipe holds is taken out of it when it has been written, never before (intake.h). So
 * a stream has no memory of its own: what cannot be written, because the disk is full say, waits in
 * the pipe, and with it the service once that is full; or it is dropped then, and counted, as the
 * settings say. Meanwhile, and only then, a timer runs.
 */
#ifndef FOSTER_LOGGER_STREAM_H
#define FOSTER_LOGGER_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logger/datagram.h"
#include "logger/file.h"
#include "logger/lines.h"
#include "logger/rate.h"
#include "logger/settings.h"

enum stream_watch {
	WATCH_LEVEL, /* told as long as there is something */
	WATCH_NEWS,  /* told of what is new: what is there cannot be done yet */
	WATCH_NONE,
};

/* What a stream with trouble waits for. */
enum trouble_timer {
	TROUBLE_TRY,  /* what cannot be written is tried again */
	TROUBLE_NOTE, /* what was dropped is told of */
	TROUBLE_HOLD, /* a part of a line is written as one */
	TROUBLE_SLOW, /* what it is written to is more than slow */
	_TROUBLE_TIMERS
};

/* What went wrong. Most streams have none. */
struct trouble {
	struct trouble *next, *next_slow;
	struct stream *stream;
	uint64_t times[_TROUBLE_TIMERS]; /* us; 0: none */
	uint64_t due;  /* when it is looked at, not later than these; 0: it is not on the list */
	uint64_t said; /* us: when it was told of */
	bool say_end;
	bool slow;           /* it waits until a daemon takes more */
	unsigned char small; /* looks that are to be small */
	int error;           /* why nothing can be written; 0: it can */
	int drop_error;      /* why lines were dropped; 0: too many; DROPPED_BEFORE: unknown */
	uint64_t dropped;    /* lines, since it was written down */
};

struct stream {
	int pipe;
	uint32_t number, pid;
	uint64_t pipe_inode, pipe_device;
	uint64_t close_value; /* the manager is told it when this has ended; 0: it is not */
	struct settings *settings;
	struct log_file file;
	struct trouble *trouble; /* NULL: none, ever */
	struct rate *rate;       /* NULL: no limit */
	char *members;           /* of JSON; NULL: not made yet */
	char *instance;          /* NULL: not known */
	struct stream *next, *before, *next_listed;
	unsigned char watch, full_looks;
	bool placed; /* what the last logger was at is done, the end of its file seen */
	bool inside; /* the next byte goes on a line */
	bool mid_line; /* the next byte goes on a line that may pass, as far as the rate is concerned */
	bool skipping;   /* the rest of a line whose beginning was dropped */
	bool listed;     /* it has been on WATCH_NEWS */
	bool unfinished; /* a part of a line is written as one */
	bool hung_up, closing, dead;
	char name[]; /* of the service */
};

int streams_init(int epoll_fd);

/* Takes the pipe and a reference to the settings. */
void stream_open(uint32_t number, int pipe, struct settings *, const char *name);
void stream_set(uint32_t number, struct settings *);
void stream_run(uint32_t number, uint32_t pid, const char *instance);
/* Writes what is in the pipe first, and then tells the manager the value, unless that is 0. */
void stream_close(uint32_t number, uint64_t value);
void stream_sync(uint32_t number); /* its process has ended: writes all of it */

/* The pipe has something, or has hung up. */
void stream_event(struct stream *, bool hung_up);

/* SIGIO: one that is watched for news has some. */
void streams_news(void);

/* A daemon takes messages again. */
void streams_writable(const void *peer);

/* Tries again what could not be written; us until the next time, UINT64_MAX: nothing waits. */
uint64_t streams_retry(uint64_t now);

void streams_bury(void); /* frees those that ended, when no event of theirs is left */
void streams_close_all(void);
void streams_write_notes(void); /* of what was dropped */
size_t streams_number(void);
void streams_count(void); /* there is somewhere else to count to */

/* --- between stream*.c ------------------------------------------------------------------ */

/* False: what the last logger was at has not been looked at yet. */
bool stream_is_placed(const struct stream *);

/*
 * Ends what the last logger was at when it was killed, and goes to where it stopped: what the pipe
 * holds may become less by that. 0, also if it has been done before, or -errno.
 */
int stream_place(struct stream *);

/* stream-place.c. The same in a file that is open. */
int stream_find_place(struct stream *, bool json);

/*
 * Formats and writes what n bytes say, as far as it can be. last: an unfinished line is due.
 * *ret_used bytes are done, also when a negative errno is returned.
 */
int stream_write(struct stream *, const char *data, size_t n, bool last, size_t *ret_used);

/* One line of the logger's own, between the service's. 0 or -errno. */
int stream_write_note(struct stream *, const char *text);

/* True when a line must be whole to be written. */
bool stream_needs_lines(const struct stream *);

/* False: the number was closed, and may be another stream's. */
bool stream_has_number(const struct stream *);

const char *stream_label(const struct stream *); /* for messages; a static buffer */

void stream_watch(struct stream *, enum stream_watch);

/* Writes what the pipe has, with at most so many looks. True when the stream has ended. */
bool stream_pump(struct stream *, int looks);
void stream_drain(struct stream *);            /* all that it holds now */
void stream_write_unfinished(struct stream *); /* a part of a line, too */

/* stream-trouble.c. The trouble of a stream is made when it is asked for; NULL: out of memory. */
struct trouble *stream_trouble(struct stream *);
void trouble_set(struct trouble *, enum trouble_timer, uint64_t when); /* 0: not any more */
void trouble_forget(struct trouble *);                                 /* it is not tried again */
bool stream_is_stuck(const struct stream *);
bool stream_may_drop(const struct stream *);
void stream_get_stuck(struct stream *, int error); /* nothing can be written: tried again later */
void stream_get_going(struct stream *);            /* it can */

/*
 * stream-slow.c. A daemon takes no more at the moment: the stream goes on when it does. False: it
 * is in more trouble than that.
 */
bool stream_get_slow(struct stream *);
void stream_get_fast(struct stream *); /* it does not wait, or not for that, any more */
bool stream_is_slow(const struct stream *);
bool stream_has_waited(struct stream *); /* the daemon takes nothing: slow is no word for it */

/* Nothing could be tried in this turn. */
void stream_try_later(struct stream *);

/* What the last logger dropped, and was killed before it wrote that down. */
void stream_recall_dropped(struct stream *);
/* error: why they were dropped; 0: there were more than may be. */
void stream_count_dropped(struct stream *, uint64_t lines, int error);

/* Says in the log itself what is missing there, if anything is. 0 or -errno. */
int stream_note_dropped(struct stream *);

#endif
