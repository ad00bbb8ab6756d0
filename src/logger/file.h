/* SPDX-License-Identifier: MIT */
/*
 * The files of the logger. Thousands of services share a few open descriptors: the file that
 * was written least recently is closed when another one is needed.
 */
#ifndef FOSTER_LOGGER_FILE_H
#define FOSTER_LOGGER_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct log_file {
	char *path;
	int fd;          /* -1: closed for now */
	bool complained; /* an error was told; it is told once until a write succeeds */
	struct log_file *newer, *older; /* in the list of open files */
};

/* 0 or -ENOMEM. The file is opened when there is something to write. */
int log_file_init(struct log_file *, const char *path);
void log_file_clear(struct log_file *);

/* Appends all of it. What cannot be written is lost, and that is said on standard error. */
void log_file_write(struct log_file *, const char *data, size_t size);

#endif
