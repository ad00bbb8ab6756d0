/* SPDX-License-Identifier: MIT */
/* A session of foster-chat without a network or a terminal: what it sends and shows is kept. */
#ifndef FOSTER_TESTS_CLIENT_HARNESS_H
#define FOSTER_TESTS_CLIENT_HARNESS_H

#include "chat/client/session.h"

extern struct session *session;
extern uint64_t session_now; /* the clock; starts at 1000 s */

/* A session with these options; server "srv:1" and English unless they say otherwise. */
void begin(struct session_options options);
void end(void);

void type(const char *text);
void receive(const char *bytes); /* one datagram, or a piece of the stream */
/* To the session's next deadline. */
void wait_for_tick(void);

/* What was sent since the last look: datagrams with "|" behind each, or the stream. */
const char *take_sent(void);
/* What was shown: a line each, with "said ", "note " or "bad " in front. */
const char *take_shown(void);

#endif
