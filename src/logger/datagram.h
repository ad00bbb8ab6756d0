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

/* 0 or -errno; when the peer is slow, -EAGAIN. */
int journal_send(const char *socket_path, const struct line_source *, const char *line, size_t size,
		 bool partial);
int syslog_send(const char *socket_path, const struct line_source *, const char *line, size_t size,
		uint64_t realtime);

/* The messages, for tests: their size; room must be LINES_PIECE and 1024 bytes more. */
size_t journal_format(const struct line_source *, const char *line, size_t size, bool partial,
		      char *to);
size_t syslog_format(const struct line_source *, const char *line, size_t size, uint64_t realtime,
		     char *to);

#endif
