/* SPDX-License-Identifier: MIT */
/* IRC from the client's side: the stream, registration, login. See session.h. */
#include "chat/client/irc-session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

#define TELL_AFTER   (10 * USEC_PER_SEC) /* a server looks up names first, and takes its time */
#define ENTER_WITHIN (45 * USEC_PER_SEC)
#define PING_AFTER   (90 * USEC_PER_SEC)
#define PONG_WITHIN  (60 * USEC_PER_SEC)
#define LEAVING_WAIT (2 * USEC_PER_SEC)

/* Of a script: the server may still be busy with what it was told before, and reads it in turn. */
#define LEAVING_WAIT_SCRIPT (60 * USEC_PER_SEC)

/* AUTHENTICATE takes so much at once; a last piece that is full is followed by an empty one. */
#define SASL_PIECE 400
#define SASL_MAX   1024

static void enter(struct session *s, uint64_t now)
{
	s->deadline = now + TELL_AFTER;
	if (!s->irc.user_sent && (s->account || s->external))
		session_send(s, "CAP LS 302");
	session_send(s, "NICK %s", s->name);
	if (!s->irc.user_sent)
		session_send(s, "USER chat 0 * :%s", s->name);
	s->irc.user_sent = true;
}

static void leave(struct session *s, uint64_t now)
{
	s->deadline = now + (s->patient ? LEAVING_WAIT : LEAVING_WAIT_SCRIPT);
	session_send(s, "QUIT");
}

static void tick(struct session *s, uint64_t now)
{
	switch (s->phase) {
	case SESSION_ENTERING:
		if (!s->irc.pinged) {
			s->irc.pinged = true;
			s->deadline = now + ENTER_WITHIN - TELL_AFTER;
			session_tell(s, SHOW_TROUBLE, WORD_NO_ANSWER_YET, s->server);
			return;
		}
		session_tell(s, SHOW_TROUBLE, WORD_NO_ANSWER, s->server);
		session_end(s, true);
		break;
	case SESSION_IN:
		if (!s->irc.pinged) {
			s->irc.pinged = true;
			s->deadline = now + PONG_WITHIN;
			session_send(s, "PING :foster-chat");
			return;
		}
		session_tell(s, SHOW_TROUBLE, WORD_NO_ANSWER, s->server);
		session_end(s, true);
		break;
	default: session_end(s, s->phase != SESSION_LEAVING); break;
	}
}

/* Logging in goes on while another name is thought of. */
static bool is_coming_in(const struct session *s)
{
	return !s->irc.registered && (s->phase == SESSION_ENTERING || s->phase == SESSION_NAME);
}

/* --- login -------------------------------------------------------------------------------- */

void irc_login_failed(struct session *s, const char *why)
{
	if (why)
		session_show(s, SHOW_TROUBLE, "%s", why);
	else
		session_tell(s, SHOW_TROUBLE, WORD_LOGIN_IMPOSSIBLE);
	session_send(s, "QUIT");
	session_end(s, true);
}

/* "sasl" or "sasl=PLAIN,EXTERNAL" among the words of the list. */
static bool offers_login(const char *list, const char *mechanism)
{
	for (const char *p = list; (p = strstr(p, "sasl")); p++) {
		size_t n = strcspn(p, " ");

		if (p != list && p[-1] != ' ')
			continue;
		if (n == strlen("sasl"))
			return true;
		if (p[strlen("sasl")] == '=')
			return memmem(p, n, mechanism, strlen(mechanism)) != NULL;
	}
	return false;
}

static const char *mechanism(const struct session *s)
{
	return s->external ? "EXTERNAL" : "PLAIN";
}

void irc_take_cap(struct session *s, const struct irc_message *m)
{
	const char *verb = m->n_params > 1 ? m->params[1] : "";
	bool more = m->n_params > 3 && strcmp(m->params[2], "*") == 0;

	if (!is_coming_in(s))
		return;
	if (strcmp(verb, "LS") == 0) {
		s->irc.offered |= offers_login(m->params[m->n_params - 1], mechanism(s));
		if (!more && s->irc.offered)
			session_send(s, "CAP REQ :sasl");
		else if (!more)
			irc_login_failed(s, NULL);
	} else if (strcmp(verb, "ACK") == 0) {
		session_send(s, "AUTHENTICATE %s", mechanism(s));
	} else if (strcmp(verb, "NAK") == 0) {
		irc_login_failed(s, NULL);
	}
}

