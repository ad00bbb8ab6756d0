/* SPDX-License-Identifier: MIT */
/* What is wrong with a config: every kind of problem, its line and its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/macro.h"
#include "config-fixture.h"

/* clang-format off */
#define CMD   "command = {\"/bin/true\"}\n"
#define OK    "service ok { " CMD " }\n"
#define X10   "xxxxxxxxxx"
#define X50   X10 X10 X10 X10 X10
#define LIST_FORM "a list in braces, one element an argument"
/* clang-format on */

struct expected {
	const char *config;
	int line;         /* of the first problem */
	const char *text; /* a part of it */
};

/* clang-format off */
static const struct expected cases[] = {
	/* syntax: these end the file */
	{ OK "service web {\n" CMD, 3, "section service is not closed: } is missing" },
	{ OK "}\n", 3, "this } closes nothing" },
	{ OK "service web {\n description = \"never\n closed }\n", 4, "this string is not closed: \"" },
	{ OK "service web {\n description = 'never\n closed }\n", 4, "this string is not closed: '" },
	{ OK "\n/* a comment\n\n", 4, "this comment is not closed" },
	{ "service web {\n command = {\"a\"\n user = \"b\"\n}\n", 3, "in the list of command a comma or } is missing" },
	{ "service web {\n command = {\"a\",, \"b\"}\n}\n", 2, "in the list of command a value is missing" },
	{ "service web {\n command = {\"a\"", 2, "the list of command is not closed" },
	{ "service web {\n command =\n}\n", 3, "the value of command is missing" },
	{ "service web {\n command {\"a\"}\n}\n", 2, "after command an = is missing; it takes a list in braces" },
	{ "service web {\n user bob\n}\n", 2, "after user an = or a { is missing" },
	{ "service web {\n command += {\"a\"}\n}\n", 2, "+= is not supported: write command = " },
	{ "include(\"conf.d/x\")\n", 1, "there are no functions here: write include = " },
	{ "include = conf.d/*.conf\n", 1, "a '*' must stand in quotes" },
	{ "service web {\n stop-signal = RTMIN+3\n}\n", 2, "a '+' must stand in quotes" },
	{ "service web {\n user = ${USER}\n}\n", 2, "variables are not expanded" },
	{ "= 5\n", 1, "here the name of an option is expected" },
	{ "service web {\n description = \"a\\0b\"\n}\n", 2, "cannot hold a NUL byte" },
	{ "service web {\n description = \"a\\x00b\"\n}\n", 2, "cannot hold a NUL byte" },
	{ "service web {\n description = \"\n\\Sb\"\n}\n", 3, "\\S is no escape; a backslash is \\\\ between" },
	{ "service web {\n description = \"a\\.b\"\n}\n", 2, "\\. is no escape" },
	{ "service web {\n description = \"a\\8b\"\n}\n", 2, "\\8 is no escape" },
	{ "service web {\n description = \"a\\400b\"\n}\n", 2, "invalid octal number" },

	/* sections */
	{ "service {\n" CMD "}\n", 1, "this service has no name: write service NAME { ... }" },
	{ "socket { listen = {\"1\"} }\n", 1, "this socket has no name" },
	{ "defaults web { }\n", 1, "defaults has no name" },
	{ "defaults { }\ndefaults { }\n", 2, "there are two sections defaults; the other is at " },
	{ OK "servise web { }\n", 3, "there is no section servise (did you mean service?)" },
	{ OK "xyzzy web { }\n", 3, "there is no section xyzzy; sections are service, socket and defaults" },
	{ "service web {\n" CMD "socket x { }\n}\n", 3, "socket { stands inside a section; sections do not nest, is the } before it missing?" },
	{ OK OK, 3, "there are two of service ok; the other is at foster.conf:1" },
	{ "socket a { listen = {\"1\"} }\nsocket a { listen = {\"2\"} }\n", 2, "there are two of socket a; the other is at foster.conf:1" },
	{ "service = web\n", 1, "service is a section: write service NAME { ... }" },
	{ "include { }\n", 1, "include is an option, not a section" },

	/* names */
	{ "service \"\" {\n" CMD "}\n", 1, "\"\" cannot be the name of a service; a name has 1 to 63 of the" },
	{ "service .x {\n" CMD "}\n", 1, "\".x\" cannot be the name" },
	{ "service -x {\n" CMD "}\n", 1, "\"-x\" cannot be the name" },
	{ "service a/b {\n" CMD "}\n", 1, "\"a/b\" cannot be the name" },
	{ "service \"a b\" {\n" CMD "}\n", 1, "\"a b\" cannot be the name" },
	{ "service \303\274 {\n" CMD "}\n", 1, "cannot be the name" },
	{ "service " X50 X10 "xxxx {\n" CMD "}\n", 1, "cannot be the name" },

	/* options */
	{ "service web {\n" CMD " comand = {\"a\"}\n}\n", 3, "service has no option comand (did you mean command?)" },
	{ "service web {\n" CMD " stop-timout = 1s\n}\n", 3, "service has no option stop-timout (did you mean stop-timeout?)" },
	{ "service web {\n" CMD " xyzzy = 1s\n}\n", 3, "service has no option xyzzy" },
	{ "socket s { listn = {\"1\"} }\n", 1, "socket has no option listn (did you mean listen?)" },
	{ "log-dir = /var/log\n", 1, "there is no option log-dir outside of sections" },
	{ "log-directori = /var/log\n", 1, "there is no option log-directori (did you mean log-directory?)" },
	{ "user = bob\n", 1, "user belongs into a service or into defaults" },
	{ "defaults { " CMD " }\n", 1, "command cannot stand in defaults" },
	{ "defaults { requires = {\"a\"} }\n", 1, "requires cannot stand in defaults" },
	{ "service web {\n" CMD " nice = 1\n nice = 2\n}\n", 4, "nice is set twice; it stands already on line 3" },
	{ "service web {\n" CMD CMD "}\n", 3, "command is set twice; it stands already on line 2" },
	{ "service web {\n sockets = {}\n sockets = {}\n" CMD "}\n", 3, "sockets is set twice" },
	{ "log-directory = /a\nlog-directory = /b\n", 2, "log-directory is set twice" },
	{ "service web {\n command = \"/bin/true\"\n}\n", 2, "command takes " LIST_FORM },
	{ "service web {\n command = /bin/true\n}\n", 2, "command takes " LIST_FORM },
	{ "service web {\n" CMD " requires = db\n}\n", 3, "requires takes a list of names in braces" },
	{ "service web {\n" CMD " user = {\"a\", \"b\"}\n}\n", 3, "user takes one value, not a list" },
	{ "service web {\n nice = 1\n}\n", 1, "service web has no command: it takes " LIST_FORM },

	/* values */
	{ "service web {\n command = {}\n}\n", 2, "command is empty; it takes " LIST_FORM },
	{ "service web {\n command = {\"\"}\n}\n", 2, "command is empty" },
	{ "service web {\n" CMD " user = \"\"\n}\n", 3, "user is empty; it takes the name or number" },
	{ "service web {\n" CMD " description = \"\"\n}\n", 3, "description is empty" },
	{ "service web {\n" CMD " description = \"a\\033[1mb\"\n}\n", 3, "description holds a control character" },
	{ "service web {\n" CMD " description = \"a\\xffb\"\n}\n", 3, "description is not UTF-8" },
	{ "service web {\n" CMD " requires = {\"\"}\n}\n", 3, "requires: element 1 is empty" },
	{ "service web {\n" CMD " directory = srv\n}\n", 3, "directory = \"srv\" is not possible; it takes an absolute path" },
	{ "log-directory = log\n", 1, "log-directory = \"log\" is not possible; it takes an absolute path" },
	{ "service web {\n" CMD " umask = 8\n}\n", 3, "umask = \"8\" is not possible; it takes an octal number" },
	{ "service web {\n" CMD " umask = 1000\n}\n", 3, "umask = \"1000\" is not possible" },
	{ "service web {\n" CMD " umask = 0000000000000000000777\n}\n", 3, "umask = " },
	{ "service web {\n" CMD " nice = 20\n}\n", 3, "nice = \"20\" is not possible; it takes a number from -20 to 19" },
	{ "service web {\n" CMD " nice = 99999999999999999999999\n}\n", 3, "is not possible; it takes a number from -20" },
	{ "service web {\n" CMD " restart-limit = 4294967297\n}\n", 3, "restart-limit = \"4294967297\" is not possible" },
	{ "service web {\n" CMD " restart-limit = -1\n}\n", 3, "restart-limit = \"-1\" is not possible" },
	{ "service web {\n" CMD " daemon = maybe\n}\n", 3, "daemon = \"maybe\" is not possible; it takes true or false" },
	{ "service web {\n" CMD " restart = sometimes\n}\n", 3, "restart = \"sometimes\" is not possible; it takes no, on-failure or always" },
	{ "service web {\n" CMD " ready = forked\n}\n", 3, "it takes exec, notify, fd, forking or oneshot" },
	{ "service web {\n" CMD " fd-store-max = 65\n}\n", 3, "it takes a number from 0 to 64" },
	{ "service web {\n" CMD " ready-fd = 5\n}\n", 3, "ready-fd has a meaning with ready = fd only" },
	{ "service web {\n" CMD " ready = fd ready-fd = 100\n}\n", 3, "it takes a number from 1 to 99" },
	{ "service web {\n" CMD " ready = fd\n fd-store-max = 1\n}\n", 3, "or of what it stores: it takes 4 or more, or 1" },
	{ "service web {\n" CMD " pid-file = /run/x\n}\n", 3, "pid-file has a meaning with ready = forking only" },
	{ "service web {\n" CMD " ready = forking pid-file = x\n}\n", 3, "it takes an absolute path" },
	{ "service web {\n" CMD " ready = oneshot\n restart = always\n}\n", 4, "with ready = oneshot, restart = always would never let it have run" },
	{ "service web {\n" CMD " log = paper\n}\n", 3, "it takes file, journal, syslog, inherit or none" },
	{ "service web {\n" CMD " log-stderr = both\n}\n", 3, "it takes together or apart" },
	{ "service web {\n" CMD " log-stderr = apart\n}\nservice web.stderr {\n" CMD "}\n", 3, "log-stderr = apart writes web.stderr.log, which is the log of the service web.stderr; one of them" },
	{ "service web {\n" CMD " log-format = xml\n}\n", 3, "it takes text or json" },
	{ "service web {\n" CMD " log-timestamps = yes\n}\n", 3, "it takes no, utc or local; false and true are no and utc" },
	{ "service web {\n" CMD " log-prefix = \"" X50 X50 X50 X50 X50 "xxxxxx\"\n}\n", 3, "log-prefix has 256 bytes; it takes at most 255" },
	{ "service web {\n" CMD " log-size = 10\n}\n", 3, "log-size = \"10\" is not possible; it takes a size of at least 1K" },
	{ "service web {\n" CMD " log-size = many\n}\n", 3, "it takes a size of at least 1K" },
	{ "service web {\n" CMD " log-time = infinity\n}\n", 3, "it takes a duration" },
	{ "service web {\n" CMD " log-time = 5ms\n}\n", 3, "log-time is shorter than a second; it takes 1s or more" },
	{ "service web {\n" CMD " log-keep = 10001\n}\n", 3, "it takes a number from 0 to 10000" },
	{ "service web {\n" CMD " log-size = 10M\n log-keep-size = 10M\n}\n", 4, "log-keep-size is not larger than log-size" },
	{ "service web {\n" CMD " log-compress = xz\n}\n", 3, "it takes no, gzip or zstd" },
	{ "service web {\n" CMD " log-owner = nosuchuser\n}\n", 3, "log-owner: there is no user nosuchuser" },
	{ "service web {\n" CMD " log-owner = \":nosuchgroup\"\n}\n", 3, "there is no group nosuchgroup" },
	{ "service web {\n" CMD " log-owner = \"root:\"\n}\n", 3, "it takes USER, USER:GROUP or :GROUP" },
	{ "service web {\n" CMD " log-mode = 0888\n}\n", 3, "it takes an octal number" },
	{ "service web {\n" CMD " log-full = wait\n}\n", 3, "it takes block or drop" },
	{ "service web {\n" CMD " log-buffer = 1K\n}\n", 3, "log-buffer = \"1K\" is not possible; it takes a size from 4K to 1G" },
	{ "service web {\n" CMD " log-buffer = 2G\n}\n", 3, "it takes a size from 4K to 1G" },
	{ "service web {\n" CMD " log-rate = 1000\n}\n", 3, "it takes a number of lines from 1 to 100000000 a second, minute or hour" },
	{ "service web {\n" CMD " log-rate = \"0/s\"\n}\n", 3, "a second, minute or hour" },
	{ "service web {\n" CMD " log-rate = \"10/day\"\n}\n", 3, "a second, minute or hour" },
	{ "service web {\n" CMD " log-socket = run/log\n}\n", 3, "it takes an absolute path" },
	{ "service web {\n" CMD " stop-timeout = 5\n}\n", 3, "stop-timeout = \"5\" is not possible; it takes a duration: \"250ms\"" },
	{ "service web {\n" CMD " stop-timeout = 99999999999999999999s\n}\n", 3, "it takes a duration" },
	{ "service web {\n" CMD " watchdog = infinity\n}\n", 3, "watchdog = \"infinity\" is not possible" },
	{ "service web {\n" CMD " stop-signal = TREM\n}\n", 3, "stop-signal = \"TREM\" is not possible; it takes the name or number of a signal" },
	{ "service web {\n" CMD " death-signal = SIGWINCH\n}\n", 3, "death-signal = SIGWINCH is not possible: that signal does not end a process" },
	{ "service web {\n" CMD " limit-nofile = many\n}\n", 3, "limit-nofile = \"many\" is not possible; it takes a number" },
	{ "service web {\n" CMD " limit-nofile = 10K\n}\n", 3, "limit-nofile = \"10K\" is not possible" },
	{ "service web {\n" CMD " limit-as = 1X\n}\n", 3, "limit-as = \"1X\" is not possible; it takes a size" },
	{ "service web {\n" CMD " limit-cpu = 1ms\n}\n", 3, "it takes a duration of whole seconds" },
	{ "service web {\n" CMD " limit-nofile = \"20:10\"\n}\n", 3, "the soft limit is above the hard" },
	{ "service web {\n" CMD " environment = {\"A=1\",\n \"B\"}\n}\n", 3, "environment: \"B\" is not NAME=value" },
	{ "service web {\n" CMD " environment = {\"1A=1\"}\n}\n", 3, "\"1A=1\" is not NAME=value" },
	{ "service web {\n" CMD " environment-file = /nonexistent/env\n}\n", 3, "cannot read /nonexistent/env: No such file or directory; write \"-PATH\" if it may be missing" },
	{ "service web {\n" CMD " environment-file = env\n}\n", 3, "it takes an absolute path" },
	{ "service web {\n" CMD " environment-file = /\n}\n", 3, "cannot read /: Is a directory" },
	{ "service web {\n" CMD " user = no-such-user\n}\n", 3, "there is no user no-such-user" },
	{ "service web {\n" CMD " user = 3999999\n}\n", 3, "user 3999999 has no account, hence no group: set the option group" },
	{ "service web {\n" CMD " group = no-such-group\n}\n", 3, "there is no group no-such-group" },
	{ "service web {\n" CMD " groups = {\"no-such-group\"}\n}\n", 3, "there is no group no-such-group" },
	{ OK "control-group = no-such-group\n", 3, "there is no group no-such-group" },
	{ "service web {\n" CMD " restart-delay = 1min\n}\n", 3, "restart-delay 1min 0s is longer than restart-delay-max 30s" },
	{ "service web {\n" CMD " restart-delay-max = 10ms\n}\n", 3, "restart-delay 100ms is longer than restart-delay-max 10ms" },
	{ "defaults {\n\n restart-delay = 1min }\n" OK, 3, "restart-delay 1min 0s is longer" },
	{ "defaults {\n\n user = no-such-user }\n" OK, 3, "there is no user no-such-user" },

	/* other sections */
	{ OK "service web {\n" CMD " requires = {\"okk\"}\n}\n", 5, "requires: there is no service okk (did you mean ok?)" },
	{ OK "service web {\n" CMD " after = {\"xyzzy\"}\n}\n", 5, "after: there is no service xyzzy" },
	{ OK "service web {\n" CMD " requires = {\"ok\", \"ok\"}\n}\n", 5, "requires names ok twice" },
	{ "socket irc { listen = {\"6667\"} }\nservice web {\n" CMD " sockets = {icr}\n}\n", 4, "sockets: there is no socket icr (did you mean irc?)" },
	{ "defaults { sockets = {x} }\n" OK, 1, "sockets: there is no socket x" },
	{ "service web {\n" CMD " requires = {\"web\"}\n}\n", 3, "these services wait for each other: web -> web" },
	{ "service a {\n" CMD " requires = {\"b\"}\n}\nservice b {\n" CMD " after = {\"a\"}\n}\n", 3, "these services wait for each other: a -> b -> a" },

	/* sockets */
	{ "socket s { }\n", 1, "socket s has no address: write listen = {\"127.0.0.1:6667\"}" },
	{ "socket s {\n listen = {}\n}\n", 2, "socket s has no address" },
	{ "socket s {\n listen = {\"1\"}\n datagram = {\"1\"}\n}\n", 3, "socket s has both listen and datagram" },
	{ "socket s {\n listen = \"1\"\n}\n", 2, "listen takes a list of addresses in braces" },
	{ "socket s {\n listen = {\"localhost:1\"}\n}\n", 2, "\"localhost:1\": that is no address of IPv4 or IPv6 (names are not looked up); an address is \"127.0.0.1:6667\"" },
	{ "socket s {\n listen = {\"127.0.0.1\"}\n}\n", 2, "the port is missing or not a number" },
	{ "socket s {\n listen = {\"127.0.0.1:0\"}\n}\n", 2, "a number from 1 to 65535" },
	{ "socket s {\n listen = {\"127.0.0.1:65536\"}\n}\n", 2, "a number from 1 to 65535" },
	{ "socket s {\n listen = {\"256.0.0.1:1\"}\n}\n", 2, "that is no address" },
	{ "socket s {\n listen = {\"127.1:1\"}\n}\n", 2, "that is no address" },
	{ "socket s {\n listen = {\"::1:1\"}\n}\n", 2, "that is no address" },
	{ "socket s {\n listen = {\"[::1%nosuchif]:1\"}\n}\n", 2, "that is no address" },
	{ "socket s {\n listen = {\"[::1]\"}\n}\n", 2, "the port is missing" },
	{ "socket s {\n listen = {\"run/x\"}\n}\n", 2, "the port is missing" },
	{ "socket s {\n listen = {\"/run/\"}\n}\n", 2, "this is a directory" },
	{ "socket s {\n listen = {\"/" X50 X50 "xxxxxxxx\"}\n}\n", 2, "the path of a Unix socket has at most 107 bytes, this has 109" },
	{ "socket s {\n listen = {\"1\"}\n mode = \"0600\"\n}\n", 3, "mode is for Unix sockets, and socket s has none" },
	{ "socket s {\n datagram = {\"1\"}\n backlog = 5\n}\n", 3, "backlog is for listen" },
	{ "socket s {\n listen = {\"1\"}\n backlog = 0\n}\n", 3, "it takes a number from 1 to 65535" },
	{ "socket s {\n from-systemd = web\n listen = {\"1\"}\n}\n", 3, "socket s has both from-systemd and listen: what systemd has bound is described in its socket unit" },
	{ "socket s {\n mode = 0600\n from-systemd = web\n}\n", 2, "socket s has both from-systemd and mode" },
	{ "socket s {\n from-systemd = \"a:b\"\n}\n", 2, "from-systemd = \"a:b\": a FileDescriptorName= has here 1 to 63 printable ASCII signs, and no colon" },
	{ "socket s {\n from-systemd = " X50 "xxxxxxxxxxxxxx\n}\n", 2, "1 to 63" },
	{ "socket s {\n from-systemd = {\"a\"}\n}\n", 2, "from-systemd takes" },
	{ "socket a { listen = {\"127.0.0.1:1\"} }\nsocket b {\n listen = {\"2\",\n\"127.0.0.1:1\"} }\n", 3, "the address 127.0.0.1:1 is used twice: in socket a (foster.conf:1) and b" },
	{ "socket a {\n listen = {\"[::]:1\", \"*:1\"} }\n", 2, "is used twice" },
	{ "socket a { listen = {\"/x\"} }\nsocket b { datagram = {\"/x\"} }\n", 2, "the address /x is used twice" },

	/* files */
	{ OK "include = \"missing.conf\"\n", 3, "missing.conf: No such file or directory" },
	{ OK "\ninclude = {\"/\"}\n", 4, "cannot read /: it is a directory" },
	{ OK "include = \"foster.conf\"\n", 3, "foster.conf is included a second time" },
	{ OK "include = \"./foster.conf\"\n", 3, "foster.conf is included a second time" },
};
/* clang-format on */

