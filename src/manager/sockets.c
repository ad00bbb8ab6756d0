/* SPDX-License-Identifier: MIT */
/* Listening sockets: see sockets.h. */
#include "manager/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/strv.h"
#include "manager/given.h"
#include "manager/keep.h"
#include "manager/manager.h"
#include "manager/supervisor-link.h"

#define BOUND_MAX (PLACE_STDERR - PLACE_SOCKETS)

/*
 * One bound address. Its name in the store is "type=address", the type in words: by it the
 * next manager knows it again.
 */
struct bound {
	char key[LINK_NAME_MAX + 8]; /* empty: the place is free */
	char path[108];              /* of a Unix socket's file */
	int fd;                      /* until it is committed; then the supervisor alone has it */
	bool fresh, needed;
	bool kept; /* it was in systemd's store: not bound by us */
};

struct sockets {
	struct bound bound[BOUND_MAX];
	size_t n;
};

int sockets_init(struct manager *m)
{
	m->sockets = calloc(1, sizeof(*m->sockets));
	return m->sockets ? 0 : -ENOMEM;
}

void sockets_remove_files(struct manager *m)
{
	for (size_t i = 0; i < m->sockets->n; i++) {
		if (m->sockets->bound[i].path[0])
			unlink(m->sockets->bound[i].path);
	}
}

void sockets_shutdown(struct manager *m)
{
	free(m->sockets);
	m->sockets = NULL;
}

/* A long path is told from others by a hash of the whole. */
static void make_key(const struct socket_config *s, const struct socket_address *a, char *buf,
		     size_t size)
{
	const char *type = s->type == SOCK_DGRAM ? "datagram" : "listen";
	uint64_t hash = 14695981039346656037U;
	int n = snprintf(buf, size, "%s=%s", type, a->text);

	if (n >= 0 && (size_t)n < size)
		return;
	for (const char *p = a->text; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211U;
	snprintf(buf, size, "%s=%.24s#%016llx", type, a->text, (unsigned long long)hash);
}

static struct bound *find(struct sockets *t, const char *key)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->bound[i].key, key) == 0)
			return &t->bound[i];
	}
	return NULL;
}

void sockets_restore(struct manager *m)
{
	struct sockets *t = m->sockets;

	for (uint32_t i = 0; i < BOUND_MAX; i++) {
		const char *name = supervisor_link_stored(m, PLACE_SOCKETS + i);

		if (!name)
			continue;
		snprintf(t->bound[i].key, sizeof(t->bound[i].key), "%s", name);
		t->bound[i].fd = -1;
		t->n = i + 1;
	}
}

/* --- binding ---------------------------------------------------------------------------- */

/* A socket file that nobody listens on is of a process that is gone. */
static void remove_stale_file(const struct socket_address *a)
{
	const struct sockaddr_un *un = (const void *)&a->address;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (a->address.ss_family != AF_UNIX || lstat(un->sun_path, &st) < 0 ||
	    !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)un, a->length) < 0 &&
	    errno == ECONNREFUSED)
		unlink(un->sun_path);
}

static void set_options(int fd, const struct socket_address *a)
{
	const struct sockaddr_in6 *in6 = (const void *)&a->address;
	int on = 1, off = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->address.ss_family != AF_INET6)
		return;
	/* "[::]" alone stands for IPv4 as well; any other IPv6 address for itself. */
	if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) && a->text[0] != '[')
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
}

