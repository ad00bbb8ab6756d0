/* SPDX-License-Identifier: MIT */
/* The sockets that the chat room stands on: see listen.h. */
#include "chat/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/strv.h"
#include "base/units.h"

#define BACKLOG         4096 /* a room that restarts is joined by everybody at once */
#define PASSED_FIRST    3
#define DATAGRAM_BUFFER (1024 * 1024)

int listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_length,
		 struct error *e)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_storage address = { .ss_family = AF_INET };
	struct sockaddr_in *in = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
	char host[64];
	size_t n = colon ? (size_t)(colon - text) : 0;
	int64_t port;

	if (n == 0 || n >= sizeof(host) || parse_int(colon + 1, 1, 65535, &port) < 0)
		goto bad;
	memcpy(host, text, n);
	host[n] = '\0';
	if (host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &in6->sin6_addr) != 1)
			goto bad;
		address.ss_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		*ret_length = sizeof(*in6);
	} else {
		if (strcmp(host, "*") != 0 && inet_pton(AF_INET, host, &in->sin_addr) != 1)
			goto bad;
		in->sin_port = htons((uint16_t)port);
		*ret_length = sizeof(*in);
	}
	*ret = address;
	return 0;
bad:
	return error_set(e, -EINVAL,
			 "\"%.80s\" is no address; write \"127.0.0.1:6667\", \"[::1]:6667\" or "
			 "\"*:6667\"",
			 text);
}

bool address_is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	if (address->ss_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
	return true; /* a Unix socket: from this machine */
}

/* option: of chat.conf, that text stands in. */
static int bind_one(const char *text, int type, const char *option, struct error *e)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage address;
	socklen_t length;
	const int on = 1, buffer = DATAGRAM_BUFFER;
	int r = listen_parse(text, &address, &length, e);

	if (r < 0)
		return r;
	fd = socket(address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set_errno(e, -errno, "%s", text);
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* Not for UDP: there it would let a second server take the datagrams away. */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	else
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (bind(fd, (struct sockaddr *)&address, length) < 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)) {
		r = -errno;
		error_set_errno(e, r, "%s", text);
		if (r == -EADDRINUSE)
			error_set(e, r,
				  "%s: another program has this port; stop it (ss -%slnp shows "
				  "it) or set another %s in chat.conf",
				  text, type == SOCK_STREAM ? "t" : "u", option);
		else if (r == -EADDRNOTAVAIL)
			error_set(e, r, "%s: this machine does not have that address (ip address)",
				  text);
		else if (r == -EACCES)
			error_set(e, r,
				  "%s: ports below 1024 are root's; take another, or let the "
				  "supervisor pass the socket",
				  text);
		return r;
	}
	return TAKE_FD(fd);
}

static int bind_all(char *const *list, const char *option, bool optional, int fds[SOCKETS_MAX],
		    size_t *n, struct error *e)
{
	int type = strcmp(option, "course-listen") == 0 ? SOCK_DGRAM : SOCK_STREAM;

	for (; list && *list; list++) {
		int fd;

		if (*n == SOCKETS_MAX)
			return error_set(e, -E2BIG, "more than %d addresses", SOCKETS_MAX);
		fd = bind_one(*list, type, option, e);
		if (fd < 0 && optional && (*list)[0] == '[' &&
		    (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL))
			continue;
		if (fd < 0)
			return fd;
		fds[(*n)++] = fd;
	}
	return 0;
}

static bool is_tls_name(const char *name)
{
	size_t n = strcspn(name, "-");

	return (n == 4 && strncmp(name, "ircs", n) == 0) ||
	       (n == 3 && strncmp(name, "tls", n) == 0);
}

/* Whether fd is IRC's or the course's is asked of the socket; its name tells TLS from none. */
static int take_passed(struct sockets *s, int fd, const char *name)
{
	int type = 0, accepting = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
		log_warning_errno(-errno, "the passed descriptor %s (%d) is no socket", name, fd);
		return fd_close(fd);
	}
	size = sizeof(accepting);
	if (type == SOCK_STREAM &&
	    (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) < 0 || !accepting) &&
	    listen(fd, BACKLOG) < 0) {
		log_warning_errno(-errno, "the passed socket %s (%d) does not listen", name, fd);
		return fd_close(fd);
	}
	if (type == SOCK_STREAM && is_tls_name(name) && s->n_tls < SOCKETS_MAX)
		s->tls[s->n_tls++] = fd;
	else if (type == SOCK_STREAM && !is_tls_name(name) && s->n_irc < SOCKETS_MAX)
		s->irc[s->n_irc++] = fd;
	else if (type == SOCK_DGRAM && s->n_course < SOCKETS_MAX)
		s->course[s->n_course++] = fd;
	else
		fd_close(fd);
	return 0;
}

/* What was bound here was checked with the config. */
static int check_passed(const struct sockets *s, const struct listen_lists *lists, struct error *e)
{
	if (s->n_tls > 0 && !lists->tls_possible)
		return error_set(e, -EINVAL,
				 "a socket for TLS was passed; set tls-certificate in chat.conf");
	for (size_t i = 0; i < s->n_irc && !lists->plaintext_anywhere; i++) {
		struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
		socklen_t length = sizeof(address);

		if (getsockname(s->irc[i], (struct sockaddr *)&address, &length) < 0)
			return error_set_errno(e, -errno, "a passed socket");
		if (!address_is_loopback(&address))
			return error_set(e, -EINVAL, "a passed socket: " PLAINTEXT_REFUSED);
	}
	return 0;
}

int sockets_open(struct sockets *ret, const struct listen_lists *lists, struct error *e)
{
	int n = listen_fds(), r = 0;

	*ret = (struct sockets){ .n_irc = 0 };
	if (n < 0)
		return error_set_errno(e, n, "the passed sockets (LISTEN_FDS)");
	for (int i = 0; i < n; i++)
		take_passed(ret, PASSED_FIRST + i, listen_fd_name(i));
	r = check_passed(ret, lists, e);
	if (r == 0 && ret->n_irc == 0 && !(lists->irc_optional && ret->n_tls > 0))
		r = bind_all(lists->irc, "irc-listen", lists->irc_optional, ret->irc, &ret->n_irc,
			     e);
	if (r == 0 && ret->n_tls == 0)
		r = bind_all(lists->tls, "tls-listen", false, ret->tls, &ret->n_tls, e);
	if (r == 0 && ret->n_course == 0)
		r = bind_all(lists->course, "course-listen", lists->course_optional, ret->course,
			     &ret->n_course, e);
	if (r == 0 && ret->n_irc + ret->n_tls + ret->n_course == 0)
		r = error_set(e, -EDESTADDRREQ,
			      "no socket was passed, and irc-listen, tls-listen and course-listen "
			      "are all empty: nobody could come in");
	return r;
}

static bool any_on_loopback(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
		socklen_t length = sizeof(address);

		if (getsockname(fds[i], (struct sockaddr *)&address, &length) == 0 &&
		    address_is_loopback(&address))
			return true;
	}
	return false;
}

bool sockets_on_loopback(const struct sockets *s)
{
	return any_on_loopback(s->irc, s->n_irc) || any_on_loopback(s->tls, s->n_tls) ||
	       any_on_loopback(s->course, s->n_course);
}

void sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->n_irc; i++)
		s->irc[i] = fd_close(s->irc[i]);
	for (size_t i = 0; i < s->n_tls; i++)
		s->tls[i] = fd_close(s->tls[i]);
	for (size_t i = 0; i < s->n_course; i++)
		s->course[i] = fd_close(s->course[i]);
	s->n_irc = s->n_tls = s->n_course = 0;
}