static void check_case(const struct expected *expected, size_t number)
{
	struct config_problems problems;
	const struct config_problem *first;

	fixture_write_text("foster.conf", expected->config);
	if (fixture_load(&problems) || problems.n == 0)
		fail_msg("case %zu has no problem, expected: %s", number, expected->text);
	first = &problems.items[0];
	if (first->line != expected->line || !strstr(first->text, expected->text))
		fail_msg("case %zu:\n%s\nexpected %d: %s\ngot      %d: %s", number,
			 expected->config, expected->line, expected->text, first->line,
			 first->text);
	if (problems.n != 1)
		fail_msg("case %zu: a second problem: %d: %s", number, problems.items[1].line,
			 problems.items[1].text);
	config_problems_clear(&problems);
}

static void test_every_kind(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(cases); i++)
		check_case(&cases[i], i);
}

/* CRLF changes no line number, and nothing else. */
static void test_carriage_returns(void **state)
{
	struct config_problems problems;
	struct config *config = fixture_good("service ok {\r\n  " CMD "\r\n  nice = 5\r\n}\r\n");

	assert_int_equal(config->services[0]->nice, 5);
	config_free(config);
	fixture_write_text("foster.conf", "service ok {\r\n" CMD " nice = 50\r\n}\r\n");
	assert_null(fixture_load(&problems));
	assert_int_equal(problems.items[0].line, 3);
	config_problems_clear(&problems);
}

