/* SPDX-License-Identifier: MIT */
/* foster-chat's side of IRC: chat/client/irc-*.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/irc.h"
#include "chat/utf8.h"
#include "client-harness.h"

static const struct session_options lily = {
	.irc = true,
	.name = "lily",
	.channel = "#chat",
	.patient = true,
};

static void enter(void)
{
	begin(lily);
	assert_string_equal(take_sent(), "NICK lily\r\nUSER chat 0 * :lily\r\n");
	receive(":srv 001 lily :Welcome\r\n:srv 005 lily A=b :are supported\r\n");
	assert_string_equal(take_sent(), "JOIN #chat\r\n");
	receive(":lily!~chat@h JOIN #chat\r\n");
	assert_string_equal(take_shown(), "note you are in the room at srv:1; \"quit\" leaves it\n"
					  "note you are in #chat\n");
	assert_int_equal(session_phase(session), SESSION_IN);
}

static void test_entering_and_leaving(void **state)
{
	enter();
	type("quit");
	assert_string_equal(take_sent(), "QUIT\r\n");
	receive("ERROR :Closing link\r\n");
	assert_string_equal(take_shown(), "note you have left the room\n");
	assert_int_equal(session_phase(session), SESSION_ENDED);
	assert_false(session_failed(session));
	end();
	enter();
	receive("ERROR :killed by tom\r\n");
	assert_string_equal(take_shown(), "bad srv:1: the connection has ended: killed by tom\n");
	assert_true(session_failed(session));
	end();
	enter();
	session_leave(session, session_now);
	assert_true(session_deadline(session) <= session_now + 2 * USEC_PER_SEC);
	session_lost(session, "gone", session_now);
	assert_false(session_failed(session));
	end();
}

/* The server may read for long what a script has sent: who hangs up before loses it. */
static void test_a_script_waits_for_the_server(void **state)
{
	struct session_options o = lily;

	o.patient = false;
	begin(o);
	receive(":srv 001 lily :hi\r\n:lily!u@h JOIN #chat\r\n");
	session_leave(session, session_now);
	assert_int_equal(session_deadline(session), session_now + 60 * USEC_PER_SEC);
	wait_for_tick();
	assert_int_equal(session_phase(session), SESSION_ENDED);
	assert_false(session_failed(session));
	end();
}

static void test_refused_names(void **state)
{
	static const struct {
		const char *answer, *shown;
	} cases[] = {
		{ ":srv 433 * lily :Nickname is already in use\r\n",
		  "bad lily Nickname is already in use\n" },
		{ ":srv 432 * lily :Erroneous nickname\r\n", "bad lily Erroneous nickname\n" },
		{ "FAIL NICK CONFUSABLE lily :looks like another\r\n", "bad looks like another\n" },
	};

	begin(lily);
	take_sent();
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		receive(cases[i].answer);
		assert_string_equal(take_shown(), cases[i].shown);
		assert_int_equal(session_phase(session), SESSION_NAME);
		type("lily");
		assert_string_equal(take_sent(), "NICK lily\r\n"); /* USER was said */
	}
	end();
}

