/* SPDX-License-Identifier: MIT */
/* Message tags, labels, and what else a client may ask for by capability. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/irc-tags.h"
#include "room-harness.h"

/* --- the tags of a line --- */

static void test_values(void **state)
{
	char value[16];

	assert_true(irc_tag_value("label=a1;+x=y", "label", value, sizeof(value)));
	assert_string_equal(value, "a1");
	assert_true(irc_tag_value("a;label;b=c", "label", value, sizeof(value)));
	assert_string_equal(value, "");
	assert_true(irc_tag_value("label=1;label=2", "label", value, sizeof(value)));
	assert_string_equal(value, "2");
	assert_false(irc_tag_value("labels=1;xlabel=2", "label", value, sizeof(value)));
	assert_false(irc_tag_value(NULL, "label", value, sizeof(value)));
	assert_false(irc_tag_value("", "label", value, sizeof(value)));
	assert_false(irc_tag_value("label=0123456789abcdef", "label", value, sizeof(value)));
	assert_string_equal(value, "");
}

static void test_tags_between_clients(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "+typing=active", "+typing=active" },
		{ "time=x;+a=1;msgid=y;+example.org/b", "+a=1;+example.org/b" },
		{ "+;+=1;+a b=1;++c;+d!=1", "" },
		{ "+a;b=c;+a.b;+/a;+a/;+a/b/c;+a.b/c=d;+a_b;+e-1=", "+a;+a.b/c=d;+e-1=" },
		{ "msgid=forged;time=forged;account=root", "" },
		{ ";;+a;;+b;", "+a;+b" },
		{ "", "" },
	};
	char out[64];

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		size_t n = irc_tags_of_client(cases[i].in, out, sizeof(out));

		assert_string_equal(out, cases[i].out);
		assert_int_equal(n, strlen(cases[i].out));
	}
	assert_int_equal(irc_tags_of_client(NULL, out, sizeof(out)), 0);
	/* What does not fit is left out whole. */
	assert_int_equal(irc_tags_of_client("+aaaa=1;+b=2", out, 8), 7);
	assert_string_equal(out, "+aaaa=1");
	assert_int_equal(irc_tags_of_client("+aaaa=1;+b=2", out, 7), 4);
	assert_string_equal(out, "+b=2");
}

/* --- who gets which --- */

static void ask_for(uint32_t id, const char *caps)
{
	char text[128];

	snprintf(text, sizeof(text), "CAP REQ :%s", caps);
	line(id, text);
	expect_part(id, " ACK ");
	forget(id);
}

static void three_in_a_channel(void)
{
	enter(1, "bob");
	enter(2, "eve");
	enter(3, "old");
	for (uint32_t id = 1; id <= 3; id++)
		line(id, "JOIN #a");
	forget_all();
}

static void test_time_and_id(void **state)
{
	three_in_a_channel();
	ask_for(1, "server-time");
	ask_for(2, "server-time message-tags echo-message");
	line(2, "PRIVMSG #a :hello");
	expect(1, "@time=2020-09-13T12:26:40.000Z :eve!~eve@10.0.0.2 PRIVMSG #a :hello\n");
	expect(2,
	       "@time=2020-09-13T12:26:40.000Z;msgid=0-1 :eve!~eve@10.0.0.2 PRIVMSG #a :hello\n");
	expect(3, ":eve!~eve@10.0.0.2 PRIVMSG #a :hello\n");
	pass_time(1234567);
	line(1, "NOTICE eve :psst");
	expect(2, "@time=2020-09-13T12:43:21.234Z;msgid=0-2 :bob!~bob@10.0.0.1 NOTICE eve :psst\n");
	/* What is no message has no id. */
	line(1, "TOPIC #a :news");
	expect(2, "@time=2020-09-13T12:43:21.234Z :bob!~bob@10.0.0.1 TOPIC #a :news\n");
	ask_for(2, "-server-time -message-tags");
	line(1, "PRIVMSG #a :plain");
	expect(2, ":bob!~bob@10.0.0.1 PRIVMSG #a :plain\n");
}

