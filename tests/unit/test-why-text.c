/* SPDX-License-Identifier: MIT */
/* What fosterctl why says of the manager's documents: ctl/why-text.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macro.h"
#include "ctl/why-text.h"

static const char *name_of(uint32_t uid)
{
	return uid == 0 ? "root" : NULL;
}

typedef void printer(const struct why_text *, const json_t *);

/* The text of a document that is written with single quotes; the caller's. */
static char *say(printer *print, const char *document)
{
	char *text = NULL, *copy = strdup(document);
	size_t size;
	struct why_text w = { .f = open_memstream(&text, &size), .user_name = name_of };
	json_t *json;

	for (char *p = copy; (p = strchr(p, '\''));)
		*p = '"';
	json = json_loads(copy, 0, NULL);
	assert_non_null(json);
	print(&w, json);
	json_decref(json);
	free(copy);
	assert_int_equal(fclose(w.f), 0);
	return text;
}

static void says(printer *print, const char *document, const char *expected)
{
	_cleanup_free_ char *text = say(print, document);

	assert_string_equal(text, expected);
}

static void test_waiting(void **state)
{
	says(why_print,
	     "{'name': 'web', 'state': 'waiting', 'since': '2026-11-23T21:10:05Z',"
	     " 'for_us': 4000000, 'reason': 'command', 'desired': 'up', 'waits_for': 'services',"
	     " 'next': 'waits for db (waiting)',"
	     " 'wish': {'verb': 'start', 'why': 'command', 'ago_us': 5000000, 'uid': 0,"
	     "          'pid': 1234, 'command': 'fosterctl', 'service': null},"
	     " 'waits': [{'name': 'db', 'by': 'web', 'state': 'waiting', 'reason': 'x'},"
	     "           {'name': 'net', 'by': 'db', 'state': 'failed', 'reason': 'exit 1'}],"
	     " 'requires': [{'name': 'db', 'state': 'waiting'}],"
	     " 'after': [{'name': 'log', 'state': 'running'}],"
	     " 'required_by': [], 'before': [{'name': 'top', 'state': 'waiting'}], 'ends': []}",
	     "web: waiting since 2026-11-23T21:10:05Z (4.0s)\n"
	     "      reason: command\n"
	     "      wanted: up; started by root (fosterctl[1234]), 5.0s ago\n"
	     "       waits: for db: waiting, x\n"
	     "              for net, which db waits for: failed, exit 1\n"
	     "       needs: db (waiting), log (running; order only)\n"
	     "   needed by: top (waiting; order only)\n");
}

static void test_ends(void **state)
{
	says(why_print,
	     "{'name': 'web', 'state': 'backoff', 'reason': 'exit 1', 'desired': 'up',"
	     " 'waits_for': 'restart', 'next': 'restart in 3.2s', 'retry': 4, 'wish': null,"
	     " 'ends': [{'time': 'T1', 'text': 'exit 1', 'why': 'ended', 'up_us': 2000000,"
	     "           'followed': 'backoff', 'attempts': 4},"
	     "          {'time': 'T2', 'text': 'killed by SIGTERM', 'why': 'command',"
	     "           'up_us': 1000000, 'followed': 'starting', 'attempts': 0},"
	     "          {'time': 'T3', 'text': 'chdir: No such file', 'up_us': null,"
	     "           'why': 'could not be started', 'followed': 'failed', 'attempts': 1},"
	     "          {'time': 'T4', 'text': 'killed by SIGKILL', 'why': 'not ready in time',"
	     "           'up_us': 0, 'followed': 'stopped', 'attempts': 2}]}",
	     "web: backoff\n"
	     "      reason: exit 1\n"
	     "      wanted: up; nobody has started it yet\n"
	     "        next: restart in 3.2s, 4th retry\n"
	     "   last ends: T1 exit 1, was up 2.0s; 4th retry after a while\n"
	     "              T2 killed by SIGTERM (somebody asked), was up 1.0s; started again\n"
	     "              T3 chdir: No such file; failed: gave up after 1 retry\n"
	     "              T4 killed by SIGKILL (not ready in time), was up 0s; stopped\n");
}

static void test_nothing_follows(void **state)
{
	says(why_print,
	     "{'name': 'a', 'state': 'exited', 'reason': 'exit 0', 'desired': 'up',"
	     " 'restart': 'on-failure'}",
	     "a: exited\n      reason: exit 0\n      wanted: up; nobody has started it yet\n"
	     "        next: nothing by itself (restart = on-failure)\n");
}

static void wish_says(const char *wish, const char *expected)
{
	_cleanup_free_ char *document = NULL, *whole = NULL;

	assert_true(asprintf(&document,
			     "{'name': 'a', 'state': 'x', 'desired': 'down',"
			     "'wish': {%s}}",
			     wish) > 0);
	assert_true(asprintf(&whole, "a: x\n      wanted: down; %s\n", expected) > 0);
	says(why_print_short, document, whole);
}

static void test_wishes(void **state)
{
	wish_says("'verb': 'start', 'why': 'autostart', 'ago_us': 1000000",
		  "started, as it is set to autostart, 1.0s ago");
	wish_says("'verb': 'start', 'why': 'needed by a service', 'service': 'top', 'uid': 1000,"
		  "'pid': 7, 'command': 'curl'",
		  "started by uid 1000 (curl[7]), because top needs it");
	wish_says("'verb': 'restart', 'why': 'a service it needs was stopped', 'service': 'db',"
		  "'uid': 0, 'pid': 7, 'command': null",
		  "restarted by root (pid 7), with db, which it needs");
	wish_says("'verb': 'stop', 'why': 'shutdown', 'uid': null, 'pid': null",
		  "stopped, for the shutdown");
	wish_says("'verb': 'start', 'why': 'a word of tomorrow'", "started: a word of tomorrow");
	/* What was said through the API is not to be trusted on a terminal. */
	wish_says("'verb': 'stop', 'why': 'command', 'uid': 5, 'pid': 1, 'command': 'a\\u001b[2J'",
		  "stopped by uid 5 (a?[2J[1])");
}

