/* SPDX-License-Identifier: MIT */
/* Server operators by account: OPER, KILL, WALLOPS, REHASH, K-lines. */
#include <setjmp.h>
#include <stdarg.h>
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

static void masks_that_fit_all_are_refused(void **state)
{
	static const char *const wrong[] = { "*",         "*@*",          "a@*",   "*@*.*.*",
					     "@10.0.0.1", "a!b@10.0.0.1", "*@?.?1" };
	char text[64] = "KLINE ";

	enter_operator();
	for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
		strcpy(text + 6, wrong[i]);
		line(0, text);
		expect(0,
		       ":srv FAIL KLINE INVALID_MASK :It takes user@host, and not everybody's\n");
	}
	expect_operation("");
}

static void klines_expire(void **state)
{
	struct room_kline old = { "*@10.0.0.2", "old", "x", 1, 0 };

	enter_operator();
	assert_int_equal(room_set_klines(room, &old, 1), 0);
	line(0, "KLINE 5 10.0.0.1 :for a while");
	expect_operation("KLINE *@10.0.0.1: for a while, by boss!~boss@10.0.0.0 (lily), for 300\n");
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
		TEST(klines_expire),
	};

	return cmocka_run_group_tests_name("room: operators of the server", tests, NULL, NULL);
}
