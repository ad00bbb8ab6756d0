/* SPDX-License-Identifier: MIT */
/*
 * The lines of one log in their order, over the files that were rotated away, compressed ones
 * too, and the one that is being written. It may be read on when its end was reached: then it has
 * what was written since, in whichever file that is by then.
 */
#ifndef FOSTER_CTL_LOG_READER_H
#define FOSTER_CTL_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_reader;

struct log_text {
	const char *data; /* without its newline, not NUL-terminated; until the next line */
	size_t size;
	uint64_t time; /* us; of the line before when it says none; 0: none has said any */
	bool whole;    /* it had a newline */
};

/* path: that of the file which is written. NULL: out of memory. */
struct log_reader *log_reader_new(const char *path);
struct log_reader *log_reader_free(struct log_reader *); /* always NULL */

/* Begins where the last lines are, that is, with the oldest file that is needed for so many. */
int log_reader_seek_lines(struct log_reader *, size_t lines);

/* Begins with the first file that has anything of that time, or later. */
int log_reader_seek_time(struct log_reader *, uint64_t since);

/*
 * 1 and the next line; 0 at the end; or a negative errno, with *ret_path the file it is of. A last
 * line without a newline is given only when partial is true, or when its file is damaged: then what
 * could be read of it comes first, -EBADMSG, and with the next call what follows in other files.
 */
int log_reader_next(struct log_reader *, bool partial, struct log_text *ret, const char **ret_path);

/* Whether after this error, the last call's, the next call goes on with the next file. */
bool log_reader_may_go_on(const struct log_reader *, int error);

#endif
