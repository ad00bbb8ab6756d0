/* SPDX-License-Identifier: MIT */
/* Server operators by account: OPER, KILL, WALLOPS, REHASH, K-lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "room-harness.h"

static char *names[] = { (char *)"Lily", NULL };

/* lily, an operator, is connection 0. */
static void enter_operator(void)
{
	with_accounts("lily", "lily", "thomas", "thomas", NULL);
	room_config.server_operators = names;
	enter(0, "boss");
	log_in_as(0, "lily");
	line(0, "OPER lily unused");
	expect(0, ":boss MODE boss :+o\n:srv 381 boss :You are now an IRC operator\n");
}

static void oper_is_by_account(void **state)
{
	with_accounts("lily", "lily", "thomas", "thomas", NULL);
	enter(0, "Lily2");
	line(0, "OPER");
	expect(0, ":srv 491 Lily2 :Log in to an operator's account first\n");
	log_in_as(0, "thomas");
	line(0, "OPER lily password");
	expect(0, ":srv 491 Lily2 :Your account is no operator's\n");
	room_config.server_operators = names;
	line(0, "OPER");
	expect_part(0, " 491 ");
	line(0, "MODE Lily2 +o");
	forget(0);
	line(0, "KILL Lily2 :x");
	expect(0, ":srv 481 Lily2 :Permission denied: you are not an IRC operator\n");
	line(0, "WALLOPS :x");
	line(0, "REHASH");
	line(0, "KLINE a@1.2.3.4");
	line(0, "UNKLINE a@1.2.3.4");
	line(0, "STATS k");
	expect_no(0, "216");
	forget(0);
	expect_operation("");
}

static void an_operator_is_shown(void **state)
{
	enter_operator();
	enter(1, "tom2");
	line(1, "WHOIS boss");
	expect_part(1, ":srv 313 tom2 boss :is an IRC operator\n");
	line(1, "LUSERS");
	expect_part(1, ":srv 252 tom2 1 :operator(s) online\n");
	line(1, "USERHOST boss");
	expect_part(1, ":boss*=+");
	forget(1);
	line(1, "WHO * o");
	expect(1, ":srv 352 tom2 * ~boss 10.0.0.0 srv boss H* :0 Real boss\n"
		  ":srv 315 tom2 * :End of /WHO list\n");
	line(0, "MODE boss");
	expect(0, ":srv 221 boss +o\n");
	line(0, "MODE boss -o");
	expect(0, ":boss MODE boss :-o\n");
	line(1, "LUSERS");
	expect_part(1, ":srv 252 tom2 0 :operator(s) online\n");
}

/* The right goes with the account, and with the config. */
static void the_right_is_lost(void **state)
{
	enter_operator();
	with_accounts("thomas", "thomas", NULL);
	expect_part(0, ":srv 901 boss ");
	expect_part(0, ":boss MODE boss :-o\n");
	with_accounts("lily", "lily", "thomas", "thomas", NULL);
	line(0, "CAP LS 302"); /* who may log in again */
	log_in_as(0, "lily");
	line(0, "OPER");
	expect_part(0, " 381 ");
	forget(0);
	log_in_as(0, "thomas");
	line(0, "REHASH");
	expect_part(0, " 481 ");
	enter(1, "other");
	log_in_as(1, "lily");
	line(1, "OPER");
	forget(1);
	room_config.server_operators = NULL;
	room_configure(room, &room_config);
	expect(1, ":other MODE other :-o\n");
}

static void kill_throws_out(void **state)
{
	enter_operator();
	enter(1, "tom");
	enter(2, "rose");
	line(1, "JOIN #chat");
	line(2, "JOIN #chat");
	datagram(3, "L zhang");
	forget_all();
	line(0, "KILL tom :no more of that");
	expect_operation("KILL tom!~tom@10.0.0.1: no more of that, by boss!~boss@10.0.0.0 (lily), "
			 "for 0\n");
	expect(1, ":boss!~boss@10.0.0.0 KILL tom :no more of that\n"
		  "ERROR :Closing Link: 10.0.0.1 (Killed (boss (no more of that)))\n");
	assert_true(is_closed(1));
	expect(2, ":tom!~tom@10.0.0.1 QUIT :Killed (boss (no more of that))\n");
	line(0, "KILL zhang :bye");
	expect_course(3, "\ntom 退出聊天室|EXIT|");
	expect_part(2, ":zhang!udp@10.1.0.3 QUIT :Killed (boss (bye))\n");
	expect(0, "");
	line(0, "KILL nobody :x");
	expect(0, ":srv 401 boss nobody :No such nick/channel\n");
	line(0, "KILL boss :myself");
	assert_true(is_closed(0));
}

