/* SPDX-License-Identifier: MIT */
/* The room, by IRC: registration, capabilities, messages, queries, time. Command by command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/room-commands.h"
#include "chat/utf8.h"
#include "room-harness.h"

static void test_commands_are_sorted(void **state)
{
	static const char *const names[] = {
		"AWAY",  "CAP",     "INVITE", "ISON",    "JOIN",   "KICK",  "LIST",     "LUSERS",
		"MODE",  "MOTD",    "NAMES",  "NICK",    "NOTICE", "PART",  "PASS",     "PING",
		"PONG",  "PRIVMSG", "QUIT",   "TIME",    "TOPIC",  "USER",  "USERHOST", "VERSION",
		"WHO",   "SETNAME", "TAGMSG", "HELP",    "INFO",   "KNOCK", "LINKS",    "MONITOR",
		"STATS", "WHOIS",   "WHOWAS", "privmsg", "Join"
	};

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		assert_non_null(command_find(names[i]));
	assert_null(command_find("NOSUCH"));
	assert_null(command_find(""));
}

static void test_registration(void **state)
{
	open_irc(1);
	line(1, "NICK bob");
	expect(1, "");
	line(1, "USER bob 0 * :Bob B");
	expect(1, ":srv 001 bob :Welcome to the net network, bob!~bob@10.0.0.1\n"
		  ":srv 002 bob :Your host is srv, running version foster-test\n"
		  ":srv 003 bob :This server was started 1970-01-01 00:00:00 UTC\n"
		  ":srv 004 bob srv foster-test Biow CIabehiklmnopqstv Iabehkloqv\n"
		  ":srv 005 bob AWAYLEN=200 BOT=B CASEMAPPING=ascii CHANLIMIT=#:5 "
		  "CHANMODES=Ibe,k,l,Cimnpst CHANNELLEN=64 CHANTYPES=# ELIST=CMNTU EXCEPTS=e "
		  "EXTBAN=,m :are supported by this server\n"
		  ":srv 005 bob FOSTER/NICKALPHABETS=1 INVEX=I KEYLEN=32 KICKLEN=255 LINELEN=512 "
		  "MAXLIST=Ibe:5 MODES=6 MONITOR=100 NAMELEN=64 NETWORK=net NICKLEN=32 "
		  ":are supported by this server\n"
		  ":srv 005 bob PREFIX=(qaohv)~&@%+ STATUSMSG=~&@%+ "
		  "TARGMAX=JOIN:,KICK:4,LIST:,MONITOR:,NAMES:,NOTICE:4,PART:,PRIVMSG:4,TAGMSG:4,"
		  "WHOIS:1 TOPICLEN=300 USERLEN=10 UTF8ONLY WHOX :are supported by this server\n"
		  ":srv 251 bob :There are 1 users and 0 invisible on 1 servers\n"
		  ":srv 252 bob 0 :operator(s) online\n"
		  ":srv 253 bob 0 :unknown connection(s)\n"
		  ":srv 254 bob 0 :channels formed\n"
		  ":srv 255 bob :I have 1 clients and 0 servers\n"
		  ":srv 265 bob 1 1 :Current local users 1, max 1\n"
		  ":srv 266 bob 1 1 :Current global users 1, max 1\n"
		  ":srv 422 bob :There is no message of the day\n");
}

/* A server's address that begins with a colon. */
static void test_user_by_ipv6(void **state)
{
	open_irc(1);
	line(1, "NICK ann");
	line(1, "USER ann localhost ::1 :Ann : her name");
	forget(1);
	line(1, "WHOIS ann");
	expect_part(1, ":srv 311 ann ann ~ann 10.0.0.1 * :Ann : her name\n");
}

