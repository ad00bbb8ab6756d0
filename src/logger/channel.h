/* SPDX-License-Identifier: MIT */
/* The logger's end of the channel to foster-manager: base/logger.h says what the messages mean. */
#ifndef FOSTER_LOGGER_CHANNEL_H
#define FOSTER_LOGGER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/logger.h"

enum channel_state {
	CHANNEL_OPEN,
	CHANNEL_GONE, /* nobody is left to tell us of new pipes; those that we have go on */
	CHANNEL_QUIT,
	CHANNEL_LEAVE,
};

/* Reads and does what has come. */
enum channel_state channel_read(int fd);

/* Never blocks: a manager that does not listen is not told. */
void channel_tell(enum logger_type, uint32_t number, uint64_t value);

/* The same, but what the channel does not take now is kept for channel_tell_rest(). */
void channel_tell_surely(enum logger_type, uint32_t number, uint64_t value);

/* True when something is left, for which the channel has to become writable. */
bool channel_tell_rest(void);

#endif
