/* SPDX-License-Identifier: MIT */
/* foster-chat's side of the course protocol, to the byte: chat/client/course-session.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/course.h"
#include "chat/utf8.h"
#include "client-harness.h"

static void enter(const char *name)
{
	begin((struct session_options){ .name = name, .patient = true });
	receive("OK");
	assert_int_equal(session_phase(session), SESSION_IN);
	take_sent();
	take_shown();
}

static void test_the_notes_way(void **state)
{
	begin((struct session_options){ .patient = true, .language = LANGUAGE_CHINESE });
	assert_string_equal(session_prompt(session), "请输入姓名:");
	type(" 张三 ");
	assert_string_equal(take_sent(), "L 张三|");
	assert_string_equal(session_prompt(session), "");
	receive("OK");
	assert_string_equal(take_shown(), "note 您已进入聊天室 srv:1, 输入 quit 退出\n");
	assert_string_equal(session_prompt(session), "发言:");
	type("大家  好 ");
	assert_string_equal(take_sent(), "C 张三 大家  好 |");
	receive("\n欢迎 'Tom' 进入聊天室");
	receive("\nTom : hi");
	assert_string_equal(take_shown(), "said 欢迎 'Tom' 进入聊天室\nsaid Tom : hi\n");
	type("quit");
	assert_string_equal(take_sent(), "Q 张三|");
	assert_int_equal(session_phase(session), SESSION_LEAVING);
	receive("\nTom : bye");
	receive("EXIT");
	assert_string_equal(take_shown(), "said Tom : bye\nnote 退出聊天室\n");
	assert_int_equal(session_phase(session), SESSION_ENDED);
	assert_false(session_failed(session));
	end();
}

static void test_refusals(void **state)
{
	static const char *const answers[] = {
		"该用户存在", "\n该用户存在", "ok", "Fail", "OK ", ""
	};

	begin((struct session_options){ .patient = true });
	for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
		type("lily");
		assert_string_equal(take_sent(), "L lily|");
		receive(answers[i]);
		assert_int_equal(session_phase(session), SESSION_NAME);
	}
	assert_string_equal(take_shown(),
			    "bad 该用户存在\nbad 该用户存在\nbad ok\nbad Fail\nbad OK \nbad \n");
	type("");
	type("two words");
	type("tab\tbed");
	assert_string_equal(take_sent(), "");
	assert_string_equal(
		take_shown(),
		"bad a name is one word\nbad a name is one word\nbad a name is one word\n");
	session_leave(session, session_now);
	assert_false(session_failed(session));
	assert_string_equal(take_sent(), ""); /* nobody is to be told */
	end();
}

/* The next line of a script is what it says, not another name. */
static void test_a_script_is_not_asked_again(void **state)
{
	begin((struct session_options){ .name = "lily" });
	receive("该用户存在");
	assert_int_equal(session_phase(session), SESSION_ENDED);
	assert_true(session_failed(session));
	end();
	begin((struct session_options){ .name = NULL });
	type("lily");
	receive("该用户存在");
	type("lucy"); /* as the course's own client takes it */
	assert_string_equal(take_sent(), "L lily|L lucy|");
	receive("no");
	session_leave(session, session_now); /* the end of its input */
	assert_true(session_failed(session));
	end();
}

static void test_a_lost_answer_is_asked_for_again(void **state)
{
	begin((struct session_options){ .name = "a", .patient = true });
	wait_for_tick();
	assert_int_equal(session_now, 1001 * USEC_PER_SEC);
	assert_string_equal(take_sent(), "L a|L a|");
	receive("\nTom : hi"); /* so we are in, and OK was lost */
	receive("OK");
	assert_int_equal(session_phase(session), SESSION_IN);
	take_shown();
	receive("OK"); /* to the second L */
	assert_string_equal(take_shown(), "");
	receive("OK"); /* this one nobody asked for */
	assert_string_equal(take_shown(), "said OK\n");
	end();
}

static void test_a_room_that_does_not_answer(void **state)
{
	int ticks = 0;

	begin((struct session_options){ .name = "a", .patient = true });
	while (session_phase(session) == SESSION_ENTERING) {
		wait_for_tick();
		if (++ticks == 3)
			assert_string_equal(take_shown(),
					    "bad srv:1 does not answer; asking again\n");
	}
	assert_int_equal(session_now, 1010 * USEC_PER_SEC);
	assert_true(session_failed(session));
	assert_string_equal(
		take_shown(),
		"bad srv:1 does not answer: is the room running, is that its port, and may "
		"its packets pass?\n");
	end();
	begin((struct session_options){ .name = "a", .patient = true });
	session_lost(session, NULL, session_now);
	assert_true(session_failed(session));
	assert_string_equal(
		take_shown(),
		"bad nobody listens at srv:1: is the room running, and is that its port?\n");
	end();
}