static void test_registration_errors(void **state)
{
	open_irc(1);
	line(1, "JOIN #a");
	expect(1, ":srv 451 * :You have not registered\n");
	line(1, "NOSUCH");
	expect(1, ":srv 451 * :You have not registered\n");
	line(1, "NICK");
	line(1, "NICK :");
	expect(1, ":srv 431 * :No nickname given\n:srv 431 * :No nickname given\n");
	line(1, "NICK 1x");
	expect(1, ":srv 432 * 1x :Erroneous nickname\n");
	line(1, "USER a b c");
	line(1, "USER a b :c r");
	expect(1, ":srv 461 * USER :Not enough parameters\n"
		  ":srv 461 * USER :Not enough parameters\n");
	line(1, "USER ! 0 * :r");
	line(1, "USER a 0 * :r");
	expect(1, ":srv 462 * :You may not reregister\n");
	line(1, "NICK bob");
	expect_part(1, "bob!~user@10.0.0.1");
	forget(1);
	line(1, "USER a 0 * :r");
	line(1, "PASS x");
	expect(1, ":srv 462 bob :You may not reregister\n:srv 462 bob :You may not reregister\n");
	open_irc(2);
	line(2, "NICK BOB");
	expect(2, ":srv 433 * BOB :Nickname is already in use\n");
	line(2, "");
	line(2, "   ");
	expect(2, "");
}

static void test_password(void **state)
{
	room_config.password = "secret";
	open_irc(1);
	line(1, "PASS wrong");
	line(1, "NICK a");
	line(1, "USER a 0 * :a");
	expect(1, ":srv 464 a :Password incorrect\n"
		  "ERROR :Closing Link: 10.0.0.1 (Bad password)\n");
	assert_true(is_closed(1));
	open_irc(2);
	line(2, "NICK a");
	line(2, "USER a 0 * :a");
	expect_part(2, " 464 ");
	open_irc(3);
	line(3, "PASS secret");
	line(3, "NICK a");
	line(3, "USER a 0 * :a");
	expect_part(3, " 001 ");
}

static void test_capabilities(void **state)
{
	open_irc(1);
	line(1, "CAP LS 302");
	expect(1, ":srv CAP * LS :account-notify account-tag away-notify batch cap-notify "
		  "chghost "
		  "echo-message extended-join "
		  "invite-notify labeled-response message-tags multi-prefix server-time setname "
		  "standard-replies userhost-in-names\n");
	line(1, "NICK bob");
	line(1, "USER bob 0 * :Bob");
	expect(1, "");
	line(1, "CAP REQ :multi-prefix nosuch");
	expect(1, ":srv CAP bob NAK :multi-prefix nosuch\n");
	line(1, "CAP LIST");
	expect(1, ":srv CAP bob LIST :cap-notify\n");
	line(1, "CAP REQ :multi-prefix echo-message");
	expect(1, ":srv CAP bob ACK :multi-prefix echo-message\n");
	line(1, "CAP REQ :-multi-prefix");
	expect(1, ":srv CAP bob ACK :-multi-prefix\n");
	line(1, "CAP NOSUCH");
	expect(1, ":srv 410 bob NOSUCH :Invalid CAP command\n");
	line(1, "CAP END");
	expect_part(1, " 001 bob ");
	forget(1);
	line(1, "CAP LIST");
	expect(1, ":srv CAP bob LIST :cap-notify echo-message\n");
	line(1, "CAP END");
	expect(1, "");
	line(1, "CAP REQ :-cap-notify"); /* it came with the version, and stays */
	expect(1, ":srv CAP bob NAK :-cap-notify\n");
	line(1, "PRIVMSG bob :to myself"); /* the message, and its echo */
	expect(1, ":bob!~bob@10.0.0.1 PRIVMSG bob :to myself\n"
		  ":bob!~bob@10.0.0.1 PRIVMSG bob :to myself\n");
}

/* What another config offers is told to whoever wants to be, and what it does not is off. */
static void test_capabilities_change(void **state)
{
	struct room_config other = room_config;

	open_irc(1);
	line(1, "CAP LS 302");
	enter(2, "old");
	line(1, "NICK bob");
	line(1, "USER bob 0 * :Bob");
	line(1, "CAP END");
	forget_all();
	other.history = true;
	room_configure(room, &other);
	expect(1, ":srv CAP bob NEW :draft/chathistory draft/event-playback\n");
	expect(2, "");
	line(1, "CAP REQ :draft/chathistory");
	expect_part(1, " ACK ");
	forget(1);
	room_configure(room, &room_config);
	expect(1, ":srv CAP bob DEL :draft/chathistory draft/event-playback\n");
	line(1, "CAP LIST");
	expect(1, ":srv CAP bob LIST :cap-notify\n");
	room_configure(room, &room_config);
	expect(1, "");
}

