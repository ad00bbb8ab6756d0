/* SPDX-License-Identifier: MIT */
/* What a config says: values, defaults, includes, sources, comparison, speed. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/strv.h"
#include "base/units.h"
#include "config-fixture.h"
#include "manager/option.h"

#define CMD " command = {\"/bin/true\"}\n"

static void test_defaults_of_the_table(void **state)
{
	struct config *config = fixture_good("service web { command = {\"a\", \"\", \"b c\"} }\n");
	const struct service_config *s = config_find_service(config, "web");

	assert_int_equal(config->n_services, 1);
	assert_ptr_equal(s, config->services[0]);
	assert_string_equal(s->command[0], "a");
	assert_string_equal(s->command[1], "");
	assert_string_equal(s->command[2], "b c");
	assert_null(s->command[3]);
	assert_null(s->description);
	assert_null(s->directory);
	assert_false(s->change_user);
	assert_int_equal(s->uid, geteuid());
	assert_false(s->has_umask);
	assert_false(s->has_nice);
	assert_int_equal(s->n_limits, 0);
	assert_false(s->daemon);
	assert_int_equal(s->death_signal, SIGKILL);
	assert_true(s->autostart);
	assert_int_equal(s->restart, RESTART_ON_FAILURE);
	assert_int_equal(s->restart_delay, 100 * USEC_PER_MSEC);
	assert_int_equal(s->restart_delay_max, 30 * USEC_PER_SEC);
	assert_int_equal(s->restart_limit, 0);
	assert_int_equal(s->restart_reset, 60 * USEC_PER_SEC);
	assert_int_equal(s->stop_signal, SIGTERM);
	assert_int_equal(s->stop_timeout, 10 * USEC_PER_SEC);
	assert_int_equal(s->ready, READY_EXEC);
	assert_int_equal(s->start_timeout, 60 * USEC_PER_SEC);
	assert_int_equal(s->watchdog, 0);
	assert_int_equal(s->log, LOG_TYPE_FILE);
	assert_string_equal(s->file, "foster.conf:1");
	assert_string_equal(config->path, fixture_path("foster.conf"));
	assert_null(config->log_directory);
	assert_null(config_find_service(config, "webb"));
	config_free(config);
}

static void test_every_value(void **state)
{
	struct config *config = fixture_good(
		"log-directory = /var/log/x  control-group = root  control-read-group = '0'\n"
		"socket s { listen = {\"1\"} }\n"
		"service db { command = {db} }  service cache { command = {cache} }\n"
		"service web {\n"
		"  description = 'the \"web\"' command = {\"/bin/web\", '$HOME ${HOME}', "
		"\"${HOME}\"}\n"
		"  directory = /srv  user = root  group = root  groups = {root}  umask = 0027  "
		"nice = -5\n"
		"  limit-nofile = \"1024:4096\"  limit-core = infinity  limit-as = 1G  limit-cpu = "
		"1min\n"
		"  limit-rttime = 200ms  environment = {\"A=1\", \"B=x y\", \"A=2\"}  sockets = "
		"{s}\n"
		"  daemon = yes  death-signal = TERM  autostart = off  restart = always\n"
		"  restart-delay = 1s  restart-delay-max = 1min  restart-limit = 5  restart-reset "
		"= infinity\n"
		"  stop-signal = \"RTMIN+1\"  stop-timeout = infinity  ready = notify  "
		"start-timeout = 5s\n"
		"  watchdog = 30s  requires = {db,}  after = {cache}  log = none\n"
		"}\n");
	const struct service_config *s = config_find_service(config, "web");

	assert_string_equal(config->log_directory, "/var/log/x");
	assert_int_equal(config->control_gid, 0);
	assert_string_equal(config->control_read_group, "0");
	assert_string_equal(s->description, "the \"web\"");
	assert_string_equal(s->command[1], "$HOME ${HOME}");
	assert_string_equal(s->command[2], "${HOME}");
	assert_string_equal(s->directory, "/srv");
	assert_true(s->change_user);
	assert_int_equal(s->uid, 0);
	assert_int_equal(s->gid, 0);
	assert_int_equal(s->groups[0], 0);
	assert_true(s->has_umask);
	assert_int_equal(s->umask, 027);
	assert_true(s->has_nice);
	assert_int_equal(s->nice, -5);
	assert_int_equal(s->n_limits, 5);
	for (size_t i = 0; i < s->n_limits; i++) {
		const struct rlimit *l = &s->limits[i].limit;

		switch (s->limits[i].resource) {
		case RLIMIT_NOFILE:
			assert_int_equal(l->rlim_cur, 1024);
			assert_int_equal(l->rlim_max, 4096);
			break;
		case RLIMIT_CORE: assert_true(l->rlim_cur == RLIM_INFINITY); break;
		case RLIMIT_AS: assert_int_equal(l->rlim_cur, 1 << 30); break;
		case RLIMIT_CPU: assert_int_equal(l->rlim_max, 60); break;
		case RLIMIT_RTTIME: assert_int_equal(l->rlim_max, 200000); break;
		default: fail();
		}
	}
	assert_string_equal(s->environment[0], "A=2");
	assert_string_equal(s->environment[1], "B=x y");
	assert_null(s->environment[2]);
	assert_string_equal(s->sockets[0], "s");
	assert_true(s->daemon);
	assert_int_equal(s->death_signal, SIGTERM);
	assert_false(s->autostart);
	assert_int_equal(s->restart, RESTART_ALWAYS);
	assert_int_equal(s->restart_limit, 5);
	assert_true(s->restart_reset == USEC_INFINITY);
	assert_int_equal(s->stop_signal, SIGRTMIN + 1);
	assert_true(s->stop_timeout == USEC_INFINITY);
	assert_int_equal(s->ready, READY_NOTIFY);
	assert_int_equal(s->watchdog, 30 * USEC_PER_SEC);
	assert_string_equal(s->requires[0], "db");
	assert_string_equal(s->after[0], "cache");
	assert_int_equal(s->log, LOG_TYPE_NONE);
	assert_string_equal(s->file, "foster.conf:4");
	config_free(config);
}

/* The text between quotes is what the program gets, whatever it looks like. */
static void test_strings(void **state)
{
	struct config *config =
		fixture_good("\xef\xbb\xbf# a comment with \" and ' and {\n"
			     "//comment without a space\n"
			     "/* { ' \" */ service web { /**/ command = {\"a#b\", \"a//b\", "
			     "http://x/y, a\\b, \"a\\\\b\",\n"
			     "  \"\\x41\\102\\t\", 'a\\n', \"line\\\nline\", \"two\nlines\", "
			     "\"\xe4\xbd\xa0\xe5\xa5\xbd\", \"%i ~ $x `y`\", ~/x, '\\S\\.\\d', "
			     "\"\\${X}\\\"\\'\"}\n"
			     "} # the end");
	char **command = config->services[0]->command;
	static const char *const expected[] = {
		"a#b",         "a//b", "http://x/y", "a\\b",       "a\\b",
		"AB\t",        "a\\n", "lineline",   "two\nlines", "\xe4\xbd\xa0\xe5\xa5\xbd",
		"%i ~ $x `y`", "~/x",  "\\S\\.\\d",  "${X}\"'",
	};

	assert_int_equal(strv_length(command), ELEMENTSOF(expected));
	for (size_t i = 0; i < ELEMENTSOF(expected); i++)
		assert_string_equal(command[i], expected[i]);
	config_free(config);
}

