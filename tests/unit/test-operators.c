/* SPDX-License-Identifier: MIT */
/* The operators' channel without a network: what is told, who may, what is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "base/units.h"
#include "chat/admin/absence.h"
#include "chat/admin/answer.h"
#include "chat/admin/feed.h"
#include "chat/admin/question.h"
#include "chat/admin/redact.h"
#include "chat/operators.h"

#define START (1000 * USEC_PER_SEC)
#define NOON  (UINT64_C(1600000000) * USEC_PER_SEC) /* 2020-09-13T12:26:40Z */

/* --- the feed ------------------------------------------------------------------------------- */

static char heard[65536], last_tags[512];
static struct feed *feed;
static uint64_t now;
static int seq;

static void say(void *arg, const char *line, const char *tags)
{
	size_t n = strlen(heard);

	assert_true(n + strlen(line) + 2 < sizeof(heard));
	sprintf(heard + n, "%s\n", line);
	snprintf(last_tags, sizeof(last_tags), "%s", tags);
}

static bool may_show(void *arg, const char *service)
{
	return strcmp(service, "secret") != 0;
}

static void redact(void *arg, const char *line, char *buf, size_t size)
{
	const char *found = strstr(line, "key");

	if (found)
		snprintf(buf, size, "%.*s***%s", (int)(found - line), line, found + 3);
	else
		snprintf(buf, size, "%s", line);
}

static int set_up(void **state)
{
	static const struct feed_output output = { say, may_show, redact, NULL };

	heard[0] = '\0';
	now = START;
	seq = 1;
	feed = feed_new(&output, NOON);
	assert_non_null(feed);
	return 0;
}

static int tear_down(void **state)
{
	feed_free(feed);
	return 0;
}

/* Takes the event. */
static void tell(json_t *event)
{
	assert_non_null(event);
	json_object_set_new(event, "seq", json_integer(seq++));
	if (!json_object_get(event, "time"))
		json_object_set_new(event, "time", json_string("2020-09-13T12:26:40.000000Z"));
	feed_event(feed, now, NOON, event);
	json_decref(event);
}

static void becomes(const char *service, const char *state, const char *reason)
{
	tell(json_pack("{s:s, s:s, s:s, s:s, s:i}", "type", "service", "service", service, "state",
		       state, "reason", reason, "pid", 7));
}

static void crashes(const char *service, const char *line)
{
	tell(json_pack("{s:s, s:s, s:s, s:[s, s]}", "type", "crash", "service", service, "reason",
		       "exit 1", "lines", "before", line));
}

/* As the child does: asked for each moment at which something is due. */
static void pass(uint64_t usec)
{
	uint64_t until = now + usec;

	while (feed_deadline(feed) <= until) {
		now = feed_deadline(feed);
		feed_tick(feed, now);
		assert_true(feed_deadline(feed) > now);
	}
	now = until;
}

static void expect(const char *text)
{
	assert_string_equal(heard, text);
	heard[0] = '\0';
}

static void test_ways_are_not_told(void **state)
{
	becomes("web", "waiting", "waits");
	becomes("web", "starting", "");
	becomes("web", "stopping", "");
	expect("");
	becomes("web", "running", "exit 1");
	expect("web: running, pid 7\n");
	assert_string_equal(last_tags, "foster/service=web;foster/event=running;foster/seq=4");
	becomes("web", "stopped", "stopped");
	expect("web: stopped\n");
}

static void test_end_with_its_last_lines(void **state)
{
	assert_int_equal(feed_first_held(feed), 0);
	becomes("web", "backoff", "exit 1, 1st retry in 1s");
	expect(""); /* held for them */
	assert_int_equal(feed_first_held(feed), 1);
	crashes("web", "the key is 7");
	pass(USEC_PER_SEC);
	expect("web: backoff: exit 1, 1st retry in 1s; last lines: before | the *** is 7\n");
	assert_int_equal(feed_first_held(feed), 0);
	becomes("web", "failed", "exit 1, given up");
	pass(USEC_PER_SEC); /* they do not come */
	expect("web: failed: exit 1, given up\n");
	becomes("secret", "failed", "exit 1");
	crashes("secret", "not for the channel");
	pass(USEC_PER_SEC);
	expect("secret: failed: exit 1\n");
}