static void the_operators_voice_cannot_be_killed(void **state)
{
	room_config.operators_channel = "#ops";
	enter_operator();
	line(0, "KILL " ROOM_VOICE " :x");
	expect(0, ":srv 401 boss " ROOM_VOICE " :No such nick/channel\n");
}

/* Who is logged out hears no more of the operators' channel. */
static void the_operators_channel_is_left(void **state)
{
	static char *operators[] = { (char *)"lily", NULL };

	room_config.operators_channel = "#ops";
	room_config.operators = operators;
	enter_operator();
	line(0, "JOIN #ops");
	expect_part(0, "JOIN #ops\n");
	forget(0);
	with_accounts("thomas", "thomas", NULL);
	expect_part(0, ":foster!foster@srv KICK #ops boss :logged out\n");
	line(0, "JOIN #ops");
	expect_no(0, "JOIN #ops\n");
}

static void wallops_reach_who_wants_them(void **state)
{
	enter_operator();
	enter(1, "tom");
	enter(2, "rose");
	line(1, "MODE tom +w");
	forget(1);
	line(0, "WALLOPS :tea");
	expect(1, ":boss!~boss@10.0.0.0 WALLOPS :tea\n");
	expect(2, "");
	expect(0, "");
}

static void rehash_asks_the_host(void **state)
{
	enter_operator();
	line(0, "REHASH");
	expect(0, ":srv 382 boss chat.conf :Rehashing\n");
	expect_operation("REHASH -: -, by boss!~boss@10.0.0.0 (lily), for 0\n");
	enter(1, "tom");
	room_tell_opers(room, "done");
	expect(0, ":srv NOTICE boss :*** done\n");
	expect(1, "");
}

static void klines_keep_out(void **state)
{
	enter_operator();
	enter(1, "tom");
	datagram(3, "L zhang");
	forget_all();
	line(0, "KLINE *@10.0.0.1 :spam");
	expect_operation("KLINE *@10.0.0.1: spam, by boss!~boss@10.0.0.0 (lily), for 0\n");
	expect(0, ":srv NOTICE boss :*** boss!~boss@10.0.0.0 (lily) keeps out *@10.0.0.1: spam\n");
	expect(1, ":srv 465 tom :You are banned from this server: spam\n"
		  "ERROR :Closing Link: 10.0.0.1 (Banned: spam)\n");
	open_irc(1);
	line(1, "NICK tom");
	line(1, "USER tom 0 * :x");
	expect(1, ":srv 465 tom :You are banned from this server: spam\n"
		  "ERROR :Closing Link: 10.0.0.1 (Banned)\n");
	enter(2, "rose");
	line(0, "KLINE udp@10.1.*"); /* no reason */
	expect_course(3, "EXIT|");
	datagram(3, "L zhang");
	expect_course(3, "不能进入|");
	forget(0);
	line(0, "STATS k");
	expect(0, ":srv 216 boss K 10.0.0.1 * * :spam\n"
		  ":srv 216 boss K 10.1.* * udp :no reason was given\n"
		  ":srv 219 boss k :End of /STATS report\n");
	line(0, "UNKLINE 10.0.0.1");
	expect_part(0, "(lily) lets in again *@10.0.0.1\n");
	enter(1, "tom");
	forget(0);
	line(0, "UNKLINE 10.0.0.1");
	expect(0, ":srv FAIL UNKLINE NO_SUCH_MASK :There is none; see STATS k\n");
	/* Operators are not thrown out, not even the one who was careless. */
	line(0, "KLINE 10.0.0.*");
	assert_false(is_closed(0));
	assert_true(is_closed(1));
	assert_true(is_closed(2));
}