static void test_bot(void **state)
{
	three_in_a_channel();
	ask_for(2, "message-tags");
	line(1, "MODE bob +B");
	expect(1, ":bob MODE bob :+B\n");
	line(1, "PRIVMSG #a :beep");
	expect(2, "@msgid=0-1;bot :bob!~bob@10.0.0.1 PRIVMSG #a :beep\n");
}

static void test_what_a_client_may_say_in_tags(void **state)
{
	three_in_a_channel();
	ask_for(2, "message-tags");
	line(1, "@+draft/reply=123;msgid=forged;time=forged PRIVMSG #a :yes");
	expect(2, "@msgid=0-1;+draft/reply=123 :bob!~bob@10.0.0.1 PRIVMSG #a :yes\n");
	expect(3, ":bob!~bob@10.0.0.1 PRIVMSG #a :yes\n");
}

static void test_tagmsg(void **state)
{
	three_in_a_channel();
	ask_for(1, "message-tags");
	ask_for(2, "message-tags");
	line(1, "@+typing=active TAGMSG #a");
	expect(2, "@msgid=0-1;+typing=active :bob!~bob@10.0.0.1 TAGMSG #a\n");
	expect(1, "");
	expect(3, "");
	line(1, "@+typing=done TAGMSG eve");
	expect(2, "@msgid=0-2;+typing=done :bob!~bob@10.0.0.1 TAGMSG eve\n");
	line(1, "@+typing=done TAGMSG old");
	expect(3, "");
	line(1, "TAGMSG #a");
	expect(2, "");
	line(1, "@+x TAGMSG #nowhere");
	expect(1, ":srv 401 bob #nowhere :No such nick/channel\n");
	line(2, "@+x TAGMSG @#a"); /* to its operators */
	expect(1, "@msgid=0-4;+x :eve!~eve@10.0.0.2 TAGMSG @#a\n");
	line(1, "MODE #a +m");
	forget_all();
	line(2, "@+x TAGMSG #a");
	expect(2, ":srv 404 eve #a :Cannot send to channel\n");
	expect(1, "");
}

/* --- labels --- */

static void test_label(void **state)
{
	three_in_a_channel();
	ask_for(1, "labeled-response batch");
	line(1, "@label=one PING x");
	expect(1, "@label=one :srv PONG srv :x\n");
	line(1, "@label=none PRIVMSG #a :hi");
	expect(1, "@label=none :srv ACK\n");
	line(1, "@label=many TOPIC #a");
	expect(1, "@label=many :srv 331 bob #a :No topic is set\n");
	line(1, "@label=many WHO eve");
	expect_part(1, "@label=many :srv BATCH +");
	expect_part(1, " labeled-response\n@batch=");
	expect_part(1, ":srv 352 bob");
	expect_part(1, ":srv 315 bob eve :End of /WHO list\n:srv BATCH -");
	forget(1);
	/* What others say meanwhile has no part in it. */
	line(2, "PRIVMSG bob :hey");
	expect(1, ":eve!~eve@10.0.0.2 PRIVMSG bob :hey\n");
	line(1, "@label= PING y");
	expect(1, ":srv PONG srv :y\n");
	forget(2);
	line(2, "@label=unasked PING z");
	expect(2, ":srv PONG srv :z\n");
}