static void test_own_wait(void **state)
{
	static const char *const cases[][2] = {
		{ "'waits_for': 'ready', 'ready_by': 'notify'", "for its READY=1" },
		{ "'waits_for': 'ready', 'ready_by': 'exec'", "for its exec" },
		{ "'waits_for': 'ready', 'ready_by': 'fd'",
		  "for a newline on its readiness descriptor" },
		{ "'waits_for': 'ready', 'ready_by': 'forking'",
		  "for the daemon that it is to leave behind" },
		{ "'waits_for': 'ready', 'ready_by': 'oneshot'", "for the end of its work" },
		{ "'waits_for': 'own-end'", "for its own end: nobody stops it" },
		{ "'waits_for': 'end'", "for the end of its main process" },
	};

	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		_cleanup_free_ char *document = NULL, *expected = NULL;

		assert_true(asprintf(&document, "{'name': 'a', 'state': 'x', 'desired': 'up', %s}",
				     cases[i][0]) > 0);
		assert_true(asprintf(&expected,
				     "a: x\n      wanted: up; nobody has started it yet\n"
				     "       waits: %s\n",
				     cases[i][1]) > 0);
		says(why_print_short, document, expected);
	}
}

static void test_blocking(void **state)
{
	says(why_print_blocking, "{'under_way': false, 'services': []}",
	     "No shutdown is under way; one would wait for nothing.\n");
	says(why_print_blocking, "{'under_way': false, 'main_job': 'tests', 'services': []}",
	     "No shutdown is under way; one would wait for nothing.\n"
	     "It begins by itself when tests has ended (fosterd --join).\n");
	says(why_print_blocking,
	     "{'under_way': true, 'by': {'uid': 0, 'pid': 9, 'command': 'fosterctl'},"
	     " 'services': [{'name': 'web', 'state': 'stopping', 'waits_for': 'tree',"
	     "               'next': 'SIGKILL in 4.0s', 'own_end': false, 'awaits': [],"
	     "               'processes': [{'pid': 5, 'command': 'sh'},"
	     "                             {'pid': 6, 'command': 'sleep'}]},"
	     "              {'name': 'db', 'state': 'running', 'waits_for': 'services',"
	     "               'awaits': [{'name': 'web', 'state': 'stopping'}]},"
	     "              {'name': 'job', 'state': 'running', 'waits_for': 'own-end',"
	     "               'own_end': true}]}",
	     "A shutdown is under way, asked for by root (fosterctl[9]); it waits for 3 services:\n"
	     "web: stopping\n"
	     "       waits: for the end of the rest of its tree: its main process has ended\n"
	     "        next: SIGKILL in 4.0s\n"
	     "   processes: sh[5], sleep[6]\n"
	     "db: running\n"
	     "       waits: for web (stopping)\n"
	     "job: running\n"
	     "       waits: for its own end (--join)\n");
}

static void line_says(const char *document, const char *line, const char *key)
{
	_cleanup_free_ char *copy = strdup(document), *got = NULL;
	json_t *json;

	for (char *p = copy; (p = strchr(p, '\''));)
		*p = '"';
	json = json_loads(copy, 0, NULL);
	assert_non_null(json);
	got = why_line(json);
	assert_string_equal(got, line);
	free(got);
	got = why_key(json);
	assert_string_equal(got, key);
	json_decref(json);
}

/* The key holds nothing that changes with the clock: else each second were a change. */
static void test_lines(void **state)
{
	line_says("{'name': 'web', 'state': 'stopping', 'waits_for': 'end',"
		  " 'next': 'SIGKILL in 4.0s', 'awaits': []}",
		  "web: stopping, SIGKILL in 4.0s", "web: stopping");
	line_says("{'name': 'db', 'state': 'running', 'waits_for': 'services', 'next': 'x',"
		  " 'awaits': [{'name': 'a', 'state': 'running'},"
		  "            {'name': 'b', 'state': 'stopping'}]}",
		  "db: running, waits for a (running), b (stopping)",
		  "db: running, waits for a (running), b (stopping)");
	line_says("{'name': 'job', 'state': 'running', 'waits_for': 'own-end'}",
		  "job: running, waits for its own end", "job: running, waits for its own end");
}

/* Nothing is where it should be: no crash, no invented fact. */
static void test_strange_documents(void **state)
{
	static const char *const documents[] = {
		"{}",
		"{'name': 1, 'wish': [], 'waits': {}, 'ends': 'x', 'requires': [1, null]}",
		"{'services': [1, {}, null], 'by': 5, 'under_way': 1}",
		"{'ends': [{}, 5, null], 'waits': [{}, 7], 'processes': [{}, 'x']}",
	};
	static printer *const printers[] = { why_print, why_print_short, why_print_blocking };

	for (size_t i = 0; i < ELEMENTSOF(documents); i++) {
		for (size_t k = 0; k < ELEMENTSOF(printers); k++) {
			char *text = say(printers[k], documents[i]);

			assert_true(strlen(text) > 0);
			free(text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waiting),         cmocka_unit_test(test_ends),
		cmocka_unit_test(test_nothing_follows), cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_own_wait),        cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_lines),           cmocka_unit_test(test_strange_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
