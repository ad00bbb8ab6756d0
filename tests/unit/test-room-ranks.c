/* SPDX-License-Identifier: MIT */
/* The ranks of a channel's members: who may give, take and do what; how they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "room-harness.h"

enum {
	OWNER = 1,
	ADMIN,
	OP,
	HALF,
	VOICE,
	NONE
};

static const char *const nicks[] = { "", "owner", "admin", "op", "half", "voice", "none" };
static const char *const signs[] = { "", "~", "&", "@", "%", "+", "" };

static int enter_all(void **state)
{
	harness_start(state);
	for (uint32_t id = OWNER; id <= NONE; id++) {
		enter(id, nicks[id]);
		line(id, "JOIN #x");
	}
	line(OWNER, "MODE #x +qaohv owner admin op half voice");
	line(OWNER, "MODE #x -o owner");
	expect_part(NONE, "MODE #x +qaohv owner admin op half voice\n");
	forget_all();
	return 0;
}

/* Whether id's MODE is told to all; it is undone if so. */
static bool may_mode(uint32_t id, char sign, char letter, const char *nick)
{
	char text[64];
	bool done;

	snprintf(text, sizeof(text), "MODE #x %c%c %s", sign, letter, nick);
	forget_all();
	line(id, text);
	done = strstr(told(NONE), text) != NULL;
	if (!done)
		expect_part(id, ":srv 482 ");
	text[8] = sign == '+' ? '-' : '+';
	if (done)
		line(OWNER, text);
	return done;
}

static void ranks_are_given(void **state)
{
	/* Of each letter the lowest who may give it. */
	static const struct {
		char letter;
		uint32_t least;
	} rows[] = { { 'q', OWNER }, { 'a', OWNER }, { 'o', OP }, { 'h', OP }, { 'v', HALF } };

	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		for (uint32_t id = OWNER; id <= NONE; id++)
			assert_int_equal(may_mode(id, '+', rows[i].letter, "none"),
					 id <= rows[i].least);
	}
}

static void nobody_takes_from_who_ranks_higher(void **state)
{
	static const char letters[] = " qaohv";

	for (uint32_t id = OWNER; id <= NONE; id++) {
		for (uint32_t other = OWNER; other <= VOICE; other++) {
			/* Those of q and a are the owner's, those of o and h an operator's. */
			uint32_t least = other <= ADMIN ? OWNER : other <= HALF ? OP : HALF;
			bool may = id == other || (id <= least && id <= other);

			if (may_mode(id, '-', letters[other], nicks[other]) != may)
				fail_msg("%s takes %c from %s: %d", nicks[id], letters[other],
					 nicks[other], !may);
			/* An owner without the sign gives it back by himself, as an operator. */
			if (id == OWNER && other == OWNER)
				line(ADMIN, "MODE #x +q owner");
		}
	}
}

static void kicks(void **state)
{
	char text[64];

	for (uint32_t id = OWNER; id <= NONE; id++) {
		for (uint32_t other = OWNER; other <= NONE; other++) {
			bool may = id <= OP ? id <= other : id == HALF && other > HALF;

			if (id == other)
				continue;
			snprintf(text, sizeof(text), "KICK #x %s", nicks[other]);
			forget_all();
			line(id, text);
			assert_int_equal(strstr(told(other), " KICK #x ") != NULL, may);
			if (!may)
				expect_part(id, ":srv 482 ");
			if (may) {
				line(other, "JOIN #x");
				snprintf(text, sizeof(text), "MODE #x +%c %s", " qaohvv"[other],
					 nicks[other]);
				line(OWNER, text);
			}
			if (other == NONE)
				line(OWNER, "MODE #x -v none");
		}
	}
}

static void what_half_an_operator_may(void **state)
{
	static const char *const may[] = { "+b x!*@*", "+e x!*@*", "+I x!*@*", "+i", "+k key",
					   "+l 9",     "+m",       "-n",       "-t", "+C" };
	static const char *const may_not[] = { "+s", "+p" };
	char text[64];

	for (size_t i = 0; i < ELEMENTSOF(may) + ELEMENTSOF(may_not); i++) {
		bool right = i < ELEMENTSOF(may);

		snprintf(text, sizeof(text), "MODE #x %s",
			 right ? may[i] : may_not[i - ELEMENTSOF(may)]);
		forget_all();
		line(VOICE, text);
		expect_part(VOICE, ":srv 482 ");
		line(HALF, text);
		assert_int_equal(strstr(told(NONE), text) != NULL, right);
	}
	line(OWNER, "MODE #x +t");
	forget_all();
	line(HALF, "TOPIC #x :tea");
	expect_part(NONE, "TOPIC #x :tea\n");
	line(VOICE, "TOPIC #x :no");
	expect_part(VOICE, ":srv 482 ");
}

/* As long as nobody owns it, and again when the owner has left. */
static void operators_choose_the_owner(void **state)
{
	line(OWNER, "PART #x");
	forget_all();
	line(HALF, "MODE #x +q half");
	expect_part(HALF, ":srv 482 ");
	line(OP, "MODE #x +q op");
	expect_part(NONE, ":op!~op@10.0.0.3 MODE #x +q op\n");
	forget_all();
	line(ADMIN, "MODE #x +q admin");
	expect_part(ADMIN, ":srv 482 ");
}

static void signs_are_shown(void **state)
{
	line(OWNER, "MODE #x +ov owner owner");
	forget_all();
	line(NONE, "NAMES #x");
	expect(NONE, ":srv 353 none = #x :~owner &admin @op %half +voice none\n"
		     ":srv 366 none #x :End of /NAMES list\n");
	line(NONE, "WHO #x");
	for (uint32_t id = OWNER; id <= NONE; id++) {
		char text[64];

		snprintf(text, sizeof(text), " srv %s H%s :0 ", nicks[id], signs[id]);
		expect_part(NONE, text);
	}
	line(NONE, "WHOIS owner");
	expect_part(NONE, ":srv 319 none owner :~#x\n");
	line(NONE, "CAP REQ multi-prefix");
	forget(NONE);
	line(NONE, "NAMES #x");
	expect_part(NONE, " :~@+owner &admin @op %half +voice none\n");
	line(NONE, "WHO #x %nf");
	expect_part(NONE, ":srv 354 none owner H~@+\n");
}

static void messages_to_a_status(void **state)
{
	static const char all[] = "~&@%+";
	char text[64];

	for (const char *sign = all; *sign; sign++) {
		snprintf(text, sizeof(text), "PRIVMSG %c#x :hi", *sign);
		forget_all();
		line(VOICE, text);
		for (uint32_t id = OWNER; id <= NONE; id++) {
			if (id != VOICE)
				assert_int_equal(strstr(told(id), text) != NULL,
						 id <= (uint32_t)(sign - all) + 1);
		}
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, enter_all, harness_stop)
	const struct CMUnitTest tests[] = {
		TEST(ranks_are_given),
		TEST(nobody_takes_from_who_ranks_higher),
		TEST(kicks),
		TEST(what_half_an_operator_may),
		TEST(operators_choose_the_owner),
		TEST(signs_are_shown),
		TEST(messages_to_a_status),
	};

	return cmocka_run_group_tests_name("room: ranks", tests, NULL, NULL);
}