static void test_what_is_shown(void **state)
{
	static const struct {
		const char *line, *shown;
	} cases[] = {
		{ ":tom!u@h PRIVMSG #chat :hello  you ", "said tom : hello  you \n" },
		{ "@time=x;msgid=y :tom!u@h PRIVMSG #CHAT hi", "said tom : hi\n" },
		{ ":tom!u@h PRIVMSG #chat :\1ACTION waves\1", "said * tom waves\n" },
		{ ":tom!u@h PRIVMSG #chat :\1VERSION\1", "" },
		{ ":tom!u@h PRIVMSG lily :psst", "said (tom) tom : psst\n" },
		{ ":tom!u@h PRIVMSG #other :there", "said [#other] tom : there\n" },
		{ ":tom!u@h PRIVMSG #chat :\033]0;x\a\0034red\003", "said tom :  ]0;x red\n" },
		{ ":tom!u@h NOTICE #chat :note", "note tom : note\n" },
		{ ":srv NOTICE lily :[admin] tea", "note [admin] tea\n" },
		{ ":tom!u@h JOIN #chat", "note tom has come in\n" },
		{ ":tom!u@h JOIN :#other", "note tom has come into #other\n" },
		{ ":tom!u@h PART #chat", "note tom has left\n" },
		{ ":tom!u@h PART #chat :bored", "note tom has left: bored\n" },
		{ ":tom!u@h PART #other", "note tom has left #other\n" },
		{ ":tom!u@h QUIT :Client quit", "note tom has left: Client quit\n" },
		{ ":tom!u@h NICK :tim", "note tom is now called tim\n" },
		{ ":tom!u@h TOPIC #chat :tea", "note tom has changed the topic of #chat: tea\n" },
		{ ":tom!u@h INVITE lily #tea", "note tom invites you to #tea; /join goes there\n" },
		{ ":tom!u@h KICK #chat jim :spam", "note jim was put out of #chat by tom: spam\n" },
		{ ":tom!u@h MODE #chat +o jim", "note tom: MODE #chat +o jim\n" },
		{ ":srv 332 lily #chat :tea", "note the topic of #chat: tea\n" },
		{ ":srv 353 lily = #chat :@lily tom", "note in #chat: @lily tom\n" },
		{ ":srv 366 lily #chat :End", "" },
		{ ":srv 372 lily :- motd", "note - motd\n" },
		{ ":srv 311 lily tom u h * :Tom", "note tom u h * Tom\n" },
		{ ":srv 401 lily jim :No such nick", "bad jim No such nick\n" },
		{ ":srv WARN * INVALID_UTF8 :not so", "note not so\n" },
		{ ":srv TAGMSG #chat", "" },
		{ "", "" },
		{ ":", "" },
		{ "@", "" },
		{ ":tom!u@h PRIVMSG", "said [] tom : \n" },
	};
	char line[IRC_LINE_MAX];

	enter();
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		snprintf(line, sizeof(line), "%s\r\n", cases[i].line);
		receive(line);
		assert_string_equal(take_shown(), cases[i].shown);
	}
	assert_string_equal(take_sent(), "");
	receive("PING :a b\r\n");
	assert_string_equal(take_sent(), "PONG :a b\r\n");
	end();
}

/* A server that leaves out what should be there. */
static void test_lines_without_parameters(void **state)
{
	static const char *const verbs[] = { "AUTHENTICATE", "CAP",  "ERROR", "FAIL",    "INVITE",
					     "JOIN",         "KICK", "MODE",  "NICK",    "NOTICE",
					     "PART",         "PING", "QUIT",  "PRIVMSG", "TOPIC" };
	char line[64];

	for (int numeric = 0; numeric < 1000; numeric++) {
		enter();
		snprintf(line, sizeof(line), ":srv %03d\r\n", numeric);
		receive(line);
		end();
	}
	for (size_t i = 0; i < 2 * ELEMENTSOF(verbs); i++) {
		if (i % 2)
			enter();
		else
			begin(lily);
		snprintf(line, sizeof(line), ":a!b@c %s\r\n", verbs[i / 2]);
		receive(line);
		end();
	}
}

/* One's own nick and channel follow what the server says. */
static void test_oneself(void **state)
{
	enter();
	receive(":lily!u@h NICK lucy\r\n");
	assert_string_equal(take_shown(), "note you are now called lucy\n");
	receive(":tom!u@h PRIVMSG Lucy :hi\r\n");
	assert_string_equal(take_shown(), "said (tom) tom : hi\n");
	receive(":lucy!u@h JOIN #tea\r\n");
	type("x");
	assert_string_equal(take_sent(), "PRIVMSG #tea :x\r\n");
	receive(":tom!u@h KICK #tea lucy :out\r\n");
	take_shown();
	type("x");
	assert_string_equal(take_sent(), "");
	assert_string_equal(take_shown(), "bad you are in no channel; /join #NAME goes into one\n");
	end();
}

