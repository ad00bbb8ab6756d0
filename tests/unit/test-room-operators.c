/* SPDX-License-Identifier: MIT */
/* The operators' channel: who comes in, what is asked and answered there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "room-harness.h"

static void open_all(void)
{
	room_config.operators_open = true;
}

static void test_only_as_configured(void **state)
{
	enter(1, "a");
	line(1, "JOIN #ops");
	expect(1, ":srv 473 a #ops :Cannot join channel: log in to an operator's account\n");
	line(1, "LIST");
	expect_no(1, "#ops");
	forget(1);
	line(1, "PRIVMSG #ops :!status"); /* as where there is no such channel */
	line(1, "MODE #ops");
	line(1, "MODE #ops b");
	line(1, "KNOCK #ops");
	expect(1, ":srv 401 a #ops :No such nick/channel\n"
		  ":srv 403 a #ops :No such channel\n"
		  ":srv 403 a #ops :No such channel\n"
		  ":srv 403 a #ops :No such channel\n");
	line(1, "WHOIS foster");
	expect_part(1, ":srv 311 a foster foster srv * :");
	expect_no(1, "#ops");
	forget(1);
	open_all();
	line(1, "JOIN #OPS");
	expect(1, ":a!~a@10.0.0.1 JOIN #ops\n"
		  ":srv 353 a @ #ops :@foster a\n"
		  ":srv 366 a #ops :End of /NAMES list\n");
}

static void test_nobody_else_has_rights(void **state)
{
	open_all();
	enter(1, "a");
	open_irc(2);
	line(2, "NICK foster");
	expect(2, ":srv 433 * foster :Nickname is already in use\n");
	line(1, "JOIN #ops");
	forget_all();
	line(1, "MODE #ops +o a");
	expect(1, ":srv 482 a #ops :You're not channel operator\n");
	line(1, "KICK #ops foster");
	expect(1, ":srv 482 a #ops :You're not channel operator\n");
	line(1, "TOPIC #ops :mine");
	expect(1, ":srv 482 a #ops :You're not channel operator\n");
	/* It does not go with its last member. */
	line(1, "PART #ops");
	line(1, "JOIN #ops");
	expect_part(1, ":@foster a\n");
}

static void test_an_invitation_does_not_open_it(void **state)
{
	open_all();
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #ops");
	line(1, "INVITE b #ops");
	room_config.operators_open = false;
	forget_all();
	line(2, "JOIN #ops");
	expect_part(2, "473");
}

static void test_who_loses_the_right_goes(void **state)
{
	char *operators[] = { (char *)"lily", NULL };

	with_accounts("lily", "lily", NULL);
	open_all();
	enter(1, "a");
	enter(2, "b");
	log_in_as(2, "lily");
	line(1, "JOIN #ops");
	line(2, "JOIN #ops");
	forget_all();
	room_configure(room, &room_config);
	expect(1, "");
	room_config.operators_open = false;
	room_config.operators = operators;
	room_configure(room, &room_config);
	expect(1, ":foster!foster@srv KICK #ops a :no right to be here any more\n");
	expect(2, ":foster!foster@srv KICK #ops a :no right to be here any more\n");
	room_operators_say(room, "web: running", NULL);
	expect(1, "");
	expect_part(2, "web: running");
	forget(2);
	room_config.operators = NULL;
	room_configure(room, &room_config);
	expect(2, ":foster!foster@srv KICK #ops b :no right to be here any more\n");
	line(2, "PRIVMSG foster :!status");
	expect(2, ":foster!foster@srv NOTICE b :join #ops first\n");
}

static void test_questions(void **state)
{
	open_all();
	enter(1, "a");
	line(1, "JOIN #ops");
	line(1, "PRIVMSG #ops :!status web");
	line(1, "PRIVMSG #ops :not for it! !status");
	line(1, "PRIVMSG #ops :!");
	line(1, "PRIVMSG #ops :! status");
	line(1, "NOTICE #ops :!restart web"); /* programs answer so: never obeyed */
	line(1, "PRIVMSG foster :status");
	line(1, "NOTICE foster :status");
	line(1, "PRIVMSG @#ops :!status");
	assert_string_equal(take_commands(), "#a !status web\na status\n");
}

static void test_nobody_to_ask(void **state)
{
	open_all();
	enter(1, "a");
	line(1, "JOIN #ops");
	forget_all();
	line(1, "PRIVMSG #ops :!not-now");
	expect(1, ":foster!foster@srv NOTICE #ops :not now; ask again in a moment\n");
}

