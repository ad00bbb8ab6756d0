/* SPDX-License-Identifier: MIT */
/* History in the room: what is kept, who may ask, how it is told. The test is the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/units.h"
#include "room-harness.h"

#define KEPT_MAX 64

struct kept {
	char channel[80], tags[200], line[520];
	struct history_id id;
	enum history_kind kind;
	bool closed;
};

static struct kept kept[KEPT_MAX];
static size_t n_kept;
static struct history_query *queries[100];
static size_t n_queries;
static int refuse; /* what fetch() returns */

static void on_keep(void *arg, const struct history_record *r)
{
	struct kept *k = &kept[n_kept++];

	assert_true(n_kept < KEPT_MAX);
	*k = (struct kept){ .id = r->id, .kind = r->kind, .closed = r->closed };
	snprintf(k->channel, sizeof(k->channel), "%s", r->channel);
	snprintf(k->tags, sizeof(k->tags), "%.*s", (int)r->tags_size, r->tags);
	snprintf(k->line, sizeof(k->line), "%.*s", (int)r->line_size, r->line);
}

static int on_fetch(void *arg, struct history_query *query)
{
	if (refuse)
		return refuse;
	queries[n_queries++] = query;
	return 0;
}

static struct history_query *last_query(void)
{
	assert_true(n_queries > 0);
	return queries[n_queries - 1];
}

static void forget_queries(void)
{
	while (n_queries > 0)
		free(queries[--n_queries]);
}

static int start(void **state)
{
	static char mask[] = "*", *everywhere[] = { mask, NULL };

	harness_start(state);
	room_config.history = true;
	room_config.history_channels = everywhere;
	room_config.history_age = 30 * 86400 * USEC_PER_SEC;
	room_config.created = 0xabc;
	room_output.keep = on_keep;
	room_output.fetch = on_fetch;
	harness_again();
	n_kept = 0;
	refuse = 0;
	return 0;
}

static int stop(void **state)
{
	forget_queries();
	return harness_stop(state);
}

/* Answers the last question with the last n kept lines. */
static void answer_with_last(size_t n)
{
	static char text[KEPT_MAX * 800];
	struct history_item items[KEPT_MAX];
	struct history_answer a = { .items = items, .n_items = n, .text = text };
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		const struct kept *k = &kept[n_kept - n + i];

		items[i] = (struct history_item){ .id = k->id,
						  .time = UINT64_C(1600000000123),
						  .event = k->kind == HISTORY_EVENT,
						  .tags = (uint32_t)used };
		used += sprintf(text + used, "%s", k->tags) + 1;
		items[i].line = (uint32_t)used;
		used += sprintf(text + used, "%s", k->line) + 1;
	}
	room_history(room, last_query(), &a);
}

static void answer_with_error(int error)
{
	struct history_answer a = { .error = error };

	room_history(room, last_query(), &a);
}

static void two_in_a_channel(void)
{
	enter(1, "bob");
	enter(2, "eve");
	line(1, "JOIN #x");
	line(2, "JOIN #x");
	forget_all();
	n_kept = 0;
}

static void want(uint32_t id, const char *caps)
{
	char text[200];

	snprintf(text, sizeof(text), "CAP REQ :%s", caps);
	line(id, text);
	expect_part(id, " ACK ");
	forget(id);
}

/* --- what is kept --- */

static void test_messages_are_kept(void **state)
{
	two_in_a_channel();
	want(1, "message-tags");
	line(1, "@+x=1;secret=2 PRIVMSG #X :hello");
	line(2, "NOTICE #x :hi");
	line(2, "PRIVMSG #x :\1ACTION waves\1");
	line(2, "PRIVMSG #x :\1VERSION\1");
	line(2, "PRIVMSG bob :for you alone");
	line(2, "PRIVMSG @#x :for operators alone");
	line(1, "@+typing=active TAGMSG #x");
	assert_int_equal(n_kept, 3);
	assert_string_equal(kept[0].channel, "#x");
	assert_string_equal(kept[0].line, ":bob!~bob@10.0.0.1 PRIVMSG #x :hello");
	assert_string_equal(kept[0].tags, "+x=1");
	assert_int_equal(kept[0].kind, HISTORY_MESSAGE);
	assert_int_equal(kept[0].id.boot, 0xabc);
	assert_true(kept[1].id.number > kept[0].id.number);
	assert_string_equal(kept[1].line, ":eve!~eve@10.0.0.2 NOTICE #x :hi");
	assert_string_equal(kept[2].line, ":eve!~eve@10.0.0.2 PRIVMSG #x :\1ACTION waves\1");
	line(2, "MODE eve +B");
	line(2, "PRIVMSG #x :beep");
	assert_string_equal(kept[3].tags, "bot");
}