static void test_end_and_return_are_one(void **state)
{
	becomes("web", "backoff", "exit 1");
	becomes("web", "running", "exit 1");
	crashes("web", "oh");
	pass(USEC_PER_SEC);
	expect("web: backoff: exit 1; running, pid 7; last lines: before | oh\n");
	becomes("web", "failed", "exit 1");
	becomes("web", "stopped", "");
	expect("web: failed: exit 1\nweb: stopped\n");
}

/* The first restart is at once: no state stands between. */
static void test_restart_at_once(void **state)
{
	becomes("web", "running", "");
	heard[0] = '\0';
	tell(json_pack("{s:s, s:s, s:s, s:s, s:i}", "type", "service", "service", "web", "state",
		       "waiting", "reason", "exit 1", "attempts", 1));
	tell(json_pack("{s:s, s:s, s:s, s:s, s:i}", "type", "service", "service", "web", "state",
		       "starting", "reason", "exit 1", "attempts", 1));
	becomes("web", "running", "exit 1");
	pass(USEC_PER_SEC);
	expect("web: ended: exit 1; running, pid 7\n");
}

static void test_flapping_is_folded(void **state)
{
	for (int i = 0; i < 3; i++) {
		becomes("web", "backoff", "exit 1");
		becomes("web", "running", "");
		pass(5 * USEC_PER_SEC);
	}
	heard[0] = '\0';
	becomes("web", "backoff", "exit 1");
	expect("web: flaps: 4 ends in 15s, told once a minute until it stays up; last: "
	       "backoff: exit 1\n");
	for (int i = 0; i < 7; i++) {
		becomes("web", "running", "");
		pass(5 * USEC_PER_SEC);
		becomes("web", "backoff", "exit 2");
		crashes("web", "oh");
	}
	becomes("web", "running", "");
	expect("");
	pass(25 * USEC_PER_SEC);
	expect("web: 7 more ends in the last minute; last: backoff: exit 2; last lines: "
	       "before | oh\n");
	pass(6 * USEC_PER_SEC);
	expect("web: runs again, for 30 s now\n");
	becomes("web", "backoff", "exit 1"); /* as the first one again */
	pass(USEC_PER_SEC);
	expect("web: backoff: exit 1\n");
}

static void test_given_up_is_forgotten(void **state)
{
	char name[32];

	for (int i = 0; i < 600; i++) { /* more than are remembered */
		snprintf(name, sizeof(name), "flaps%d", i);
		for (int k = 0; k < 4; k++)
			becomes(name, "backoff", "exit 1");
		becomes(name, "failed", "exit 1");
	}
	pass(1800 * USEC_PER_SEC);
	heard[0] = '\0';
	becomes("web", "failed", "exit 1");
	assert_true(feed_acknowledge(feed, "web"));
}

static void test_a_service_called_running(void **state)
{
	becomes("running", "backoff", "exit 1");
	becomes("running", "running", "exit 1");
	pass(USEC_PER_SEC);
	expect("running: backoff: exit 1; running, pid 7\n");
}

static void test_a_slow_end_is_no_flapping(void **state)
{
	for (int i = 0; i < 10; i++) {
		heard[0] = '\0';
		becomes("web", "backoff", "exit 1");
		pass(25 * USEC_PER_SEC);
		assert_string_equal(heard, "web: backoff: exit 1\n");
		becomes("web", "running", "");
	}
}

static void test_many_are_counted(void **state)
{
	char name[32], *more;

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "web@%d", i);
		becomes(name, i % 2 ? "running" : "failed", "exit 1");
	}
	more = strstr(heard, "web@9: ");
	assert_null(more ? strstr(more, "web@21") : NULL);
	heard[0] = '\0';
	/* Who asks for something is told all the same. */
	tell(json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:n}", "type", "request", "verb", "stop",
		       "service", "web@1", "uid", 0, "pid", 9, "command", "fosterctl", "for"));
	expect("web@1: stop asked for by fosterctl (uid 0, pid 9)\n");
	pass(61 * USEC_PER_SEC);
	assert_non_null(strstr(heard, "in the last minute also: "));
	assert_non_null(strstr(heard, " failed (web@"));
	assert_non_null(strstr(heard, " running (web@"));
	assert_non_null(strstr(heard, ", ...)"));
	heard[0] = '\0';
	becomes("web", "stopped", "");
	expect("web: stopped\n");
}

static void asks(const char *verb, const char *service)
{
	tell(json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:n}", "type", "request", "verb", verb,
		       "service", service, "uid", 0, "pid", 9, "command", "fosterctl", "for"));
}

static void many_run(const char *name)
{
	char text[32];

	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%s@%d", name, i);
		becomes(text, "running", "");
	}
}

