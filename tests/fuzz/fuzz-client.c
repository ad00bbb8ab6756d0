/* SPDX-License-Identifier: MIT */
/*
 * foster-chat's side of both protocols against rooms that send anything. The first byte chooses
 * the protocol and the options; what follows is cut at each byte 0xfe, which no UTF-8 has, into
 * what is typed (behind a T), an end of waiting (K), a leaving (L), a loss of the connection (X),
 * and else what comes from the network. What is shown must be fit for a terminal, what is sent be
 * whole datagrams or lines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "base/units.h"
#include "chat/client/editor.h"
#include "chat/client/session.h"
#include "chat/course.h"
#include "chat/irc.h"
#include "chat/utf8.h"
#include "sweep.h"

#define SEPARATOR 0xfe
#define RANDOM    20000

enum {
	CHOOSE_IRC = 1,
	CHOOSE_PATIENT = 2,
	CHOOSE_ACCOUNT = 4,
	CHOOSE_EXTERNAL = 8,
	CHOOSE_CHINESE = 16,
	CHOOSE_NAME = 32
};

static bool irc;

static void demand(bool condition, const char *what, const char *bytes, size_t size)
{
	if (condition)
		return;
	fprintf(stderr, "%s: \"%.*s\"\n", what, (int)size, bytes);
	abort();
}

static void check_shown(void *context, enum session_style style, const char *line)
{
	size_t size = strlen(line), n;

	for (size_t i = 0; i < size; i += n) {
		uint32_t code = 0;

		n = utf8_decode(line + i, size - i, &code);
		demand(n > 0 && code >= ' ' && !(code >= 0x7f && code < 0xa0), "shown", line, size);
	}
}

static void check_sent(void *context, const char *bytes, size_t size)
{
	demand(!memchr(bytes, '\0', size), "sent", bytes, size);
	if (!irc) {
		demand(size <= COURSE_DATAGRAM_MAX && utf8_is_valid(bytes, size), "sent", bytes,
		       size);
		return;
	}
	demand(size <= IRC_LINE_MAX && size >= 2 && memcmp(bytes + size - 2, "\r\n", 2) == 0,
	       "sent", bytes, size);
	demand(!memchr(bytes, '\n', size - 2) && !memchr(bytes, '\r', size - 2), "sent", bytes,
	       size);
}

/* The editor gets the same bytes: what is typed in it is always UTF-8. */
static void type_in_editor(const char *bytes, size_t size)
{
	struct editor editor = { .size = 0 };

	for (size_t i = 0; i < size; i++) {
		if (editor_key(&editor, (unsigned char)bytes[i]) == EDITOR_LINE)
			editor_clear(&editor, true);
	}
	demand(utf8_valid(editor_text(&editor)), "typed", bytes, size);
	editor_free(&editor);
}

static void play(struct session *session, const char *bytes, size_t size, uint64_t *now)
{
	switch (size > 0 ? *bytes : 0) {
	case 'T':
		type_in_editor(bytes + 1, size - 1);
		session_type(session, bytes + 1, size - 1, *now);
		break;
	case 'K':
		if (session_deadline(session) != USEC_INFINITY)
			*now = MAX(*now, session_deadline(session));
		session_tick(session, *now);
		break;
	case 'L': session_leave(session, *now); break;
	case 'X': session_lost(session, size > 1 ? "gone" : NULL, *now); break;
	default: session_receive(session, bytes, size, *now);
	}
	session_prompt(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct session_host host = { .send = check_sent, .show = check_shown };
	int choice = size > 0 ? data[0] : 0;
	struct session_options options = {
		.irc = choice & CHOOSE_IRC,
		.patient = choice & CHOOSE_PATIENT,
		.account = choice & CHOOSE_ACCOUNT ? "lily" : NULL,
		.external = choice & CHOOSE_EXTERNAL,
		.language = choice & CHOOSE_CHINESE ? LANGUAGE_CHINESE : LANGUAGE_ENGLISH,
		.name = choice & CHOOSE_NAME ? "lily" : NULL,
		.channel = "#chat",
		.server = "srv:1",
	};
	struct session *session = session_new(&options, &host);
	uint64_t now = USEC_PER_SEC;

	if (!session)
		return 0;
	irc = options.irc;
	session_start(session, now);
	for (size_t at = 1; at < size;) {
		const uint8_t *end = memchr(data + at, SEPARATOR, size - at);
		size_t n = end ? (size_t)(end - (data + at)) : size - at;

		play(session, (const char *)data + at, n, &now);
		at += n + 1;
	}
	session_free(session);
	return 0;
}

#ifndef FUZZING
static const char course[] =
	"\x02Tlily\xfe\n该用户存在\xfeTtom\xfeK\xfeOK\xfe\n欢迎 'a' 进入聊天室\xfeThello 中文\xfe"
	"\na : \033[2J\n\x03"
	"4red\xfeOK\xfe\n请先登录\xfeX\xfeTquit\xfeK\xfe"
	"EXIT";
static const char login[] =
	"\x07Tsecret\xfeTlily\xfe:s CAP * LS * :x\r\n:s CAP * LS :sasl=PLAIN\r\n:s CAP * ACK "
	":sasl\r\n"
	"AUTHENTICATE +\r\n:s 903 lily :ok\r\n:s 433 * lily :in use\r\n\xfeTtom\xfe"
	":s 001 tom :hi\r\n";
static const char irc_talk[] =
	"\x23:s 001 lily :hi\r\n:lily!u@h JOIN #chat\r\n@a=b :a!u@h PRIVMSG #chat :\1ACTION x\1\r\n"
	":a!u@h PRIVMSG lily :\033[1m\r\n:s 353 lily = #chat :a b\r\n:a!u@h KICK #chat b :c\r\n"
	"PING :x\r\n:lily!u@h NICK :rose\r\n\xfeT/me waves\xfeT/msg a b\xfeT/part\xfeT/raw "
	"x\xfeT中文\xfe"
	"K\xfeK\xfe:rose!u@h PART #chat\r\n:a MODE b c d\r\nFAIL NICK X :y\r\n:s 473 rose #x "
	":no\r\n"
	"\xfeL\xfe"
	"ERROR :bye\r\n";

int main(void)
{
	sweep((const uint8_t *)course, sizeof(course) - 1, RANDOM);
	sweep((const uint8_t *)login, sizeof(login) - 1, RANDOM);
	sweep((const uint8_t *)irc_talk, sizeof(irc_talk) - 1, RANDOM);
	return 0;
}
#endif