static void test_the_id_is_what_was_delivered(void **state)
{
	char id[64];

	two_in_a_channel();
	want(2, "message-tags");
	line(1, "PRIVMSG #x :hello");
	snprintf(id, sizeof(id), "@msgid=abc-%llx ", (unsigned long long)kept[0].id.number);
	expect_part(2, id);
	forget(2);
	line(1, "TOPIC #x :new");
	snprintf(id, sizeof(id), "@msgid=abc-%llx ", (unsigned long long)kept[1].id.number);
	expect_part(2, id);
}

static void test_events_are_kept(void **state)
{
	static const char *const wanted[] = {
		":eve!~eve@10.0.0.2 JOIN #y * :Real eve", ":bob!~bob@10.0.0.1 JOIN #y * :Real bob",
		":eve!~eve@10.0.0.2 MODE #y +m",          ":eve!~eve@10.0.0.2 TOPIC #y :t",
		":bob!~bob@10.0.0.1 NICK :rob",           ":bob!~bob@10.0.0.1 NICK :rob",
		":eve!~eve@10.0.0.2 KICK #y rob :out",    ":rob!~bob@10.0.0.1 PART #x :bye",
		":eve!~eve@10.0.0.2 QUIT :Quit: q",       ":eve!~eve@10.0.0.2 QUIT :Quit: q",
	};

	two_in_a_channel();
	line(2, "JOIN #y");
	line(1, "JOIN #y");
	line(2, "MODE #y +m");
	line(2, "TOPIC #y :t");
	line(1, "NICK rob");
	line(2, "KICK #y rob :out");
	line(1, "PART #x bye");
	line(2, "QUIT q");
	assert_int_equal(n_kept, ELEMENTSOF(wanted));
	for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
		assert_string_equal(kept[i].line, wanted[i]);
		assert_int_equal(kept[i].kind, HISTORY_EVENT);
	}
	/* In each channel, under one id. */
	assert_string_not_equal(kept[4].channel, kept[5].channel);
	assert_int_equal(kept[4].id.number, kept[5].id.number);
	assert_int_not_equal(kept[5].id.number, kept[6].id.number);
	assert_int_equal(kept[8].id.number, kept[9].id.number);
}

static void test_what_the_course_says_is_kept(void **state)
{
	datagram(1, "L lily");
	n_kept = 0;
	datagram(1, "C lily hi");
	assert_int_equal(n_kept, 1);
	assert_string_equal(kept[0].line, ":lily!udp@10.1.0.1 PRIVMSG #chat :hi");
}

static void test_the_mode(void **state)
{
	static char mask[] = "#kept*", *some[] = { mask, NULL };

	room_config.history_channels = some;
	enter(1, "bob");
	line(1, "JOIN #kept");
	expect_part(1, ":srv NOTICE #kept :What is said here is kept for 30d, ");
	forget(1);
	line(1, "MODE #kept");
	expect_part(1, ":srv 324 bob #kept +Hnt\n");
	line(1, "JOIN #x");
	expect_no(1, "NOTICE #x");
	forget(1);
	n_kept = 0;
	line(1, "PRIVMSG #x :not kept");
	line(1, "MODE #x +H");
	expect(1, ":srv 472 bob H :is unknown mode char to me\n");
	line(1, "MODE #kept -H");
	line(1, "PRIVMSG #kept :not kept");
	assert_int_equal(n_kept, 0);
	line(1, "MODE #kept +H");
	line(1, "PRIVMSG #kept :kept");
	assert_int_equal(n_kept, 2);
}

static void test_closed_channels(void **state)
{
	two_in_a_channel();
	line(1, "PRIVMSG #x :open");
	line(1, "MODE #x +i");
	line(1, "PRIVMSG #x :closed");
	line(1, "MODE #x -i+k key");
	line(1, "PRIVMSG #x :closed");
	line(1, "MODE #x -k key");
	line(1, "PRIVMSG #x :open");
	for (size_t i = 0; i < n_kept; i++) {
		if (kept[i].kind == HISTORY_MESSAGE)
			assert_int_equal(kept[i].closed, strstr(kept[i].line, "closed") != NULL);
	}
	/* One who joins now has missed all of that. */
	enter(3, "new");
	line(3, "JOIN #x");
	line(3, "CHATHISTORY LATEST #x * 10");
	assert_true(last_query()->targets[0].joined >= kept[6].id.number);
	assert_true(last_query()->targets[0].joined < kept[7].id.number); /* its own JOIN */
	line(1, "CHATHISTORY LATEST #x * 10");
	assert_true(last_query()->targets[0].joined < kept[0].id.number);
}