static void expect_first(const char *text, int line)
{
	struct config_problems problems;

	assert_null(fixture_load(&problems));
	assert_true(problems.n >= 1);
	if (!strstr(problems.items[0].text, text))
		fail_msg("expected: %s\ngot: %s", text, problems.items[0].text);
	assert_int_equal(problems.items[0].line, line);
	config_problems_clear(&problems);
}

/* The same file under ever longer names: only the depth tells. */
static void test_include_cycle(void **state)
{
	fixture_write_text("conf.d/x", "");
	fixture_write_text("foster.conf", "\ninclude = \"conf.d/../foster.conf\"\n");
	expect_first("includes are nested deeper than 8 files", 2);
	fixture_remove("conf.d/x");
	fixture_remove("conf.d");
}

static void test_files(void **state)
{
	static const char nul[] = "service ok {\n  nice = \0 5\n}\n";
	size_t size = 10 << 20;
	char *big = malloc(size);

	assert_non_null(big);
	memset(big, ' ', size);
	fixture_write("foster.conf", big, size);
	expect_first("cannot read it: it is larger than 8 MiB", 0);
	free(big);
	fixture_write("foster.conf", nul, sizeof(nul) - 1);
	expect_first("this is not text: it holds a NUL byte", 2);
	fixture_remove("foster.conf");
	expect_first("cannot read it: No such file or directory", 0);
	fixture_write_text("foster.conf/x", "");
	expect_first("cannot read it: it is a directory", 0);
	fixture_remove("foster.conf/x");
	fixture_remove("foster.conf");
}

