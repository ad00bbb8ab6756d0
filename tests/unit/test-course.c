/* SPDX-License-Identifier: MIT */
/*
 * The course's datagrams, byte for byte, and both doors in one room: chat/course.h, room-course.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/course.h"
#include "chat/utf8.h"
#include "room-harness.h"

static void test_a_conversation(void **state)
{
	datagram(1, "L 张三");
	expect_course(1, "OK|");
	datagram(2, "L lily");
	expect_course(2, "OK|");
	expect_course(1, "\n欢迎 'lily' 进入聊天室|");
	datagram(1, "C 张三 你好  lily ");
	expect_course(1, "");
	expect_course(2, "\n张三 : 你好  lily |");
	datagram(2, "Q lily");
	expect_course(2, "EXIT|");
	expect_course(1, "\nlily 退出聊天室|");
	datagram(1, "C 张三 nobody");
	expect_course(1, "");
	expect_course(2, "");
}

static void test_refusals(void **state)
{
	datagram(1, "L lily");
	expect_course(1, "OK|");
	datagram(2, "L lily");
	expect_course(2, "该用户存在|");
	datagram(2, "L LILY");
	expect_course(2, "该用户存在|");
	datagram(2, "L 管理员");
	expect_course(2, "该用户存在|");
	datagram(2, "L x管理员x");
	expect_course(2, "该用户存在|");
	datagram(2, "L a b");
	expect_course(2, "名字无效|");
	datagram(2, "L a:b");
	expect_course(2, "名字无效|");
	datagram(2, "L 1a");
	expect_course(2, "名字无效|");
	datagram_bytes(2, "L a\0b", 5);
	expect_course(2, "名字无效|");
	datagram(2, "L \xff\xfe");
	expect_course(2, "名字无效|");
	datagram(2, "L abcdefghijabcdefghijabcdefghijabc");
	expect_course(2, "名字太长|");
	expect_course(1, "");
	static const char *const all[] = { COURSE_OK,       COURSE_EXIT,      COURSE_TAKEN,
					   COURSE_BAD_NAME, COURSE_LONG_NAME, COURSE_FULL,
					   COURSE_CLOSED,   COURSE_STRANGER };
	for (size_t i = 0; i < ELEMENTSOF(all); i++)
		assert_in_range(strlen(all[i]), 1, 18);
}

static void test_the_same_again(void **state)
{
	datagram(1, "L lily");
	datagram(2, "L tom");
	expect_course(1, "OK|\n欢迎 'tom' 进入聊天室|");
	datagram(1, "L lily");
	expect_course(1, "OK|");
	expect_course(2, "OK|");
	datagram(1, "L rose");
	expect_course(1, "OK|");
	expect_course(2, "\nlily 退出聊天室|\n欢迎 'rose' 进入聊天室|");
	datagram(1, "L Rose");
	expect_course(1, "OK|");
	forget_all();
	datagram(1, "L tom");
	expect_course(1, "该用户存在|");
	datagram(1, "C Rose still here");
	expect_course(2, "\nRose : still here|");
}

static void test_names_are_bound_to_addresses(void **state)
{
	datagram(1, "L lily");
	datagram(2, "L tom");
	forget_all();
	datagram(2, "C lily i am tom");
	datagram(2, "Q lily");
	datagram(3, "C lily i am nobody");
	datagram(2, "C 管理员 obey");
	expect_course(1, "");
	expect_course(2, "");
	expect_course(3, "\n请先登录|");
	datagram(3, "Q lily");
	expect_course(3, "EXIT|");
	expect_course(1, "");
	datagram(1, "C lily i am lily");
	expect_course(2, "\nlily : i am lily|");
	/* Letters of the other case make no other name: she is not passed over in silence. */
	datagram(1, "C LILY so am i");
	expect_course(2, "\nlily : so am i|");
	datagram(1, "Q Lily");
	expect_course(1, "EXIT|");
}