static int bind_address(const struct socket_config *s, const struct socket_address *a)
{
	_cleanup_close_ int fd =
		socket(a->address.ss_family, s->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_un *un = (const void *)&a->address;
	mode_t mask;
	int r;

	if (fd < 0)
		return -errno;
	set_options(fd, a);
	remove_stale_file(a);
	mask = umask(0777); /* nobody connects before the mode is right */
	r = bind(fd, (const struct sockaddr *)&a->address, a->length);
	umask(mask);
	if (r < 0)
		return -errno;
	if (a->address.ss_family == AF_UNIX && chmod(un->sun_path, s->mode) < 0)
		return -errno;
	if (s->type == SOCK_STREAM && listen(fd, s->backlog) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int bind_error(const struct socket_config *s, const struct socket_address *a, int error,
		      struct error *e)
{
	const char *hint = "";

	if (error == -EADDRINUSE)
		hint = "; another program has it: end that one, or choose another address "
		       "(ss -lptn and ss -lpun show who)";
	else if (error == -EACCES)
		hint = "; only root may bind a port below net.ipv4.ip_unprivileged_port_start, or "
		       "a path in that directory";
	else if (error == -EADDRNOTAVAIL)
		hint = "; no interface of this machine has it";
	return error_set(e, error, "%s: socket %s: cannot bind %s: %s%s", s->file, s->name, a->text,
			 strerror(-error), hint);
}

static void note_path(struct bound *b, const struct socket_address *a)
{
	if (a->address.ss_family == AF_UNIX)
		snprintf(b->path, sizeof(b->path), "%s",
			 ((const struct sockaddr_un *)&a->address)->sun_path);
}

/* A socket that listens may be told to again, with another backlog. */
static int take_kept(struct manager *m, const struct socket_config *s, const struct bound *b)
{
	int fd = keep_take(m, b->key, b->path);

	if (fd >= 0 && s->type == SOCK_STREAM && listen(fd, s->backlog) < 0)
		return fd_close(fd);
	return fd;
}

static int bind_one(struct manager *m, const struct socket_config *s,
		    const struct socket_address *a, struct error *e)
{
	struct sockets *t = m->sockets;
	struct bound *b;
	struct bound new = { .fresh = true };

	make_key(s, a, new.key, sizeof(new.key));
	note_path(&new, a);
	b = find(t, new.key);
	if (b) {
		note_path(b, a); /* one of the last manager's: it knew */
		return 0;
	}
	b = find(t, "");
	if (!b && t->n == BOUND_MAX)
		return error_set(e, -ENOSPC, "more than %d addresses", BOUND_MAX);
	new.fd = take_kept(m, s, &new);
	new.kept = new.fd >= 0;
	if (!new.kept)
		new.fd = bind_address(s, a);
	if (new.fd < 0)
		return bind_error(s, a, new.fd, e);
	if (!b)
		b = &t->bound[t->n++];
	*b = new;
	return 0;
}

static int bind_section(struct manager *m, const struct socket_config *s, struct error *e)
{
	int error = s->from_systemd ? given_check(m, s, e) : 0;

	for (size_t j = 0; j < s->n_addresses && error == 0; j++)
		error = bind_one(m, s, &s->addresses[j], e);
	return error;
}

int sockets_bind(struct manager *m, const struct config *c, struct error *e)
{
	for (size_t i = 0; i < c->n_sockets; i++) {
		int error = bind_section(m, c->sockets[i], e);

		if (error < 0) {
			sockets_rollback(m);
			return error;
		}
	}
	return 0;
}

void sockets_rollback(struct manager *m)
{
	struct sockets *t = m->sockets;

	for (size_t i = 0; i < t->n; i++) {
		struct bound *b = &t->bound[i];

		if (!b->fresh)
			continue;
		fd_close(b->fd);
		if (b->path[0] && !b->kept)
			unlink(b->path);
		*b = (struct bound){ .fd = -1 };
	}
}

static void mark_needed(struct sockets *t, const struct config *c)
{
	char key[LINK_NAME_MAX + 8];
	struct bound *b;

	for (size_t i = 0; i < c->n_sockets; i++) {
		for (size_t j = 0; j < c->sockets[i]->n_addresses; j++) {
			make_key(c->sockets[i], &c->sockets[i]->addresses[j], key, sizeof(key));
			b = find(t, key);
			if (b)
				b->needed = true;
		}
	}
}

void sockets_commit(struct manager *m, const struct config *c)
{
	struct sockets *t = m->sockets;

	mark_needed(t, c);
	for (size_t i = 0; i < t->n; i++) {
		struct bound *b = &t->bound[i];

		if (b->fresh) {
			if (!b->kept)
				keep_store(m, b->key, b->path, b->fd);
			supervisor_link_store(m, PLACE_SOCKETS + i, b->key, TAKE_FD(b->fd));
			b->fresh = false;
		} else if (b->key[0] && !b->needed) {
			supervisor_link_drop(m, PLACE_SOCKETS + i);
			keep_release(m, b->key, b->path);
			if (b->path[0])
				unlink(b->path);
			*b = (struct bound){ .fd = -1 };
		}
		b->needed = false;
	}
}

/* --- for services ----------------------------------------------------------------------- */

static size_t places_of_section(struct manager *m, const struct socket_config *s, uint32_t *places,
				size_t max)
{
	char key[LINK_NAME_MAX + 8];
	size_t n = 0;

	if (s->from_systemd)
		return given_places(m, s->from_systemd, places, max);
	for (size_t i = 0; i < s->n_addresses && n < max; i++) {
		struct bound *b;

		make_key(s, &s->addresses[i], key, sizeof(key));
		b = find(m->sockets, key);
		if (b)
			places[n++] = PLACE_SOCKETS + (b - m->sockets->bound);
	}
	return n;
}

size_t sockets_places(struct manager *m, const struct service_config *c, uint32_t *places,
		      size_t max)
{
	size_t n = 0;

	STRV_FOREACH(name, c->sockets) {
		const struct socket_config *s = config_find_socket(m->config->config, *name);

		if (s)
			n += places_of_section(m, s, places + n, max - n);
	}
	return n;
}

void sockets_names(struct manager *m, const struct service_config *c, char *buf, size_t size)
{
	uint32_t places[LINK_FDS_MAX];
	size_t used = 0, room = ELEMENTSOF(places);

	buf[0] = '\0';
	STRV_FOREACH(name, c->sockets) {
		const struct socket_config *s = config_find_socket(m->config->config, *name);
		size_t n = s ? places_of_section(m, s, places, room) : 0;

		for (size_t i = 0; i < n && used < size; i++)
			used += snprintf(buf + used, size - used, "%s%s", used ? ":" : "", *name);
		room -= n;
	}
}