/* Everything of all files is told at once, in order. */
static void test_all_at_once(void **state)
{
	static const struct {
		const char *file;
		int line;
		const char *text;
	} expected[] = {
		{ "conf.d/a.conf", 2, "service has no option usr (did you mean user?)" },
		{ "conf.d/a.conf", 3, "nice = \"x\" is not possible" },
		{ "conf.d/a.conf", 4, "there is no service nobody" },
		{ "conf.d/b.conf", 1, "this string is not closed" },
		{ "foster.conf", 1, "there is no option logs" },
		{ "foster.conf", 3, "restart = \"x\" is not possible" },
		{ "foster.conf", 6, "there is no user no-such-user" },
	};
	struct config_problems problems;

	fixture_write_text("foster.conf", "logs = x\ninclude = \"conf.d/*.conf\"\n"
					  "defaults { restart = x }\nservice web { " CMD
					  "\nuser = no-such-user }\n");
	fixture_write_text("conf.d/a.conf", "service a { " CMD " usr = {\"bob\"}\n nice = x\n"
					    " requires = {nobody} }\n");
	fixture_write_text("conf.d/b.conf", "service b { command = {\"x }\n");
	assert_null(fixture_load(&problems));
	for (size_t i = 0; i < problems.n && i < ELEMENTSOF(expected); i++) {
		assert_string_equal(problems.items[i].file, fixture_path(expected[i].file));
		assert_int_equal(problems.items[i].line, expected[i].line);
		assert_non_null(strstr(problems.items[i].text, expected[i].text));
	}
	assert_int_equal(problems.n, ELEMENTSOF(expected));
	config_problems_clear(&problems);
	fixture_remove("conf.d/a.conf");
	fixture_remove("conf.d/b.conf");
	fixture_remove("conf.d");
}

