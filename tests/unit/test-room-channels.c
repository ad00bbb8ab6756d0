/* SPDX-License-Identifier: MIT */
/* The room, by IRC: channels. JOIN, PART, TOPIC, NAMES, LIST, MODE, KICK, INVITE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "room-harness.h"

static void test_join(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	expect(1, ":a!~a@10.0.0.1 JOIN #x\n"
		  ":srv 353 a = #x :@a\n"
		  ":srv 366 a #x :End of /NAMES list\n");
	line(2, "JOIN #X");
	expect(2, ":b!~b@10.0.0.2 JOIN #x\n"
		  ":srv 353 b = #x :@a b\n"
		  ":srv 366 b #x :End of /NAMES list\n");
	expect(1, ":b!~b@10.0.0.2 JOIN #x\n");
	line(2, "JOIN #x");
	expect(2, "");
	line(1, "JOIN nohash,#a b");
	expect_part(1, ":srv 403 a nohash :No such channel\n:a!~a@10.0.0.1 JOIN #a\n");
	forget(1);
	line(1, "JOIN #:");
	expect(1, ":srv 476 a #: :Bad Channel Mask\n");
	line(1, "JOIN #1,#2,#3,#4");
	expect_part(1, ":srv 405 a #4 :You have joined too many channels\n");
	forget(1);
	line(1, "JOIN 0");
	expect_part(1, ":a!~a@10.0.0.1 PART #x\n");
	expect_part(1, ":a!~a@10.0.0.1 PART #3\n");
	line(1, "WHOIS a");
	expect_no(1, " 319 ");
}

static void test_channels_max(void **state)
{
	room_config.channels_max = 1;
	enter(1, "a");
	line(1, "JOIN #x,#y");
	expect_part(1, ":srv 405 a #y :");
}

static void test_private(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(1, "MODE #x +p");
	line(1, "LIST #x");
	expect_part(1, " 322 a #x 1 ");
	line(2, "LIST");
	expect_no(2, " 322 ");
	line(2, "WHOIS a");
	expect_no(2, "#x");
	line(2, "NAMES #x");
	expect_no(2, " 353 ");
	line(2, "KNOCK #x");
	expect_part(2, ":srv 403 b #x :No such channel\n");
	line(2, "JOIN #x"); /* it is no lock */
	expect_part(2, ":b!~b@10.0.0.2 JOIN #x\n");
}

static void test_part(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	forget_all();
	line(1, "PART #x,#none :so long");
	expect(1, ":a!~a@10.0.0.1 PART #x :so long\n:srv 403 a #none :No such channel\n");
	expect(2, ":a!~a@10.0.0.1 PART #x :so long\n");
	line(1, "PART #x");
	expect(1, ":srv 442 a #x :You're not on that channel\n");
	line(2, "PART #x");
	expect(2, ":b!~b@10.0.0.2 PART #x\n");
	line(1, "MODE #x"); /* it went with its last member */
	expect(1, ":srv 403 a #x :No such channel\n");
}

static void test_say(void **state)
{
	enter(1, "a");
	enter(2, "b");
	enter(3, "c");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	forget_all();
	line(1, "PRIVMSG #X :你好");
	expect(1, "");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG #x :你好\n");
	expect(3, "");
	line(3, "PRIVMSG #x :from outside");
	expect(3, ":srv 404 c #x :Cannot send to channel\n");
	line(1, "MODE #x -n+m");
	forget_all();
	line(3, "PRIVMSG #x :x");
	line(2, "PRIVMSG #x :x");
	expect(3, ":srv 404 c #x :Cannot send to channel\n");
	expect(2, ":srv 404 b #x :Cannot send to channel\n");
	line(1, "MODE #x -m");
	forget_all();
	line(3, "PRIVMSG #x :now");
	expect(1, ":c!~c@10.0.0.3 PRIVMSG #x :now\n");
	line(1, "MODE #x +b b");
	forget_all();
	line(2, "PRIVMSG #x :banned");
	expect(2, ":srv 404 b #x :Cannot send to channel\n");
	line(1, "MODE #x +v b");
	forget_all();
	line(2, "PRIVMSG #x :but with a voice");
	expect(1, ":b!~b@10.0.0.2 PRIVMSG #x :but with a voice\n");
}