static void test_defaults_section(void **state)
{
	struct config *config;

	fixture_write_text("conf.d/10-a.conf", "service a { command = {a} nice = 3\n"
					       "environment = {\"Y=2\"} limit-core = 0 }\n");
	fixture_write_text("conf.d/20-b.conf", "defaults { nice = 7 restart = no environment = "
					       "{\"X=1\"} stop-timeout = 1s\n"
					       "limit-nofile = 5 limit-core = 9 }\n"
					       "service b { command = {b} restart = always }\n");
	config = fixture_good("include = {\"conf.d/*.conf\", \"none/*.conf\"}\n"
			      "service main {\n command = {main} }\n");
	assert_int_equal(config->n_services, 3);
	assert_string_equal(config->services[0]->name, "main");
	assert_string_equal(config->services[1]->name, "a");
	assert_string_equal(config->services[1]->file, "conf.d/10-a.conf:1");
	assert_string_equal(config->services[2]->name, "b");
	assert_int_equal(config->services[0]->nice, 7);
	assert_int_equal(config->services[0]->restart, RESTART_NO);
	assert_string_equal(config->services[0]->environment[0], "X=1");
	assert_int_equal(config->services[0]->n_limits, 2);
	assert_int_equal(config->services[1]->nice, 3);
	assert_string_equal(config->services[1]->environment[0], "Y=2");
	assert_null(config->services[1]->environment[1]);
	assert_int_equal(config->services[1]->n_limits, 2);
	assert_int_equal(config->services[2]->nice, 7);
	assert_int_equal(config->services[2]->restart, RESTART_ALWAYS);
	assert_int_equal(config->services[2]->stop_timeout, USEC_PER_SEC);
	config_free(config);
	fixture_remove("conf.d/10-a.conf");
	fixture_remove("conf.d/20-b.conf");
	fixture_remove("conf.d");
}

