/* SPDX-License-Identifier: MIT */
/* A session under test: see client-harness.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "client-harness.h"

struct session *session;
uint64_t session_now;

static char sent[65536], shown[65536], taken[65536];
static bool datagrams;

static void add(char *to, const char *bytes, size_t size, const char *end)
{
	size_t used = strlen(to);

	assert_true(used + size + 2 < sizeof(sent));
	assert_null(memchr(bytes, '\0', size));
	memcpy(to + used, bytes, size);
	strcpy(to + used + size, end);
}

static void on_send(void *context, const char *bytes, size_t size)
{
	add(sent, bytes, size, datagrams ? "|" : "");
}

static void on_show(void *context, enum session_style style, const char *line)
{
	static const char *const heads[] = { "said ", "note ", "bad " };

	add(shown, heads[style], strlen(heads[style]), "");
	add(shown, line, strlen(line), "\n");
}

void begin(struct session_options options)
{
	static const struct session_host host = { .send = on_send, .show = on_show };

	if (!options.server)
		options.server = "srv:1";
	datagrams = !options.irc;
	*sent = *shown = '\0';
	session_now = 1000 * USEC_PER_SEC;
	session = session_new(&options, &host);
	assert_non_null(session);
	session_start(session, session_now);
}

void end(void)
{
	session_free(session);
	session = NULL;
}

void type(const char *text)
{
	session_type(session, text, strlen(text), session_now);
}

void receive(const char *bytes)
{
	session_receive(session, bytes, strlen(bytes), session_now);
}

void wait_for_tick(void)
{
	assert_true(session_deadline(session) != USEC_INFINITY);
	session_now = session_deadline(session);
	session_tick(session, session_now);
}

static const char *take(char *from)
{
	strcpy(taken, from);
	*from = '\0';
	return taken;
}

const char *take_sent(void)
{
	return take(sent);
}

const char *take_shown(void)
{
	return take(shown);
}