static void test_no_name(void **state)
{
	open_irc(1);
	line(1, "NICK a");
	line(1, "USER a 0 * :");
	expect(1, ":srv 461 a USER :Not enough parameters\n");
}

static void test_away_again_is_no_news(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	line(2, "CAP REQ :away-notify");
	forget_all();
	line(1, "AWAY :out");
	expect(2, ":a!~a@10.0.0.1 AWAY :out\n");
	line(1, "AWAY :out");
	expect(2, "");
	line(1, "AWAY :still out");
	expect(2, ":a!~a@10.0.0.1 AWAY :still out\n");
	line(1, "AWAY");
	expect(2, ":a!~a@10.0.0.1 AWAY\n");
	line(1, "AWAY");
	expect(2, "");
}

/* Text that goes on in a second line does not become a request between programs there. */
static void test_no_ctcp_by_length(void **state)
{
	const int fits = 512 - 2 - (int)strlen(":a!~a@10.0.0.1 PRIVMSG #x :");
	char text[600];

	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	forget_all();
	for (int before = fits - 3; before <= fits; before++) {
		snprintf(text, sizeof(text), "PRIVMSG #x :%0*d\1VERSION\1", before, 7);
		if (strlen(text) > 510)
			continue;
		line(1, text);
		expect_part(2, "N\1\n");
		expect_no(2, "#x :\1");
		forget(2);
	}
	memset(text, '\1', sizeof(text));
	memcpy(text, "PRIVMSG #x :x", 13);
	text[505] = '\0';
	line(1, text);
	expect_no(2, "#x :\1");
}

static void test_echo_message(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "CAP REQ echo-message");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	forget_all();
	line(1, "PRIVMSG #x :hi");
	expect(1, ":a!~a@10.0.0.1 PRIVMSG #x :hi\n");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG #x :hi\n");
	line(1, "PRIVMSG b :hi");
	expect(1, ":a!~a@10.0.0.1 PRIVMSG b :hi\n");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :hi\n");
}

/* What a web page may have a browser send is no way into the room. */
static void test_http(void **state)
{
	static const char *const begins[] = {
		"POST / HTTP/1.1", "GET /?a=b HTTP/1.0", "OPTIONS * HTTP/1.1",
		"Host: 127.0.0.1:6667", /* of a request that was too long */
	};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		open_irc(1);
		line(1, begins[i]);
		expect(1, "ERROR :Closing Link: 10.0.0.1 (This is no web server)\n");
		assert_true(is_closed(1));
		line(1, "NICK evil");
		expect(1, "");
	}
	open_irc(1);
	line(1, "NICK Host:");
	expect(1, ":srv 432 * Host: :Erroneous nickname\n");
	line(1, "USER x / HTTP/1.1 x");
	line(1, "NICK bob");
	forget(1);
	line(1, "POST / HTTP/1.1"); /* no browser says that */
	expect(1, ":srv 421 bob POST :Unknown command\n");
}

static void test_unknown_and_missing(void **state)
{
	enter(1, "a");
	line(1, "NOSUCH x");
	expect(1, ":srv 421 a NOSUCH :Unknown command\n");
	line(1, "JOIN");
	expect(1, ":srv 461 a JOIN :Not enough parameters\n");
	line(1, "kick #x");
	expect(1, ":srv 461 a KICK :Not enough parameters\n");
	room_line_too_long(room, 1);
	expect(1, ":srv 417 a :Input line was too long\n");
}

static void test_ping(void **state)
{
	enter(1, "a");
	line(1, "PING :x y");
	expect(1, ":srv PONG srv :x y\n");
	line(1, "PING");
	expect(1, ":srv 409 a :No origin specified\n");
	line(1, "PONG x");
	expect(1, "");
}

static void test_nick_change(void **state)
{
	enter(1, "a");
	enter(2, "b");
	enter(3, "c");
	line(1, "JOIN #x,#y");
	line(2, "JOIN #x,#y");
	forget_all();
	line(1, "NICK 新名字");
	expect(1, ":a!~a@10.0.0.1 NICK :新名字\n");
	expect(2, ":a!~a@10.0.0.1 NICK :新名字\n"); /* once, though they share two channels */
	expect(3, "");
	line(1, "NICK B");
	expect(1, ":srv 433 新名字 B :Nickname is already in use\n");
	line(2, "NICK B");
	expect(2, ":b!~b@10.0.0.2 NICK :B\n");
	line(2, "NICK B");
	expect(2, "");
	line(3, "NICK a");
	expect(3, ":c!~c@10.0.0.3 NICK :a\n");
}