static void test_environment_file_errors(void **state)
{
	struct config_problems problems;
	char text[8192];

	snprintf(text, sizeof(text), "service web {\n" CMD "environment-file = \"%s\"\n}\n",
		 fixture_path("env"));
	fixture_write_text("foster.conf", text);
	fixture_write_text("env", "# comment\nA=1\nB = 2\n");
	assert_null(fixture_load(&problems));
	assert_string_equal(problems.items[0].file, fixture_path("env"));
	assert_int_equal(problems.items[0].line, 3);
	assert_non_null(strstr(problems.items[0].text, "this is not NAME=value"));
	config_problems_clear(&problems);
	fixture_write_text("env", "A=1\nB=\"2\n3\n");
	expect_first("a quote (\") is not closed", 2);
	fixture_remove("env");
}

/* A text of a configuration that is built in a buffer: the limits. */
static void test_limits(void **state)
{
	size_t room = 4 << 20, n = 0;
	char *text = malloc(room);

	assert_non_null(text);
	n += snprintf(text + n, room - n, "service web {\n\ncommand = {\"/bin/echo\"");
	for (int i = 0; i < 1100; i++)
		n += snprintf(text + n, room - n, ", \"" X50 X10 "\"");
	snprintf(text + n, room - n, "}\n}\n");
	fixture_write_text("foster.conf", text);
	expect_first("65536 are possible", 3);

	n = snprintf(text, room, "service web {\n" CMD "environment = {\"A=1\"");
	for (int i = 0; i < 1100; i++)
		n += snprintf(text + n, room - n, ", \"V%d=" X50 X10 "\"", i);
	snprintf(text + n, room - n, "}\n}\n");
	fixture_write_text("foster.conf", text);
	expect_first("the environment is larger than 65536 bytes", 3);

	n = 0;
	for (int i = 0; i <= CONFIG_SERVICES_MAX; i++)
		n += snprintf(text + n, room - n, "service s%d { " CMD " }\n", i);
	fixture_write_text("foster.conf", text);
	expect_first("there are more than 12000 services", 2 * CONFIG_SERVICES_MAX + 1);

	n = snprintf(text, room, "service web {\n" CMD " sockets = {s}\n}\nsocket s { listen = {");
	for (int i = 1; i <= CONFIG_SOCKETS_MAX + 1; i++)
		n += snprintf(text + n, room - n, "\"%d\", ", i);
	snprintf(text + n, room - n, "} }\n");
	fixture_write_text("foster.conf", text);
	expect_first("the sockets have 65 addresses; a service can be given 64", 3);

	n = snprintf(text, room, "service web {\n");
	for (int i = 0; i < 100000; i++)
		n += snprintf(text + n, room - n, "a {");
	fixture_write_text("foster.conf", text);
	expect_first("a { stands inside a section", 2);

	n = 0;
	for (int i = 0; i < 5000; i++)
		n += snprintf(text + n, room - n, "bad%d = 1\n", i);
	fixture_write_text("foster.conf", text);
	expect_first("there is no option bad", 1);
	free(text);
}

static void test_long_cycle(void **state)
{
	size_t room = 4 << 20, n = 0;
	char *text = malloc(room);
	struct config_problems problems;

	assert_non_null(text);
	for (int i = 0; i < 10000; i++)
		n += snprintf(text + n, room - n, "service s%d { " CMD " after = {s%d} }\n", i,
			      (i + 1) % 10000);
	fixture_write_text("foster.conf", text);
	assert_null(fixture_load(&problems));
	assert_int_equal(problems.n, 1);
	assert_non_null(strstr(problems.items[0].text, "s0 -> s1 -> s2 -> "));
	assert_non_null(strstr(problems.items[0].text, " -> ... -> s9999 -> s0"));
	config_problems_clear(&problems);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_carriage_returns),
		cmocka_unit_test(test_include_cycle),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_environment_file_errors),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_long_cycle),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
