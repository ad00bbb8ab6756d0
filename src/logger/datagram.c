/* SPDX-License-Identifier: MIT */
/* Messages to the journal and to syslog: see datagram.h. */
#include "logger/datagram.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/logger.h"
#include "base/macro.h"
#include "base/units.h"
#include "logger/lines.h"

#define PRIORITY_INFO    6
#define PRIORITY_WARNING 4
#define FACILITY_DAEMON  3
#define SOCKETS_MAX      32 /* addresses in use at a time */
#define HEAD_MAX         1024
#define SEND_BUFFER      (1 << 20)

static struct peer {
	int fd;         /* 0: none */
	bool watched;   /* the epoll knows it */
	uint64_t taken; /* when it took the last message */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
} peers[SOCKETS_MAX];
static size_t next_peer;
static int epoll_fd = -1;

/* --- the messages ----------------------------------------------------------------------- */

static int priority_of(const struct line_source *source)
{
	return strcmp(source->stream, "stderr") == 0 ? PRIORITY_WARNING : PRIORITY_INFO;
}

/* The text by its length: it may hold anything, see systemd's "Native Journal Protocol". */
size_t journal_format(const struct line_source *source, const char *line, size_t size, bool partial,
		      char *to)
{
	uint64_t length = htole64(size);
	char *p = to;

	p += snprintf(p, HEAD_MAX,
		      "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=%s\nFOSTER_SERVICE=%s\n"
		      "FOSTER_STREAM=%s\n",
		      priority_of(source), FACILITY_DAEMON, source->service, source->service,
		      source->stream);
	if (source->pid > 0)
		p += sprintf(p, "SYSLOG_PID=%u\nOBJECT_PID=%u\n", source->pid, source->pid);
	if (*source->instance)
		p += sprintf(p, "FOSTER_INSTANCE=%.64s\n", source->instance);
	if (partial)
		p = stpcpy(p, "FOSTER_PARTIAL=1\n");
	p = stpcpy(p, "MESSAGE\n");
	p = mempcpy(p, &length, sizeof(length));
	p = mempcpy(p, line, size);
	*p++ = '\n';
	return p - to;
}

size_t syslog_format(const struct line_source *source, const char *line, size_t size,
		     uint64_t realtime, char *to)
{
	struct line_style style;
	char host[256] = "-", pid[16] = "-", *p = to;

	gethostname(host, sizeof(host) - 1);
	lines_stamp(&style, LINE_STAMPS_UTC, realtime);
	if (source->pid > 0)
		snprintf(pid, sizeof(pid), "%u", source->pid);
	/* APP-NAME has at most 48 bytes, PROCID is the process. */
	p += snprintf(p, HEAD_MAX, "<%d>1 %s %s %.48s %s %s - ",
		      FACILITY_DAEMON * 8 + priority_of(source), style.stamp, *host ? host : "-",
		      source->service, pid, source->stream);
	p = mempcpy(p, line, size);
	return p - to;
}

/* --- sending ---------------------------------------------------------------------------- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int room = SEND_BUFFER;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return TAKE_FD(fd);
}

static struct peer *find_peer(const char *path)
{
	struct peer *p = NULL;

	for (size_t i = 0; i < SOCKETS_MAX && !p; i++) {
		if (peers[i].fd > 0 && strcmp(peers[i].path, path) == 0)
			p = &peers[i];
	}
	return p;
}

static int open_peer(const char *path, struct peer **ret)
{
	struct peer *p = find_peer(path);
	int fd;

	if (!p) {
		fd = connect_to(path);
		if (fd < 0)
			return fd;
		p = &peers[next_peer++ % SOCKETS_MAX];
		if (p->fd > 0)
			fd_close(p->fd);
		*p = (struct peer){ .fd = fd };
		strcpy(p->path, path);
	}
	*ret = p;
	return 0;
}

/* Writable is one whose queue has room, too: it is connected. */
static void watch(struct peer *p)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLONESHOT, .data.ptr = p };

	if (epoll_ctl(epoll_fd, p->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, p->fd, &event) == 0)
		p->watched = true;
}

static int send_message(const char *path, const char *data, size_t size)
{
	struct peer *p;
	int error = open_peer(path, &p);
	ssize_t n;

	if (error < 0)
		return error;
	do
		n = send(p->fd, data, size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		p->taken = now_monotonic();
		return 0;
	}
	error = -errno;
	if (error == -EAGAIN) {
		watch(p);
	} else if (error != -ENOBUFS) {
		/* It was restarted, perhaps: the next try is with the one that is there then. */
		fd_close(p->fd);
		p->fd = 0;
	}
	return error;
}

void datagram_init(int fd)
{
	epoll_fd = fd;
}

bool datagram_is_peer(const void *p)
{
	return (const char *)p >= (const char *)peers &&
	       (const char *)p < (const char *)(peers + SOCKETS_MAX);
}

bool datagram_leads_to(const void *peer, const char *path)
{
	return strcmp(((const struct peer *)peer)->path, path) == 0;
}

uint64_t datagram_taken(const char *path)
{
	const struct peer *p = find_peer(path);

	return p ? p->taken : 0;
}

const char *datagram_path(uint32_t sink, const char *socket_path)
{
	if (*socket_path)
		return socket_path;
	return sink == LOGGER_SINK_JOURNAL ? JOURNAL_SOCKET : SYSLOG_SOCKET;
}

static char message[LINES_PIECE + HEAD_MAX];

int journal_send(const char *socket_path, const struct line_source *source, const char *line,
		 size_t size, bool partial)
{
	return send_message(datagram_path(LOGGER_SINK_JOURNAL, socket_path), message,
			    journal_format(source, line, size, partial, message));
}

int syslog_send(const char *socket_path, const struct line_source *source, const char *line,
		size_t size, uint64_t realtime)
{
	return send_message(datagram_path(LOGGER_SINK_SYSLOG, socket_path), message,
			    syslog_format(source, line, size, realtime, message));
}