static void test_addresses(void **state)
{
	struct config *config = fixture_good(
		"socket a { listen = {\"127.0.0.1:6667\", \"[::1]:6668\", \"6669\", \"*:7000\", "
		"\"/run/x y\", \"[fe80::1%lo]:9\"} backlog = 7 mode = 0600 }\n"
		"socket b { datagram = {\"127.0.0.1:6667\"} }\n");
	const struct socket_config *a = config_find_socket(config, "a");
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->addresses[0].address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->addresses[1].address;
	const struct sockaddr_un *un = (const struct sockaddr_un *)&a->addresses[4].address;

	assert_int_equal(a->type, SOCK_STREAM);
	assert_int_equal(a->backlog, 7);
	assert_int_equal(a->mode, 0600);
	assert_int_equal(a->n_addresses, 6);
	assert_string_equal(a->addresses[0].text, "127.0.0.1:6667");
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), 6667);
	assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(a->addresses[0].length, sizeof(*in));
	assert_int_equal(ntohs(in6->sin6_port), 6668);
	assert_memory_equal(&in6->sin6_addr, &in6addr_loopback, 16);
	in6 = (const struct sockaddr_in6 *)&a->addresses[2].address;
	assert_int_equal(ntohs(in6->sin6_port), 6669);
	assert_memory_equal(&in6->sin6_addr, &in6addr_any, 16);
	assert_string_equal(un->sun_path, "/run/x y");
	assert_int_equal(a->addresses[4].length, offsetof(struct sockaddr_un, sun_path) + 9);
	in6 = (const struct sockaddr_in6 *)&a->addresses[5].address;
	assert_true(in6->sin6_scope_id > 0);
	assert_int_equal(config_find_socket(config, "b")->type, SOCK_DGRAM);
	assert_int_equal(config_find_socket(config, "b")->backlog, 4096);
	assert_int_equal(config_find_socket(config, "b")->mode, 0666);
	config_free(config);
}

static void write_with_environment_file(const char *prefix, const char *more)
{
	char text[8192];

	snprintf(text, sizeof(text), "service web {" CMD "environment-file = \"%s%s\" %s }\n",
		 prefix, fixture_path("env"), more);
	fixture_write_text("foster.conf", text);
}