static void refuses(const char *command, const char *why)
{
	line(0, command);
	expect_part(0, ":srv FAIL KLINE ");
	expect_part(0, why);
	expect_operation("");
	forget(0);
}

static void takes(const char *command, const char *operation)
{
	line(0, command);
	expect_operation(operation);
	forget(0);
}

static void make_cloak(const char *key, const char *address, char *buf, size_t size)
{
	snprintf(buf, size, "0123456789.01234567.%.2s%s.ip%s", address, key,
		 strchr(address, ':') ? "6" : "");
}

/* Judged by whom they would fit, not by how they look. */
static void masks_that_fit_all_are_refused(void **state)
{
	static const char *const wrong[] = { "*",        "*@*",         "~*@*",      "udp@*",
					     "*@*.*.*",  "*@*:*",       "*@*.?*",    "*@*.ip",
					     "*@*ip6",   "*@0.0.0.0/0", "0.0.0.0/1", "*@::/0",
					     "2000::/3", "~?*@*:*:*",   "*@01234*" };
	char text[64] = "KLINE ";

	room_config.cloak = make_cloak;
	room_config.cloak_key = "";
	enter_operator();
	for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
		strcpy(text + 6, wrong[i]);
		refuses(text, "\" would keep out almost everybody\n");
	}
	takes("KLINE ~zed@*",
	      "KLINE ~zed@*: no reason was given, by boss!~boss@0123456789.01234567."
	      "10.ip (lily), for 0\n");
	takes("KLINE *@*.77.ip", "KLINE *@*.77.ip: no reason was given, by "
				 "boss!~boss@0123456789.01234567.10.ip (lily), for 0\n");
}

static void nobody_locks_out_his_own_machine(void **state)
{
	static const char *const loopback[] = { "*@127.*", "127.0.0.1", "*@::1", "127.0.0.0/8" };
	char text[64] = "KLINE ";

	room_config.on_loopback = true;
	enter_operator();
	for (size_t i = 0; i < ELEMENTSOF(loopback); i++) {
		strcpy(text + 6, loopback[i]);
		refuses(text, "would keep out almost everybody");
	}
	takes("KLINE ~spam@127.0.0.1", "KLINE ~spam@127.0.0.1: no reason was given, by "
				       "boss!~boss@10.0.0.0 (lily), for 0\n");
	room_config.on_loopback = false;
	takes("KLINE 127.0.0.0/8", "KLINE *@127.0.0.0/8: no reason was given, by "
				   "boss!~boss@10.0.0.0 (lily), for 0\n");
}

static void masks_that_fit_nobody_are_refused(void **state)
{
	enter_operator();
	refuses("KLINE @10.0.0.1", "\"@10.0.0.1\" is no mask; that is user@host, as in ");
	refuses("KLINE a!b@10.0.0.1", "is no mask");
	refuses("KLINE vic :x",
		"\"vic\" has neither an address nor a cloak and fits nobody; WHOIS");
	refuses("KLINE zed@*", "users begin with ~, as in ~zed@*");
	refuses("KLINE 10.0.0.0/33", "is no network; one is an address with /n");
	refuses("KLINE 10.*/8", "is no network");
	refuses("KLINE 10.0.0.0/", "is no network");
	refuses("KLINE 2001:db8::/129", "is no network");
	refuses("KLINE abc x@1.2.3.4 :bad", " INVALID_TIME :A time is as in 30min, 12h or 1d");
	refuses("KLINE 99999999999 x@1.2.3.4 :big", " INVALID_TIME ");
	refuses("KLINE 5x 1.2.3.4", " INVALID_TIME ");
	refuses("KLINE 11y ~x@1.2.3.4", " INVALID_TIME ");
}

