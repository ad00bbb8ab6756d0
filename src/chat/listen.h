/* SPDX-License-Identifier: MIT */
/*
 * The sockets that the chat room stands on: passed by the supervisor (LISTEN_FDS), or bound
 * here. Stream sockets are IRC's, with or without TLS, datagram sockets the course's.
 */
#ifndef FOSTER_CHAT_LISTEN_H
#define FOSTER_CHAT_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"

#define SOCKETS_MAX 64 /* of each kind */

struct sockets {
	int irc[SOCKETS_MAX], tls[SOCKETS_MAX], course[SOCKETS_MAX];
	size_t n_irc, n_tls, n_course;
};

/* Where to open what was not passed: lists that end with NULL, and may be NULL. */
struct listen_lists {
	char *const *irc, *const *tls, *const *course;
	bool irc_optional, course_optional; /* these are defaults */
	bool tls_possible;                  /* there is a certificate */
	bool plaintext_anywhere;            /* else on loopback alone */
};

#define PLAINTEXT_REFUSED                                                        \
	"plain text from other machines is not allowed; speak TLS (tls-listen, " \
	"or name the passed socket ircs), or set plaintext = anywhere"

/*
 * "127.0.0.1:6667", "[::1]:6667", "*:6667" (every IPv4 address). Names are not looked up.
 * 0 or -EINVAL.
 */
int listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_length,
		 struct error *e);

/*
 * Takes the passed sockets; streams are for TLS if they are called "ircs" or "tls", or so with
 * "-" and more behind. Of which kind none was passed is bound to its list; a default list of IRC
 * only if no stream at all was passed. What a default list names and the machine does not have
 * (IPv6) is passed over. 0 or -errno with the address and what to do about it; -EINVAL when
 * starting again would not help. The sockets are the caller's to close, in any case.
 */
int sockets_open(struct sockets *ret, const struct listen_lists *lists, struct error *e);
bool address_is_loopback(const struct sockaddr_storage *address); /* or a Unix socket */
/* Can any of them be reached by this machine alone? */
bool sockets_on_loopback(const struct sockets *s);
void sockets_close(struct sockets *s);

#endif