static void test_environment_file(void **state)
{
	static const char *const expected[] = { "A=1",   "B=two words", "C=x\"y z", "D=li\nne",
						"E='",   "F=",          "G=a\\b",   "H=later",
						"I=a b", "J=new" };
	struct config *config;

	fixture_write_text("env",
			   "# comment\n; comment\n\n A=1\nB=two words  \r\nC=\"x\\\"y\"' z'\n"
			   "D='li\nne'\nE=\\'\nF=\nG=\"a\\b\"\nH=early\nI = x\n");
	write_with_environment_file("", "");
	{
		struct config_problems problems;

		assert_null(fixture_load(&problems));
		assert_int_equal(problems.items[0].line, 13);
		config_problems_clear(&problems);
	}
	fixture_write_text("env",
			   "# comment\n; comment\n\n A=1\nB=two words  \r\nC=\"x\\\"y\"' z'\n"
			   "D='li\nne'\nE=\\'\nF=\nG=\"a\\b\"\nH=early\nI= a b");
	write_with_environment_file("", "environment = {\"H=later\", \"J=new\"}");
	config = fixture_load_good();
	assert_int_equal(strv_length(config->services[0]->environment), ELEMENTSOF(expected));
	for (size_t i = 0; i < ELEMENTSOF(expected); i++)
		assert_string_equal(config->services[0]->environment[i], expected[i]);
	config_free(config);
	fixture_remove("env");
	write_with_environment_file("-", "");
	config = fixture_load_good();
	assert_int_equal(strv_length(config->services[0]->environment), 0);
	config_free(config);
}

static void test_users(void **state)
{
	struct passwd *found = getpwnam("nobody"), nobody;
	struct config *config;

	assert_non_null(found);
	nobody = *found;
	config = fixture_good("service a { user = nobody" CMD "}\n"
			      "service b { user = nobody group = root groups = {\"4711\"}" CMD "}\n"
			      "service c { user = \"4711\" group = \"4712\"" CMD "}\n"
			      "service d { group = \"4712\"" CMD "}\n");
	/* Naming oneself changes nothing. */
	assert_int_equal(config->services[0]->change_user, geteuid() != nobody.pw_uid);
	assert_int_equal(config->services[0]->uid, nobody.pw_uid);
	assert_int_equal(config->services[0]->gid, nobody.pw_gid);
	assert_true(config->services[0]->n_groups >= 1);
	assert_int_equal(config->services[1]->gid, 0);
	assert_int_equal(config->services[1]->groups[config->services[1]->n_groups - 1], 4711);
	assert_int_equal(config->services[2]->uid, 4711);
	assert_int_equal(config->services[2]->gid, 4712);
	assert_int_equal(config->services[2]->n_groups, 0);
	assert_true(config->services[3]->change_user);
	assert_int_equal(config->services[3]->uid, geteuid());
	assert_int_equal(config->services[3]->gid, 4712);
	config_free(config);
}

/* --- sources --- */

/* From a source that was saved and read back, over a memfd. */
static struct config_source *round_trip(const struct config_source *source)
{
	struct config_source *restored;
	int fd = memfd_create("source", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "an older and longer text that must go", 37), 37);
	assert_int_equal(config_source_save(source, fd), 0);
	assert_int_equal(config_source_restore(fd, &restored), 0);
	close(fd);
	return restored;
}