static void test_topic(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	forget(1);
	line(1, "TOPIC #x");
	expect(1, ":srv 331 a #x :No topic is set\n");
	line(1, "TOPIC #x :今天");
	expect(1, ":a!~a@10.0.0.1 TOPIC #x :今天\n");
	line(2, "TOPIC #x :y");
	expect(2, ":srv 442 b #x :You're not on that channel\n");
	line(2, "JOIN #x");
	expect_part(2, ":srv 332 b #x :今天\n:srv 333 b #x a!~a@10.0.0.1 1600000000\n");
	forget_all();
	line(2, "TOPIC #x :y");
	expect(2, ":srv 482 b #x :You're not channel operator\n");
	line(1, "MODE #x -t");
	forget_all();
	line(2, "TOPIC #x :y");
	expect(1, ":b!~b@10.0.0.2 TOPIC #x :y\n");
	line(2, "TOPIC #x :");
	forget_all();
	line(2, "TOPIC #x");
	expect(2, ":srv 331 b #x :No topic is set\n");
	line(2, "TOPIC #none");
	expect(2, ":srv 403 b #none :No such channel\n");
}

static void test_names(void **state)
{
	enter(1, "a");
	enter(2, "b");
	enter(3, "c");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	line(1, "MODE #x +ov b a");
	line(1, "MODE #x +v b");
	line(2, "MODE b +i");
	forget_all();
	line(1, "NAMES #x");
	expect(1, ":srv 353 a = #x :@a @b\n:srv 366 a #x :End of /NAMES list\n");
	line(1, "CAP REQ :multi-prefix userhost-in-names");
	forget(1);
	line(1, "NAMES #x");
	expect(1, ":srv 353 a = #x :@+a!~a@10.0.0.1 @+b!~b@10.0.0.2\n"
		  ":srv 366 a #x :End of /NAMES list\n");
	line(3, "NAMES #x,#none");
	expect(3, ":srv 353 c = #x :@a\n:srv 366 c #x :End of /NAMES list\n"
		  ":srv 366 c #none :End of /NAMES list\n");
	line(1, "MODE #x +s");
	line(3, "NAMES #x");
	expect(3, ":srv 366 c #x :End of /NAMES list\n");
	line(3, "NAMES");
	expect(3, ":srv 366 c * :End of /NAMES list\n");
}

static void test_names_take_more_than_a_line(void **state)
{
	char nick[64];
	size_t n = 0;

	for (int i = 1; i < 16; i++) {
		snprintf(nick, sizeof(nick), "quite_a_long_nick_as_they_go_%02d", i);
		enter(i, nick);
		line(i, "JOIN #x");
	}
	forget_all();
	line(1, "NAMES #x");
	for (const char *p = told(1); (p = strstr(p, "quite")) != NULL; p++)
		n++;
	assert_int_equal(n, 15 + 2 + 1); /* members, and to whom: two lines of 353, one of 366 */
}

static void test_list(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x,#hidden");
	line(1, "MODE #hidden +s");
	line(1, "TOPIC #x :about");
	forget_all();
	line(2, "LIST");
	expect(2, ":srv 321 b Channel :Users  Name\n:srv 322 b #x 1 :about\n"
		  ":srv 323 b :End of /LIST\n");
	line(1, "LIST #hidden,#none");
	expect(1, ":srv 321 a Channel :Users  Name\n:srv 322 a #hidden 1 :\n"
		  ":srv 323 a :End of /LIST\n");
	line(2, "LIST >5");
	expect(2, ":srv 321 b Channel :Users  Name\n:srv 323 b :End of /LIST\n");
}

/* What a LIST with these conditions has in it: of #old (two users, a topic), #new (one). */
static void expect_list(const char *conditions, bool old, bool new)
{
	char text[64];

	snprintf(text, sizeof(text), "LIST %s", conditions);
	line(1, text);
	expect_part_at(1, " #old ", old, conditions, __LINE__);
	expect_part_at(1, " #new ", new, conditions, __LINE__);
	forget(1);
}

