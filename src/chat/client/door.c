/* SPDX-License-Identifier: MIT */
/* The way to the room: see door.h. */
#include "chat/client/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "chat/client/door-tls.h"

enum door_state {
	DOOR_CONNECTING,
	DOOR_SHAKING_HANDS,
	DOOR_OPEN
};

struct door {
	const struct door_options *options;
	struct addrinfo *addresses, *next; /* next: what to try when this one fails */
	int fd;
	enum door_state state;
	bool heard; /* something came, so it is the right address */
	struct door_tls *tls;
	short tls_reads, tls_writes; /* what TLS waits for to read, and to write */
	char *out;
	size_t out_size, out_room;
};

/* --- connecting --------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;

	if (address->sa_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int look_up(struct door *door, struct error *e)
{
	const struct door_options *o = door->options;
	const struct addrinfo hints = {
		.ai_socktype = o->datagrams ? SOCK_DGRAM : SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	int r = getaddrinfo(o->host, o->port, &hints, &door->addresses);

	if (r != 0)
		return error_set(e, -EHOSTUNREACH, "%s: %s", o->host, gai_strerror(r));
	door->next = door->addresses;
	return 0;
}

static int try_address(struct door *door, const struct addrinfo *a)
{
	static const int on = 1;

	if (door->options->loopback_only && !is_loopback(a->ai_addr))
		return -EPERM;
	door->fd =
		socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	if (door->fd < 0)
		return -errno;
	if (!door->options->datagrams)
		setsockopt(door->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(door->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS)
		return 0;
	return -errno;
}

/* Of several addresses the last one's error is told. */
static int try_next(struct door *door, int err, struct error *e)
{
	while (door->next) {
		const struct addrinfo *a = door->next;

		door->next = a->ai_next;
		door->fd = fd_close(door->fd);
		err = try_address(door, a);
		if (err == 0)
			return 0;
	}
	if (err == -EPERM)
		return error_set(e, err,
				 "a password goes to another machine only by TLS that checks its "
				 "certificate (--tls)");
	return error_set_errno(e, err, "%s port %s", door->options->host, door->options->port);
}

static int shake_hands(struct door *door, struct error *e)
{
	ssize_t r = door_tls_handshake(door->tls, &door->tls_reads, e);

	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return (int)r;
	door->state = DOOR_OPEN;
	door->tls_reads = POLLIN;
	door->tls_writes = POLLOUT;
	return 0;
}

static int connected(struct door *door, struct error *e)
{
	int r;

	if (!door->options->tls) {
		door->state = DOOR_OPEN;
		return 0;
	}
	r = door_tls_new(door->options, door->fd, &door->tls, e);
	if (r < 0)
		return r;
	door->state = DOOR_SHAKING_HANDS;
	return shake_hands(door, e);
}

static int go_on_connecting(struct door *door, struct error *e)
{
	struct pollfd p = { .fd = door->fd, .events = POLLOUT };
	int err = 0;
	socklen_t size = sizeof(err);

	if (poll(&p, 1, 0) <= 0)
		return 0;
	if (getsockopt(door->fd, SOL_SOCKET, SO_ERROR, &err, &size) < 0)
		err = errno;
	return err ? try_next(door, -err, e) : connected(door, e);
}

int door_open(const struct door_options *options, struct door **ret, struct error *e)
{
	struct door *door = calloc(1, sizeof(*door));
	int r;

	if (!door)
		return error_set_errno(e, -ENOMEM, "%s", options->host);
	door->options = options;
	door->fd = -1;
	r = look_up(door, e);
	if (r == 0)
		r = try_next(door, -EHOSTUNREACH, e);
	if (r < 0) {
		door_close(door);
		return r;
	}
	*ret = door;
	return 0;
}

void door_close(struct door *door)
{
	if (!door)
		return;
	if (door->tls)
		door_tls_goodbye(door->tls);
	door_tls_free(door->tls);
	fd_close(door->fd);
	if (door->addresses)
		freeaddrinfo(door->addresses);
	if (door->out)
		explicit_bzero(door->out, door->out_room);
	free(door->out);
	free(door);
}

int door_fd(const struct door *door)
{
	return door->fd;
}

