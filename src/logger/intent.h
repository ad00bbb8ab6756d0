/* SPDX-License-Identifier: MIT */
/*
 * What is being done with the first bytes of a pipe, kept where the next logger finds it if this
 * one is killed over it: in the counts of the stream (base/logger.h). Without it the next one knows
 * that nothing is lost, but not where in a line the file and the pipe stand, for what it finds at
 * the file's end may be a part of what the pipe holds, or all of it, or what came before.
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

#include <stddef.h>
#include <stdint.h>

#include "base/logger.h"

struct stream;

/* So many bytes are about to be written to its open file. */
void intent_write(const struct stream *, size_t size);
/* All that was, is; n bytes of data are about to be taken out of the pipe. */
void intent_take(const struct stream *, const char *data, size_t n);
void intent_done(const struct stream *);

/* What the last logger was at is known no more: the pipe is not what it was. */
void intent_forget(const struct stream *);

enum intent {
	/*
	 * Nothing is known: this is the first logger, or the last wrote to another file, or
	 * somebody else has written to this one, whose words are not to be cut off.
	 */
	INTENT_UNKNOWN,
	INTENT_DONE,    /* the pipe goes on where the file ends */
	INTENT_WRITTEN, /* all that stands behind *ret_before is still in the pipe, if anything does */
	INTENT_AGAIN, /* the same, and its end is a part of a line: see intent_left() */
};

/*
 * What the last logger was at with this stream and the file that is open now, when the pipe begins
 * with n bytes of data. INTENT_AGAIN is told by a sum of the bytes: if it was killed in the moment
 * in which they had just been taken out, and its service has said the same once more since, they
 * are not in the pipe. So nothing is to be cut off the file then.
 */
enum intent intent_left(const struct stream *, const char *data, size_t n, uint64_t *ret_before);

#endif