static void test_source(void **state)
{
	struct config_source *source = config_source_new(), *restored;
	struct config_problems problems;
	struct config *config, *again;
	char text[8192];

	fixture_write_text("env", "A=1\n");
	fixture_write_text("conf.d/a.conf", "service a {" CMD "}\n");
	fixture_write_text("conf.d/b.conf", "service b {" CMD "}\n");
	snprintf(text, sizeof(text),
		 "include = \"conf.d/*.conf\" service web {" CMD "environment-file = \"%s\" }\n"
		 "service x {" CMD "environment-file = \"-/nonexistent\" }\n",
		 fixture_path("env"));
	fixture_write_text("foster.conf", text);
	config = config_load(fixture_path("foster.conf"), source, &problems);
	assert_non_null(config);
	restored = round_trip(source);

	fixture_write_text("conf.d/c.conf", "service c {" CMD "}\n");
	fixture_write_text("conf.d/a.conf", "garbage");
	fixture_write_text("foster.conf", "garbage");
	fixture_remove("conf.d/b.conf");
	fixture_remove("env");
	for (int i = 0; i < 2; i++) {
		struct config_source *used = i ? restored : source;
		enum config_effect effect;

		again = config_load(fixture_path("foster.conf"), used, &problems);
		assert_non_null(again);
		assert_int_equal(again->n_services, 4);
		for (size_t k = 0; k < 4; k++) {
			assert_string_equal(again->services[k]->name, config->services[k]->name);
			assert_null(config_diff_service(config, config->services[k], again,
							again->services[k], &effect));
		}
		assert_string_equal(again->services[0]->environment[0], "A=1");
		config_free(again);
	}
	config_free(config);
	config_source_free(source);
	config_source_free(restored);
	fixture_remove("conf.d/a.conf");
	fixture_remove("conf.d/c.conf");
	fixture_remove("conf.d");
}