static void test_ends_go_before_the_rest(void **state)
{
	many_run("web");
	assert_non_null(strstr(heard, "web@4: "));
	assert_null(strstr(heard, "web@5: "));
	heard[0] = '\0';
	becomes("db", "failed", "exit 1");
	crashes("db", "oh");
	pass(USEC_PER_SEC);
	expect("db: failed: exit 1; last lines: before | oh\n");
}

/* Of a request that is told what comes of it is told too, also of one that flaps. */
static void test_what_was_asked_for_is_told(void **state)
{
	many_run("web");
	heard[0] = '\0';
	asks("restart", "db");
	becomes("db", "stopped", "");
	becomes("db", "running", "");
	expect("db: restart asked for by fosterctl (uid 0, pid 9)\ndb: stopped\n"
	       "db: running, pid 7\n");
	becomes("db", "stopped", ""); /* that nobody asked for */
	expect("");
	for (int i = 0; i < 4; i++)
		becomes("db", "backoff", "exit 1");
	heard[0] = '\0';
	asks("start", "db");
	becomes("db", "failed", "exit 2");
	expect("db: start asked for by fosterctl (uid 0, pid 9)\ndb: failed: exit 2\n");
	asks("signal", "db");
	heard[0] = '\0';
	becomes("db", "stopped", "");
	expect("");
}

static void test_reading_a_config_again_is_no_start(void **state)
{
	static const char *const phases[] = { "reloading", "none" };

	becomes("web", "running", "");
	becomes("web", "running", "");
	expect("web: running, pid 7\n");
	/* Whose start was before this feed's. */
	for (int i = 0; i < 2; i++)
		tell(json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "type", "service", "service", "db",
			       "state", "running", "phase", phases[i], "reason", "", "pid", 8));
	expect("");
	becomes("web", "starting", "");
	becomes("web", "running", "");
	expect("web: running, pid 7\n");
}

/* Of before the room's start: they leave the lines to what happens now. */
static void test_old_news_have_their_own_lines(void **state)
{
	char name[32];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "old@%d", i);
		tell(json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "service", "service", name,
			       "state", i % 2 ? "failed" : "running", "reason", "", "time",
			       "2020-09-13T12:26:35.5Z"));
	}
	pass(USEC_PER_SEC);
	heard[0] = '\0';
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "new@%d", i);
		becomes(name, "running", "");
	}
	assert_non_null(strstr(heard, "new@4: running"));
	becomes("db", "failed", "exit 1");
	pass(USEC_PER_SEC);
	assert_non_null(strstr(heard, "db: failed"));
}

static void test_nothing_is_due_at_rest(void **state)
{
	assert_true(feed_deadline(feed) == USEC_INFINITY);
	becomes("web", "running", "");
	pass(61 * USEC_PER_SEC);
	assert_true(feed_deadline(feed) == USEC_INFINITY);
}

static void test_what_is_late_says_when(void **state)
{
	tell(json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "service", "service", "web", "state",
		       "stopped", "reason", "", "time", "2020-09-13T12:20:01.5Z"));
	expect("at 12:20:01Z: web: stopped\n");
}

static void test_on_behalf(void **state)
{
	tell(json_pack("{s:s, s:s, s:n, s:i, s:i, s:s, s:s}", "type", "request", "verb", "reload",
		       "service", "uid", 0, "pid", 9, "command", "chatd: admin", "for", "alice"));
	expect("reload asked for by alice, through chatd: admin (uid 0, pid 9)\n");
	tell(json_pack("{s:s, s:s}", "type", "reload", "text", "the configuration was reloaded"));
	expect("the configuration was reloaded\n");
}

static void test_acknowledged(void **state)
{
	assert_false(feed_acknowledge(feed, "web"));
	becomes("web", "backoff", "exit 1");
	pass(USEC_PER_SEC);
	heard[0] = '\0';
	assert_true(feed_acknowledge(feed, "web"));
	for (int i = 0; i < 5; i++) {
		becomes("web", "backoff", "exit 1");
		crashes("web", "x");
		becomes("web", "running", "");
		pass(5 * USEC_PER_SEC);
	}
	expect("");
	pass(30 * USEC_PER_SEC);
	expect("web: runs again, for 30 s now\n");
	assert_false(feed_acknowledge(feed, "web"));
}

