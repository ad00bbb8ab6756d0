/* SPDX-License-Identifier: MIT */
/*
 * Where the last logger stopped in a file, be it that it was killed there: see stream.h. What it
 * has written down says it, or nothing does: then the file stays as it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "logger/intent.h"
#include "logger/stream.h"

#define LINE_BEGAN_MAX ((size_t)1024 * 1024) /* of a line whose beginning is written again */
#define PART           ((size_t)4096)        /* read at a time */

/* Where the line begins that goes on at end; end: it is too long to look for, or unreadable. */
static uint64_t line_began(const struct stream *s, uint64_t end)
{
	char part[PART];

	for (uint64_t at = end; end - at < LINE_BEGAN_MAX && at > 0;) {
		size_t size = (size_t)MIN(at, PART);
		const char *newline;

		at -= size;
		if (!log_file_read(&s->file, at, part, size))
			return end;
		newline = memrchr(part, '\n', size);
		if (newline)
			return at + (uint64_t)(newline + 1 - part);
		if (at == 0)
			return 0;
	}
	return end;
}

/*
 * The pipe holds once more what the file has from there on: what that is the rest of begins once
 * more, too.
 */
static int begin_again(struct stream *s, uint64_t before)
{
	uint64_t began = line_began(s, before);
	size_t size = (size_t)(before - began);
	_cleanup_free_ char *line = malloc(1 + size);
	int error;

	if (!line)
		return -ENOMEM;
	line[0] = '\n';
	if (!log_file_read(&s->file, began, line + 1, size))
		return -EIO;
	/* All of it or nothing. */
	error = log_file_write(&s->file, line + !s->inside, s->inside + size);
	s->inside = error < 0 ? s->inside : size > 0;
	return error;
}

static int end_torn_line(struct stream *s)
{
	int error = log_file_write(&s->file, "\n", 1);

	s->inside = error < 0;
	return error;
}

/* Nobody else has written to it since, whose words are not to be cut off. */
static bool is_where_it_was(const struct log_file *f, const struct logger_record *r)
{
	return r->file != 0 && r->file == f->inode && r->device == f->device &&
	       f->size > r->before && f->size <= r->after;
}

int stream_find_place(struct stream *s, bool json)
{
	struct logger_record r;
	/* One that may be appended to and nothing else keeps what comes again. */
	bool again = intent_was_writing(s, &r) && is_where_it_was(&s->file, &r) &&
		     log_file_cut(&s->file, r.before) < 0;

	s->inside = !s->file.ends_line;
	if (s->inside && json) /* what is an object of its own ends its line in any case */
		return end_torn_line(s);
	return again ? begin_again(s, r.before) : 0;
}