static void test_commands(void **state)
{
	static const struct {
		const char *typed, *sent, *shown;
	} cases[] = {
		{ "hi", "PRIVMSG #chat :hi\r\n", "" },
		{ "//me", "PRIVMSG #chat :/me\r\n", "" },
		{ "/say quit", "PRIVMSG #chat :quit\r\n", "" },
		{ "/me  waves", "PRIVMSG #chat :\1ACTION waves\1\r\n", "" },
		{ "/msg tom hi  there", "PRIVMSG tom :hi  there\r\n", "" },
		{ "/msg tom", "", "bad usage: /msg NICK TEXT\n" },
		{ "/join #tea key", "JOIN #tea key\r\n", "" },
		{ "/join", "", "bad usage: /join CHANNEL [KEY]\n" },
		{ "/part", "PART #chat\r\n", "" },
		{ "/part #tea", "PART #tea\r\n", "" },
		{ "/nick lucy", "NICK lucy\r\n", "" },
		{ "/names", "NAMES #chat\r\n", "" },
		{ "/topic", "TOPIC #chat\r\n", "" },
		{ "/topic tea time", "TOPIC #chat :tea time\r\n", "" },
		{ "/raw WHOIS tom", "WHOIS tom\r\n", "" },
		{ "/raw A\rB", "A\r\n", "" },
		{ "/dance x", "",
		  "bad there is no command /dance; /help tells which there are, and //text says "
		  "/text\n" },
	};

	enter();
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		type(cases[i].typed);
		assert_string_equal(take_sent(), cases[i].sent);
		assert_string_equal(take_shown(), cases[i].shown);
	}
	type("/help");
	assert_non_null(strstr(take_shown(), "note /msg NICK TEXT\n"));
	type("/quit");
	assert_int_equal(session_phase(session), SESSION_LEAVING);
	end();
}

/* Also when the server has put the longest source in front, nothing of a line is cut. */
static void test_long_lines_are_split(void **state)
{
	static const char head[] = "PRIVMSG #chat :\1ACTION ";
	char text[4096] = "/me ", together[4096] = "", copy[8192], *list, *line;
	int n = 0;

	for (int i = 0; i < 500; i++)
		strcat(text, "中");
	enter();
	type(text);
	snprintf(copy, sizeof(copy), "%s", take_sent());
	list = copy;
	while ((line = strsep(&list, "\n")) && *line) {
		assert_true(strlen(":lily!~012345678@ ") + 63 + strlen(line) + 1 <= IRC_LINE_MAX);
		assert_true(utf8_is_valid(line, strlen(line)));
		assert_int_equal(strncmp(line, head, strlen(head)), 0);
		line[strlen(line) - strlen("\1\r")] = '\0';
		strcat(together, line + strlen(head));
		n++;
	}
	assert_in_range(n, 4, 6);
	assert_string_equal(together, text + strlen("/me "));
	end();
}

/* Whatever is typed, or asked by the server, no line is longer than a line may be. */
static void test_no_line_is_too_long(void **state)
{
	char text[4000];

	enter();
	memset(text, 'x', sizeof(text));
	memcpy(text, "/raw ", strlen("/raw "));
	strcpy(text + sizeof(text) - 4, "中");
	type(text);
	assert_int_equal(strlen(take_sent()), IRC_LINE_MAX);
	memcpy(text, "/msg ", strlen("/msg "));
	memcpy(text + 600, " hello", strlen(" hello"));
	type(text);
	assert_true(strlen(take_sent()) <= 20 * IRC_LINE_MAX); /* and not a line a letter */
	memcpy(text, "PING ", strlen("PING "));
	receive(text);
	receive("\r\n");
	assert_int_equal(strlen(take_sent()), IRC_LINE_MAX);
	end();
}