static void test_only_members_ask(void **state)
{
	open_all();
	enter(1, "a");
	line(1, "PRIVMSG foster :!status");
	expect(1, ":foster!foster@srv NOTICE a :join #ops first\n");
	assert_string_equal(take_commands(), "");
	datagram(1, "L 张三");
	datagram(1, "C 张三 !status");
	assert_string_equal(take_commands(), "");
}

static void test_says(void **state)
{
	open_all();
	enter(1, "a");
	enter(2, "b");
	line(1, "CAP REQ message-tags");
	line(1, "JOIN #ops");
	forget_all();
	room_operators_say(room, "web: \x02running\x02\n\nPING :x\r\ttwo", "foster/service=web");
	expect_part(1, "foster/service=web");
	expect_part(1, " :foster!foster@srv PRIVMSG #ops :web: running\n");
	expect_part(1, " :foster!foster@srv PRIVMSG #ops :PING :x  two\n");
	expect_part(1, "bot");
	expect(2, "");
}

static void test_since_when_it_is_there(void **state)
{
	open_all();
	enter(1, "a");
	line(1, "JOIN #ops");
	pass_time(5 * USEC_PER_SEC);
	line(1, "WHOIS foster");
	expect_part(1, ":srv 317 a foster 5 1600000000 :seconds idle, signon time\n");
	line(1, "MODE #ops");
	expect_part(1, ":srv 329 a #ops 1600000000\n");
	room_operators_say(room, "web: running", NULL);
	pass_time(USEC_PER_SEC);
	forget(1);
	line(1, "WHOIS foster");
	expect_part(1, ":srv 317 a foster 1 1600000000 ");
}

static void test_answers(void **state)
{
	struct room_command in_channel, in_private;

	open_all();
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #ops");
	line(2, "JOIN #ops");
	line(1, "PRIVMSG #ops :!status");
	in_channel = last_command;
	line(1, "PRIVMSG foster :!status");
	in_private = last_command;
	forget_all();
	room_operators_answer(room, &in_channel, "all is well");
	expect(1, ":foster!foster@srv NOTICE #ops :all is well\n");
	expect(2, ":foster!foster@srv NOTICE #ops :all is well\n");
	room_operators_answer(room, &in_private, "one\ntwo");
	expect(1, ":foster!foster@srv NOTICE a :one\n:foster!foster@srv NOTICE a :two\n");
	expect(2, "");
	/* Another has the connection's number now: nothing is told. */
	close_irc(1, "gone");
	pass_time(USEC_PER_SEC);
	enter(1, "c");
	room_operators_answer(room, &in_private, "secret");
	expect(1, "");
}

static void test_what_nobody_heard(void **state)
{
	char text[32];

	open_all();
	for (int i = 0; i < 22; i++) { /* the last 20 are kept */
		snprintf(text, sizeof(text), "line %d", i);
		room_operators_say(room, text, NULL);
	}
	enter(1, "a");
	line(1, "JOIN #ops");
	expect_no(1, "line 1\n");
	expect_part(1, " 366 a #ops :End of /NAMES list\n"
		       ":foster!foster@srv PRIVMSG #ops :(2020-09-13 12:26:40 UTC) line 2\n");
	expect_part(1, "UTC) line 21\n");
	forget(1);
	enter(2, "b");
	line(2, "JOIN #ops");
	expect_no(2, "line");
	line(2, "PART #ops");
	line(1, "PART #ops");
	room_operators_say(room, "again", NULL);
	forget_all();
	line(2, "JOIN #ops");
	expect_part(2, "again");
}

static void test_is_no_connection(void **state)
{
	struct room_counts counts;

	open_all();
	enter(1, "a");
	line(1, "JOIN #ops");
	room_count(room, &counts);
	assert_int_equal(counts.users, 1);
	assert_int_equal(counts.connections, 1);
	/* It is told nothing, and nothing times out for it. */
	line(1, "PRIVMSG #ops :hello");
	line(1, "NICK b");
	pass_time(100 * USEC_PER_SEC);
	line(1, "QUIT");
	pass_time(3600 * USEC_PER_SEC);
	enter(2, "c");
	line(2, "ISON foster");
	expect_part(2, "foster");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_start_operators, harness_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_as_configured),
		TEST(test_nobody_else_has_rights),
		TEST(test_an_invitation_does_not_open_it),
		TEST(test_who_loses_the_right_goes),
		TEST(test_questions),
		TEST(test_nobody_to_ask),
		TEST(test_only_members_ask),
		TEST(test_says),
		TEST(test_since_when_it_is_there),
		TEST(test_answers),
		TEST(test_what_nobody_heard),
		TEST(test_is_no_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