static void test_any_event(void **state)
{
	static const char *const odd[] = { "{}",
					   "{\"type\":\"service\"}",
					   "{\"type\":\"crash\",\"lines\":[1,null]}",
					   "{\"type\":\"crash\",\"lines\":{}}",
					   "{\"type\":\"request\"}",
					   "{\"type\":7,\"service\":[],\"text\":3}",
					   "{\"type\":\"service\",\"state\":\"failed\"}" };

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		tell(json_loads(odd[i], 0, NULL));
	pass(600 * USEC_PER_SEC);
}

static void test_tags_are_escaped(void **state)
{
	becomes("a;b c\\", "stopped", "");
	assert_string_equal(last_tags,
			    "foster/service=a\\:b\\sc\\\\;foster/event=stopped;foster/seq=1");
}

/* --- questions and rights ------------------------------------------------------------------- */

static void test_questions(void **state)
{
	struct question q;

	question_parse("!restart web@1 now  please", &q);
	assert_int_equal(q.verb, VERB_RESTART);
	assert_string_equal(q.service, "web@1");
	assert_string_equal(q.rest, "now  please");
	question_parse("  STATUS", &q);
	assert_int_equal(q.verb, VERB_STATUS);
	assert_string_equal(q.service, "");
	question_parse("!restarted web", &q);
	assert_int_equal(q.verb, VERB_NONE);
	assert_string_equal(q.word, "restarted");
	question_parse("", &q);
	assert_int_equal(q.verb, VERB_NONE);
}

static void test_rights(void **state)
{
	char alice[] = "alice", bob[] = "bob:web,worker*", carol[] = "carol:db,*x:restart,ack";
	char dan[] = "dan:*:reload", *list[] = { alice, bob, carol, dan, NULL };

	assert_true(operator_may(list, "alice", "stop", "db"));
	assert_true(operator_may(list, "Alice", "reload", ""));
	assert_true(operator_may(list, "bob", "stop", "worker@3"));
	assert_false(operator_may(list, "bob", "stop", "db"));
	assert_false(operator_may(list, "bob", "stop", "webs"));
	assert_false(operator_may(list, "bob", "reload", "")); /* not of all services */
	assert_true(operator_may(list, "carol", "ack", "axx"));
	assert_false(operator_may(list, "carol", "stop", "db"));
	assert_false(operator_may(list, "carol", "acknowledge", "db"));
	assert_true(operator_may(list, "dan", "reload", ""));
	assert_false(operator_may(list, "dan", "restart", "db"));
	assert_false(operator_may(list, "eve", "stop", "db"));
	assert_false(operator_may(list, NULL, "stop", "db"));
	assert_false(operator_may(list, "", "stop", "db"));
	assert_false(operator_may(NULL, "alice", "stop", "db"));
	assert_true(is_operator(list, "dan"));
	assert_false(is_operator(list, "al"));
	assert_false(is_operator(list, NULL));
}