/* It goes on when somebody is in: the port may be served again. */
static void test_a_room_that_is_away_for_a_while(void **state)
{
	enter("a");
	session_lost(session, NULL, session_now);
	assert_int_equal(session_phase(session), SESSION_IN);
	take_shown();
	type("hello");
	receive("\n请先登录");
	assert_string_equal(take_sent(), "C a hello|L a|");
	assert_string_equal(take_shown(), "said 请先登录\nnote the room had forgotten you and is "
					  "asked again; please repeat what you said\n");
	receive("OK");
	assert_string_equal(take_shown(), "");
	receive("\n请先登录"); /* not at once again: it would go on for ever */
	assert_string_equal(take_sent(), "");
	session_now += 6 * USEC_PER_SEC;
	receive("\n请先登录");
	assert_string_equal(take_sent(), "L a|");
	end();
}

static void test_leaving(void **state)
{
	enter("a");
	session_leave(session, session_now);
	for (int i = 0; i < 4; i++)
		wait_for_tick();
	assert_string_equal(take_sent(), "Q a|Q a|Q a|Q a|");
	assert_int_equal(session_phase(session), SESSION_ENDED);
	assert_false(session_failed(session)); /* the room will find out */
	end();
	enter("a");
	receive("EXIT"); /* unasked: it has put us out */
	assert_true(session_failed(session));
	assert_string_equal(take_shown(), "note the room has put you out\n");
	end();
	begin((struct session_options){ .name = "a" });
	session_leave(session, session_now); /* L may have arrived */
	assert_string_equal(take_sent(), "L a|Q a|");
	session_leave(session, session_now);
	assert_int_equal(session_phase(session), SESSION_ENDED);
	end();
}

/* Each datagram, and what the room makes of it, has at most 1024 bytes and whole characters. */
static void check_split(const char *character, int times, int datagrams)
{
	char text[4600] = "", together[sizeof(text)] = "", copy[8192], *list = copy, *datagram;
	int n = 0;

	for (int i = 0; i < times; i++)
		strcat(text, character);
	enter("张三");
	type(text);
	snprintf(copy, sizeof(copy), "%s", take_sent());
	while ((datagram = strsep(&list, "|")) && *datagram) {
		assert_int_equal(strncmp(datagram, "C 张三 ", strlen("C 张三 ")), 0);
		assert_true(strlen(datagram) + 1 <= COURSE_DATAGRAM_MAX);
		assert_true(utf8_is_valid(datagram, strlen(datagram)));
		strcat(together, datagram + strlen("C 张三 "));
		n++;
	}
	assert_int_equal(n, datagrams);
	assert_string_equal(together, text);
	end();
}

static void test_long_lines_are_split(void **state)
{
	check_split("中", 1500, 5);
	check_split("x", 4500, 5);
	check_split("😀", 1000, 4);
}

/* A script is held up before the room drops what it says. */
static void test_the_pace(void **state)
{
	int at_once = 0;

	enter("a");
	while (session_line_at(session) <= session_now) {
		type("x");
		at_once++;
	}
	assert_in_range(at_once, 20, 39);
	assert_true(session_line_at(session) - session_now <= USEC_PER_SEC / 8);
	end();
}

static void test_nothing_reaches_the_terminal(void **state)
{
	enter("a");
	receive("\nTom : \033[2J\a\x9b\0033,4red\x0f \xff\rx\b");
	assert_string_equal(take_shown(), "said Tom :  [2J \xef\xbf\xbdred \xef\xbf\xbd x \n");
	receive("\nTom : \xc2\x9b"
		"31m"); /* CSI as one character */
	assert_string_equal(take_shown(), "said Tom :  31m\n");
	receive("\nTom : a\n-- you are in the room\nb"); /* nobody's words look like ours */
	assert_string_equal(take_shown(),
			    "said Tom : a\nsaid   -- you are in the room\nsaid   b\n");
	type("a\rQ b");
	assert_string_equal(take_sent(), "C a a|");
	type("bad \xff byte");
	assert_string_equal(take_sent(), "C a bad \xef\xbf\xbd byte|");
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_notes_way),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_a_script_is_not_asked_again),
		cmocka_unit_test(test_a_lost_answer_is_asked_for_again),
		cmocka_unit_test(test_a_room_that_does_not_answer),
		cmocka_unit_test(test_a_room_that_is_away_for_a_while),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_long_lines_are_split),
		cmocka_unit_test(test_the_pace),
		cmocka_unit_test(test_nothing_reaches_the_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
