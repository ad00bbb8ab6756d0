/* SPDX-License-Identifier: MIT */
/* Cloaks: how they are made, and that a room shows nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "chat/cloak.h"
#include "room-harness.h"

#define KEY "a key of 16 bytes"

static const char *cloak_of(const char *address)
{
	static char texts[4][80];
	static int next;
	char *text = texts[next++ % 4];

	cloak_address(KEY, address, text, sizeof(texts[0]));
	return text;
}

/* What stands behind the nth dot. */
static const char *behind(const char *cloak, int n)
{
	while (n-- > 0)
		cloak = strchr(cloak, '.') + 1;
	return cloak;
}

static bool same_behind(const char *a, const char *b, int n)
{
	return strcmp(behind(cloak_of(a), n), behind(cloak_of(b), n)) == 0;
}

/* openssl dgst -sha256 -hmac 'a key of 16 bytes' of "4" and the bytes c0 00 02 07, and so on. */
static void test_as_the_manual_says(void **state)
{
	assert_string_equal(cloak_of("192.0.2.7"), "f60df7aa56.5764ff37.d00f0b.ip");
	assert_string_equal(cloak_of("2001:db8::7"), "90f64e79b1.619a20e9.b9b183.ip6");
	assert_int_equal(strlen(cloak_of("somewhere")), 15);
}

static void test_networks_are_told_apart(void **state)
{
	assert_false(same_behind("192.0.2.7", "192.0.2.8", 0));
	assert_true(same_behind("192.0.2.7", "192.0.2.8", 1));
	assert_false(same_behind("192.0.2.7", "192.0.3.7", 1));
	assert_true(same_behind("192.0.2.7", "192.0.3.7", 2));
	assert_false(same_behind("192.0.2.7", "192.1.2.7", 2));
	/* Who has a /64 has all of it. */
	assert_true(same_behind("2001:db8::7", "2001:db8::8", 0));
	assert_false(same_behind("2001:db8::7", "2001:db8:0:1::7", 0));
	assert_true(same_behind("2001:db8::7", "2001:db8:0:1::7", 1));
	assert_false(same_behind("2001:db8::7", "2001:db8:1::7", 1));
	assert_true(same_behind("2001:db8::7", "2001:db8:1::7", 2));
	assert_false(same_behind("2001:db8::7", "2001:db9::7", 2));
	assert_true(same_behind("0::1", "::1", 0));
}

static void test_another_key_another_cloak(void **state)
{
	char other[80];

	cloak_address("another key of the same kind", "192.0.2.7", other, sizeof(other));
	for (int i = 0; i < 3; i++)
		assert_string_not_equal(behind(other, i), behind(cloak_of("192.0.2.7"), i));
}

static void cloak(void)
{
	room_config.cloak = cloak_address;
	room_config.cloak_key = KEY;
	harness_again();
}

/* Of all that two users, a course user and who is in no channel see of each other. */
static void test_no_address_is_shown(void **state)
{
	char text[200];

	cloak();
	open_irc(1);
	line(1, "NICK lily");
	line(1, "USER lily 0 * :Lily");
	snprintf(text, sizeof(text), ":srv 396 lily %s :is shown as your host\n",
		 cloak_of("10.0.0.1"));
	expect_part(1, text);
	snprintf(text, sizeof(text), ":Welcome to the net network, lily!~lily@%s\n",
		 cloak_of("10.0.0.1"));
	expect_part(1, text);
	enter(2, "tom");
	enter(3, "eve");
	line(2, "CAP REQ :userhost-in-names extended-join");
	line(1, "JOIN #chat");
	line(2, "JOIN #chat");
	datagram(1, "L zhang");
	line(1, "PRIVMSG #chat :hello");
	line(1, "PRIVMSG tom :hello");
	line(1, "MODE #chat +b eve");
	for (uint32_t id = 2; id <= 3; id++) {
		line(id, "WHO #chat");
		line(id, "WHO 10.0.0.*");
		line(id, "WHO lily %uhin");
		line(id, "WHOIS lily");
		line(id, "WHOIS zhang");
		line(id, "USERHOST lily");
		line(id, "NAMES #chat");
	}
	line(1, "NICK lily2");
	line(1, "QUIT :bye");
	line(3, "WHOWAS lily2");
	expect_part(2, cloak_of("10.0.0.1"));
	expect_part(2, cloak_of("10.1.0.1"));
	for (uint32_t id = 2; id <= 3; id++) {
		expect_no(id, "10.0.0.1");
		expect_no(id, "10.1.0.1");
	}
	assert_null(strstr(told_course(1), "10.0."));
}

static void test_oneself_and_operators_see_it(void **state)
{
	static char *names[] = { (char *)"boss", NULL };

	with_accounts("boss", "boss", NULL);
	room_config.server_operators = names;
	cloak();
	with_accounts("boss", "boss", NULL);
	enter(0, "chief");
	enter(1, "lily");
	line(1, "WHOIS lily");
	expect_part(1, ":srv 338 lily lily 10.0.0.1 :is the address behind that host\n");
	line(0, "WHOIS lily");
	expect_no(0, " 338 ");
	log_in_as(0, "boss");
	line(0, "OPER");
	forget(0);
	line(0, "WHOIS lily");
	expect_part(0, ":srv 338 chief lily 10.0.0.1 :is the address behind that host\n");
	line(0, "WHO lily %in");
	expect_part(0, ":srv 354 chief 10.0.0.1 lily\n");
	forget(0);
	line(0, "WHO *0.0.1 %n");
	expect_part(0, ":srv 354 chief lily\n");
	forget(1);
	line(1, "WHO chief %in");
	expect_part(1, ":srv 354 lily 255.255.255.255 chief\n");
	line(0, "KLINE *@10.0.0.1 :out");
	assert_true(is_closed(1));
}

static void test_bans_hold_for_both(void **state)
{
	char ban[120];

	cloak();
	enter(1, "op");
	enter(2, "lily");
	line(1, "JOIN #x");
	line(1, "MODE #x +b *!*@10.0.0.*");
	line(2, "JOIN #x");
	expect(2, ":srv 474 lily #x :Cannot join channel (+b)\n");
	line(1, "MODE #x -b *!*@10.0.0.*");
	snprintf(ban, sizeof(ban), "MODE #x +b *!*@*.%s", behind(cloak_of("10.0.0.2"), 1));
	line(1, ban);
	line(2, "JOIN #x");
	expect(2, ":srv 474 lily #x :Cannot join channel (+b)\n");
	line(1, "MODE #x +e *!*@10.0.0.2");
	line(2, "JOIN #x");
	expect_part(2, " JOIN #x\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_manual_says),
		cmocka_unit_test(test_networks_are_told_apart),
		cmocka_unit_test(test_another_key_another_cloak),
#define in_room(test) cmocka_unit_test_setup_teardown(test, harness_start, harness_stop)
		in_room(test_no_address_is_shown),
		in_room(test_oneself_and_operators_see_it),
		in_room(test_bans_hold_for_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