/* Also who sends less than the answer: a line may be short. */
static void test_strangers_are_answered_little(void **state)
{
	datagram(1, "C a b");
	expect_course(1, COURSE_STRANGER "|");
	datagram(1, "Q a");
	expect_course(1, "EXIT|");
	datagram(1, "a b");
	expect_course(1, "");
	for (int i = 0; i < 200; i++)
		datagram(2, "Q ab");
	assert_in_range(strlen(told_course(2)), 5, 5 * 20);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"L", "C", "Q", "C a", "X", "\xff\xff", " ", "C  ", "L\n"
	};
	char big[2000];

	datagram(1, "L lily");
	datagram(2, "L tom");
	forget_all();
	for (size_t i = 0; i < ELEMENTSOF(bad); i++)
		datagram(1, bad[i]);
	datagram_bytes(1, "", 0);
	expect_course(1, "");
	expect_course(2, "");
	datagram(1, "C lily \xff\xfe\r\nQ tom\x1b[2J");
	expect_course(2, "\nlily : \xef\xbf\xbd\xef\xbf\xbd  Q tom [2J|");
	memset(big, 'x', sizeof(big));
	memcpy(big, "C lily ", 7);
	datagram_bytes(1, big, sizeof(big));
	assert_int_equal(strlen(told_course(2)), 1024 + 1); /* cut, and the harness's '|' */
}

static void test_client_bugs(void **state)
{
	datagram(1, "L a");
	datagram(1, " Q a");
	expect_course(1, "OK|EXIT|");
	datagram(1, "L a");
	datagram(1, "Qa");
	expect_course(1, "OK|EXIT|");
	datagram(1, "L a");
	datagram(1, "E a");
	expect_course(1, "OK|EXIT|");
}

static void test_limits(void **state)
{
	struct course_peer peer = { .family = 2, .address = { 10, 1, 0, 1 } };

	datagram(1, "L a");
	peer.port = 8;
	room_datagram(room, &peer, "L b", 3);
	peer.port = 9;
	room_datagram(room, &peer, "L c", 3);
	expect_course(1, "OK|OK|\n欢迎 'b' 进入聊天室|聊天室已满|");
	for (int i = 2; i <= 4; i++) {
		char text[] = "L x0";

		text[3] += i;
		datagram(i, text);
	}
	expect_course(2, "OK|\n欢迎 'x3' 进入聊天室|\n欢迎 'x4' 进入聊天室|");
	datagram(5, "L y");
	expect_course(5, "聊天室已满|");
	datagram(4, "Q x4");
	datagram(5, "L y");
	expect_course(5, "OK|");
}

static void test_rate(void **state)
{
	int said = 0;

	datagram(1, "L a");
	datagram(2, "L b");
	forget_all();
	for (int i = 0; i < 100; i++)
		datagram(1, "C a x");
	for (const char *p = told_course(2); (p = strchr(p, '|')) != NULL; p++)
		said++;
	assert_int_equal(said, 20);
	expect_course(1, "\n发言太快|");
	pass_time(USEC_PER_SEC);
	forget_all();
	datagram(1, "C a y");
	expect_course(2, "\na : y|");
	for (int i = 0; i < 100; i++)
		datagram(1, "C a x");
	datagram(1, "Q a");
	expect_course(1, "\n发言太快|EXIT|");
}

static void test_timeout(void **state)
{
	datagram(1, "L a");
	datagram(2, "L b");
	forget_all();
	pass_time(300 * USEC_PER_SEC);
	datagram(2, "C b x");
	forget_all();
	pass_time(301 * USEC_PER_SEC);
	expect_course(1, "EXIT|");
	expect_course(2, "\na 退出聊天室|");
	assert_true(room_deadline(room) < USEC_INFINITY);
	pass_time(300 * USEC_PER_SEC);
	expect_course(2, "EXIT|");
	assert_true(room_deadline(room) == USEC_INFINITY);
}