static void test_the_operators_channel(void **state)
{
	room_config.operators_channel = "#ops";
	room_config.operators_open = true;
	harness_again();
	room_operators_say(room, "web: exited", NULL);
	assert_int_equal(n_kept, 1);
	assert_true(kept[0].closed);
	assert_string_equal(kept[0].channel, "#ops");
	enter(1, "bob");
	line(1, "JOIN #ops");
	line(1, "CHATHISTORY LATEST #ops * 10");
	assert_true(last_query()->targets[0].all);
	line(1, "JOIN #x");
	line(1, "CHATHISTORY LATEST #x * 10");
	assert_false(last_query()->targets[0].all);
}

/* --- asking --- */

static void test_without_history(void **state)
{
	room_config.history = false;
	harness_again();
	enter(1, "bob");
	line(1, "CAP LS");
	expect_no(1, "chathistory");
	expect_no(1, "playback");
	forget(1);
	line(1, "CAP REQ draft/chathistory");
	expect(1, ":srv CAP bob NAK :draft/chathistory\n");
	line(1, "JOIN #x");
	expect_no(1, "NOTICE");
	forget(1);
	line(1, "CHATHISTORY LATEST #x * 10");
	expect(1, ":srv 421 bob CHATHISTORY :Unknown command\n");
	assert_int_equal(n_kept, 0);
}

static void test_isupport_and_caps(void **state)
{
	open_irc(1);
	line(1, "CAP LS 302");
	expect_part(1, " draft/chathistory draft/event-playback ");
	line(1, "CAP END");
	line(1, "NICK bob");
	line(1, "USER bob 0 * :b");
	expect_part(1, " CHATHISTORY=500 MSGREFTYPES=msgid,timestamp :");
	expect_part(1, " CHANMODES=Ibe,k,l,CHimnpst ");
}

#define CJK_13 "中中中中中中中中中中中中中"
#define CJK_26 CJK_13 CJK_13
#define CJK_27 CJK_26 "中"
#define FAIL   ":srv FAIL CHATHISTORY "

static void test_errors(void **state)
{
	static const struct {
		const char *asked, *answer;
	} cases[] = {
		{ "", "INVALID_PARAMS * :There is no such subcommand\n" },
		{ "FOO #x * 1", "INVALID_PARAMS FOO :There is no such subcommand\n" },
		{ "LATEST #x", "INVALID_PARAMS LATEST :The number of parameters is wrong\n" },
		{ "LATEST #x * 1 1", "INVALID_PARAMS LATEST :The number of parameters is wrong\n" },
		{ "LATEST #x * 0", "INVALID_PARAMS LATEST :The limit is no number from 1 on\n" },
		{ "LATEST #x * -1", "INVALID_PARAMS LATEST :The limit is no number from 1 on\n" },
		{ "LATEST #x * x", "INVALID_PARAMS LATEST :The limit is no number from 1 on\n" },
		{ "BEFORE #x * 1",
		  "INVALID_MSGREFTYPE BEFORE * :timestamp= and msgid= are taken\n" },
		{ "BEFORE #x foo=1 1",
		  "INVALID_MSGREFTYPE BEFORE foo=1 :timestamp= and msgid= are taken\n" },
		{ "BEFORE #x msgid=xyz 1", "INVALID_PARAMS BEFORE :That is no message's id\n" },
		{ "BEFORE #x msgid=1-2-3 1", "INVALID_PARAMS BEFORE :That is no message's id\n" },
		{ "BEFORE #x msgid= 1", "INVALID_PARAMS BEFORE :That is no message's id\n" },
		{ "BEFORE #x msgid=11111111111111111-1 1",
		  "INVALID_PARAMS BEFORE :That is no message's id\n" },
		{ "BEFORE #x timestamp=2020 1", "INVALID_PARAMS BEFORE :That is no time; write "
						"2026-11-23T10:00:00.000Z\n" },
		{ "BEFORE #x timestamp=2020-13-01T00:00:00Z 1",
		  "INVALID_PARAMS BEFORE :That is no time; write 2026-11-23T10:00:00.000Z\n" },
		{ "BEFORE #x timestamp=2020-01-01T00:00:00.000+01:00 1",
		  "INVALID_PARAMS BEFORE :That is no time; write 2026-11-23T10:00:00.000Z\n" },
		/* One word of it, cut at a character's border. */
		{ ":a b", "INVALID_PARAMS a :There is no such subcommand\n" },
		{ "x" CJK_27 CJK_27, "INVALID_PARAMS x" CJK_26 " :There is no such subcommand\n" },
		{ "LATEST ::x * 1", "INVALID_PARAMS LATEST :The number of parameters is wrong\n" },
		{ "LATEST #none * 1", "INVALID_TARGET LATEST #none :You are in no such channel\n" },
		{ "LATEST #y * 1", "INVALID_TARGET LATEST #y :You are in no such channel\n" },
		{ "LATEST eve * 1", "INVALID_TARGET LATEST eve :You are in no such channel\n" },
		{ "TARGETS msgid=1-1 msgid=1-2 1",
		  "INVALID_MSGREFTYPE TARGETS msgid=1-1 :timestamp= is taken\n" },
	};
	char question[200], answered[300];

	two_in_a_channel();
	line(2, "JOIN #y");
	forget_all();
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		snprintf(question, sizeof(question), "CHATHISTORY %s", cases[i].asked);
		snprintf(answered, sizeof(answered), FAIL "%s", cases[i].answer);
		line(1, question);
		expect(1, answered);
	}
	assert_int_equal(n_queries, 0);
}