static void networks_are_kept_out(void **state)
{
	enter_operator();
	enter(1, "tom");
	datagram(3, "L zhang");
	forget_all();
	takes("KLINE ~tom@10.0.0.0/28 :x",
	      "KLINE ~tom@10.0.0.0/28: x, by boss!~boss@10.0.0.0 (lily), for 0\n");
	assert_true(is_closed(1));
	enter(2, "rose");
	assert_false(is_closed(2));
	takes("KLINE 10.0.0.3/31 :x",
	      "KLINE *@10.0.0.3/31: x, by boss!~boss@10.0.0.0 (lily), for 0\n");
	assert_true(is_closed(2));
	takes("KLINE 10.1.0.0/16 :x",
	      "KLINE *@10.1.0.0/16: x, by boss!~boss@10.0.0.0 (lily), for 0\n");
	expect_course(3, "EXIT|");
	enter(4, "ann");
	assert_false(is_closed(4));
	assert_int_equal(room_opened(room, 5, "2001:db8::7"), 0);
	line(5, "NICK six");
	line(5, "USER six 0 * :x");
	assert_false(is_closed(5));
	takes("KLINE 2001:0DB8:0::/33 :x",
	      "KLINE *@2001:0DB8:0::/33: x, by boss!~boss@10.0.0.0 (lily), for 0\n");
	assert_true(is_closed(5));
	line(0, "STATS k");
	expect_part(0, ":srv 216 boss K 10.1.0.0/16 * * :x\n");
	line(0, "UNKLINE 10.1.0.0/16");
	datagram(3, "L zhang");
	expect_course(3, "OK|");
}

/* Whoever could undo it is let in, by his account. */
static void who_may_be_operator_is_let_in(void **state)
{
	enter_operator();
	takes("KLINE 10.0.0.0/24 :careless",
	      "KLINE *@10.0.0.0/24: careless, by boss!~boss@10.0.0.0 (lily), for 0\n");
	close_irc(0, "gone");
	open_irc(1);
	line(1, "NICK tom");
	line(1, "USER tom 0 * :x");
	expect_part(1, " 465 ");
	open_irc(2);
	line(2, "CAP REQ sasl");
	log_in_as(2, "lily");
	line(2, "NICK boss");
	line(2, "USER boss 0 * :x");
	line(2, "CAP END");
	expect_part(2, ":srv 001 boss ");
	line(2, "OPER");
	line(2, "UNKLINE 10.0.0.0/24");
	expect_part(2, "lets in again *@10.0.0.0/24\n");
	enter(3, "tom");
	assert_false(is_closed(3));
}

static void klines_expire(void **state)
{
	struct room_kline old = { "*@10.0.0.2", "old", "x", 1, 0 };

	enter_operator();
	assert_int_equal(room_set_klines(room, &old, 1), 0);
	line(0, "KLINE 5 10.0.0.1 :for a while");
	expect_operation("KLINE *@10.0.0.1: for a while, by boss!~boss@10.0.0.0 (lily), for 300\n");
	takes("KLINE 5m 10.0.0.3", "KLINE *@10.0.0.3: no reason was given, by "
				   "boss!~boss@10.0.0.0 (lily), for 300\n");
	takes("KLINE 1d 10.0.0.4 :x",
	      "KLINE *@10.0.0.4: x, by boss!~boss@10.0.0.0 (lily), for 86400\n");
	takes("KLINE 0 10.0.0.5", "KLINE *@10.0.0.5: no reason was given, by "
				  "boss!~boss@10.0.0.0 (lily), for 0\n");
	pass_time(301 * USEC_PER_SEC);
	line(0, "PONG x");
	enter(1, "tom");
	open_irc(2);
	line(2, "NICK rose");
	line(2, "USER rose 0 * :x");
	expect_part(2, ":srv 465 rose :You are banned from this server: old\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_start, harness_stop)
	const struct CMUnitTest tests[] = {
		TEST(oper_is_by_account),
		TEST(an_operator_is_shown),
		TEST(the_right_is_lost),
		TEST(kill_throws_out),
		TEST(the_operators_voice_cannot_be_killed),
		TEST(the_operators_channel_is_left),
		TEST(wallops_reach_who_wants_them),
		TEST(rehash_asks_the_host),
		TEST(klines_keep_out),
		TEST(masks_that_fit_all_are_refused),
		TEST(nobody_locks_out_his_own_machine),
		TEST(masks_that_fit_nobody_are_refused),
		TEST(networks_are_kept_out),
		TEST(who_may_be_operator_is_let_in),
		TEST(klines_expire),
	};

	return cmocka_run_group_tests_name("room: operators of the server", tests, NULL, NULL);
}
