/* SPDX-License-Identifier: MIT */
/* The course's datagrams: see datagram.h. */
#include "config.h"

#include "chat/datagram.h"

#include <errno.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/macro.h"
#include "base/units.h"
#include "chat/course.h"
#include "chat/listen.h"

#define TURN 128 /* datagrams read before others come to their turn */

struct datagrams {
	struct event_base *base;
	struct room *room;
	struct {
		struct event event;
		int fd;
	} sockets[SOCKETS_MAX];
	size_t n;
};

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void peer_from_address(const struct sockaddr_storage *address, struct course_peer *peer)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	peer->family = (uint8_t)address->ss_family;
	peer->port = in->sin_port; /* in the same place in both */
	if (address->ss_family == AF_INET) {
		memcpy(peer->address, &in->sin_addr, sizeof(in->sin_addr));
	} else {
		memcpy(peer->address, &in6->sin6_addr, sizeof(in6->sin6_addr));
		peer->scope = in6->sin6_scope_id;
	}
}

static void local_from_control(struct msghdr *m, struct course_peer *peer)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(peer->local, &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(peer->local, &info.ipi6_addr, sizeof(info.ipi6_addr));
			peer->interface = info.ipi6_ifindex;
		}
	}
}

static int receive(struct datagrams *d, size_t i)
{
	static char data[COURSE_DATAGRAM_MAX];
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	struct course_peer peer = { .socket = (uint8_t)i };
	struct iovec iov = { data, sizeof(data) };
	union control control;
	struct msghdr m = { .msg_name = &address,
			    .msg_namelen = sizeof(address),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(d->sockets[i].fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	if (address.ss_family != AF_INET && address.ss_family != AF_INET6)
		return 0;
	peer_from_address(&address, &peer);
	local_from_control(&m, &peer);
	/* Port 0 can only be forged. */
	if (peer.port != 0)
		room_datagram(d->room, &peer, data, n);
	return 0;
}

static void on_datagrams(int fd, short what, void *arg)
{
	struct datagrams *d = arg;
	size_t i = 0;

	room_set_time(d->room, now_monotonic(), now_realtime());
	while (d->sockets[i].fd != fd)
		i++;
	for (int k = 0; k < TURN; k++) {
		int r = receive(d, i);

		if (r < 0 && r != -EINTR && r != -ECONNREFUSED)
			return;
	}
}

static socklen_t address_from_peer(const struct course_peer *peer, struct sockaddr_storage *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	*ret = (struct sockaddr_storage){ .ss_family = peer->family };
	in->sin_port = peer->port;
	if (peer->family == AF_INET) {
		memcpy(&in->sin_addr, peer->address, sizeof(in->sin_addr));
		return sizeof(*in);
	}
	memcpy(&in6->sin6_addr, peer->address, sizeof(in6->sin6_addr));
	in6->sin6_scope_id = peer->scope;
	return sizeof(*in6);
}

static void control_from_local(const struct course_peer *peer, struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (peer->family == AF_INET) {
		struct in_pktinfo info = { .ipi_ifindex = 0 };

		memcpy(&info.ipi_spec_dst, peer->local, sizeof(info.ipi_spec_dst));
		*c = (struct cmsghdr){ .cmsg_level = IPPROTO_IP,
				       .cmsg_type = IP_PKTINFO,
				       .cmsg_len = CMSG_LEN(sizeof(info)) };
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = peer->interface };

		memcpy(&info.ipi6_addr, peer->local, sizeof(info.ipi6_addr));
		*c = (struct cmsghdr){ .cmsg_level = IPPROTO_IPV6,
				       .cmsg_type = IPV6_PKTINFO,
				       .cmsg_len = CMSG_LEN(sizeof(info)) };
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	}
}

void datagrams_send(struct datagrams *d, const struct course_peer *peer, const char *data,
		    size_t size)
{
	static const uint8_t unknown[sizeof(peer->local)];
	struct sockaddr_storage address;
	struct iovec iov = { (void *)data, size };
	union control control = { .space = { 0 } };
	struct msghdr m = { .msg_name = &address, .msg_iov = &iov, .msg_iovlen = 1 };

	if (peer->socket >= d->n)
		return;
	m.msg_namelen = address_from_peer(peer, &address);
	if (memcmp(peer->local, unknown, sizeof(unknown)) != 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control_from_local(peer, &m);
	}
	while (sendmsg(d->sockets[peer->socket].fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	       errno == EINTR)
		;
}

struct datagrams *datagrams_new(struct event_base *base, struct room *room)
{
	struct datagrams *d = calloc(1, sizeof(*d));

	if (d) {
		d->base = base;
		d->room = room;
	}
	return d;
}

int datagrams_add(struct datagrams *d, int fd)
{
	const int on = 1;
	size_t i = d->n;

	if (i == SOCKETS_MAX)
		return -E2BIG;
	/* One of the two fails, as the socket is of one family. */
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	d->sockets[i].fd = fd;
	if (event_assign(&d->sockets[i].event, d->base, fd, EV_READ | EV_PERSIST, on_datagrams, d) <
		    0 ||
	    event_add(&d->sockets[i].event, NULL) < 0)
		return -ENOMEM;
	d->n++;
	return 0;
}

void datagrams_stop(struct datagrams *d)
{
	for (size_t i = 0; i < d->n; i++)
		event_del(&d->sockets[i].event);
}

void datagrams_free(struct datagrams *d)
{
	if (!d)
		return;
	datagrams_stop(d);
	for (size_t i = 0; i < d->n; i++)
		fd_close(d->sockets[i].fd);
	free(d);
}