static void test_both_doors(void **state)
{
	enter(1, "irc");
	line(1, "JOIN #chat");
	forget(1);
	datagram(1, "L 张三");
	expect(1, ":张三!udp@10.1.0.1 JOIN #chat\n");
	expect_course(1, "OK|");
	line(1, "PRIVMSG #chat :hello \x02"
		"bold\x02 \x03"
		"4red");
	expect_course(1, "\nirc : hello bold red|");
	line(1, "PRIVMSG #chat :\1ACTION waves\1");
	expect_course(1, "\n* irc waves|");
	line(1, "PRIVMSG #chat :\1VERSION\1");
	expect_course(1, "");
	line(1, "NOTICE #chat :note");
	expect_course(1, "\nirc : note|");
	line(1, "PRIVMSG 张三 :secret");
	expect_course(1, "\n(irc) : secret|");
	line(1, "PRIVMSG 张三 :\1ACTION nods\1");
	expect_course(1, "\n(* irc) nods|");
	expect(1, "");
	datagram(1, "C 张三 你好");
	expect(1, ":张三!udp@10.1.0.1 PRIVMSG #chat :你好\n");
	datagram(1, "C 张三 ");
	expect(1, "");
	datagram(1, "C 张三 x\r\nQUIT\1ACTION");
	expect(1, ":张三!udp@10.1.0.1 PRIVMSG #chat :x  QUITACTION\n");
	line(1, "NICK other");
	expect_course(1, "\nirc 退出聊天室|\n欢迎 'other' 进入聊天室|");
	line(1, "PART #chat");
	expect_course(1, "\nother 退出聊天室|");
	line(1, "JOIN #chat");
	expect_course(1, "\n欢迎 'other' 进入聊天室|");
	forget(1);
	datagram(1, "Q 张三");
	expect(1, ":张三!udp@10.1.0.1 QUIT :Client quit\n");
	expect_course(1, "EXIT|");
}

static void test_one_user_table(void **state)
{
	enter(1, "lily");
	datagram(1, "L lily");
	expect_course(1, "该用户存在|");
	datagram(1, "L tom");
	open_irc(2);
	line(2, "NICK tom");
	expect(2, ":srv 433 * tom :Nickname is already in use\n");
	line(2, "NICK 管理员");
	expect(2, ":srv 432 * 管理员 :Erroneous nickname\n");
	line(2, "NICK x管理员");
	expect(2, ":srv 432 * x管理员 :Erroneous nickname\n");
	line(1, "WHOIS tom");
	expect(1, ":srv 311 lily tom udp 10.1.0.1 * :course\n"
		  ":srv 319 lily tom :#chat\n"
		  ":srv 312 lily tom srv :net\n"
		  ":srv 317 lily tom 0 1600000000 :seconds idle, signon time\n"
		  ":srv 318 lily tom :End of /WHOIS list\n");
}

static void test_long_text_goes_on_in_the_next_line(void **state)
{
	char text[1024] = "C 张三 ";
	size_t got = 0;

	for (size_t n = strlen(text); n + 3 < sizeof(text); n += 3)
		strcpy(text + n, "中");
	enter(1, "irc");
	line(1, "JOIN #chat");
	datagram(1, "L 张三");
	forget_all();
	datagram(1, text);
	for (const char *p = told(1); (p = strstr(p, "中")) != NULL; p += 3)
		got++;
	assert_int_equal(got, (strlen(text) - 9) / 3);
	assert_null(strstr(told(1), UTF8_REPLACEMENT));
}

static void test_moderation_reaches_the_course(void **state)
{
	datagram(1, "L a");
	datagram(2, "L b");
	enter(1, "op");
	line(1, "JOIN #chat"); /* the first by IRC operates the channel */
	expect_part(1, "@op");
	line(1, "MODE #chat +m");
	forget_all();
	datagram(1, "C a x");
	expect_course(1, "\n不能发言|");
	expect_course(2, "");
	line(1, "MODE #chat +v a");
	datagram(1, "C a y");
	expect_course(2, "\na : y|");
	line(1, "MODE #chat +b *!*@10.1.0.3");
	forget(1);
	datagram(3, "L c");
	expect_course(3, "不能进入|");
	line(1, "MODE #chat +k key");
	datagram(4, "L d");
	expect_course(4, "不能进入|");
	forget_all();
	line(1, "KICK #chat a :out");
	expect(1, ":op!~op@10.0.0.1 KICK #chat a :out\n");
	expect_course(1, "EXIT|");
	expect_course(2, "\na 退出聊天室|");
	datagram(1, "Q a");
	expect_course(1, "EXIT|");
}