static void test_list_with_conditions(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #old");
	line(2, "JOIN #old");
	line(1, "TOPIC #old :about");
	pass_time(30 * 60 * USEC_PER_SEC);
	line(1, "JOIN #new");
	forget_all();
	expect_list("", true, true);
	expect_list(">1", true, false);
	expect_list("<2", false, true);
	expect_list(">0,<3", true, true);
	expect_list("#o*", true, false);
	expect_list("!*o*", false, true);
	expect_list("C<10", false, true);
	expect_list("C>10", true, false);
	expect_list("T<60", true, false);
	expect_list("T<10", false, false);
	expect_list("T>10", true, false);
	expect_list("C<10,>1", false, false);
	expect_list("#old,#new", true, true);
	expect_list("#o*,#n*", true, true);
	expect_list("#o*,#new", true, true);
	expect_list("#old,#new >1", true, false);
	expect_list("#* <2", false, true);
	expect_list("!*o*,!*n*", false, false);
	expect_list("<1", false, false);
	expect_list("<0", false, false);
}

static void test_exceptions(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(1, "MODE #x +b *!*@*");
	forget_all();
	line(2, "JOIN #x");
	expect(2, ":srv 474 b #x :Cannot join channel (+b)\n");
	line(1, "MODE #x +e b");
	expect(1, ":a!~a@10.0.0.1 MODE #x +e b!*@*\n");
	line(1, "MODE #x e");
	expect(1,
	       ":srv 348 a #x b!*@* a 1600000000\n:srv 349 a #x :End of channel exception list\n");
	line(2, "JOIN #x");
	expect_part(2, ":b!~b@10.0.0.2 JOIN #x\n");
	forget_all();
	line(2, "PRIVMSG #x :hi");
	expect(1, ":b!~b@10.0.0.2 PRIVMSG #x :hi\n");
	line(1, "MODE #x -e b!*@*");
	forget_all();
	line(2, "PRIVMSG #x :hi");
	expect(2, ":srv 404 b #x :Cannot send to channel\n");
}

static void test_mutes(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(1, "MODE #x +b m:b");
	expect_part(1, ":a!~a@10.0.0.1 MODE #x +b m:b!*@*\n");
	forget_all();
	line(2, "JOIN #x");
	expect_part(2, ":b!~b@10.0.0.2 JOIN #x\n");
	forget_all();
	line(2, "PRIVMSG #x :hi");
	expect(2, ":srv 404 b #x :Cannot send to channel\n");
	expect(1, "");
	line(1, "MODE #x +v b");
	forget_all();
	line(2, "PRIVMSG #x :now");
	expect(1, ":b!~b@10.0.0.2 PRIVMSG #x :now\n");
	line(1, "MODE #x +b m:");
	expect(1, ":srv 696 a #x b m: :not a mask\n");
	line(1, "MODE #x +I m:b");
	expect(1, ":srv 696 a #x I m:b :a mute is no invitation\n");
	/* An exception of a mute is one of mutes alone. */
	line(1, "MODE #x -v+be b m:*!*@10.* m:b");
	forget_all();
	line(2, "PRIVMSG #x :all but me");
	expect(1, ":b!~b@10.0.0.2 PRIVMSG #x :all but me\n");
	line(2, "PART #x");
	line(1, "MODE #x +b b!*@*");
	forget_all();
	line(2, "JOIN #x");
	expect(2, ":srv 474 b #x :Cannot join channel (+b)\n");
}

/* A part of a mask that was left out is any. */
static void test_masks_are_completed(void **state)
{
	static const char *const masks[][2] = {
		{ "nick", "nick!*@*" },          { "@host", "*!*@host" },
		{ "user@", "*!user@*" },         { "!user", "*!user@*" },
		{ "nick!", "nick!*@*" },         { "nick!@host", "nick!*@host" },
		{ "nick!user@", "nick!user@*" }, { "n!u@h", "n!u@h" },
	};
	char text[64];

	room_config.bans_per_channel = 20;
	enter(1, "a");
	line(1, "JOIN #x");
	for (size_t i = 0; i < ELEMENTSOF(masks); i++) {
		forget(1);
		snprintf(text, sizeof(text), "MODE #x +b %s", masks[i][0]);
		line(1, text);
		line(1, "MODE #x b");
		expect_part(1, masks[i][1]);
		snprintf(text, sizeof(text), "MODE #x -b %s", masks[i][1]);
		line(1, text);
	}
}

static void test_lists_share_their_limit(void **state)
{
	enter(1, "a");
	line(1, "JOIN #x");
	line(1, "MODE #x +bbb 1 2 3"); /* five are allowed */
	line(1, "MODE #x +eI 4 5");
	forget_all();
	line(1, "MODE #x +e 6");
	expect(1, ":srv 478 a #x 6!*@* :Channel ban list is full\n");
}