/* However the stream is cut; a line that is too long is passed over whole. */
static void test_the_stream(void **state)
{
	static const char lines[] = ":tom!u@h PRIVMSG #chat :中文\r\n:tom!u@h PRIVMSG #chat :b\n";
	static char much[20000];

	for (size_t cut = 0; cut < sizeof(lines); cut++) {
		enter();
		session_receive(session, lines, cut, session_now);
		session_receive(session, lines + cut, sizeof(lines) - 1 - cut, session_now);
		assert_string_equal(take_shown(), "said tom : 中文\nsaid tom : b\n");
		end();
	}
	enter();
	memset(much, 'x', sizeof(much) - 1);
	receive(":tom!u@h PRIVMSG #chat :");
	receive(much);
	receive("\r\n:tom!u@h PRIVMSG #chat :after\r\n");
	assert_string_equal(take_shown(), "said tom : after\n");
	session_receive(session, ":a!u@h PRIVMSG #chat :x\0y\r\n", 27, session_now);
	assert_string_equal(take_shown(), "");
	end();
}

static void test_login_by_password(void **state)
{
	struct session_options o = lily;

	o.account = "lily";
	begin(o);
	assert_string_equal(session_prompt(session), "password: ");
	type("secret");
	assert_string_equal(take_sent(), "CAP LS 302\r\nNICK lily\r\nUSER chat 0 * :lily\r\n");
	receive(":srv CAP * LS * :batch nosasl sasl-x\r\n");
	assert_string_equal(take_sent(), "");
	receive(":srv CAP * LS :server-time sasl=EXTERNAL,PLAIN\r\n");
	assert_string_equal(take_sent(), "CAP REQ :sasl\r\n");
	receive(":srv CAP * ACK :sasl\r\n");
	assert_string_equal(take_sent(), "AUTHENTICATE PLAIN\r\n");
	receive("AUTHENTICATE +\r\n");
	assert_string_equal(take_sent(), "AUTHENTICATE AGxpbHkAc2VjcmV0\r\n");
	receive(":srv 900 lily lily!u@h lily :You are now logged in as lily\r\n");
	receive(":srv 903 lily :SASL authentication successful\r\n");
	assert_string_equal(take_sent(), "CAP END\r\n");
	receive("AUTHENTICATE +\r\n:srv 001 lily :hi\r\n:lily!u@h JOIN #chat\r\nAUTHENTICATE "
		"+\r\n");
	assert_null(strstr(take_shown(), "secret"));
	end();
}

static void test_login_with_a_name_that_is_taken(void **state)
{
	struct session_options o = lily;

	o.account = "lily";
	begin(o);
	type("secret");
	receive(":srv CAP * LS :sasl\r\n:srv 433 * lily :taken\r\n:srv CAP * ACK :sasl\r\n");
	take_sent();
	receive("AUTHENTICATE +\r\n:srv 903 * :ok\r\n");
	assert_string_equal(take_sent(), "AUTHENTICATE AGxpbHkAc2VjcmV0\r\nCAP END\r\n");
	assert_int_equal(session_phase(session), SESSION_NAME);
	type("rose");
	assert_string_equal(take_sent(), "NICK rose\r\n");
	receive(":srv 001 rose :hi\r\n");
	assert_string_equal(take_sent(), "JOIN #chat\r\n");
	end();
}

