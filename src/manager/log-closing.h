/* SPDX-License-Identifier: MIT */
/*
 * Pipes that are read to their end and then let go: of services that are gone. Until the logger
 * has said that nothing is left in one, the supervisor keeps it, the service's slot is nobody
 * else's, and a logger that is started meanwhile is told of it anew. The message for that lies in
 * the supervisor's store, too, in the place of the readiness pipe that the slot does not need any
 * more: for the next manager.
 */
#ifndef FOSTER_MANAGER_LOG_CLOSING_H
#define FOSTER_MANAGER_LOG_CLOSING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_closings;
struct manager;

/* With what the last manager has left; what that is has to be fetched. NULL: out of memory. */
struct log_closings *log_closings_new(struct manager *);
struct log_closings *log_closings_free(struct log_closings *); /* always NULL */

/*
 * The pipe of that number is to be closed; open, of size bytes, is the OPEN that it had. The value
 * that the logger is to answer with, or 0: out of memory.
 */
uint64_t log_closings_add(struct log_closings *, uint32_t number, const char *open, size_t size);

/* The number has another pipe now. */
void log_closings_forget(struct log_closings *, uint32_t number);

/* A service is gone: all that its numbers say is stored, under its name. */
void log_closings_store(struct log_closings *, uint32_t slot, const char *name);

bool log_closings_has(const struct log_closings *, uint32_t number);
bool log_closings_hold_slot(const struct log_closings *, uint32_t slot);

/* Its OPEN, to be sent again, and the value; NULL: it is not being closed. */
const char *log_closings_open(const struct log_closings *, uint32_t number, size_t *ret_size,
			      uint64_t *ret_value);

/* The logger has answered. True: nothing of that pipe is left, and it is to be dropped. */
bool log_closings_done(struct log_closings *, uint32_t number, uint64_t value);

/* What was stored has come. False: that place is not of ours. fd stays the caller's. */
bool log_closings_fetched(struct log_closings *, uint32_t place, int fd);

#endif