static void test_messages(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "PRIVMSG b :hi there");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :hi there\n");
	line(1, "PRIVMSG B hi");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :hi\n");
	line(1, "@+typing=active PRIVMSG b :tags are dropped");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :tags are dropped\n");
	line(1, ":b!x@y PRIVMSG b :forged");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :forged\n");
	line(1, "PRIVMSG nobody,b :x");
	expect(1, ":srv 401 a nobody :No such nick/channel\n");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :x\n");
	line(1, "PRIVMSG");
	line(1, "PRIVMSG b");
	line(1, "PRIVMSG b :");
	line(1, "PRIVMSG #nowhere :x");
	expect(1, ":srv 411 a :No recipient given (PRIVMSG)\n"
		  ":srv 412 a :No text to send\n"
		  ":srv 412 a :No text to send\n"
		  ":srv 401 a #nowhere :No such nick/channel\n");
	line(1, "PRIVMSG b,,B,b :once");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :once\n");
	line(1, "PRIVMSG ,b,,#1,#2,#3,#4 :x");
	expect_part(1, ":srv 407 a #4 :Too many recipients\n");
	forget_all();
	line(1, "NOTICE b :note");
	expect(2, ":a!~a@10.0.0.1 NOTICE b :note\n");
	line(1, "NOTICE nobody :x");
	line(1, "NOTICE");
	line(1, "NOTICE #nowhere :x");
	line(1, "NOTICE b");
	expect(1, ""); /* never answered */
}

static void test_away(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(2, "AWAY :at lunch");
	expect(2, ":srv 306 b :You have been marked as being away\n");
	line(1, "PRIVMSG b :x");
	expect(1, ":srv 301 a b :at lunch\n");
	line(1, "NOTICE b :x");
	expect(1, "");
	forget(2);
	line(2, "AWAY");
	expect(2, ":srv 305 b :You are no longer marked as being away\n");
	line(1, "PRIVMSG b :x");
	expect(1, "");
}

static void test_injection(void **state)
{
	static const char evil[] = "PRIVMSG b :x\r\nQUIT :y\0z\n";

	enter(1, "a");
	enter(2, "b");
	room_line(room, 1, evil, sizeof(evil) - 1);
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :x\n");
	expect(1, "");
}

static void test_encoding(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "PRIVMSG b :caf\xe9");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG b :caf\xef\xbf\xbd\n");
	expect_part(1, ":srv WARN PRIVMSG INVALID_UTF8 :");
	forget(1);
	line(1, "PRIVMSG b :caf\xe9");
	expect(1, ""); /* told once */
	line(1, "NICK caf\xe9");
	expect_part(1, " 432 ");
}

static void test_long_lines(void **state)
{
	char text[600] = "PRIVMSG b :";
	size_t got = 0;

	for (size_t n = strlen(text); n < 507; n += 3)
		strcpy(text + n, "中");
	enter(1, "a");
	enter(2, "b");
	line(1, text);
	for (const char *p = told(2); (p = strstr(p, "中")) != NULL; p += 3)
		got++;
	assert_int_equal(got, (strlen(text) - 11) / 3);
	assert_null(strstr(told(2), UTF8_REPLACEMENT));
	assert_non_null(strstr(told(2), "\n:a!~a@10.0.0.1 PRIVMSG b :中"));
	forget(2);
	memset(text, 'x', 507);
	memcpy(text, "PRIVMSG b :\1ACTION ", 19);
	strcpy(text + 507, "\1");
	line(1, text);
	assert_int_equal(strlen(told(2)), 511); /* one line, CR taken off */
	assert_string_equal(told(2) + 508, "x\1\n");
}

