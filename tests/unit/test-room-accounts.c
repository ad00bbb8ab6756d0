/* SPDX-License-Identifier: MIT */
/* Accounts in the room: SASL byte for byte, logging in and out, nicks, REGISTER, masks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/units.h"
#include "room-harness.h"

/* "\0lily\0password" */
#define LILYS_PLAIN "AGxpbHkAcGFzc3dvcmQ="

static void say_plain(uint32_t id)
{
	line(id, "AUTHENTICATE PLAIN");
	expect(id, "AUTHENTICATE +\n");
	line(id, "AUTHENTICATE " LILYS_PLAIN);
}

/* How many wrong passwords the host gets of id before the room refuses one. */
static int fail_until_refused(uint32_t id, const char *account)
{
	char message[64], text[BASE64_SIZE(64) + 32] = "AUTHENTICATE ";
	size_t n = snprintf(message, sizeof(message), "%c%s%cwrong", 0, account, 0);
	int tries = 0;

	base64_encode(text + strlen(text), message, n);
	for (; tries < 1000; tries++) {
		forget(id);
		line(id, "AUTHENTICATE PLAIN");
		expect(id, "AUTHENTICATE +\n");
		line(id, text);
		if (asked.kind == ROOM_ASKS_NO_MORE)
			break;
		answer(id, ROOM_REFUSED, NULL);
	}
	return tries;
}

static void no_accounts_no_sasl(void **state)
{
	open_irc(0);
	line(0, "CAP LS 302");
	expect_no(0, "sasl");
	expect_no(0, "draft/account-registration");
	forget(0);
	line(0, "CAP REQ sasl");
	expect(0, ":srv CAP * NAK :sasl\n");
	line(0, "AUTHENTICATE PLAIN");
	expect(0, ":srv 904 * :SASL authentication failed\n");
	assert_int_equal(n_asked, 0);
}

static void caps_say_what_there_is(void **state)
{
	with_accounts(NULL);
	open_irc(0);
	line(0, "CAP LS");
	expect_part(0, " sasl ");
	forget(0);
	line(0, "CAP LS 302");
	expect_part(0, " sasl=PLAIN,SCRAM-SHA-256 ");
	expect_no(0, "EXTERNAL");
	expect_no(0, "draft/account-registration");
	forget(0);
	room_secured(room, 0, "abcd");
	room_config.account_registration = true;
	line(0, "CAP LS 302");
	expect_part(0, " sasl=PLAIN,SCRAM-SHA-256,EXTERNAL ");
	expect_part(0, " draft/account-registration=before-connect ");
	forget(0);
	line(0, "CAP REQ sasl");
	expect(0, ":srv CAP * ACK :sasl\n");
	line(0, "CAP LIST");
	expect(0, ":srv CAP * LIST :cap-notify sasl\n");
}

/* A password in the clear is not asked for where others can read it. */
static void plain_needs_a_private_connection(void **state)
{
	with_accounts(NULL);
	room_config.plain_passwords = false;
	room_config.account_registration = true;
	open_irc(0);
	line(0, "CAP LS 302");
	expect_part(0, " sasl=SCRAM-SHA-256 ");
	expect_no(0, "draft/account-registration");
	forget(0);
	line(0, "AUTHENTICATE PLAIN");
	expect(0, ":srv 908 * SCRAM-SHA-256 :are available SASL mechanisms\n"
		  ":srv 904 * :SASL authentication failed\n");
	line(0, "NICK lily");
	line(0, "REGISTER * * longenough");
	expect(0, ":srv FAIL REGISTER INSECURE * :Passwords are taken over encrypted connections "
		  "only\n");
	assert_int_equal(n_asked, 0);
	room_secured(room, 0, NULL);
	say_plain(0);
	assert_int_equal(n_asked, 1);
	assert_int_equal(room_opened(room, 1, "127.0.0.1"), 0);
	say_plain(1);
	assert_int_equal(room_opened(room, 2, "::1"), 0);
	say_plain(2);
}

static void plain_before_registration(void **state)
{
	with_accounts("lily", "lily", NULL);
	open_irc(0);
	line(0, "CAP REQ :sasl");
	line(0, "NICK lily");
	line(0, "USER lily 0 * :Lily");
	forget(0);
	say_plain(0);
	assert_int_equal(asked.kind, ROOM_ASKS_SASL);
	assert_int_equal(asked.mechanism, ROOM_PLAIN);
	assert_int_equal(asked.size, 14);
	assert_memory_equal(asked.data, "\0lily\0password", 14);
	expect(0, "");
	answer(0, ROOM_GRANTED, "lily");
	expect(0, ":srv 900 lily lily!~lily@10.0.0.0 lily :You are now logged in as lily\n"
		  ":srv 903 lily :SASL authentication successful\n");
	line(0, "CAP END");
	expect_part(0, ":srv 001 lily ");
	forget(0);
	line(0, "WHOIS lily");
	expect_part(0, ":srv 330 lily lily lily :is logged in as\n");
	forget(0);
	line(0, "WHO lily %na");
	expect_part(0, ":srv 354 lily lily lily\n");
}

