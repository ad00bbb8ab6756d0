/* SPDX-License-Identifier: MIT */
/*
 * The sockets that the chat room stands on: passed by the supervisor (LISTEN_FDS), or bound
 * here. Stream sockets are IRC's, datagram sockets the course's.
 */
#ifndef FOSTER_CHAT_LISTEN_H
#define FOSTER_CHAT_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"

#define SOCKETS_MAX 64 /* of each kind */

struct sockets {
	int irc[SOCKETS_MAX], course[SOCKETS_MAX];
	size_t n_irc, n_course;
};

/*
 * "127.0.0.1:6667", "[::1]:6667", "*:6667" (every IPv4 address). Names are not looked up.
 * 0 or -EINVAL.
 */
int listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_length,
		 struct error *e);

/*
 * Takes the passed sockets, whatever their names; of which kind none was passed is bound to its
 * list (NULL-terminated; NULL: none). What a default list names and the machine does not have
 * (IPv6) is passed over: optional says that the lists are defaults. 0 or -errno with the
 * address and what to do about it. The sockets are the caller's to close, in any case.
 */
int sockets_open(struct sockets *ret, char *const *irc, char *const *course, bool irc_optional,
		 bool course_optional, struct error *e);
void sockets_close(struct sockets *s);

#endif