static void test_questions(void **state)
{
	const struct history_query *q;

	two_in_a_channel();
	line(1, "chathistory between #X timestamp=2020-09-13T12:26:40.5Z msgid=abc-1f 9999");
	q = last_query();
	assert_int_equal(q->verb, HISTORY_BETWEEN);
	assert_int_equal(q->from.kind, HISTORY_AT_TIME);
	assert_int_equal(q->from.time, UINT64_C(1600000000500));
	assert_int_equal(q->to.kind, HISTORY_AT_MESSAGE);
	assert_int_equal(q->to.id.boot, 0xabc);
	assert_int_equal(q->to.id.number, 0x1f);
	assert_int_equal(q->limit, HISTORY_LIMIT);
	assert_string_equal(q->targets[0].channel, "#x");
	assert_false(q->events);
	want(1, "draft/event-playback");
	line(1, "CHATHISTORY LATEST #x * 7");
	q = last_query();
	assert_int_equal(q->from.kind, HISTORY_NOWHERE);
	assert_int_equal(q->limit, 7);
	assert_true(q->events);
	line(1, "JOIN #y");
	line(1, "CHATHISTORY TARGETS timestamp=1970-01-01T00:00:00Z "
		"timestamp=2030-01-01T00:00:00.0001Z 5");
	assert_int_equal(last_query()->n_targets, 2);
	assert_int_equal(last_query()->from.time, 0);
}

static void test_a_busy_store(void **state)
{
	two_in_a_channel();
	refuse = -11;
	line(1, "CHATHISTORY LATEST #x * 7");
	expect(1, FAIL "MESSAGE_ERROR LATEST #x :Try again later\n");
	refuse = 0;
	for (int i = 0; i < 64; i++)
		line(1, "CHATHISTORY LATEST #x * 7");
	expect(1, "");
	line(1, "CHATHISTORY LATEST #x * 7");
	expect(1, FAIL "MESSAGE_ERROR LATEST #x :Try again later\n");
	want(1, "labeled-response batch");
	line(1, "@label=l CHATHISTORY LATEST #x * 7"); /* the label is that of the answer */
	expect(1, "@label=l " FAIL "MESSAGE_ERROR LATEST #x :Try again later\n");
	answer_with_last(0);
	forget(1);
	line(1, "CHATHISTORY LATEST #x * 7");
	expect(1, "");
}

/* --- telling --- */

