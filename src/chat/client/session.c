/* SPDX-License-Identifier: MIT */
/* What both protocols share: see session.h. */
#include "chat/client/session-internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/course.h"
#include "chat/irc.h"
#include "chat/utf8.h"

#define SHOWN_MAX (STREAM_LINE_MAX * 2)
bool session_set(char **string, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return false;
	free(*string);
	*string = copy;
	return true;
}

void session_forget_password(struct session *s)
{
	if (s->password)
		explicit_bzero(s->password, strlen(s->password));
	free(TAKE_PTR(s->password));
}

struct session *session_new(const struct session_options *o, const struct session_host *host)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->protocol = o->irc ? &irc_protocol : &course_protocol;
	s->host = host;
	s->language = o->language;
	s->patient = o->patient;
	s->name_given = o->name != NULL;
	s->external = o->external;
	s->deadline = USEC_INFINITY;
	if (!session_set(&s->server, o->server) || !session_set(&s->name, o->name) ||
	    !session_set(&s->account, o->account) || !session_set(&s->first_channel, o->channel)) {
		session_free(s);
		return NULL;
	}
	return s;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	session_forget_password(s);
	explicit_bzero(s->irc.line, sizeof(s->irc.line));
	free(s->server);
	free(s->name);
	free(s->account);
	free(s->first_channel);
	free(s->channel);
	free(s);
}

/* --- what comes out ----------------------------------------------------------------------- */

void session_send(struct session *s, const char *fmt, ...)
{
	char text[TYPED_MAX];
	struct irc_line line;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	irc_format(&line, "%s", text);
	s->host->send(s->host->context, line.bytes, line.size);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(&line, sizeof(line));
}

/* Nothing that a terminal would obey gets past here. */
static void PRINTF(3, 0)
	show(struct session *s, enum session_style style, const char *fmt, va_list ap)
{
	char raw[SHOWN_MAX], plain[3 * SHOWN_MAX]; /* U+FFFD takes three bytes */
	int n = vsnprintf(raw, sizeof(raw), fmt, ap);

	if (n < 0)
		return;
	course_plain(plain, sizeof(plain), raw, MIN((size_t)n, sizeof(raw) - 1));
	s->host->show(s->host->context, style, plain);
}

void session_show(struct session *s, enum session_style style, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	show(s, style, fmt, ap);
	va_end(ap);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
void session_tell(struct session *s, enum session_style style, enum word word, ...)
{
	va_list ap;

	va_start(ap, word);
	show(s, style, words(s->language, word), ap);
	va_end(ap);
}
#pragma GCC diagnostic pop

/* --- phases ------------------------------------------------------------------------------- */

void session_end(struct session *s, bool failed)
{
	s->phase = SESSION_ENDED;
	s->failed = failed;
	s->deadline = USEC_INFINITY;
}

void session_entered(struct session *s, uint64_t deadline)
{
	s->phase = SESSION_IN;
	s->deadline = deadline;
}

/* A name from the command line is not asked for: the next line of a script is no name. */
void session_refused(struct session *s)
{
	if (s->name_given && !s->patient) {
		session_end(s, true);
		return;
	}
	s->phase = SESSION_NAME;
	s->deadline = USEC_INFINITY;
}

static bool is_one_word(const char *name)
{
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return false;
	}
	return *name;
}

static void trim(char *text)
{
	size_t n = strspn(text, " "), size = strlen(text + n);

	memmove(text, text + n, size + 1);
	while (size > 0 && text[size - 1] == ' ')
		text[--size] = '\0';
}

static void take_name(struct session *s, char *name, uint64_t now)
{
	trim(name);
	if (!is_one_word(name) || !session_set(&s->name, name)) {
		session_tell(s, SHOW_TROUBLE, WORD_BAD_NAME);
		session_refused(s);
		return;
	}
	s->phase = SESSION_ENTERING;
	s->protocol->enter(s, now);
}