static void test_invite_exceptions(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(1, "MODE #x +iI *!*@10.0.0.2");
	line(1, "MODE #x I");
	expect_part(1, ":srv 346 a #x *!*@10.0.0.2 a 1600000000\n"
		       ":srv 347 a #x :End of channel invite exception list\n");
	line(2, "JOIN #x");
	expect_part(2, ":b!~b@10.0.0.2 JOIN #x\n");
	enter(3, "c");
	line(3, "JOIN #x");
	expect(3, ":srv 473 c #x :Cannot join channel (+i)\n");
}

static void test_no_ctcp(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	line(1, "MODE #x +C");
	forget_all();
	line(2, "PRIVMSG #x :\1VERSION\1");
	expect(2, ":srv 404 b #x :Cannot send to channel\n");
	expect(1, "");
	line(2, "PRIVMSG #x :\1ACTION waves\1");
	expect(1, ":b!~b@10.0.0.2 PRIVMSG #x :\1ACTION waves\1\n");
}

static void test_status_messages(void **state)
{
	for (uint32_t id = 1; id <= 4; id++) {
		char nick[] = { (char)('a' + id - 1), '\0' };

		enter(id, nick);
		line(id, "JOIN #x");
	}
	line(1, "MODE #x +ov b c");
	forget_all();
	line(1, "PRIVMSG @#x :ops");
	expect(2, ":a!~a@10.0.0.1 PRIVMSG @#x :ops\n");
	expect(3, "");
	line(4, "NOTICE +#x :help");
	expect(1, ":d!~d@10.0.0.4 NOTICE +#x :help\n");
	expect(3, ":d!~d@10.0.0.4 NOTICE +#x :help\n");
	expect(4, "");
	line(4, "PRIVMSG @#none :x");
	expect(4, ":srv 401 d @#none :No such nick/channel\n");
}

static void test_knock(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	forget_all();
	line(2, "KNOCK #x");
	expect(2, ":srv 713 b #x :Channel is open\n");
	line(1, "MODE #x +i");
	forget_all();
	line(2, "KNOCK #x");
	expect(1, ":srv 710 a #x b!~b@10.0.0.2 :has asked for an invitation\n");
	expect(2, ":srv 711 b #x :Your knock has been delivered\n");
	line(2, "KNOCK #x");
	expect(2, ":srv 712 b #x :Too many knocks\n");
	pass_time(10 * USEC_PER_SEC);
	line(1, "KNOCK #x");
	expect(1, ":srv 714 a #x :You are already on that channel\n");
	line(1, "MODE #x +s");
	line(2, "KNOCK #x");
	expect(2, ":srv 403 b #x :No such channel\n");
	/* For outsiders there is no such channel, whatever they say. */
	line(2, "KICK #x a");
	line(2, "INVITE a #x");
	line(2, "PART #x");
	line(2, "TOPIC #x");
	line(2, "MODE #x");
	expect(2, ":srv 403 b #x :No such channel\n:srv 403 b #x :No such channel\n"
		  ":srv 403 b #x :No such channel\n:srv 403 b #x :No such channel\n"
		  ":srv 403 b #x :No such channel\n");
	line(1, "MODE #x -is+l 2"); /* there is a place */
	line(2, "KNOCK #x");
	expect(2, ":srv 713 b #x :Channel is open\n");
}

static void test_modes(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	forget_all();
	line(1, "MODE #x");
	expect(1, ":srv 324 a #x +nt\n:srv 329 a #x 1600000000\n");
	line(1, "MODE #x +t-n+lk 9 key");
	expect(1, ":a!~a@10.0.0.1 MODE #x -n+lk 9 key\n");
	expect(2, ":a!~a@10.0.0.1 MODE #x -n+lk 9 key\n");
	line(1, "MODE #x");
	expect(1, ":srv 324 a #x +tkl key 9\n:srv 329 a #x 1600000000\n");
	enter(3, "c");
	line(3, "MODE #x");
	expect(3, ":srv 324 c #x +tkl * 9\n:srv 329 c #x 1600000000\n");
	line(2, "MODE #x +ims");
	expect(2, ":srv 482 b #x :You're not channel operator\n"); /* once, not three times */
	line(1, "MODE #x +z");
	expect(1, ":srv 472 a z :is unknown mode char to me\n");
	line(1, "MODE #x +l none");
	expect(1, ":srv 696 a #x l none :not a number from 1 on\n");
	line(1, "MODE #x +k a,b");
	expect(1, ":srv 525 a #x :Key is not well-formed\n");
	line(1, "MODE #x -k+o-l * B");
	expect(1, ":a!~a@10.0.0.1 MODE #x -k+o-l key b\n");
	line(1, "MODE #x +o nobody");
	line(1, "MODE #x +o c");
	expect(1, ":srv 401 a nobody :No such nick/channel\n"
		  ":srv 441 a c #x :They aren't on that channel\n");
	line(1, "MODE #x +vvvvvvv b b b b b b b");
	expect(1, ":a!~a@10.0.0.1 MODE #x +v b\n");
	line(1, "MODE #none");
	expect(1, ":srv 403 a #none :No such channel\n");
	line(1, "MODE #x +中");
	expect(1, "");
}