short door_events(const struct door *door)
{
	if (door->state == DOOR_CONNECTING)
		return POLLOUT;
	if (door->state == DOOR_SHAKING_HANDS)
		return door->tls_reads;
	if (door->out_size == 0)
		return door->tls ? door->tls_reads : POLLIN;
	return door->tls ? door->tls_reads | door->tls_writes : POLLIN | POLLOUT;
}

/* --- sending and receiving ---------------------------------------------------------------- */

/*
 * A socket for datagrams connects to any address; that nobody is there is told later. What was sent
 * is lost; whoever sent it asks again, of the next address.
 */
static int refused(struct door *door, struct error *e)
{
	if (!door->heard && door->next)
		return try_next(door, -ECONNREFUSED, e);
	return error_set_errno(e, -ECONNREFUSED, "%s port %s", door->options->host,
			       door->options->port);
}

/* Datagrams stand in the queue behind their size. */
typedef uint16_t datagram_size;

static void drop_sent(struct door *door, size_t n)
{
	door->out_size -= n;
	memmove(door->out, door->out + n, door->out_size);
	explicit_bzero(door->out + door->out_size, n);
}

static int send_datagrams(struct door *door, struct error *e)
{
	datagram_size size;

	while (door->out_size > 0) {
		memcpy(&size, door->out, sizeof(size));
		if (send(door->fd, door->out + sizeof(size), size, MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == EINTR)
				return 0;
			/* An answer to one of before: this one was not sent. */
			if (errno == ECONNREFUSED)
				return refused(door, e);
		}
		drop_sent(door, sizeof(size) + size);
	}
	return 0;
}

static int send_stream(struct door *door, struct error *e)
{
	while (door->out_size > 0) {
		ssize_t n;

		if (door->tls)
			n = door_tls_write(door->tls, door->out, door->out_size, &door->tls_writes,
					   e);
		else
			n = send(door->fd, door->out, door->out_size, MSG_NOSIGNAL);
		if (n < 0 && !door->tls) {
			n = -errno;
			error_set_errno(e, (int)n, "send");
		}
		if (n == -EAGAIN || n == -EINTR)
			return 0;
		if (n < 0)
			return (int)n;
		drop_sent(door, (size_t)n);
	}
	return 0;
}

int door_work(struct door *door, struct error *e)
{
	int r = 0;

	if (door->state == DOOR_CONNECTING)
		r = go_on_connecting(door, e);
	else if (door->state == DOOR_SHAKING_HANDS)
		r = shake_hands(door, e);
	if (r < 0 || door->state != DOOR_OPEN)
		return r;
	return door->options->datagrams ? send_datagrams(door, e) : send_stream(door, e);
}

ssize_t door_read(struct door *door, char *buf, size_t size, struct error *e)
{
	ssize_t n;

	if (door->state != DOOR_OPEN)
		return 0;
	if (door->tls) {
		n = door_tls_read(door->tls, buf, size, &door->tls_reads, e);
		return n == -EAGAIN ? 0 : n;
	}
	do
		n = recv(door->fd, buf, size, 0);
	while (n == 0 && door->options->datagrams); /* an empty one means nothing */
	if (n > 0) {
		door->heard = true;
		return n;
	}
	if (n == 0)
		return error_set(e, -EPIPE, "the server has ended it");
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	if (errno == ECONNREFUSED && door->options->datagrams)
		return refused(door, e);
	return error_set_errno(e, -errno, "receive");
}

static bool make_room(struct door *door, size_t size)
{
	size_t room = door->out_room ? door->out_room : 4096;
	char *more;

	while (room < door->out_size + size)
		room *= 2;
	if (room == door->out_room)
		return true;
	more = realloc(door->out, room);
	if (!more)
		return false;
	door->out = more;
	door->out_room = room;
	return true;
}

int door_write(struct door *door, const char *bytes, size_t size)
{
	datagram_size n = (datagram_size)size;
	size_t head = door->options->datagrams ? sizeof(n) : 0;

	if (!make_room(door, head + size))
		return -ENOMEM;
	memcpy(door->out + door->out_size, &n, head);
	memcpy(door->out + door->out_size + head, bytes, size);
	door->out_size += head + size;
	return 0;
}

size_t door_waiting(const struct door *door)
{
	return door->out_size;
}