static void test_a_batch(void **state)
{
	char wanted[600];

	two_in_a_channel();
	want(2, "batch server-time message-tags labeled-response");
	line(1, "PRIVMSG #x :hello");
	line(1, "MODE #x +m");
	forget_all();
	line(2, "@label=L1 CHATHISTORY LATEST #x * 5");
	expect(2, "");
	answer_with_last(2);
	snprintf(wanted, sizeof(wanted),
		 "@label=L1 :srv BATCH +2 chathistory #x\n"
		 "@batch=2;time=2020-09-13T12:26:40.123Z;msgid=abc-%llx "
		 ":bob!~bob@10.0.0.1 PRIVMSG #x :hello\n"
		 "@batch=2;time=2020-09-13T12:26:40.123Z;msgid=abc-%llx "
		 ":bob!~bob@10.0.0.1 MODE #x +m\n"
		 "@time=2020-09-13T12:26:40.000Z :srv BATCH -2\n",
		 (unsigned long long)kept[0].id.number, (unsigned long long)kept[1].id.number);
	expect(2, wanted);
	/* Empty is an answer, too. */
	line(2, "CHATHISTORY LATEST #x * 5");
	answer_with_last(0);
	expect(2, ":srv BATCH +3 chathistory #x\n@time=2020-09-13T12:26:40.000Z :srv BATCH -3\n");
	/* Without batch the lines come as they are. */
	line(1, "CHATHISTORY LATEST #x * 5");
	answer_with_last(2);
	expect(1, ":bob!~bob@10.0.0.1 PRIVMSG #x :hello\n:bob!~bob@10.0.0.1 MODE #x +m\n");
}

static void test_join_as_each_client_knows_it(void **state)
{
	two_in_a_channel();
	line(2, "PART #x");
	line(2, "JOIN #x");
	forget_all();
	line(1, "CHATHISTORY LATEST #x * 5");
	answer_with_last(1);
	expect(1, ":eve!~eve@10.0.0.2 JOIN #x\n");
	want(1, "extended-join");
	line(1, "CHATHISTORY LATEST #x * 5");
	answer_with_last(1);
	expect(1, ":eve!~eve@10.0.0.2 JOIN #x * :Real eve\n");
}

static void test_the_account_is_for_who_asked_for_it(void **state)
{
	two_in_a_channel();
	n_kept = 1;
	kept[0] = (struct kept){ .tags = "account=eve;bot;+x=1",
				 .line = ":eve!~e@h PRIVMSG #x :hi",
				 .id = { 1, 2 } };
	line(1, "CHATHISTORY LATEST #x * 5");
	answer_with_last(1);
	expect(1, ":eve!~e@h PRIVMSG #x :hi\n");
	want(1, "message-tags");
	line(1, "CHATHISTORY LATEST #x * 5");
	answer_with_last(1);
	expect(1, "@msgid=1-2;bot;+x=1 :eve!~e@h PRIVMSG #x :hi\n");
	want(1, "account-tag");
	line(1, "CHATHISTORY LATEST #x * 5");
	answer_with_last(1);
	expect(1, "@account=eve;msgid=1-2;bot;+x=1 :eve!~e@h PRIVMSG #x :hi\n");
}

static void test_targets(void **state)
{
	struct history_item items[2] = { { .time = 0, .line = 0 }, { .time = 1000, .line = 3 } };
	static char names[] = "#x\0#y";
	struct history_answer a = { .items = items, .n_items = 2, .text = names };

	two_in_a_channel();
	want(1, "batch");
	line(1, "CHATHISTORY TARGETS timestamp=1970-01-01T00:00:00Z "
		"timestamp=2030-01-01T00:00:00Z 5");
	room_history(room, last_query(), &a);
	/* #y was left meanwhile. */
	expect(1, ":srv BATCH +2 draft/chathistory-targets\n"
		  "@batch=2 :srv CHATHISTORY TARGETS #x 1970-01-01T00:00:00.000Z\n"
		  ":srv BATCH -2\n");
}

static void test_what_changed_meanwhile(void **state)
{
	two_in_a_channel();
	want(1, "batch labeled-response");
	line(1, "@label=a CHATHISTORY LATEST #x * 5");
	line(1, "PART #x");
	forget(1);
	answer_with_last(1);
	expect(1, "@label=a " FAIL "INVALID_TARGET LATEST #x :You are there no more\n");
	line(2, "CHATHISTORY LATEST #x * 5");
	close_irc(2, "gone");
	answer_with_last(1);
	enter(2, "other"); /* the same connection id */
	line(2, "JOIN #x");
	forget(2);
	answer_with_last(1);
	expect(2, "");
	line(2, "CHATHISTORY LATEST #x * 5");
	answer_with_error(-2);
	expect(2, FAIL "MESSAGE_ERROR LATEST #x :There is no such message\n");
	line(2, "CHATHISTORY LATEST #x * 5");
	answer_with_error(-5);
	expect(2, FAIL "MESSAGE_ERROR LATEST #x :The history cannot be read now\n");
}

