/* SPDX-License-Identifier: MIT */
/*
 * The room, by IRC: what is asked of it. MOTD, LUSERS, VERSION, TIME, ISON, USERHOST, WHOIS, WHO.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/units.h"
#include "room-harness.h"

static void test_motd(void **state)
{
	char one[] = "one", empty[] = "", three[] = "三";
	char *motd[] = { one, empty, three, NULL };

	room_config.motd = motd;
	enter(1, "a");
	line(1, "MOTD");
	expect(1, ":srv 375 a :- srv Message of the day -\n"
		  ":srv 372 a :- one\n:srv 372 a :- \n:srv 372 a :- 三\n"
		  ":srv 376 a :End of /MOTD command\n");
	line(1, "MOTD other.server");
	expect(1, ":srv 402 a other.server :No such server\n");
	line(1, "MOTD srv");
	expect_part(1, " 376 ");
}

static void test_server_queries(void **state)
{
	enter(1, "a");
	open_irc(2);
	line(1, "LUSERS");
	expect_part(1, ":srv 253 a 1 :unknown connection(s)\n");
	forget(1);
	line(1, "VERSION");
	expect_part(1, ":srv 351 a foster-test srv :IRC and the course protocol\n:srv 005 a ");
	forget(1);
	line(1, "TIME");
	expect(1, ":srv 391 a srv :2020-09-13 12:26:40 UTC\n");
}

static void test_ison_userhost(void **state)
{
	enter(1, "a");
	enter(2, "Bob");
	open_irc(3);
	line(3, "NICK half");
	line(1, "ISON bob nobody :half a");
	expect(1, ":srv 303 a :Bob a\n");
	line(1, "ISON nobody");
	expect(1, ":srv 303 a :\n");
	line(2, "AWAY :x");
	line(1, "USERHOST bob nobody a");
	expect(1, ":srv 302 a :Bob=-~Bob@10.0.0.2 a=+~a@10.0.0.1\n");
}

static void test_whois(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(2, "JOIN #x,#secret");
	line(2, "MODE #secret +s");
	line(2, "AWAY :out");
	pass_time(5 * USEC_PER_SEC);
	line(1, "WHOIS srv B");
	expect(1, ":srv 311 a b ~b 10.0.0.2 * :Real b\n"
		  ":srv 319 a b :@#x\n"
		  ":srv 312 a b srv :net\n"
		  ":srv 301 a b :out\n"
		  ":srv 317 a b 5 1600000000 :seconds idle, signon time\n"
		  ":srv 318 a b :End of /WHOIS list\n");
	line(1, "WHOIS nobody");
	expect(1, ":srv 401 a nobody :No such nick/channel\n"
		  ":srv 318 a nobody :End of /WHOIS list\n");
	line(1, "WHOIS");
	expect(1, ":srv 431 a :No nickname given\n");
	line(1, "WHOWAS b");
	expect(1, ":srv 406 a b :There was no such nickname\n:srv 369 a b :End of WHOWAS\n");
}

static void test_who(void **state)
{
	enter(1, "a");
	enter(2, "b");
	enter(3, "c");
	line(2, "JOIN #x");
	line(3, "JOIN #x");
	line(2, "MODE #x +v c");
	line(3, "MODE c +i");
	line(3, "AWAY :x");
	line(1, "WHO #x");
	expect(1, ":srv 352 a #x ~b 10.0.0.2 srv b H@ :0 Real b\n"
		  ":srv 315 a #x :End of /WHO list\n");
	forget(2);
	line(2, "WHO #x");
	expect(2, ":srv 352 b #x ~b 10.0.0.2 srv b H@ :0 Real b\n"
		  ":srv 352 b #x ~c 10.0.0.3 srv c G+ :0 Real c\n"
		  ":srv 315 b #x :End of /WHO list\n");
	line(1, "WHO c");
	expect(1, ":srv 352 a * ~c 10.0.0.3 srv c G :0 Real c\n:srv 315 a c :End of /WHO list\n");
	line(1, "WHO *.0.2");
	expect(1, ":srv 352 a * ~b 10.0.0.2 srv b H :0 Real b\n"
		  ":srv 315 a *.0.2 :End of /WHO list\n");
	line(1, "WHO");
	expect_part(1, "srv a H :0");
	expect_part(1, "srv b H :0");
	expect_no(1, "srv c ");
	forget(1);
	line(1, "WHO * o");
	expect(1, ":srv 315 a * :End of /WHO list\n");
	line(1, "WHO #none");
	expect(1, ":srv 315 a #none :End of /WHO list\n");
}

static void test_whox(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	line(2, "AWAY :out");
	line(2, "MODE b +B");
	forget_all();
	line(1, "WHO #x %tcuhsnfr,42");
	expect(1, ":srv 354 a 42 #x ~a 10.0.0.1 srv a H@ :Real a\n"
		  ":srv 354 a 42 #x ~b 10.0.0.2 srv b GB :Real b\n"
		  ":srv 315 a #x :End of /WHO list\n");
	line(1, "WHO b %na");
	expect(1, ":srv 354 a b 0\n:srv 315 a b :End of /WHO list\n");
	line(1, "WHO b %tn,12345");
	expect(1, ":srv 354 a 0 b\n:srv 315 a b :End of /WHO list\n");
	line(1, "WHO b");
	expect(1, ":srv 352 a * ~b 10.0.0.2 srv b GB :0 Real b\n"
		  ":srv 315 a b :End of /WHO list\n");
	line(1, "WHOIS b");
	expect_part(1, ":srv 335 a b :is a bot\n");
}

static void test_whowas_of_one_who_was(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(2, "NICK bb");
	line(2, "QUIT");
	forget_all();
	line(1, "WHOWAS b");
	expect(1, ":srv 314 a b ~b 10.0.0.2 * :Real b\n"
		  ":srv 312 a b srv :2020-09-13 12:26:40 UTC\n"
		  ":srv 369 a b :End of WHOWAS\n");
	enter(2, "bb");
	close_irc(2, "gone");
	line(1, "WHOWAS BB 1");
	expect(1, ":srv 314 a bb ~bb 10.0.0.2 * :Real bb\n"
		  ":srv 312 a bb srv :2020-09-13 12:26:40 UTC\n"
		  ":srv 369 a BB :End of WHOWAS\n");
	/* The ring holds the last ones only. */
	for (int i = 0; i < 1100; i++) {
		enter(2, "c");
		close_irc(2, "gone");
	}
	forget_all();
	line(1, "WHOWAS b");
	expect(1, ":srv 406 a b :There was no such nickname\n:srv 369 a b :End of WHOWAS\n");
}