static void wrong_passwords_and_no_answer(void **state)
{
	with_accounts(NULL);
	enter(0, "tom");
	say_plain(0);
	answer(0, ROOM_REFUSED, NULL);
	expect(0, ":srv 904 tom :SASL authentication failed\n");
	say_plain(0);
	answer(0, ROOM_UNABLE, NULL);
	expect(0, ":srv 904 tom :SASL authentication failed: it cannot be checked now\n");
	line(0, "WHO tom %na");
	expect_part(0, ":srv 354 tom tom 0\n");
}

static void nonsense_is_refused(void **state)
{
	with_accounts(NULL);
	enter(0, "tom");
	line(0, "AUTHENTICATE");
	expect(0, ":srv 461 tom AUTHENTICATE :Not enough parameters\n");
	line(0, "AUTHENTICATE FOO");
	expect(0, ":srv 908 tom PLAIN,SCRAM-SHA-256 :are available SASL mechanisms\n"
		  ":srv 904 tom :SASL authentication failed\n");
	line(0, "AUTHENTICATE EXTERNAL"); /* no certificate */
	expect_part(0, ":srv 904 tom ");
	forget(0);
	line(0, "AUTHENTICATE PLAIN");
	forget(0);
	line(0, "AUTHENTICATE !!!!");
	expect(0, ":srv 904 tom :SASL authentication failed\n");
	line(0, "AUTHENTICATE *");
	expect(0, ":srv 906 tom :SASL authentication aborted\n");
}

/* Pieces of 400 bytes, up to a shorter one or "+"; both ways. */
static void pieces(void **state)
{
	char text[500], data[301];

	with_accounts(NULL);
	enter(0, "tom");
	line(0, "AUTHENTICATE SCRAM-SHA-256");
	expect(0, "AUTHENTICATE +\n");
	memset(data, 'x', 300);
	data[300] = '\0';
	snprintf(text, sizeof(text), "AUTHENTICATE ");
	base64_encode(text + strlen(text), data, 300);
	line(0, text);
	assert_int_equal(n_asked, 0);
	line(0, text);
	assert_int_equal(n_asked, 0);
	line(0, "AUTHENTICATE +");
	assert_int_equal(n_asked, 1);
	assert_int_equal(asked.size, 600);
	answer(0, ROOM_CONTINUE, data);
	strcat(text, "\nAUTHENTICATE +\n");
	expect(0, text);
	line(0, "AUTHENTICATE eHk=");
	assert_int_equal(asked.size, 2);
	assert_memory_equal(asked.data, "xy", 2);
	answer(0, ROOM_CONTINUE, "xy");
	expect(0, "AUTHENTICATE eHk=\n");
}

static void too_long(void **state)
{
	char text[500] = "AUTHENTICATE ";

	with_accounts(NULL);
	enter(0, "tom");
	line(0, "AUTHENTICATE PLAIN");
	forget(0);
	memset(text + 13, 'A', 400);
	for (int i = 0; i < 4; i++)
		line(0, text);
	expect(0, "");
	line(0, text);
	expect(0, ":srv 905 tom :SASL message too long\n");
	line(0, "AUTHENTICATE PLAIN");
	forget(0);
	text[413] = 'A';
	line(0, text);
	expect(0, ":srv 905 tom :SASL message too long\n");
}

static void giving_up(void **state)
{
	uint64_t serial;

	with_accounts(NULL);
	enter(0, "tom");
	say_plain(0);
	serial = asked.serial;
	line(0, "AUTHENTICATE *");
	expect(0, ":srv 906 tom :SASL authentication aborted\n");
	assert_int_equal(asked.kind, ROOM_ASKS_NO_MORE);
	assert_int_equal(asked.serial, serial);
	answer(0, ROOM_GRANTED, "lily"); /* too late */
	expect(0, "");
	/* A second message while the first is being checked. */
	say_plain(0);
	line(0, "AUTHENTICATE " LILYS_PLAIN);
	expect(0, ":srv 904 tom :SASL authentication failed\n");
	answer(0, ROOM_GRANTED, "lily");
	expect(0, "");
	say_plain(0);
	close_irc(0, "gone");
	assert_int_equal(asked.kind, ROOM_ASKS_NO_MORE);
	open_irc(0);
	answer(0, ROOM_GRANTED, "lily"); /* another one's connection by now */
	expect(0, "");
	line(0, "CAP LS 302");
	forget(0);
	say_plain(0);
	line(0, "CAP END");
	expect(0, ":srv 906 * :SASL authentication aborted\n");
}

/* The answer to what was given up is none to what was asked since. */
static void a_late_answer_is_nobodys(void **state)
{
	struct room_answer late = { .id = 0, .verdict = ROOM_GRANTED, .account = "lily" };

	with_accounts(NULL);
	enter(0, "tom");
	say_plain(0);
	late.serial = asked.serial;
	line(0, "AUTHENTICATE *");
	forget(0);
	say_plain(0);
	room_answer(room, &late);
	expect(0, "");
	answer(0, ROOM_REFUSED, NULL);
	expect(0, ":srv 904 tom :SASL authentication failed\n");
}

