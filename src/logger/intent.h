/* SPDX-License-Identifier: MIT */
/*
 * What is being done with the first bytes of a pipe, kept where the next logger finds it if this
 * one is killed over it: in the counts of the stream (base/logger.h). What it finds at the end of
 * the file may be a part of what the pipe holds, or all of it, or what came before: the bytes do
 * not tell, for services say the same again and again. So nothing is judged by them.
 *
 *	NONE ----> WRITING ----> TAKING ----> NONE
 *	     write(2) begins;    killed now: what of it the pipe still has is taken out
 *	     killed now: the
 *	     file is cut where it ended before
 *
 * Taking out is one readv(2) of what is there, which no signal ends before its time: all of it
 * goes or nothing. Its last byte goes to the record itself, where another byte stood: so the
 * record says which it was.
 *
 * The record names the pipe. Where there is none of this very pipe nothing is known, and nothing
 * done: the pipe goes on where the file ends. Then a logger that was killed may leave a line that
 * is cut, and comes again.
 */
#ifndef FOSTER_LOGGER_INTENT_H
#define FOSTER_LOGGER_INTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/logger.h"

struct stream;

/*
 * The first done bytes of the pipe, which begins with data, are written, and size bytes are about
 * to be: to its open file. size 0: nothing is, and the file may become another one.
 */
void intent_write(const struct stream *, const char *data, size_t done, size_t size);

/* Nothing is under way. */
void intent_done(const struct stream *);

/* All that was to be written is: n bytes of data, which the pipe begins with, go out of it. */
void intent_take_out(const struct stream *, const char *data, size_t n);

/*
 * What the last logger was at with this stream. The first is for its beginning: ends a taking out.
 * Then, if a write was under way, *ret is its record, until the stream is told what is done.
 */
void intent_resume(const struct stream *);
bool intent_was_writing(const struct stream *, struct logger_record *ret);

/* That is repaired as far as it can be: what is written goes out of the pipe. */
void intent_resume_done(const struct stream *);

#endif