static void test_login_that_fails(void **state)
{
	struct session_options o = lily;

	o.account = "lily";
	begin(o);
	type("wrong");
	receive(":srv CAP * LS :sasl\r\n:srv CAP * ACK :sasl\r\nAUTHENTICATE +\r\n");
	receive(":srv 904 lily :SASL authentication failed\r\n");
	assert_string_equal(take_shown(), "bad SASL authentication failed\n");
	assert_true(session_failed(session));
	end();
	begin(o);
	type("x");
	take_sent();
	receive(":srv CAP * LS :batch sasl=EXTERNAL\r\n");
	assert_string_equal(take_shown(), "bad the server takes no such login (SASL)\n");
	assert_string_equal(take_sent(), "QUIT\r\n"); /* the password was not told */
	assert_true(session_failed(session));
	end();
	begin(o);
	type("x");
	take_sent();
	receive(":srv 421 * CAP :Unknown command\r\n:srv 001 lily :hi\r\n");
	assert_string_equal(take_sent(), "QUIT\r\n"); /* one is not to be there as nobody */
	assert_true(session_failed(session));
	end();
}

static void test_login_by_certificate(void **state)
{
	struct session_options o = lily;

	o.external = true;
	begin(o);
	take_sent();
	receive(":srv CAP * LS :sasl=PLAIN,EXTERNAL\r\n:srv CAP * ACK :sasl\r\nAUTHENTICATE +\r\n");
	assert_string_equal(take_sent(),
			    "CAP REQ :sasl\r\nAUTHENTICATE EXTERNAL\r\nAUTHENTICATE +\r\n");
	end();
}

/* A piece of exactly 400 bytes is followed by an empty one. */
static void test_long_passwords(void **state)
{
	struct session_options o = lily;
	char password[300] = "", copy[2048], *p;

	o.account = "lily";
	memset(password, 'x', 300 - strlen("lily") - 2);
	begin(o);
	type(password);
	receive(":srv CAP * LS :sasl\r\n:srv CAP * ACK :sasl\r\n");
	take_sent();
	receive("AUTHENTICATE +\r\n");
	snprintf(copy, sizeof(copy), "%s", take_sent());
	p = strstr(copy, "\r\n");
	assert_int_equal(p - copy, strlen("AUTHENTICATE ") + 400);
	assert_string_equal(p, "\r\nAUTHENTICATE +\r\n");
	end();
}

static void test_a_channel_that_is_closed(void **state)
{
	struct session_options o = lily;

	for (int patient = 0; patient < 2; patient++) {
		o.patient = patient;
		begin(o);
		receive(":srv 001 lily :hi\r\n:srv 473 lily #chat :Cannot join channel (+i)\r\n");
		assert_non_null(strstr(take_shown(), "bad #chat Cannot join channel (+i)\n"));
		assert_int_equal(session_phase(session), patient ? SESSION_IN : SESSION_ENDED);
		assert_int_equal(session_failed(session), !patient);
		end();
	}
}

static void test_a_server_that_is_silent(void **state)
{
	begin(lily);
	wait_for_tick();
	assert_string_equal(take_shown(), "bad srv:1 does not answer; asking again\n");
	wait_for_tick();
	assert_true(session_failed(session));
	end();
	enter();
	wait_for_tick();
	assert_string_equal(take_sent(), "PING :foster-chat\r\n");
	receive(":srv PONG srv :foster-chat\r\n");
	wait_for_tick();
	assert_string_equal(take_sent(), "PING :foster-chat\r\n");
	wait_for_tick();
	assert_int_equal(session_phase(session), SESSION_ENDED);
	assert_true(session_failed(session));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entering_and_leaving),
		cmocka_unit_test(test_a_script_waits_for_the_server),
		cmocka_unit_test(test_refused_names),
		cmocka_unit_test(test_what_is_shown),
		cmocka_unit_test(test_lines_without_parameters),
		cmocka_unit_test(test_oneself),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_long_lines_are_split),
		cmocka_unit_test(test_no_line_is_too_long),
		cmocka_unit_test(test_the_stream),
		cmocka_unit_test(test_login_by_password),
		cmocka_unit_test(test_login_with_a_name_that_is_taken),
		cmocka_unit_test(test_login_that_fails),
		cmocka_unit_test(test_login_by_certificate),
		cmocka_unit_test(test_long_passwords),
		cmocka_unit_test(test_a_channel_that_is_closed),
		cmocka_unit_test(test_a_server_that_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