static void again_with_302_only(void **state)
{
	with_accounts(NULL);
	enter(0, "tom");
	log_in_as(0, "lily");
	line(0, "AUTHENTICATE PLAIN");
	expect(0, ":srv 907 tom :You have already authenticated using SASL\n");
	line(0, "CAP LS 302");
	forget(0);
	say_plain(0);
	answer(0, ROOM_GRANTED, "rose");
	expect_part(0, " rose :You are now logged in as rose\n");
	forget(0);
	/* Who fails stays who he was. */
	say_plain(0);
	answer(0, ROOM_REFUSED, NULL);
	forget(0);
	line(0, "WHO tom %a");
	expect_part(0, ":srv 354 tom rose\n");
}

static void external_shows_the_certificate(void **state)
{
	with_accounts(NULL);
	open_irc(0);
	room_secured(room, 0, "c0ffee");
	line(0, "AUTHENTICATE EXTERNAL");
	expect(0, "AUTHENTICATE +\n");
	line(0, "AUTHENTICATE +");
	assert_int_equal(asked.mechanism, ROOM_EXTERNAL);
	assert_string_equal(asked.fingerprint, "c0ffee");
	assert_int_equal(asked.size, 0);
	answer(0, ROOM_GRANTED, "lily");
	expect_part(0, " 900 ");
}

/* Too many failures from one place; others are not concerned; time heals. */
static void failures_are_throttled(void **state)
{
	with_accounts(NULL);
	enter(0, "tom");
	assert_int_equal(fail_until_refused(0, "lily"), 100);
	expect(0, ":srv 904 tom :SASL authentication failed: too many have failed; try again "
		  "later\n");
	assert_int_equal(fail_until_refused(0, "rose"), 0); /* others' no less */
	forget(0);
	enter(1, "rose");
	log_in_as(1, "lily");
	pass_time(6 * USEC_PER_SEC);
	assert_int_equal(fail_until_refused(0, "lily"), 1);
}

/* Each address has a count of its own, however many there are. */
static void addresses_share_no_count(void **state)
{
	char host[32];

	with_accounts(NULL);
	enter(0, "tom");
	assert_int_equal(fail_until_refused(0, "lily"), 100);
	for (int i = 0; i < 6000; i++) {
		snprintf(host, sizeof(host), "10.9.%d.%d", i / 250, i % 250);
		assert_int_equal(room_opened(room, 1, host), 0);
		say_plain(1);
		assert_int_equal(asked.id, 1);
		answer(1, ROOM_REFUSED, NULL);
		expect(1, ":srv 904 * :SASL authentication failed\n");
		room_closed(room, 1, "");
	}
	forget(0);
	assert_int_equal(fail_until_refused(0, "lily"), 0); /* not forgotten over them */
}

/* On this machine may be everybody, behind a proxy: no one's failures are others'. */
static void here_it_is_counted_by_account(void **state)
{
	with_accounts(NULL);
	assert_int_equal(room_opened(room, 0, "127.0.0.1"), 0);
	assert_int_equal(room_opened(room, 1, "127.0.0.2"), 0);
	assert_int_equal(room_opened(room, 2, "::1"), 0);
	assert_int_equal(room_opened(room, 3, "10.1.2.3"), 0);
	assert_int_equal(fail_until_refused(0, "lily"), 100);
	assert_int_equal(fail_until_refused(1, "Lily"), 0); /* one machine, one account */
	assert_int_equal(fail_until_refused(2, "lily"), 0);
	assert_int_equal(fail_until_refused(0, "rose"), 100);
	assert_int_equal(fail_until_refused(3, "lily"), 100);
	forget_all();
	log_in_as(0, "lily"); /* whose name is another than that in the message */
}

/* What is given up before a password was looked at is no failure. */
static void what_was_not_checked_is_no_failure(void **state)
{
	with_accounts(NULL);
	enter(0, "tom");
	for (int i = 0; i < 300; i++) {
		line(0, "AUTHENTICATE PLAIN");
		line(0, "AUTHENTICATE *");
		line(0, "AUTHENTICATE PLAIN");
		line(0, "AUTHENTICATE !!!");
		line(0, "AUTHENTICATE SCRAM-SHA-256");
		line(0, "AUTHENTICATE biwsbj1saWx5LHI9YQ=="); /* n,,n=lily,r=a */
		answer(0, ROOM_CONTINUE, NULL);
		line(0, "AUTHENTICATE *");
	}
	forget(0);
	/* But it is when the host has had it. */
	for (int i = 0; i < 50; i++) {
		say_plain(0);
		assert_int_equal(asked.kind, ROOM_ASKS_SASL);
		line(0, "AUTHENTICATE *");
		forget(0);
		line(0, "AUTHENTICATE SCRAM-SHA-256");
		line(0, "AUTHENTICATE biwsbj1saWx5LHI9YQ==");
		answer(0, ROOM_CONTINUE, NULL);
		line(0, "AUTHENTICATE Yz1i"); /* the proof */
		answer(0, ROOM_REFUSED, NULL);
		forget(0);
	}
	assert_int_equal(fail_until_refused(0, "lily"), 0);
}

