/* SPDX-License-Identifier: MIT */
/*
 * What the next manager must know of a service: its machine, its status text, its pending
 * changes, and of its history as much as there is room for. Opaque to the supervisor, which
 * keeps it. Pure.
 */
#ifndef FOSTER_MANAGER_NOTE_H
#define FOSTER_MANAGER_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/link.h"

struct machine;

/*
 * Texts may be NULL; they are cut at a character's border when they do not fit. The machine's
 * history goes with it, without the oldest ends where the texts need the room; the last
 * NOTE_ENDS_MIN always fit. Returns the size, at most LINK_NOTE_MAX.
 */
#define NOTE_STATUS_MAX  111 /* bytes; less when the other texts are long */
#define NOTE_PENDING_MAX 63
#define NOTE_ENDS_MIN    2
size_t note_encode(const struct machine *, const char *status, const char *pending,
		   uint8_t buf[LINK_NOTE_MAX]);

/*
 * 0, or -EINVAL for what is no note, or one of another version. The texts and the machine's
 * history are the caller's to free; NULL when there was none.
 */
int note_decode(const uint8_t *buf, size_t size, struct machine *ret, char **ret_status,
		char **ret_pending);

#endif
