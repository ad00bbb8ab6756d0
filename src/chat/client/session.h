/* SPDX-License-Identifier: MIT */
/*
 * One user's part in a room, as foster-chat plays it: what comes from the network and what is
 * typed go in, what is to be sent and shown comes out by the host's functions. Pure: no socket,
 * terminal or clock; times are CLOCK_MONOTONIC microseconds that the caller gives.
 *
 *   PASSWORD ──> NAME ──> ENTERING ──> IN ──> LEAVING ──> ENDED
 *                  ^__________│ refused
 *
 * From any phase to ENDED when the other side is gone or does not answer.
 */
#ifndef FOSTER_CHAT_CLIENT_SESSION_H
#define FOSTER_CHAT_CLIENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chat/client/words.h"

enum session_phase {
	SESSION_PASSWORD, /* the next line typed is the account's password */
	SESSION_NAME,     /* the next line typed is the name */
	SESSION_ENTERING, /* asked for; nothing is to be typed */
	SESSION_IN,
	SESSION_LEAVING,
	SESSION_ENDED
};

enum session_style {
	SHOW_SAID,   /* what somebody in the room said or did */
	SHOW_NOTICE, /* what the server or the client tells beside that */
	SHOW_TROUBLE
};

struct session_host {
	/* One datagram, or bytes of the stream: whole lines of it. */
	void (*send)(void *context, const char *bytes, size_t size);
	/* One line without its end: valid UTF-8 without control characters. */
	void (*show)(void *context, enum session_style style, const char *line);
	void *context;
};

/* The strings are copied. */
struct session_options {
	bool irc;
	const char *server;  /* how it is called in what is shown: "127.0.0.1:8888" */
	const char *name;    /* NULL: it is asked for */
	const char *channel; /* of IRC: joined first */
	const char *account; /* of IRC: SASL PLAIN; NULL: none */
	bool external;       /* of IRC: SASL EXTERNAL, by the certificate of the connection */
	bool patient;        /* somebody sits there: a refused name is asked for again */
	enum language language;
};

struct session;

/* NULL: out of memory. The host must outlive it. */
struct session *session_new(const struct session_options *options, const struct session_host *host);
void session_free(struct session *session);

void session_start(struct session *session, uint64_t now);
/* A datagram, or some bytes of the stream. */
void session_receive(struct session *session, const char *bytes, size_t size, uint64_t now);
/* A line without its end; any bytes. */
void session_type(struct session *session, const char *text, size_t size, uint64_t now);
void session_leave(struct session *session, uint64_t now);
/* The connection has ended, or a datagram found nobody; why may be NULL. */
void session_lost(struct session *session, const char *why, uint64_t now);
void session_tick(struct session *session, uint64_t now); /* nothing before the deadline */

uint64_t session_deadline(const struct session *session); /* of the next tick, or USEC_INFINITY */
enum session_phase session_phase(const struct session *session);
/*
 * From when on a line may be typed: USEC_INFINITY while the room is asked; later than now when it
 * would not take more.
 */
uint64_t session_line_at(const struct session *session);
const char *session_prompt(const struct session *session);
bool session_failed(const struct session *session); /* ENDED, and not as was wanted */

#endif