static void test_monitor(void **state)
{
	enter(1, "a");
	line(1, "MONITOR + b,C,b,1bad");
	expect(1, ":srv 731 a :b\n:srv 731 a :C\n");
	enter(2, "B");
	expect(1, ":srv 730 a :B!~B@10.0.0.2\n");
	line(2, "NICK c");
	expect(1, ":srv 731 a :B\n:srv 730 a :c!~B@10.0.0.2\n");
	line(2, "NICK C");
	expect(1, "");
	line(1, "MONITOR L");
	expect(1, ":srv 732 a :b\n:srv 732 a :C\n:srv 733 a :End of MONITOR list\n");
	line(1, "MONITOR S");
	expect(1, ":srv 731 a :b\n:srv 730 a :C!~B@10.0.0.2\n");
	line(1, "MONITOR - c");
	line(2, "QUIT");
	expect(1, "");
	datagram(1, "L b");
	expect(1, ":srv 730 a :b!udp@10.1.0.1\n");
	line(1, "MONITOR C");
	datagram(1, "Q b");
	expect(1, "");
	line(1, "MONITOR +");
	expect(1, ":srv 461 a MONITOR :Not enough parameters\n");
}

static void test_monitor_has_an_end(void **state)
{
	char text[32];

	enter(1, "a");
	enter(2, "watcher");
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "MONITOR + n%d", i);
		line(1, text);
	}
	forget_all();
	line(1, "MONITOR + more,again");
	expect(1, ":srv 734 a 100 more,again :Monitor list is full\n");
	/* Who leaves watches no more. */
	line(2, "MONITOR + n5");
	line(1, "QUIT");
	forget_all();
	enter(3, "n5");
	expect(2, ":srv 730 watcher :n5!~n5@10.0.0.3\n");
	close_irc(2, "gone");
	line(3, "QUIT");
}

static void test_help_and_the_like(void **state)
{
	enter(1, "a");
	line(1, "HELP");
	expect_part(1, ":srv 704 a * :HELP command tells more:\n:srv 705 a * :AWAY\n");
	expect_part(1, ":srv 706 a * :End of /HELP\n");
	forget(1);
	line(1, "HELP join");
	expect_part(1, ":srv 704 a JOIN :JOIN #channel");
	forget(1);
	line(1, "HELP nothing");
	expect(1, ":srv 524 a nothing :There is no help on that\n");
	line(1, "INFO");
	expect_part(1, ":srv 371 a :foster-test\n");
	expect_part(1, ":srv 374 a :End of /INFO list\n");
	forget(1);
	line(1, "LINKS");
	expect(1, ":srv 364 a srv srv :0 net\n:srv 365 a * :End of /LINKS list\n");
	line(1, "STATS u");
	expect(1, ":srv 242 a :Server Up 18518 days 12:26:40\n"
		  ":srv 219 a u :End of /STATS report\n");
	line(1, "STATS");
	expect(1, ":srv 219 a * :End of /STATS report\n");
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, harness_start, harness_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROOM_TEST(test_motd),
		ROOM_TEST(test_server_queries),
		ROOM_TEST(test_ison_userhost),
		ROOM_TEST(test_whois),
		ROOM_TEST(test_who),
		ROOM_TEST(test_whox),
		ROOM_TEST(test_whowas_of_one_who_was),
		ROOM_TEST(test_monitor),
		ROOM_TEST(test_monitor_has_an_end),
		ROOM_TEST(test_help_and_the_like),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
