/* SPDX-License-Identifier: MIT */
/* The room, by IRC: what is asked of it. MOTD, LUSERS, VERSION, TIME, ISON, USERHOST, WHOIS, WHO. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, harness_start, harness_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROOM_TEST(test_motd),          ROOM_TEST(test_server_queries),
		ROOM_TEST(test_ison_userhost), ROOM_TEST(test_whois),
		ROOM_TEST(test_who),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