/* Who is to be turned away at the door makes no account before. */
static void no_account_for_who_may_not_come_in(void **state)
{
	with_accounts(NULL);
	room_config.account_registration = true;
	room_config.password = "sesame";
	open_irc(0);
	line(0, "CAP LS 302");
	line(0, "NICK lily");
	forget(0);
	line(0, "REGISTER * * longenough");
	expect(0, ":srv FAIL REGISTER DISALLOWED * :You may not come in here\n");
	assert_int_equal(n_asked, 0);
	line(0, "PASS sesame");
	line(0, "REGISTER * * longenough");
	assert_int_equal(n_asked, 1);
}

/* The answer that comes later has the label, not the line that says nothing. */
static void labels_wait_for_the_host(void **state)
{
	with_accounts(NULL);
	room_config.account_registration = true;
	enter(0, "tom");
	line(0, "CAP REQ :batch labeled-response");
	forget(0);
	line(0, "@label=a AUTHENTICATE PLAIN");
	expect(0, "@label=a AUTHENTICATE +\n");
	line(0, "@label=b AUTHENTICATE " LILYS_PLAIN);
	expect(0, "");
	answer(0, ROOM_REFUSED, NULL);
	expect(0, "@label=b :srv 904 tom :SASL authentication failed\n");
	line(0, "AUTHENTICATE SCRAM-SHA-256");
	forget(0);
	line(0, "@label=c AUTHENTICATE biwsbj1saWx5LHI9YQ==");
	answer(0, ROOM_CONTINUE, NULL);
	expect_part(0, "@label=c AUTHENTICATE ");
	forget(0);
	line(0, "@label=d AUTHENTICATE *"); /* c has had its answer */
	expect(0, "@label=d :srv 906 tom :SASL authentication aborted\n");
	line(0, "AUTHENTICATE PLAIN");
	forget(0);
	line(0, "@label=e AUTHENTICATE " LILYS_PLAIN);
	line(0, "@label=f AUTHENTICATE *");
	expect(0, "@label=e :srv ACK\n@label=f :srv 906 tom :SASL authentication aborted\n");
	line(0, "@label=g REGISTER * * longenough");
	expect(0, "");
	answer(0, ROOM_REFUSED, NULL);
	expect(0, "@label=g :srv FAIL REGISTER ACCOUNT_EXISTS tom :That name is an account's\n");
	line(0, "@label=h REGISTER * * longenough");
	answer(0, ROOM_GRANTED, NULL);
	expect_part(0, "@label=h :srv BATCH +");
	expect_part(0, " :srv REGISTER SUCCESS tom :The account is made\n");
	expect_part(0, " :srv 900 tom ");
	expect_no(0, "ACK");
}

/* Many behind one address may log in, one after the other: what is right is not counted. */
static void right_ones_are_not_throttled(void **state)
{
	with_accounts(NULL);
	enter(0, "tom");
	line(0, "CAP LS 302");
	for (int i = 0; i < 1000; i++)
		log_in_as(0, "lily");
	for (int i = 0; i < 1000; i++) {
		line(0, "AUTHENTICATE PLAIN");
		line(0, "AUTHENTICATE " LILYS_PLAIN);
		answer(0, ROOM_UNABLE, NULL);
	}
	log_in_as(0, "lily");
}

/* An IPv6 network is one place. */
static void places(void **state)
{
	uint32_t first;

	with_accounts(NULL);
	assert_int_equal(room_opened(room, 0, "2001:db8::1"), 0);
	say_plain(0);
	first = asked.place;
	assert_int_equal(room_opened(room, 1, "2001:db8::ffff:2"), 0);
	say_plain(1);
	assert_int_equal(asked.place, first);
	assert_int_equal(room_opened(room, 2, "2001:db8:0:1::1"), 0);
	say_plain(2);
	assert_int_not_equal(asked.place, first);
}

static void others_are_told(void **state)
{
	with_accounts("lily", "lily", NULL);
	enter(0, "tom");
	enter(1, "rose");
	enter(2, "jack");
	line(1, "CAP REQ :account-notify account-tag extended-join");
	line(0, "CAP REQ :account-notify");
	line(0, "JOIN #x");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	forget_all();
	log_in_as(0, "lily");
	expect(1, "@account=lily :tom!~tom@10.0.0.0 ACCOUNT lily\n");
	expect(2, "");
	line(0, "PRIVMSG #x :hi");
	expect(1, "@account=lily :tom!~tom@10.0.0.0 PRIVMSG #x :hi\n");
	expect(2, ":tom!~tom@10.0.0.0 PRIVMSG #x :hi\n");
	line(0, "PART #x");
	expect(1, "@account=lily :tom!~tom@10.0.0.0 PART #x\n");
	line(0, "JOIN #x");
	expect(1, "@account=lily :tom!~tom@10.0.0.0 JOIN #x lily :Real tom\n");
	line(2, "PART #x");
	line(2, "JOIN #x");
	expect(1, ":jack!~jack@10.0.0.2 PART #x\n:jack!~jack@10.0.0.2 JOIN #x * :Real jack\n");
	/* The account is removed. */
	forget(0);
	with_accounts(NULL);
	expect(0, ":srv 901 tom tom!~tom@10.0.0.0 :You are now logged out\n"
		  ":tom!~tom@10.0.0.0 ACCOUNT *\n");
	expect(1, ":tom!~tom@10.0.0.0 ACCOUNT *\n");
}

