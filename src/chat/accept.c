/* SPDX-License-Identifier: MIT */
/* Letting IRC connections in: the listeners, the limits, and what to do without descriptors. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "chat/connections-internal.h"

#define ACCEPT_TURN   16    /* connections accepted before others come to their turn */
#define UNSENT        16384 /* bytes that the kernel takes before it sends some of them */
#define PAUSE         (100 * USEC_PER_MSEC)
#define WARN_INTERVAL (10 * USEC_PER_SEC)

static void address_key(const struct sockaddr_storage *address, uint8_t key[9])
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	memset(key, 0, 9);
	if (address->ss_family == AF_INET) {
		key[0] = 4;
		memcpy(key + 1, &in->sin_addr, 4);
	} else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		key[0] = 4;
		memcpy(key + 1, in6->sin6_addr.s6_addr + 12, 4);
	} else {
		key[0] = 6;
		memcpy(key + 1, &in6->sin6_addr, 8);
	}
}

static bool key_matches(const struct hash_node *node, const void *key)
{
	return memcmp(CONTAINER_OF(node, struct address_count, node)->key, key, 9) == 0;
}

/* Counts one more connection of the address. -EUSERS: it has too many. */
static int address_take(struct connections *c, const struct sockaddr_storage *address,
			struct address_count **ret)
{
	struct address_count *count;
	struct hash_node *node;
	uint8_t key[9];
	uint32_t hash;

	*ret = NULL;
	if (address_is_loopback(address))
		return 0;
	address_key(address, key);
	hash = hash_bytes(&c->secret, key, sizeof(key));
	node = hash_find(&c->addresses, hash, key_matches, key);
	count = node ? CONTAINER_OF(node, struct address_count, node) : calloc(1, sizeof(*count));
	if (!count)
		return -ENOMEM;
	if (!node) {
		memcpy(count->key, key, sizeof(key));
		hash_add(&c->addresses, &count->node, hash);
	}
	if (c->limits->max_per_address && count->n >= c->limits->max_per_address)
		return -EUSERS;
	count->n++;
	*ret = count;
	return 0;
}

void address_release(struct connections *c, struct address_count *address)
{
	if (!address || --address->n > 0)
		return;
	hash_remove(&c->addresses, &address->node);
	free(address);
}

static void host_of(const struct sockaddr_storage *address, char host[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	snprintf(host, INET6_ADDRSTRLEN, "localhost");
	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &in->sin_addr, host, INET6_ADDRSTRLEN);
	else if (address->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &in6->sin6_addr, host, INET6_ADDRSTRLEN);
}

/* In TLS the reason would take a handshake: it is not told. */
static void turn_away(int fd, const char *reason, bool tls)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "ERROR :Closing Link: (%s)\r\n", reason);

	if (!tls)
		send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	fd_close(fd);
}

static void welcome(struct connections *c, int fd, const struct sockaddr_storage *address, bool tls)
{
	struct address_count *count;
	char host[INET6_ADDRSTRLEN];
	const int on = 1, unsent = UNSENT;
	int r;

	if (c->limits->max && c->count >= c->limits->max) {
		turn_away(fd, "The server is full", tls);
		return;
	}
	r = address_take(c, address, &count);
	if (r < 0) {
		turn_away(fd,
			  r == -EUSERS ? "Too many connections from your address" : "Out of memory",
			  tls);
		return;
	}
	/* Without it a second line waits for the first one's acknowledgement: 40 ms. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* Else the kernel takes megabytes for one who reads nothing, by a call for each line. */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	host_of(address, host);
	if (connection_new(c, fd, host, count, tls) < 0)
		address_release(c, count);
}

static void pause_accepting(struct connections *c)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		event_del(&c->listeners[i].event);
	c->accept_again = now_monotonic() + PAUSE;
}

void accept_resume(struct connections *c, uint64_t now)
{
	if (c->accept_again == 0 || now < c->accept_again)
		return;
	c->accept_again = 0;
	for (size_t i = 0; i < c->n_listeners; i++)
		event_add(&c->listeners[i].event, NULL);
}

/*
 * No descriptors are left. A connection that cannot be accepted would keep the listener
 * readable and the loop busy: the spare one is given up to take it and tell it why.
 */
static void accept_without_descriptors(struct connections *c, int listener, bool tls, int err)
{
	uint64_t now = now_monotonic();
	int fd;

	if (c->warned_at == 0 || now - c->warned_at > WARN_INTERVAL)
		log_warning_errno(err, "connections are turned away");
	c->warned_at = now;
	c->spare_fd = fd_close(c->spare_fd);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		turn_away(fd, "The server is full", tls);
	c->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pause_accepting(c);
}

static void on_listener(int listener, short what, void *arg)
{
	struct connections *c = arg;
	size_t which = 0;
	bool tls;

	if (turn_is_for_polite(&c->turn))
		return;
	while (c->listeners[which].fd != listener)
		which++;
	tls = c->listeners[which].tls;
	connections_turn(c);
	for (int i = 0; i < ACCEPT_TURN; i++) {
		struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
		socklen_t length = sizeof(address);
		int fd = accept4(listener, (struct sockaddr *)&address, &length,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			welcome(c, fd, &address, tls);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			accept_without_descriptors(c, listener, tls, -errno);
			return;
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return; /* EAGAIN; or an error of that one connection, which is gone */
	}
}

int connections_listen(struct connections *c, int fd, bool tls)
{
	size_t i = c->n_listeners;

	if (i == ELEMENTSOF(c->listeners))
		return -E2BIG;
	c->listeners[i].fd = fd;
	c->listeners[i].tls = tls;
	if (event_assign(&c->listeners[i].event, c->base, fd, EV_READ | EV_PERSIST, on_listener,
			 c) < 0 ||
	    event_add(&c->listeners[i].event, NULL) < 0)
		return -ENOMEM;
	c->n_listeners++;
	return 0;
}

/* Only our copy is closed: what waits in its queue is the next process's. */
void connections_stop_listening(struct connections *c)
{
	for (size_t i = 0; i < c->n_listeners; i++) {
		event_del(&c->listeners[i].event);
		fd_close(c->listeners[i].fd);
	}
	c->n_listeners = 0;
	c->accept_again = 0;
}