/* --- coming in --- */

static void test_replay_on_join(void **state)
{
	room_config.history_on_join = 3;
	two_in_a_channel();
	line(1, "PRIVMSG #x :hello");
	line(1, "PRIVMSG #x :\1ACTION waves\1");
	forget_queries();
	enter(3, "old");
	line(3, "JOIN #x");
	forget(3);
	assert_int_equal(last_query()->limit, 3);
	assert_int_equal(last_query()->until, kept[2].id.number); /* its JOIN; nothing later */
	n_kept = 2;
	answer_with_last(2);
	expect(3, ":bob!~bob@10.0.0.1 PRIVMSG #x :[2020-09-13 12:26] hello\n"
		  ":bob!~bob@10.0.0.1 PRIVMSG #x :\1ACTION [2020-09-13 12:26] waves\1\n");
	line(3, "PART #x");
	want(3, "server-time batch");
	line(3, "JOIN #x");
	forget(3);
	n_kept = 2;
	answer_with_last(1);
	expect_part(3, "chathistory #x\n@batch=");
	expect_part(3, ";time=2020-09-13T12:26:40.123Z :bob!~bob@10.0.0.1 PRIVMSG #x :\1ACTION w");
	/* Nothing is no batch, and an error is not told: nobody asked. */
	line(3, "PART #x");
	line(3, "JOIN #x");
	forget(3);
	answer_with_last(0);
	expect(3, "");
	line(3, "PART #x");
	line(3, "JOIN #x");
	forget(3);
	answer_with_error(-5);
	expect(3, "");
}

/* The date takes the place of what is said then: that goes on in a second line. */
static void test_replay_of_a_full_line(void **state)
{
	char text[500], *got, *second;

	room_config.history_on_join = 3;
	two_in_a_channel();
	snprintf(text, sizeof(text), "PRIVMSG #x :%0470d", 7);
	line(1, text);
	snprintf(text, sizeof(text), "PRIVMSG #x :\1ACTION %0460d\1", 8);
	line(1, text);
	forget_queries();
	enter(3, "old");
	line(3, "JOIN #x");
	forget(3);
	n_kept = 2;
	answer_with_last(2);
	expect_part(3, ":bob!~bob@10.0.0.1 PRIVMSG #x :[2020-09-13 12:26] 0000");
	expect_part(3, "0007\n:bob!~bob@10.0.0.1 PRIVMSG #x :\1ACTION [2020-09-13 12:26] 0000");
	expect_part(3, "0\1\n:bob!~bob@10.0.0.1 PRIVMSG #x :\1ACTION 0");
	expect_part(3, "08\1\n");
	got = strdup(told(3));
	second = strchr(got, '\n');
	assert_int_equal(second - got, 510);
	free(got);
	/* Nor does the second line become a request between programs. */
	snprintf(text, sizeof(text), "PRIVMSG #x :%0449d\1VERSION\1", 9);
	n_kept = 0;
	line(1, text);
	line(3, "PART #x");
	line(3, "JOIN #x");
	forget(3);
	n_kept = 1;
	answer_with_last(1);
	expect_part(3, "N\1\n");
	expect_no(3, "#x :\1");
}

static void test_no_replay_to_who_can_ask_and_to_programs(void **state)
{
	room_config.history_on_join = 3;
	two_in_a_channel();
	forget_queries();
	enter(3, "new");
	want(3, "draft/chathistory");
	line(3, "JOIN #x");
	enter(4, "program");
	line(4, "MODE program +B");
	line(4, "JOIN #x");
	assert_int_equal(n_queries, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_messages_are_kept),
		TEST(test_the_id_is_what_was_delivered),
		TEST(test_events_are_kept),
		TEST(test_what_the_course_says_is_kept),
		TEST(test_the_mode),
		TEST(test_closed_channels),
		TEST(test_the_operators_channel),
		TEST(test_without_history),
		TEST(test_isupport_and_caps),
		TEST(test_errors),
		TEST(test_questions),
		TEST(test_a_busy_store),
		TEST(test_a_batch),
		TEST(test_join_as_each_client_knows_it),
		TEST(test_the_account_is_for_who_asked_for_it),
		TEST(test_targets),
		TEST(test_what_changed_meanwhile),
		TEST(test_replay_on_join),
		TEST(test_replay_of_a_full_line),
		TEST(test_no_replay_to_who_can_ask_and_to_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
