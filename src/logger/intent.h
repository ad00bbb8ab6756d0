/* SPDX-License-Identifier: MIT */
/*
 * What is being done with the first bytes of a pipe, kept where the next logger finds it if this one is
 * killed over it: in the counts of the stream (base/logger.h). Without it the next one knows that
 * nothing is lost, but not where in a line the file and the pipe stand, for what it finds at the
 * file's end may be a part of what the pipe holds, or all of it, or what came before.
 *
 *	NONE ----> WRITING ----> TAKING ----> NONE
 *	     write(2) begins;    taken out    done
 *	     killed now: the     of the pipe;
 *	     file is cut where   killed now:
 *	     it ended before     see find_place() in stream-write.c
 *
 * Not for sinks that are no files. Who cannot count has none of this, and may damage a line.
 */
#ifndef FOSTER_LOGGER_INTENT_H
#define FOSTER_LOGGER_INTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/logger.h"

struct stream;

void intent_write(const struct stream *); /* something is about to be written to its open file */
void intent_take(const struct stream *);  /* all that was, is; it is about to be taken out */
void intent_done(const struct stream *);

/*
 * What the last logger was at with this stream and the file that is open now. False: nothing is known,
 * for it is the first one, or wrote to another file.
 */
bool intent_left(const struct stream *, enum logger_stage *ret_stage, uint64_t *ret_before);

#endif
