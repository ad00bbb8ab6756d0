/* SPDX-License-Identifier: MIT */
/*
 * The channel from foster-manager to foster-log, all that crosses that border: a SOCK_SEQPACKET
 * socketpair, the logger's end is its standard input. Both ends also lie in the supervisor's
 * store, so that either side may be replaced. When supervisor and manager are gone the channel
 * hangs up; the logger then goes on until each pipe has ended. A packet is one message or several,
 * one behind the other; of the descriptors that come with it each OPEN has one, in their order.
 */
#ifndef FOSTER_BASE_LOGGER_H
#define FOSTER_BASE_LOGGER_H

#include <stdint.h>

#define LOGGER_PATH_MAX 4096

enum logger_type {
	LOGGER_OPEN = 1, /* with the read end of a pipe; one that the number had is replaced */
	LOGGER_CLOSE,    /* forget the number: what is in the pipe is written first */
	LOGGER_QUIT,     /* write what is in the pipes, and exit */
};

struct logger_message {
	uint32_t type;
	uint32_t size;              /* of the message in bytes, a multiple of 4 */
	uint32_t number;            /* of the pipe: its service's slot */
	char path[LOGGER_PATH_MAX]; /* of the file, absolute; sent up to its NUL */
};

#endif