static void a_nick_is_its_owners(void **state)
{
	with_accounts("Lily", "Lily", "lil", "Lily", NULL);
	enter(0, "tom");
	line(0, "NICK lily");
	expect(0, ":srv 433 tom lily :Nickname lily is an account's: log in to it first\n");
	line(0, "NICK LIL");
	expect(0, ":srv 433 tom LIL :Nickname LIL is an account's: log in to it first\n");
	log_in_as(0, "Lily");
	line(0, "NICK lil");
	expect(0, ":tom!~tom@10.0.0.0 NICK :lil\n");
	line(0, "NICK lily");
	expect(0, ":lil!~tom@10.0.0.0 NICK :lily\n");
	/* Not at the registration either, and then with another nick. */
	open_irc(1);
	line(1, "NICK lil");
	line(1, "USER x 0 * :x");
	expect(1, ":srv 433 lil lil :Nickname lil is an account's: log in to it first\n");
	line(1, "NICK jack");
	expect_part(1, ":srv 001 jack ");
	forget(1);
	room_config.nick_protection = false;
	line(1, "NICK lil");
	expect(1, ":jack!~x@10.0.0.1 NICK :lil\n");
}

static void the_course_does_not_get_it_either(void **state)
{
	with_accounts("lily", "lily", NULL);
	datagram(0, "L lily");
	expect_course(0, "该用户存在|");
	room_config.nick_protection = false;
	datagram(0, "L lily");
	expect_course(0, "OK|");
}

/* Who only says NICK does not keep the owner from it. */
static void squatters_yield(void **state)
{
	with_accounts("lily", "lily", NULL);
	open_irc(0);
	line(0, "CAP LS 302");
	line(0, "NICK lily");
	forget(0);
	enter(1, "tom");
	line(1, "NICK lily");
	expect_part(1, " 433 ");
	log_in_as(1, "lily");
	line(1, "NICK lily");
	expect(1, ":tom!~tom@10.0.0.1 NICK :lily\n");
	expect(0, ":srv 433 lily lily :Nickname is already in use\n");
	line(0, "USER x 0 * :x");
	line(0, "CAP END");
	expect(0, "");
	line(0, "NICK jack");
	expect_part(0, ":srv 001 jack ");
}

static void an_owner_takes_his_nick(void **state)
{
	static const struct room_owned now[] = { { "lily", "lily" }, { "Guest2", "rose" } };

	with_accounts(NULL);
	enter(0, "lily");
	enter(1, "tom");
	line(0, "JOIN #x");
	line(1, "JOIN #x");
	forget_all();
	assert_int_equal(room_set_accounts(room, now, 2), 0);
	expect(0, ":srv NOTICE lily :lily is an account's nick now: log in to it, or its owner may "
		  "take it from you\n");
	assert_int_equal(room_set_accounts(room, now, 2), 0);
	expect(0, ""); /* once */
	line(1, "NICK lily");
	expect_part(1, " 433 ");
	line(1, "CAP LS 302"); /* it may log in anew */
	log_in_as(1, "rose");
	line(1, "NICK lily");
	expect_part(1, " 433 ");
	log_in_as(1, "lily");
	room_config.nick_protection = false; /* then it is whoever's came first */
	line(1, "NICK lily");
	expect_part(1, " 433 ");
	forget_all();
	room_config.nick_protection = true;
	line(1, "NICK lily");
	expect(0, ":srv NOTICE lily :lily is an account's nick, whose owner has come: you are "
		  "Guest1 now\n"
		  ":lily!~lily@10.0.0.0 NICK :Guest1\n"
		  ":tom!~tom@10.0.0.1 NICK :lily\n");
	expect(1, ":lily!~lily@10.0.0.0 NICK :Guest1\n:tom!~tom@10.0.0.1 NICK :lily\n");
	line(0, "NICK lily");
	expect_part(0, " 433 ");
	line(0, "NICK LILY");
	expect_part(0, " 433 ");
}

/* A name of a guest that is somebody's is left out; who comes takes the nick as he registers. */
static void guests_have_free_names(void **state)
{
	static const struct room_owned now[] = { { "lily", "lily" }, { "Guest2", "rose" } };

	with_accounts(NULL);
	enter(0, "lily");
	enter(1, "Guest1");
	assert_int_equal(room_set_accounts(room, now, 2), 0);
	forget_all();
	open_irc(2);
	line(2, "CAP REQ sasl");
	log_in_as(2, "lily");
	line(2, "NICK lily");
	expect_part(0, " NICK :Guest3\n");
	line(2, "USER x 0 * :x");
	line(2, "CAP END");
	expect_part(2, ":srv 001 lily ");
}