static void test_bans(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	forget(1);
	line(1, "MODE #x +b b");
	expect(1, ":a!~a@10.0.0.1 MODE #x +b b!*@*\n");
	line(1, "MODE #x +b *@10.0.0.7");
	expect(1, ":a!~a@10.0.0.1 MODE #x +b *!*@10.0.0.7\n");
	line(1, "MODE #x b");
	expect(1, ":srv 367 a #x b!*@* a 1600000000\n:srv 367 a #x *!*@10.0.0.7 a 1600000000\n"
		  ":srv 368 a #x :End of channel ban list\n");
	line(2, "MODE #x b"); /* addresses are the members' business */
	expect(2, ":srv 442 b #x :You're not on that channel\n");
	line(2, "JOIN #x");
	expect(2, ":srv 474 b #x :Cannot join channel (+b)\n");
	line(1, "MODE #x +b b!*@*"); /* there already */
	expect(1, "");
	line(1, "MODE #x -b B!*@*");
	expect(1, ":a!~a@10.0.0.1 MODE #x -b B!*@*\n");
	line(2, "JOIN #x");
	expect_part(2, " JOIN #x\n");
	line(1, "MODE #x +bbbb 1 2 3 4");
	forget(1);
	line(1, "MODE #x +b 5");
	expect(1, ":srv 478 a #x 5!*@* :Channel ban list is full\n");
	line(1, "MODE #x +b :two words");
	expect(1, ":srv 696 a #x b two words :not a mask\n");
}

static void test_doors(void **state)
{
	enter(1, "a");
	enter(2, "b");
	enter(3, "c");
	line(1, "JOIN #x");
	line(1, "MODE #x +k key");
	line(2, "JOIN #x");
	line(2, "JOIN #x wrong");
	expect(2, ":srv 475 b #x :Cannot join channel (+k)\n:srv 475 b #x :Cannot join channel "
		  "(+k)\n");
	line(2, "JOIN #y,#x other,key");
	expect_part(2, " JOIN #x\n");
	line(1, "MODE #x -k+l * 2");
	line(3, "JOIN #x");
	expect(3, ":srv 471 c #x :Cannot join channel (+l)\n");
	line(1, "MODE #x -l+i");
	line(3, "JOIN #x");
	expect(3, ":srv 473 c #x :Cannot join channel (+i)\n");
	forget_all();
	line(2, "INVITE c #x");
	expect(2, ":srv 482 b #x :You're not channel operator\n");
	line(1, "INVITE c #x");
	expect(1, ":srv 341 a c #x\n");
	expect(3, ":a!~a@10.0.0.1 INVITE c #x\n");
	line(3, "JOIN #x");
	expect_part(3, " JOIN #x\n");
	line(3, "PART #x");
	forget(3);
	line(3, "JOIN #x"); /* an invitation is good for once */
	expect(3, ":srv 473 c #x :Cannot join channel (+i)\n");
}

/* Of somebody without rank it is a word: it opens nothing, neither now nor later. */
static void test_invitation_without_rank(void **state)
{
	enter(1, "a");
	enter(2, "b");
	enter(3, "c");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	line(1, "MODE #x +k key");
	forget_all();
	line(2, "INVITE c #x");
	expect(2, ":srv 341 b c #x\n");
	expect(3, ":b!~b@10.0.0.2 INVITE c #x\n");
	line(3, "JOIN #x");
	expect(3, ":srv 475 c #x :Cannot join channel (+k)\n");
	line(1, "MODE #x -k+b * c");
	line(3, "JOIN #x");
	expect(3, ":srv 474 c #x :Cannot join channel (+b)\n");
	line(1, "MODE #x -b+i c!*@*");
	line(3, "JOIN #x");
	expect(3, ":srv 473 c #x :Cannot join channel (+i)\n");
	line(1, "INVITE c #x");
	line(3, "JOIN #x");
	expect_part(3, " JOIN #x\n");
}

