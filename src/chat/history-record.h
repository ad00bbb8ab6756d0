/* SPDX-License-Identifier: MIT */
/*
 * The journal's records: one history_record each, one behind the other, in the machine's byte
 * order, for no other machine reads them. Each has its size and a checksum, so that what a
 * killed writer left half done is known for that. Pure functions over buffers.
 */
#ifndef FOSTER_CHAT_HISTORY_RECORD_H
#define FOSTER_CHAT_HISTORY_RECORD_H

#include <sys/types.h>

#include "chat/history-types.h"

#define HISTORY_RECORD_MAX 8192 /* bytes; every record of the room is smaller */

/* The bytes written; 0: it does not fit. */
size_t history_record_encode(const struct history_record *record, void *buf, size_t size);

/*
 * The bytes that the first record in data takes; record points into data, but for channel, which
 * is copied. 0: the record is not whole yet; -EBADMSG: that is none.
 */
ssize_t history_record_decode(const void *data, size_t size, struct history_record *ret,
			      char channel[HISTORY_CHANNEL_MAX + 1]);

#endif