static void a_course_user_goes_for_the_owner(void **state)
{
	static const struct room_owned now[] = { { "lily", "lily" } };

	with_accounts(NULL);
	datagram(1, "L lily");
	expect_course(1, "OK|");
	assert_int_equal(room_set_accounts(room, now, 1), 0);
	enter(0, "tom");
	log_in_as(0, "lily");
	line(0, "NICK lily");
	expect(0, ":tom!~tom@10.0.0.0 NICK :lily\n");
	expect_course(1, "\n名字已归还其主人|EXIT|");
}

static void ghosts(void **state)
{
	with_accounts("lily", "lily", "lil", "lily", NULL);
	enter(0, "tom");
	log_in_as(0, "lily");
	line(0, "NICK lily");
	enter(1, "rose");
	line(1, "GHOST lily");
	expect(1,
	       ":srv FAIL GHOST NOT_YOURS lily :That is no other connection that is logged in to "
	       "your account\n");
	line(1, "GHOST nobody");
	expect(1, ":srv 401 rose nobody :No such nick/channel\n");
	log_in_as(1, "rose");
	line(1, "GHOST lily");
	expect_part(1, " FAIL GHOST NOT_YOURS ");
	forget_all();
	open_irc(2);
	line(2, "CAP REQ sasl");
	log_in_as(2, "lily");
	line(2, "NICK lily");
	expect(2,
	       ":srv 433 * lily :Nickname is already in use by yourself: GHOST lily ends that\n");
	line(2, "GHOST rose");
	expect_part(2, " FAIL GHOST NOT_YOURS ");
	forget(2);
	line(2, "GHOST Lily");
	expect(2, ":srv NOTE GHOST GONE lily :That connection was ended\n");
	expect(0, "ERROR :Closing Link: 10.0.0.0 (Ended by *)\n");
	assert_true(is_closed(0));
	line(2, "NICK lily");
	line(2, "GHOST lily"); /* itself */
	expect_part(2, " FAIL GHOST NOT_YOURS ");
	line(2, "USER x 0 * :x");
	line(2, "CAP END");
	expect_part(2, ":srv 001 lily ");
}

static void a_log_in_by_pass(void **state)
{
	with_accounts("lily", "lily", NULL);
	open_irc(0);
	line(0, "PASS lily:pass:word");
	assert_int_equal(asked.kind, ROOM_ASKS_SASL);
	assert_int_equal(asked.mechanism, ROOM_PLAIN);
	assert_int_equal(asked.size, 15);
	assert_memory_equal(asked.data, "\0lily\0pass:word", 15);
	line(0, "NICK lily");
	line(0, "USER x 0 * :x");
	line(0, "AUTHENTICATE *"); /* is another's */
	expect(0, ":srv 904 lily :SASL authentication failed: another one is under way\n");
	line(0, "CAP END");
	expect(0, ""); /* registration waits */
	answer(0, ROOM_GRANTED, "lily");
	expect_part(0, ":srv 900 lily lily!~x@10.0.0.0 lily :You are now logged in as lily\n"
		       ":srv 001 lily ");
	forget(0);
	line(0, "PASS lily:again");
	expect(0, ":srv 462 lily :You may not reregister\n");
	/* A wrong one is none. */
	open_irc(2);
	line(2, "PASS lily:wrong");
	line(2, "NICK tim");
	line(2, "USER x 0 * :x");
	answer(2, ROOM_REFUSED, NULL);
	expect(2, ":srv 464 tim :Password incorrect\n"
		  "ERROR :Closing Link: 10.0.0.2 (Bad password)\n");
	assert_true(is_closed(2));
	/* One that could not be checked keeps nobody out, and gives no right. */
	open_irc(3);
	line(3, "PASS lily:password");
	line(3, "NICK jack");
	line(3, "USER x 0 * :x");
	answer(3, ROOM_UNABLE, NULL);
	expect_part(3, ":srv 904 jack :SASL authentication failed: it cannot be checked now\n"
		       ":srv 001 jack ");
}

static void pass_beside_the_servers(void **state)
{
	with_accounts("lily", "lily", NULL);
	room_config.password = "a:b";
	open_irc(0);
	line(0, "PASS a:b");
	assert_int_equal(n_asked, 0);
	line(0, "PASS lily:password");
	assert_int_equal(n_asked, 1);
	line(0, "NICK lily");
	line(0, "USER x 0 * :x");
	answer(0, ROOM_GRANTED, "lily");
	expect_part(0, ":srv 001 lily ");
	/* The account alone does not open it. */
	open_irc(1);
	line(1, "PASS lily:password");
	line(1, "NICK tom");
	line(1, "USER x 0 * :x");
	answer(1, ROOM_GRANTED, "lily");
	expect_part(1, ":srv 464 tom :Password incorrect\n");
	assert_true(is_closed(1));
	/* Nor is one asked for where others can read it. */
	room_config.plain_passwords = false;
	n_asked = 0;
	open_irc(2);
	line(2, "PASS lily:password");
	expect(2, "ERROR :Closing Link: 10.0.0.2 (Passwords are taken over encrypted connections "
		  "only)\n");
	assert_int_equal(n_asked, 0);
}