static void test_invite_errors(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	forget(1);
	line(1, "INVITE nobody #x");
	line(1, "INVITE b #none");
	line(1, "INVITE a #x");
	expect(1, ":srv 401 a nobody :No such nick/channel\n"
		  ":srv 403 a #none :No such channel\n"
		  ":srv 443 a a #x :is already on channel\n");
	line(2, "INVITE a #x");
	expect(2, ":srv 442 b #x :You're not on that channel\n");
	line(2, "AWAY :out");
	line(1, "INVITE b #x");
	expect(1, ":srv 341 a b #x\n:srv 301 a b :out\n");
}

/* An invitation into a channel that has died does not open the next one of that name. */
static void test_invitation_dies_with_its_channel(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(1, "MODE #x +i");
	line(1, "INVITE b #x");
	line(1, "PART #x");
	line(1, "JOIN #x");
	line(1, "MODE #x +i");
	forget(2);
	line(2, "JOIN #x");
	expect(2, ":srv 473 b #x :Cannot join channel (+i)\n");
}

static void test_kick(void **state)
{
	enter(1, "a");
	enter(2, "b");
	enter(3, "c");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	forget_all();
	line(2, "KICK #x a");
	expect(2, ":srv 482 b #x :You're not channel operator\n");
	line(1, "KICK #x c");
	line(1, "KICK #x nobody");
	line(1, "KICK #none b");
	expect(1, ":srv 441 a c #x :They aren't on that channel\n"
		  ":srv 401 a nobody :No such nick/channel\n"
		  ":srv 403 a #none :No such channel\n");
	line(1, "KICK #x b :out");
	expect(1, ":a!~a@10.0.0.1 KICK #x b :out\n");
	expect(2, ":a!~a@10.0.0.1 KICK #x b :out\n");
	line(2, "JOIN #x");
	line(3, "JOIN #x");
	forget_all();
	line(1, "KICK #x a,b"); /* oneself first: then there is no right left */
	expect(2, ":a!~a@10.0.0.1 KICK #x a :a\n");
	line(3, "KICK #x b");
	expect_part(3, " 482 ");
}

static void test_kick_the_last(void **state)
{
	enter(1, "a");
	line(1, "JOIN #x");
	line(1, "KICK #x a,a,a :gone");
	line(1, "MODE #x");
	expect_part(1, ":srv 403 a #x :No such channel\n");
}

static void test_operators_stay_with_their_channel(void **state)
{
	enter(1, "a");
	enter(2, "b");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	line(1, "PART #x");
	line(1, "JOIN #x");
	forget_all();
	line(1, "MODE #x +m");
	expect(1, ":srv 482 a #x :You're not channel operator\n");
}

#define ROOM_TEST(f) cmocka_unit_test_setup_teardown(f, harness_start, harness_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROOM_TEST(test_join),
		ROOM_TEST(test_channels_max),
		ROOM_TEST(test_private),
		ROOM_TEST(test_part),
		ROOM_TEST(test_say),
		ROOM_TEST(test_topic),
		ROOM_TEST(test_names),
		ROOM_TEST(test_names_take_more_than_a_line),
		ROOM_TEST(test_list),
		ROOM_TEST(test_list_with_conditions),
		ROOM_TEST(test_exceptions),
		ROOM_TEST(test_mutes),
		ROOM_TEST(test_lists_share_their_limit),
		ROOM_TEST(test_invite_exceptions),
		ROOM_TEST(test_no_ctcp),
		ROOM_TEST(test_status_messages),
		ROOM_TEST(test_knock),
		ROOM_TEST(test_modes),
		ROOM_TEST(test_bans),
		ROOM_TEST(test_doors),
		ROOM_TEST(test_invite_errors),
		ROOM_TEST(test_invitation_without_rank),
		ROOM_TEST(test_masks_are_completed),
		ROOM_TEST(test_invitation_dies_with_its_channel),
		ROOM_TEST(test_kick),
		ROOM_TEST(test_kick_the_last),
		ROOM_TEST(test_operators_stay_with_their_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