static void test_damaged_source(void **state)
{
	struct config_source *source = config_source_new(), *restored;
	struct config_problems problems;
	int fd = memfd_create("source", MFD_CLOEXEC);
	off_t size;
	char byte = 'x';

	fixture_write_text("foster.conf", "service web {" CMD "}\n");
	config_free(config_load(fixture_path("foster.conf"), source, &problems));
	assert_int_equal(config_source_save(source, fd), 0);
	size = lseek(fd, 0, SEEK_END);
	for (off_t cut = size - 1; cut >= 0; cut--) {
		int r;

		assert_int_equal(ftruncate(fd, cut), 0);
		r = config_source_restore(fd, &restored);
		/* What ends behind an entry is an archive too: here, behind none. */
		if (cut == (off_t)strlen("foster config source 1\n")) {
			assert_int_equal(r, 0);
			config_source_free(restored);
		} else {
			assert_int_equal(r, -EBADMSG);
		}
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	for (off_t at = 0; at < size; at++) {
		assert_int_equal(config_source_save(source, fd), 0);
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		if (config_source_restore(fd, &restored) == 0)
			config_source_free(restored);
	}
	close(fd);
	config_source_free(source);
}

/* --- comparison --- */

static void expect_diff(const char *a, const char *b, const char *expected,
			enum config_effect effect)
{
	struct config *x = fixture_good(a), *y = fixture_good(b);
	enum config_effect ret = EFFECT_NONE;
	char *text = config_diff_service(x, config_find_service(x, "web"), y,
					 config_find_service(y, "web"), &ret);

	if (expected) {
		assert_non_null(text);
		assert_string_equal(text, expected);
		assert_int_equal(ret, effect);
	} else {
		assert_null(text);
	}
	free(text);
	config_free(x);
	config_free(y);
}

static void test_diff(void **state)
{
#define WEB "service web {" CMD
	expect_diff(WEB "}", "# moved\n\n" WEB "nice = 5 }", "nice", EFFECT_RESTART);
	expect_diff(WEB "}", "\n" WEB "stop-timeout = 10s }", NULL, EFFECT_NONE);
	expect_diff(WEB "}", WEB "daemon = true death-signal = TERM }", "daemon, death-signal",
		    EFFECT_PENDING);
	expect_diff(WEB "}", WEB "daemon = true nice = 5 }", "nice, daemon", EFFECT_RESTART);
	expect_diff(WEB "}", WEB "stop-timeout = 11s }", "stop-timeout", EFFECT_NONE);
	expect_diff(WEB "}",
		    "service web { command = {\"/bin/true\", \"x\"} nice = 0 restart = no }",
		    "command, nice, restart", EFFECT_RESTART);
	expect_diff(WEB "limit-core = 1 limit-as = 2 }", WEB "limit-as = 2 limit-core = 1 }", NULL,
		    EFFECT_NONE);
	expect_diff(WEB "limit-core = 1 }", WEB "limit-core = 2 }", "limit-core", EFFECT_RESTART);
	expect_diff(WEB "environment = {\"A=1\"} }", WEB "environment = {\"A=2\"} }", "environment",
		    EFFECT_RESTART);
	expect_diff(WEB "group = root }", WEB "group = \"0\" }", "group", EFFECT_RESTART);
	expect_diff(WEB "group = \"1\" }", WEB "group = \"2\" }", "group", EFFECT_RESTART);
	expect_diff(WEB "user = nobody }", WEB "}", "user", EFFECT_RESTART);
	expect_diff("socket s { listen = {\"1\"} }" WEB "sockets = {s} }",
		    "socket s { listen = {\"127.0.0.1:1\"} }" WEB "sockets = {s} }", "sockets",
		    EFFECT_RESTART);
	expect_diff("socket s { listen = {\"1\"} }" WEB "sockets = {s} }",
		    "socket s { from-systemd = web }" WEB "sockets = {s} }", "sockets",
		    EFFECT_RESTART);
	expect_diff("socket s { from-systemd = admin }" WEB "sockets = {s} }",
		    "socket s { from-systemd = web }" WEB "sockets = {s} }", "sockets",
		    EFFECT_RESTART);
	expect_diff("socket s { from-systemd = web }" WEB "sockets = {s} }",
		    "socket s { from-systemd = web }" WEB "sockets = {s} }", NULL, EFFECT_NONE);
	expect_diff("socket s { listen = {\"1\"} }" WEB "sockets = {s} }",
		    "socket s { listen = {\"*:1\"} }" WEB "sockets = {s} }", NULL, EFFECT_NONE);
	expect_diff("service db {" CMD "}" WEB "}", "service db {" CMD "}" WEB "after = {db} }",
		    "after", EFFECT_NONE);
}

/* What is printed is a config that gives the same. */
static void test_print(void **state)
{
	struct config *config = fixture_good(
		"log-directory = /l socket s { listen = {\"/x\", \"1\"} mode = 0600 }\n"
		"socket d { datagram = {\"1\"} } socket g { from-systemd = 'a\"\\x2d.socket' }\n"
		"service log { " CMD " log = syslog log-stderr = apart log-format = json\n"
		"log-timestamps = local log-prefix = \"[a] \" log-time = 1d\n"
		"log-keep = 3 log-keep-size = 1500K log-size = 65537 log-compress = gzip\n"
		"log-owner = \"root:0\" log-mode = 0600 log-full = drop log-buffer = 1M log-rate = "
		"\"100/min\"\n"
		"log-socket = /x/log }\n"
		"service db {" CMD "}\n"
		"service web { description = \"a \\\"b\\\" \\\\ $\" command = {a, \"\", "
		"\"${X}\\n\"} user = nobody\n"
		"umask = 022 nice = -1 environment = {\"A=1\"} sockets = {s, d, g} limit-cpu = "
		"\"1s:2min\"\n"
		"limit-core = infinity stop-timeout = infinity start-timeout = 1500ms daemon = "
		"true\n"
		"requires = {db} watchdog = 1us restart = always }\n");
	struct config_problems problems;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct config *again;
	enum config_effect effect;

	config_print(config, f);
	assert_int_equal(fclose(f), 0);
	fixture_write_text("foster.conf", text);
	again = fixture_load(&problems);
	if (!again)
		fail_msg("%d: %s\n%s", problems.items[0].line, problems.items[0].text, text);
	for (size_t i = 0; i < 2; i++)
		assert_null(config_diff_service(config, config->services[i], again,
						again->services[i], &effect));
	assert_string_equal(again->log_directory, "/l");
	assert_int_equal(again->sockets[0]->mode, 0600);
	assert_string_equal(again->sockets[2]->from_systemd, "a\"\\x2d.socket");
	free(text);
	config_free(config);
	config_free(again);
}

/* --- what is written about it --- */

static char *read_source_file(const char *name)
{
	char path[PATH_MAX], *data;

	snprintf(path, sizeof(path), TOP_SRCDIR "/%s", name);
	assert_int_equal(fd_read_file(path, 1 << 20, &data, NULL), 0);
	return data;
}

static void expect_in_manual(const char *manual, const struct option_table *table)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	option_table_print_mdoc(table, f);
	assert_int_equal(fclose(f), 0);
	if (!strstr(manual, text))
		fail_msg("foster.conf.5 does not have the options as the table has them:\n%s",
			 text);
	free(text);
}