static void pass_is_throttled_as_others(void **state)
{
	with_accounts(NULL);
	open_irc(0);
	line(0, "PASS lily:wrong");
	answer(0, ROOM_REFUSED, NULL);
	enter(0, "tom");
	assert_int_equal(fail_until_refused(0, "lily"), 99);
	open_irc(1);
	room_closed(room, 1, "");
	assert_int_equal(room_opened(room, 1, "10.0.0.0"), 0);
	line(1, "PASS lily:password");
	expect(1, ":srv 904 * :SASL authentication failed: too many have failed; try again later\n"
		  "ERROR :Closing Link: 10.0.0.0 (Too many have failed)\n");
}

static void another_password(void **state)
{
	with_accounts("lily", "lily", NULL);
	enter(0, "tom");
	line(0, "CAP REQ :batch labeled-response");
	forget(0);
	line(0, "PASSWD old");
	expect(0, ":srv 461 tom PASSWD :Not enough parameters\n");
	line(0, "PASSWD old longenough");
	expect(0, ":srv FAIL PASSWD NOT_LOGGED_IN * :Log in first\n");
	log_in_as(0, "lily");
	n_asked = 0;
	line(0, "PASSWD old short");
	expect(0, ":srv FAIL PASSWD WEAK_PASSWORD lily :A password has at least 8 bytes\n");
	room_config.plain_passwords = false;
	line(0, "PASSWD old longenough");
	expect(0, ":srv FAIL PASSWD INSECURE lily :Passwords are taken over encrypted connections "
		  "only\n");
	room_config.plain_passwords = true;
	assert_int_equal(n_asked, 0);
	line(0, "@label=x PASSWD old :long enough");
	assert_int_equal(asked.kind, ROOM_ASKS_PASSWORD);
	assert_string_equal(asked.account, "lily");
	assert_int_equal(asked.size, 15);
	assert_memory_equal(asked.data, "old\0long enough", 15);
	line(0, "PASSWD old longenough");
	expect(0, ":srv FAIL PASSWD TEMPORARILY_UNAVAILABLE lily :One thing after the other\n");
	answer(0, ROOM_REFUSED, NULL);
	expect(0, "@label=x :srv FAIL PASSWD WRONG_PASSWORD lily :That is not the old password\n");
	line(0, "PASSWD old longenough");
	answer(0, ROOM_GRANTED, "lily");
	expect(0, ":srv NOTE PASSWD SUCCESS lily :The password is changed\n");
	/* Who found a terminal cannot try for long. */
	for (int i = 0; i < 99; i++) {
		line(0, "PASSWD old longenough");
		answer(0, ROOM_REFUSED, NULL);
		forget(0);
	}
	line(0, "PASSWD old longenough");
	expect(0, ":srv FAIL PASSWD TEMPORARILY_UNAVAILABLE lily :Try again later\n");
}

static void an_operators_account_is_not_registered(void **state)
{
	char *server_operators[] = { (char *)"Lily", NULL };
	char *operators[] = { (char *)"rose", (char *)"tom:web:ack", NULL };

	with_accounts("rose", "rose", NULL);
	room_config.account_registration = true;
	room_config.server_operators = server_operators;
	room_config.operators = operators;
	enter(0, "Tom");
	enter(1, "lily");
	line(0, "REGISTER * * longenough");
	expect(0, ":srv FAIL REGISTER BAD_ACCOUNT_NAME Tom :The accounts of operators are not made "
		  "here\n");
	line(1, "REGISTER lily * longenough");
	expect_part(1, " FAIL REGISTER BAD_ACCOUNT_NAME lily ");
	assert_int_equal(n_asked, 0);
	line(0, "NICK jack");
	line(0, "REGISTER * * longenough");
	assert_int_equal(n_asked, 1);
}

static void registering(void **state)
{
	with_accounts("rose", "rose", NULL);
	enter(0, "tom");
	line(0, "REGISTER * * longenough");
	expect(0, ":srv FAIL REGISTER DISALLOWED * :Accounts are made by the operators here\n");
	room_config.account_registration = true;
	line(0, "REGISTER jack * longenough");
	expect(0, ":srv FAIL REGISTER ACCOUNT_NAME_MUST_BE_NICK jack :An account has the name of "
		  "who makes it\n");
	line(0, "REGISTER tom *");
	expect(0, ":srv FAIL REGISTER NEED_MORE_PARAMS :REGISTER account email|* password\n");
	line(0, "REGISTER tom * short");
	expect(0, ":srv FAIL REGISTER WEAK_PASSWORD tom :A password has at least 8 bytes\n");
	assert_int_equal(n_asked, 0);
	line(0, "REGISTER TOM * :long enough");
	assert_int_equal(asked.kind, ROOM_ASKS_REGISTER);
	assert_string_equal(asked.account, "tom");
	assert_string_equal(asked.password, "long enough");
	line(0, "REGISTER tom * longenough");
	expect(0, ":srv FAIL REGISTER TEMPORARILY_UNAVAILABLE tom :One thing after the other\n");
	line(0, "AUTHENTICATE PLAIN");
	expect(0, ":srv 904 tom :SASL authentication failed: REGISTER is under way\n");
	answer(0, ROOM_UNABLE, NULL);
	expect(0, ":srv FAIL REGISTER TEMPORARILY_UNAVAILABLE tom :Try again later\n");
	line(0, "REGISTER * * longenough");
	answer(0, ROOM_REFUSED, NULL);
	expect(0, ":srv FAIL REGISTER ACCOUNT_EXISTS tom :That name is an account's\n");
	line(0, "REGISTER * * longenough");
	answer(0, ROOM_GRANTED, "tom");
	expect(0, ":srv REGISTER SUCCESS tom :The account is made\n"
		  ":srv 900 tom tom!~tom@10.0.0.0 tom :You are now logged in as tom\n");
	line(0, "REGISTER * * longenough");
	expect(0, ":srv FAIL REGISTER ALREADY_AUTHENTICATED tom :You have an account, and are "
		  "logged in to it\n");
	enter(1, "jack");
	line(1, "NICK tom");
	forget(1);
	close_irc(0, "gone");
	line(1, "NICK tom");
	expect(1, ":srv 433 jack tom :Nickname tom is an account's: log in to it first\n");
	line(1, "VERIFY jack 1234");
	expect(1, ":srv FAIL VERIFY INVALID_CODE jack :Accounts are not verified here: none waits "
		  "for a code\n");
	open_irc(2);
	line(2, "REGISTER * * longenough");
	expect(2, ":srv FAIL REGISTER NEED_NICK * :Say NICK first\n");
}

