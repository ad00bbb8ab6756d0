/* SPDX-License-Identifier: MIT */
/*
 * The files of the logger. Thousands of services share a few open descriptors: the file that
 * was written least recently is closed when another one is needed. A write is whole, or
 * nothing of it is left in the file.
 */
#ifndef FOSTER_LOGGER_FILE_H
#define FOSTER_LOGGER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logger/settings.h"

#define LOG_FILE_NAME_MAX 160 /* "NAME.stderr.log" */

struct log_file {
	int fd;                /* -1: closed for now */
	bool ends_line;        /* when it was opened: what follows begins a line */
	bool no_rename;        /* it was told that the file cannot be rotated */
	uint64_t rename_again; /* until then it grows: CLOCK_MONOTONIC, us */
	uint64_t size, inode, device;
	uint64_t period; /* in which it was begun: a number that grows every set.period */
	struct log_file *newer, *older; /* in the list of open files */
};

/* Where it is and how it is made: NAME is that of the file. */
struct log_place {
	const struct settings *settings;
	const char *name;
};

void log_file_init(struct log_file *);
void log_file_close(struct log_file *);
void log_files_close(void); /* all of them: they are opened anew by their names */

/* Keeps so many fewer open that there is room for so many pipes, and for those of one message. */
void log_files_make_room(size_t n_pipes);

/*
 * Opens the file if need be and begins a new one if its time is over (at_line: only between
 * lines). *ret_room: the bytes up to the size at which it is rotated. 0 or -errno.
 */
int log_file_open(struct log_file *, const struct log_place *, uint64_t realtime, bool at_line,
		  size_t *ret_room);

/* Begins a new file; where that cannot be done the old one goes on, for 5 s. 0 or -errno. */
int log_file_rotate(struct log_file *, const struct log_place *);

/* Whether all of it could be read from there. */
bool log_file_read(const struct log_file *, uint64_t from, char *buf, size_t size);

/* The open file ends there from now on. 0 or -errno. */
int log_file_cut(struct log_file *, uint64_t size);

/* Appends all of it to the open file, or nothing. 0 or -errno. */
int log_file_write(struct log_file *, const char *data, size_t size);

#endif