static void test_manual(void **state)
{
	char *manual = read_source_file("man/foster.conf.5");

	expect_in_manual(manual, &service_options);
	expect_in_manual(manual, &socket_options);
	expect_in_manual(manual, &top_options);
	free(manual);
}

/* The table's own defaults and words are possible values; each option is named once. */
static void test_table(void **state)
{
	for (size_t i = 0; i < service_options.n; i++) {
		const struct option *o = &service_options.options[i];
		struct service_config object = { 0 };

		assert_int_equal(option_find(&service_options, o->name), i);
		assert_non_null(o->allowed);
		assert_non_null(o->help);
		assert_int_equal(option_set_fallback(o, &object), 0);
		option_clear(o, &object);
	}
}

/* The services that are commented out: lines "#service", "#<tab>option" and "#}". */
static void uncomment(char *text)
{
	for (char *p = strstr(text, "\n#"); p; p = strstr(p + 1, "\n#")) {
		if (p[2] == '\t' || p[2] == '}' || strncmp(p + 2, "service", 7) == 0)
			p[1] = ' ';
	}
}

static void test_example(void **state)
{
	char *text = read_source_file("etc/foster.conf.in"), *p;
	struct config *config = fixture_good(text);

	assert_non_null(config_find_service(config, "chat"));
	config_free(config);
	uncomment(text);
	while ((p = strstr(text, "my-database\n")))
		memcpy(p, "root       ", 11);
	config = fixture_good(text);
	assert_int_equal(config->n_services, 3);
	config_free(config);
	free(text);
}

/* --- size --- */

static void test_ten_thousand(void **state)
{
	size_t room = 8 << 20, n = 0;
	char *text = malloc(room);
	struct config *config;
	uint64_t start, took;

	assert_non_null(text);
	for (int i = 0; i < 10000; i++)
		n += snprintf(text + n, room - n,
			      "service worker%d {\n  command = {\"/usr/bin/worker\", \"--shard\", "
			      "\"%d\"}\n  user = nobody\n  requires = {worker%d}\n"
			      "  environment = {\"SHARD=%d\"}\n}\n",
			      i, i, i ? i - 1 : i + 10000, i);
	snprintf(text + n, room - n, "service worker10000 { command = {x} }\n");
	fixture_write_text("foster.conf", text);
	start = now_monotonic();
	config = fixture_load_good();
	took = now_monotonic() - start;
	assert_int_equal(config->n_services, 10001);
	assert_non_null(config_find_service(config, "worker9999"));
	print_message("10,000 services: %d ms\n", (int)(took / USEC_PER_MSEC));
	/* Half a second is plenty; a quadratic step takes many, sanitizers or not. */
	assert_true(took < 5 * USEC_PER_SEC);
	config_free(config);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_of_the_table),
		cmocka_unit_test(test_every_value),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_defaults_section),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_environment_file),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_damaged_source),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_ten_thousand),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