static void registrations_are_few(void **state)
{
	char text[64];
	int n = 0;

	with_accounts(NULL);
	room_config.account_registration = true;
	enter(0, "tom");
	for (; n < 100; n++) {
		snprintf(text, sizeof(text), "NICK t%d", n);
		line(0, text);
		forget(0);
		line(0, "REGISTER * * longenough");
		if (*told(0))
			break;
		answer(0, ROOM_REFUSED, NULL);
	}
	assert_int_equal(n, 10);
	expect(0, ":srv FAIL REGISTER TEMPORARILY_UNAVAILABLE t10 :Try again later\n");
}

static void masks_of_accounts(void **state)
{
	with_accounts("lily", "lily", NULL);
	enter(0, "tom");
	line(0, "VERSION");
	expect_part(0, " ACCOUNTEXTBAN=a ");
	expect_part(0, " EXTBAN=,am ");
	forget(0);
	enter(1, "jack");
	log_in_as(1, "lily");
	line(0, "JOIN #x");
	line(0, "MODE #x +b a:LI*");
	expect_part(0, "MODE #x +b a:LI*\n");
	line(1, "JOIN #x");
	expect(1, ":srv 474 jack #x :Cannot join channel (+b)\n");
	line(0, "MODE #x +e a:lily");
	line(1, "JOIN #x");
	expect_part(1, "JOIN #x\n");
	forget(1);
	line(1, "PART #x");
	line(0, "MODE #x -be+i a:LI* a:lily");
	line(0, "MODE #x +I a:lily");
	enter(2, "lily2");
	line(2, "JOIN #x");
	expect(2, ":srv 473 lily2 #x :Cannot join channel (+i)\n");
	forget(1);
	line(1, "JOIN #x");
	expect_part(1, "JOIN #x\n");
	forget(1);
	line(0, "MODE #x +b m:a:lily");
	forget(1);
	line(1, "PRIVMSG #x :hm");
	expect(1, ":srv 404 jack #x :Cannot send to channel\n");
	forget(0);
	line(0, "MODE #x +b a:");
	expect(0, ":srv 696 tom #x b a: :not a mask\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_start, harness_stop)
	const struct CMUnitTest tests[] = {
		TEST(no_accounts_no_sasl),
		TEST(caps_say_what_there_is),
		TEST(plain_needs_a_private_connection),
		TEST(plain_before_registration),
		TEST(wrong_passwords_and_no_answer),
		TEST(nonsense_is_refused),
		TEST(pieces),
		TEST(too_long),
		TEST(giving_up),
		TEST(a_late_answer_is_nobodys),
		TEST(again_with_302_only),
		TEST(external_shows_the_certificate),
		TEST(failures_are_throttled),
		TEST(addresses_share_no_count),
		TEST(here_it_is_counted_by_account),
		TEST(what_was_not_checked_is_no_failure),
		TEST(labels_wait_for_the_host),
		TEST(no_account_for_who_may_not_come_in),
		TEST(right_ones_are_not_throttled),
		TEST(places),
		TEST(others_are_told),
		TEST(a_nick_is_its_owners),
		TEST(the_course_does_not_get_it_either),
		TEST(squatters_yield),
		TEST(an_owner_takes_his_nick),
		TEST(guests_have_free_names),
		TEST(a_course_user_goes_for_the_owner),
		TEST(ghosts),
		TEST(a_log_in_by_pass),
		TEST(pass_beside_the_servers),
		TEST(pass_is_throttled_as_others),
		TEST(another_password),
		TEST(an_operators_account_is_not_registered),
		TEST(registering),
		TEST(registrations_are_few),
		TEST(masks_of_accounts),
	};

	return cmocka_run_group_tests_name("room: accounts", tests, NULL, NULL);
}