static void test_label_of_an_echo(void **state)
{
	three_in_a_channel();
	ask_for(1, "labeled-response batch echo-message message-tags");
	line(1, "@label=e;+a=b PRIVMSG #a :hi");
	expect(1, "@label=e;msgid=0-1;+a=b :bob!~bob@10.0.0.1 PRIVMSG #a :hi\n");
	line(1, "@label=s PRIVMSG bob :me"); /* what comes to him is no answer */
	expect(1, "@msgid=0-2 :bob!~bob@10.0.0.1 PRIVMSG bob :me\n"
		  "@label=s;msgid=0-2 :bob!~bob@10.0.0.1 PRIVMSG bob :me\n");
	ask_for(1, "-echo-message");
	line(1, "@label=s PRIVMSG bob :me");
	expect(1, "@msgid=0-3 :bob!~bob@10.0.0.1 PRIVMSG bob :me\n@label=s :srv ACK\n");
	line(1, "@label=w PRIVMSG eve :\xff");
	expect_part(1, "@label=w :srv WARN PRIVMSG INVALID_UTF8 ");
	forget(1);
	line(1, "@label=j JOIN #new");
	expect_part(1, "@label=j :srv BATCH +");
	expect_part(1, ":bob!~bob@10.0.0.1 JOIN #new\n");
	forget(1);
}

static void test_label_of_the_last_words(void **state)
{
	enter(1, "bob");
	ask_for(1, "labeled-response batch");
	line(1, "@label=q QUIT :bye");
	expect(1, "ERROR :Closing Link: 10.0.0.1 (Quit: bye)\n");
	assert_true(is_closed(1));
}

/* --- notifications --- */

static void test_away_notify(void **state)
{
	three_in_a_channel();
	ask_for(2, "away-notify");
	line(1, "AWAY :lunch");
	expect(2, ":bob!~bob@10.0.0.1 AWAY :lunch\n");
	expect(3, "");
	line(1, "AWAY");
	expect(2, ":bob!~bob@10.0.0.1 AWAY\n");
	line(1, "PART #a");
	line(1, "AWAY :again");
	forget_all();
	line(1, "JOIN #a");
	expect(2, ":bob!~bob@10.0.0.1 JOIN #a\n:bob!~bob@10.0.0.1 AWAY :again\n");
}

static void test_extended_join(void **state)
{
	three_in_a_channel();
	ask_for(2, "extended-join");
	enter(4, "new");
	line(4, "JOIN #a");
	expect(2, ":new!~new@10.0.0.4 JOIN #a * :Real new\n");
	expect(3, ":new!~new@10.0.0.4 JOIN #a\n");
}

static void test_setname(void **state)
{
	three_in_a_channel();
	ask_for(2, "setname");
	line(1, "SETNAME :Bob the Builder");
	expect(2, ":bob!~bob@10.0.0.1 SETNAME :Bob the Builder\n");
	expect(1, "");
	expect(3, "");
	line(3, "WHOIS bob");
	expect_part(3, ":srv 311 old bob ~bob 10.0.0.1 * :Bob the Builder\n");
	line(2, "SETNAME :");
	expect(2, ":srv FAIL SETNAME INVALID_REALNAME :A name has 1 to 64 bytes\n");
}

static void test_invite_notify(void **state)
{
	three_in_a_channel();
	enter(4, "new");
	line(1, "MODE #a +o eve");
	forget_all();
	ask_for(2, "invite-notify");
	ask_for(3, "invite-notify");
	line(1, "INVITE new #a");
	expect(2, ":bob!~bob@10.0.0.1 INVITE new #a\n");
	expect(3, "");
	expect(4, ":bob!~bob@10.0.0.1 INVITE new #a\n");
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, harness_start, harness_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_tags_between_clients),
		ROOM_TEST(test_time_and_id),
		ROOM_TEST(test_bot),
		ROOM_TEST(test_what_a_client_may_say_in_tags),
		ROOM_TEST(test_tagmsg),
		ROOM_TEST(test_label),
		ROOM_TEST(test_label_of_an_echo),
		ROOM_TEST(test_label_of_the_last_words),
		ROOM_TEST(test_away_notify),
		ROOM_TEST(test_extended_join),
		ROOM_TEST(test_setname),
		ROOM_TEST(test_invite_notify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