static void send_pieces(struct session *s, const char *text, size_t size)
{
	size_t n;

	do {
		n = MIN(size, (size_t)SASL_PIECE);
		session_send(s, "AUTHENTICATE %.*s", n ? (int)n : 1, n ? text : "+");
		text += n;
		size -= n;
	} while (n == SASL_PIECE);
}

/* Without an identity to act for: that of the login is meant. */
void irc_take_authenticate(struct session *s, const struct irc_message *m)
{
	char plain[SASL_MAX], text[BASE64_SIZE(SASL_MAX) + 1];
	int n;

	if (!is_coming_in(s) || m->n_params < 1 || strcmp(m->params[0], "+") != 0)
		return;
	if (s->external) {
		session_send(s, "AUTHENTICATE +");
		return;
	}
	if (!s->account || !s->password)
		return;
	n = snprintf(plain, sizeof(plain), "%c%s%c%s", '\0', s->account, '\0', s->password);
	if (n < 0 || (size_t)n >= sizeof(plain)) {
		session_send(s, "AUTHENTICATE *");
		return;
	}
	send_pieces(s, text, base64_encode(text, plain, (size_t)n));
	explicit_bzero(plain, sizeof(plain));
	explicit_bzero(text, sizeof(text));
}

void irc_take_login(struct session *s, int numeric, const struct irc_message *m)
{
	const char *why = m->n_params > 0 ? m->params[m->n_params - 1] : NULL;

	if (!is_coming_in(s))
		return;
	if (numeric == RPL_SASLSUCCESS) {
		s->irc.logged_in = true;
		session_forget_password(s);
		session_send(s, "CAP END");
		return;
	}
	irc_login_failed(s, why);
}

/* --- the stream --------------------------------------------------------------------------- */

/* Words of a source that the parser passes over: "nick!user@host", or a server's name. */
static void take_source(const char *line, char *source, size_t size)
{
	*source = '\0';
	if (*line == '@')
		line += strcspn(line, " ");
	while (*line == ' ')
		line++;
	if (*line == ':')
		snprintf(source, size, "%.*s", (int)strcspn(line + 1, " "), line + 1);
}

static void take_line(struct session *s, char *line, uint64_t now)
{
	char source[IRC_LINE_MAX];
	struct irc_message m;

	take_source(line, source, sizeof(source));
	if (irc_parse(line, &m) < 0)
		return;
	if (s->phase == SESSION_IN || s->phase == SESSION_LEAVING)
		s->irc.pinged = false;
	if (s->phase == SESSION_IN)
		s->deadline = now + PING_AFTER;
	irc_take_message(s, source, &m, now);
}

static void end_line(struct session *s, uint64_t now)
{
	size_t n = s->irc.size;
	bool too_long = s->irc.too_long;

	s->irc.size = 0;
	s->irc.too_long = false;
	s->irc.line[n] = '\0';
	if (!too_long && !memchr(s->irc.line, '\0', n))
		take_line(s, s->irc.line, now);
}

/* A CR alone ends a line, too: in a name that is sent back it would do so for some servers. */
static const char *find_end(const char *bytes, size_t size)
{
	const char *lf = memchr(bytes, '\n', size);
	const char *cr = memchr(bytes, '\r', lf ? (size_t)(lf - bytes) : size);

	return cr ? cr : lf;
}

static void receive(struct session *s, const char *bytes, size_t size, uint64_t now)
{
	while (size > 0 && s->phase != SESSION_ENDED) {
		const char *end = find_end(bytes, size);
		size_t n = end ? (size_t)(end - bytes) : size;
		size_t fits = MIN(n, STREAM_LINE_MAX - s->irc.size);

		memcpy(s->irc.line + s->irc.size, bytes, fits);
		s->irc.size += fits;
		s->irc.too_long |= fits < n;
		n += end ? 1 : 0;
		bytes += n;
		size -= n;
		if (end)
			end_line(s, now);
	}
}

void irc_in(struct session *s, uint64_t now)
{
	if (s->phase != SESSION_ENTERING)
		return;
	s->irc.pinged = false;
	session_entered(s, now + PING_AFTER);
}

const struct protocol irc_protocol = {
	.enter = enter,
	.receive = receive,
	.say = irc_say,
	.leave = leave,
	.tick = tick,
};