static void test_announcements(void **state)
{
	enter(1, "irc");
	open_irc(2);
	datagram(1, "L a");
	forget_all();
	room_announce(room, "服务器 will\x02 restart\r\n\nsoon");
	expect(1,
	       ":srv NOTICE irc :[管理员] 服务器 will restart \n:srv NOTICE irc :[管理员] soon\n");
	expect_course(1, "\n管理员 : 服务器 will restart |\n管理员 : soon|");
	expect(2, "");
}

/* To the last character, by both doors, and each part is the admin's. */
static void test_announcements_are_whole(void **state)
{
	char text[2001], heard[2][4096] = { "", "" };
	const char *parts[2], *heads[2] = { ":srv NOTICE irc :[管理员] ", "\n管理员 : " };
	int n[2] = { 0, 0 };

	for (size_t i = 0; i < sizeof(text) - 2; i += 3)
		memcpy(text + i, "茶", 3);
	memcpy(text + 1998, "!!", 3);
	enter(1, "irc");
	datagram(1, "L a");
	forget_all();
	room_announce(room, text);
	parts[0] = told(1);
	parts[1] = told_course(1);
	for (int door = 0; door < 2; door++) {
		for (const char *p = parts[door]; *p; n[door]++) {
			size_t size = strcspn(p + 1, door ? "|" : "\n") + 1;
			size_t head = strlen(heads[door]);

			assert_memory_equal(p, heads[door], head);
			strncat(heard[door], p + head, size - head);
			p += size + 1;
		}
		assert_string_equal(heard[door], text);
	}
	assert_int_equal(n[0], 5);
	assert_int_equal(n[1], 2);
}

static void test_shutdown(void **state)
{
	enter(1, "irc");
	line(1, "JOIN #chat");
	datagram(1, "L a");
	forget_all();
	room_shutdown(room, "Server shutting down");
	expect(1, "ERROR :Closing Link: 10.0.0.1 (Server shutting down)\n");
	assert_true(is_closed(1));
	expect_course(1, "\n管理员 : 聊天室关闭|");
}

static void test_answers_leave_from_where_the_request_came_to(void **state)
{
	struct course_peer peer = { .family = 2, .address = { 10, 1, 0, 1 }, .local = { 1 } };

	room_datagram(room, &peer, "L a", 3);
	peer.local[0] = 2;
	room_datagram(room, &peer, "L a", 3);
	expect_course(1, "OK|OK|");
	room_datagram(room, &peer, "C a x", 5);
	room_announce(room, "y");
	assert_int_equal(last_peer.local[0], 2);
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, harness_start, harness_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROOM_TEST(test_a_conversation),
		ROOM_TEST(test_refusals),
		ROOM_TEST(test_the_same_again),
		ROOM_TEST(test_names_are_bound_to_addresses),
		ROOM_TEST(test_strangers_are_answered_little),
		ROOM_TEST(test_malformed),
		ROOM_TEST(test_client_bugs),
		ROOM_TEST(test_limits),
		ROOM_TEST(test_rate),
		ROOM_TEST(test_timeout),
		ROOM_TEST(test_both_doors),
		ROOM_TEST(test_one_user_table),
		ROOM_TEST(test_long_text_goes_on_in_the_next_line),
		ROOM_TEST(test_moderation_reaches_the_course),
		ROOM_TEST(test_announcements),
		ROOM_TEST(test_announcements_are_whole),
		ROOM_TEST(test_shutdown),
		ROOM_TEST(test_answers_leave_from_where_the_request_came_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