static void test_quit(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x,#y");
	line(2, "JOIN #x,#y");
	forget_all();
	line(1, "QUIT :bye");
	expect(1, "ERROR :Closing Link: 10.0.0.1 (Quit: bye)\n");
	assert_true(is_closed(1));
	expect(2, ":a!~a@10.0.0.1 QUIT :Quit: bye\n");
	line(1, "PRIVMSG b :ghost"); /* an id that is nobody's */
	expect(2, "");
	enter(1, "a"); /* the nick and the id are free again */
	line(1, "JOIN #x");
	forget_all();
	close_irc(1, "Connection reset by peer");
	expect(2, ":a!~a@10.0.0.1 QUIT :Connection reset by peer\n");
	expect(1, "");
}

static void test_times(void **state)
{
	assert_true(room_deadline(room) == USEC_INFINITY);
	open_irc(1);
	pass_time(29 * USEC_PER_SEC);
	line(1, "NICK a"); /* does not gain time */
	pass_time(USEC_PER_SEC);
	expect(1, "ERROR :Closing Link: 10.0.0.1 (Registration timed out)\n");
	assert_true(is_closed(1));
	assert_true(room_deadline(room) == USEC_INFINITY);
	enter(2, "b");
	enter(3, "c");
	pass_time(119 * USEC_PER_SEC);
	line(3, "PONG x");
	expect(2, "");
	pass_time(USEC_PER_SEC);
	expect(2, "PING :srv\n");
	expect(3, "");
	pass_time(59 * USEC_PER_SEC);
	line(2, "PONG srv");
	pass_time(60 * USEC_PER_SEC);
	assert_false(is_closed(2));
	expect(2, "");
	expect(3, "PING :srv\n");
	line(3, "x");
	pass_time(120 * USEC_PER_SEC);
	pass_time(60 * USEC_PER_SEC);
	assert_true(is_closed(2));
	expect_part(2, "(Ping timeout: 60 seconds)");
	assert_true(room_deadline(room) == USEC_INFINITY);
}

static void test_no_limit_of_time(void **state)
{
	room_config.registration_timeout = 0;
	room_config.ping_interval = 0;
	open_irc(1);
	enter(2, "b");
	assert_true(room_deadline(room) == USEC_INFINITY);
	pass_time(USEC_INFINITY / 4);
	expect(1, "");
	expect(2, "");
}

static void test_user_modes(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "MODE a");
	expect(1, ":srv 221 a +\n");
	line(1, "MODE A +i-w+w");
	expect(1, ":a MODE a :+i+w\n");
	line(1, "MODE a");
	expect(1, ":srv 221 a +iw\n");
	line(1, "MODE a +x-i");
	expect(1, ":srv 501 a :Unknown MODE flag\n:a MODE a :-i\n");
	line(1, "MODE b +i");
	expect(1, ":srv 502 a :Can't change mode for other users\n");
	line(1, "MODE nobody");
	expect(1, ":srv 401 a nobody :No such nick/channel\n");
}

static void test_ids(void **state)
{
	open_irc(1);
	assert_int_equal(room_opened(room, 1, "x"), -17); /* EEXIST */
	room_closed(room, 7, "never opened");
	room_line(room, 99999, "NICK x", 6);
	room_line_too_long(room, 99999);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, harness_start, harness_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_are_sorted),
		ROOM_TEST(test_registration),
		ROOM_TEST(test_user_by_ipv6),
		ROOM_TEST(test_registration_errors),
		ROOM_TEST(test_password),
		ROOM_TEST(test_capabilities),
		ROOM_TEST(test_echo_message),
		ROOM_TEST(test_http),
		ROOM_TEST(test_unknown_and_missing),
		ROOM_TEST(test_ping),
		ROOM_TEST(test_nick_change),
		ROOM_TEST(test_messages),
		ROOM_TEST(test_away),
		ROOM_TEST(test_injection),
		ROOM_TEST(test_encoding),
		ROOM_TEST(test_long_lines),
		ROOM_TEST(test_quit),
		ROOM_TEST(test_times),
		ROOM_TEST(test_no_limit_of_time),
		ROOM_TEST(test_user_modes),
		ROOM_TEST(test_capabilities_change),
		ROOM_TEST(test_no_name),
		ROOM_TEST(test_away_again_is_no_news),
		ROOM_TEST(test_no_ctcp_by_length),
		ROOM_TEST(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