static void test_what_is_an_operator(void **state)
{
	static const char *const good[] = { "a", "a:*", "a:b,c:stop",
					    "a:b:start,stop,restart,reload,ack" };
	static const char *const bad[] = { "",          ":",           "a:",        "a:b:",
					   ":b",        "a b",         "a:b:c",     "a:b:stop:x",
					   "a:b:stop,", "a:b:confirm", "a:b:status" };
	struct error e;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(operator_check(good[i], &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(operator_check(bad[i], &e) < 0);
	operator_check("a:b:kill", &e);
	assert_string_equal(e.text, "\"kill\" is none of start, stop, restart, reload, ack");
}

/* --- answers -------------------------------------------------------------------------------- */

static void test_status(void **state)
{
	json_t *reply = json_loads(
		"{\"services\":["
		"{\"name\":\"web\",\"state\":\"running\",\"desired\":\"up\",\"pid\":12,"
		"\"uptime_us\":"
		"60000000,\"restarts\":2,\"reason\":\"exit 1\",\"status\":\"the key is 7\"},"
		"{\"name\":\"db\",\"state\":\"failed\",\"desired\":\"up\",\"pid\":0,"
		"\"uptime_us\":null,"
		"\"restarts\":0,\"reason\":\"exit 3\"},"
		"{\"name\":\"off\",\"state\":\"stopped\",\"desired\":\"down\",\"pid\":0,"
		"\"reason\":\"\"}]}",
		0, NULL);
	char text[1024];

	assert_non_null(reply);
	answer_services(reply, "", redact, NULL, text, sizeof(text));
	assert_string_equal(text,
			    "3 services: 1 running, 1 failed, 1 stopped\ndb: failed: exit 3\n");
	answer_services(reply, "web", redact, NULL, text, sizeof(text));
	assert_string_equal(text, "web: running, pid 12, up 1min 0s, 2 restarts (the *** is 7)\n");
	answer_services(reply, "*", redact, NULL, text, sizeof(text));
	assert_non_null(strstr(text, "off: stopped\n"));
	answer_services(reply, "nix", redact, NULL, text, sizeof(text));
	assert_string_equal(text, "no service 'nix'");
	answer_services(reply, "*", redact, NULL, text, 20); /* cut */
	assert_int_equal(strlen(text), 19);
	json_decref(reply);
}

static void test_log(void **state)
{
	json_t *reply = json_loads("{\"name\":\"web\",\"log\":[\"a\",\"b key\",\"c\"],"
				   "\"log_stderr\":null}",
				   0, NULL);
	char text[256];

	answer_log(reply, 2, redact, NULL, text, sizeof(text));
	assert_string_equal(text, "web| b ***\nweb| c\n");
	json_object_set_new(reply, "log_stderr", json_pack("[s]", "err"));
	answer_log(reply, 2, redact, NULL, text, sizeof(text));
	assert_string_equal(text, "web| err\n");
	json_decref(reply);
}

static void expect_result(const char *json, int status, const char *verb, const char *expected)
{
	json_t *reply = json_loads(json, 0, NULL);
	char text[1024];

	assert_non_null(reply);
	answer_result(reply, status, verb, text, sizeof(text));
	assert_string_equal(text, expected);
	json_decref(reply);
}

/* What is not there yet is not told as if it were. */
static void test_results(void **state)
{
	static const char running[] = "{\"name\":\"db\",\"state\":\"running\"}";

	expect_result(running, 200, "stop", "db: stop: under way");
	expect_result(running, 200, "restart", "db: restart: under way");
	expect_result(running, 200, "start", "db: start: running");
	expect_result("{\"name\":\"db\",\"state\":\"stopped\"}", 200, "stop", "db: stop: stopped");
	expect_result("{\"name\":\"db\",\"state\":\"waiting\"}", 200, "start",
		      "db: start: under way");
	expect_result("{\"error\":\"no service 'x'\"}", 404, "stop", "stop: no service 'x'");
	expect_result("{}", 500, "stop", "stop: refused");
}

static void test_why_is_redacted(void **state)
{
	json_t *reply = json_pack("{s:s, s:s, s:s, s:i}", "name", "web", "state", "running",
				  "status", "key 7", "restarts", 1);
	char text[256];

	answer_why(reply, redact, NULL, text, sizeof(text));
	assert_string_equal(text, "web: running, 1 restart (*** 7)\n");
	json_decref(reply);
}

static void test_reload(void **state)
{
	json_t *reply = json_loads(
		"{\"result\":\"ok\",\"plan\":[{\"name\":\"web\",\"action\":\"restart\","
		"\"differs\":\"command, user\"},{\"name\":\"db\",\"action\":\"keep\","
		"\"differs\":null},{\"name\":\"x\",\"action\":\"stop\",\"differs\":null}]}",
		0, NULL);
	char text[1024];

	answer_reload(reply, 200, redact, NULL, text, sizeof(text));
	assert_string_equal(text, "reload: done\nrestart web (command, user)\nstop x\n"
				  "keep 1 service\n");
	json_decref(reply);
	reply = json_loads("{\"error\":\"wrong\",\"problems\":[{\"file\":\"a.conf\",\"line\":3,"
			   "\"text\":\"key what?\"},{\"file\":\"b.conf\",\"line\":0,\"text\":"
			   "\"not there\"}]}",
			   0, NULL);
	answer_reload(reply, 400, redact, NULL, text, sizeof(text));
	assert_string_equal(text, "reload: wrong\na.conf:3: *** what?\nb.conf: not there\n");
	json_decref(reply);
}

static void expect_redacted(const char *expression, const char *line, size_t size,
			    const char *expected)
{
	char text[1024];
	regex_t re;

	assert_int_equal(regcomp(&re, expression, REG_EXTENDED | REG_ICASE), 0);
	redact_line(&re, 1, line, text, size);
	assert_string_equal(text, expected);
	regfree(&re);
}

static void test_redacted(void **state)
{
	char many[2000] = "", line[600];
	regex_t res[2];

	expect_redacted("token=[^ ]*", "a token=12 b", 64, "a [...] b");
	expect_redacted("token=[^ ]*", "nothing", 64, "nothing");
	expect_redacted("^a", "aa", 64, "[...]a");
	/* What a terminal obeys, or a client does not show, does not hide a secret from it. */
	expect_redacted("token=[0-9]+", "\x1b[36mtoken=\x1b[0m12\x1b[1;31m34 b", 64, "[...] b");
	expect_redacted("token=[0-9]+",
			"to\x02ken=\x03"
			"04,01"
			"12",
			64, "[...]");
	expect_redacted("token=[0-9]+", "\x1b]0;title\x07token=1\x1b]8;;x\x1b\\2\x1b", 64, "[...]");
	expect_redacted("token=[0-9]+", "\x1b[3", 64, "");
	/* What may match nothing at all. */
	expect_redacted("(token=[0-9]+)?", "a token=12", 64, "a [...]");
	/* Matches side by side are one mark, and there may be any number. */
	expect_redacted("[0-9]", "a 123 b", 64, "a [...] b");
	for (int i = 0; i < 200; i++)
		strcat(many, "x=777777 ");
	redact_line(NULL, 0, many, line, sizeof(line));
	assert_int_equal(strlen(line), sizeof(line) - 1);
	assert_int_equal(regcomp(&res[0], "7+", REG_EXTENDED), 0);
	assert_int_equal(regcomp(&res[1], "password=.* end", REG_EXTENDED), 0);
	redact_line(res, 2, many, many, sizeof(many));
	assert_null(strchr(many, '7'));
	/* Looked through whole, cut then, and not within a character. */
	memset(line, 's', sizeof(line));
	memcpy(line, "password=", 9);
	strcpy(line + sizeof(line) - 5, " end");
	redact_line(res, 2, line, many, 64);
	assert_string_equal(many, "[...]");
	redact_line(res, 2, "abc张", many, 6);
	assert_string_equal(many, "abc");
	regfree(&res[0]);
	regfree(&res[1]);
}

/* --- since when it was away ------------------------------------------------------------------ */

static void test_absence(void **state)
{
#define EVENT(seq, time, service, state, attempts)                                       \
	"{\"seq\":" #seq ",\"time\":\"2020-09-13T12:" time ".5Z\",\"type\":\"service\"," \
	"\"service\":\"" service "\",\"state\":\"" state "\",\"attempts\":" #attempts "}\n"
	static const char lines[] = EVENT(5, "18:59", "web", "running", 0)
		EVENT(6, "19:01", "chat", "running", 0) EVENT(7, "19:10", "web", "failed", 0)
			EVENT(8, "20:00", "chat", "stopping",
			      0) "not json\n" EVENT(9, "20:01", "chat", "backoff", 2)
				EVENT(11, "30:00", "chat", "starting", 2);
	static const char at_once[] = EVENT(3, "10:00", "web", "running", 0)
		EVENT(4, "12:00", "chat", "starting", 1) EVENT(5, "12:00", "chat", "running", 1);
	static const char first[] =
		EVENT(3, "10:00", "web", "failed", 0) EVENT(4, "12:00", "chat", "starting", 0);

	assert_int_equal(absence_began(lines, "chat"), 5);
	assert_int_equal(absence_began(at_once, "chat"), 3);
	assert_int_equal(absence_began(first, "chat"), 0);
	assert_int_equal(absence_began(lines, "other"), 0);
	assert_int_equal(absence_began("", "chat"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_ways_are_not_told),
		TEST(test_end_with_its_last_lines),
		TEST(test_end_and_return_are_one),
		TEST(test_restart_at_once),
		TEST(test_given_up_is_forgotten),
		TEST(test_a_service_called_running),
		TEST(test_flapping_is_folded),
		TEST(test_a_slow_end_is_no_flapping),
		TEST(test_many_are_counted),
		TEST(test_nothing_is_due_at_rest),
		TEST(test_what_is_late_says_when),
		TEST(test_ends_go_before_the_rest),
		TEST(test_what_was_asked_for_is_told),
		TEST(test_reading_a_config_again_is_no_start),
		TEST(test_old_news_have_their_own_lines),
		TEST(test_on_behalf),
		TEST(test_acknowledged),
		TEST(test_any_event),
		TEST(test_tags_are_escaped),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_what_is_an_operator),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_why_is_redacted),
		cmocka_unit_test(test_reload),

		cmocka_unit_test(test_log),
		cmocka_unit_test(test_redacted),
		cmocka_unit_test(test_absence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