static void go_on_to_name(struct session *s, uint64_t now)
{
	s->phase = SESSION_NAME;
	if (s->name) {
		_cleanup_free_ char *name = TAKE_PTR(s->name);

		take_name(s, name, now);
	}
}

void session_start(struct session *s, uint64_t now)
{
	if (s->account)
		s->phase = SESSION_PASSWORD;
	else
		go_on_to_name(s, now);
}

void session_receive(struct session *s, const char *bytes, size_t size, uint64_t now)
{
	if (s->phase != SESSION_ENDED)
		s->protocol->receive(s, bytes, size, now);
}

/* What would end a line, or be another one, is not typed. */
static void tidy(char *text)
{
	text[strcspn(text, "\r\n")] = '\0';
}

void session_type(struct session *s, const char *bytes, size_t size, uint64_t now)
{
	char text[TYPED_MAX];
	const char *nul = memchr(bytes, '\0', size);

	utf8_repair(text, sizeof(text), bytes, nul ? (size_t)(nul - bytes) : size);
	tidy(text);
	switch (s->phase) {
	case SESSION_PASSWORD:
		session_forget_password(s);
		session_set(&s->password, text);
		go_on_to_name(s, now);
		break;
	case SESSION_NAME: take_name(s, text, now); break;
	case SESSION_IN:
		if (strcmp(text, "quit") == 0)
			session_leave(s, now);
		else if (*text)
			s->protocol->say(s, text, now);
		break;
	case SESSION_ENTERING:
	case SESSION_LEAVING:
	case SESSION_ENDED: break;
	}
	explicit_bzero(text, sizeof(text));
}

void session_leave(struct session *s, uint64_t now)
{
	switch (s->phase) {
	case SESSION_PASSWORD:
	case SESSION_NAME: session_end(s, !s->patient); break; /* a script was to come in */
	case SESSION_ENTERING:
	case SESSION_IN:
		s->phase = SESSION_LEAVING;
		s->protocol->leave(s, now);
		break;
	case SESSION_LEAVING: session_end(s, false); break; /* asked for twice: no waiting */
	case SESSION_ENDED: break;
	}
}

void session_lost(struct session *s, const char *why, uint64_t now)
{
	if (s->phase == SESSION_ENDED)
		return;
	if (s->phase == SESSION_LEAVING) {
		session_tell(s, SHOW_NOTICE, WORD_LEFT);
		session_end(s, false);
		return;
	}
	if (why)
		session_tell(s, SHOW_TROUBLE, WORD_LOST, s->server, why);
	else
		session_tell(s, SHOW_TROUBLE, WORD_NOBODY_THERE, s->server);
	/* A room that speaks in datagrams may come back behind the same port. */
	if (s->phase != SESSION_IN || s->protocol != &course_protocol)
		session_end(s, true);
}

void session_tick(struct session *s, uint64_t now)
{
	if (now < s->deadline || s->phase == SESSION_ENDED)
		return;
	s->deadline = USEC_INFINITY;
	s->protocol->tick(s, now);
}

uint64_t session_deadline(const struct session *s)
{
	return s->deadline;
}

uint64_t session_line_at(const struct session *s)
{
	switch (s->phase) {
	case SESSION_PASSWORD:
	case SESSION_NAME: return 0;
	case SESSION_IN: return s->line_at;
	default: return USEC_INFINITY;
	}
}

enum session_phase session_phase(const struct session *s)
{
	return s->phase;
}

const char *session_prompt(const struct session *s)
{
	switch (s->phase) {
	case SESSION_PASSWORD: return words(s->language, WORD_ASK_PASSWORD);
	case SESSION_NAME: return words(s->language, WORD_ASK_NAME);
	case SESSION_IN: return words(s->language, WORD_SAY);
	default: return "";
	}
}

bool session_failed(const struct session *s)
{
	return s->failed;
}
