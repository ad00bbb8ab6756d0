/* SPDX-License-Identifier: MIT */
/*
 * Lines as messages to a Unix datagram socket: systemd's journal, by its native protocol, or a
 * syslog daemon, by RFC 5424. One socket for each address; a peer that is away is looked for anew.
 */
#ifndef FOSTER_LOGGER_DATAGRAM_H
#define FOSTER_LOGGER_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_source {
	const char *service, *stream; /* "stdout", "stderr", "output" */
	const char *instance;         /* "" when it is not known */
	uint32_t pid;                 /* 0: not known */
};

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define SYSLOG_SOCKET  "/dev/log"

void datagram_init(int epoll_fd);

/*
 * 0 or -errno; when the peer is slow, -EAGAIN: then the epoll tells once that it takes more, with a
 * pointer of which datagram_is_peer() holds.
 */
int journal_send(const char *socket_path, const struct line_source *, const char *line, size_t size,
		 bool partial);
int syslog_send(const char *socket_path, const struct line_source *, const char *line, size_t size,
		uint64_t realtime);

bool datagram_is_peer(const void *);
bool datagram_leads_to(const void *peer, const char *path);

/* Where the messages of a sink go to, when its socket is given, or "". */
const char *datagram_path(uint32_t sink, const char *socket_path);

/* When somebody there took a message: CLOCK_MONOTONIC, us; 0: never, or it is long ago. */
uint64_t datagram_taken(const char *path);

/* The messages, for tests: their size; room must be LINES_PIECE and 1024 bytes more. */
size_t journal_format(const struct line_source *, const char *line, size_t size, bool partial,
		      char *to);
size_t syslog_format(const struct line_source *, const char *line, size_t size, uint64_t realtime,
		     char *to);

#endif
