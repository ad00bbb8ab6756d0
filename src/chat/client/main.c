/* SPDX-License-Identifier: MIT */
/* foster-chat: a room on a terminal, by the course protocol or by IRC. See foster-chat(1). */
#include "config.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/units.h"
#include "chat/client/run.h"

#define EXIT_USAGE   2
#define HOST_DEFAULT "127.0.0.1"
#define PORT_COURSE  "8888"
#define PORT_IRC     "6667"
#define PORT_TLS     "6697"
#define PORT_MAX     65535
#define PLACE_MAX    300 /* a name of the DNS has at most 253 */
#define CHANNEL_MAX  200

struct arguments {
	struct session_options session;
	struct door_options door;
	bool course;
	const char *channel, *lang;
	char host[PLACE_MAX], port[8], server[PLACE_MAX + 8], channel_name[CHANNEL_MAX];
};

static void print_usage(FILE *to)
{
	fputs("usage: foster-chat [--course] [--name NAME] [HOST[:PORT]]\n"
	      "       foster-chat --irc [--tls] [OPTION...] [HOST[:PORT]]\n"
	      "\n"
	      "A chat room on a terminal, or in a script.\n"
	      "\n"
	      "      --course            by the course protocol over UDP, which is the default\n"
	      "      --irc               by IRC\n"
	      "  -n, --name NAME         what to be called; else it is asked for\n"
	      "      --lang LANGUAGE     en or zh, instead of the locale's\n"
	      "  -h, --help              this text\n"
	      "      --version           the version\n"
	      "\n"
	      "With --irc:\n"
	      "      --channel CHANNEL   where to go, instead of #chat\n"
	      "      --tls               by TLS\n"
	      "      --ca FILE           who may have signed the server's certificate\n"
	      "      --insecure          take any certificate\n"
	      "      --account NAME      log in; the password is asked for\n"
	      "      --certificate FILE  log in by this certificate\n"
	      "      --key FILE          its key\n"
	      "\n"
	      "The place is " HOST_DEFAULT ", port " PORT_COURSE "; with --irc port " PORT_IRC
	      ", with --tls " PORT_TLS ".\n",
	      to);
}

static int PRINTF(1, 2) complain(const char *fmt, ...)
{
	va_list ap;

	fputs("foster-chat: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs("\n", stderr);
	return EXIT_USAGE;
}

enum {
	OPTION_FIRST = 256,
	OPTION_ACCOUNT,
	OPTION_CA,
	OPTION_CERTIFICATE,
	OPTION_CHANNEL,
	OPTION_COURSE,
	OPTION_INSECURE,
	OPTION_IRC,
	OPTION_KEY,
	OPTION_LANG,
	OPTION_TLS,
	OPTION_VERSION
};

/* clang-format off */
static const struct option options[] = {
	{ "account",     required_argument, NULL, OPTION_ACCOUNT },
	{ "ca",          required_argument, NULL, OPTION_CA },
	{ "certificate", required_argument, NULL, OPTION_CERTIFICATE },
	{ "channel",     required_argument, NULL, OPTION_CHANNEL },
	{ "course",      no_argument,       NULL, OPTION_COURSE },
	{ "help",        no_argument,       NULL, 'h' },
	{ "insecure",    no_argument,       NULL, OPTION_INSECURE },
	{ "irc",         no_argument,       NULL, OPTION_IRC },
	{ "key",         required_argument, NULL, OPTION_KEY },
	{ "lang",        required_argument, NULL, OPTION_LANG },
	{ "name",        required_argument, NULL, 'n' },
	{ "tls",         no_argument,       NULL, OPTION_TLS },
	{ "version",     no_argument,       NULL, OPTION_VERSION },
	{ 0 }
};
/* clang-format on */

/* -1: go on; else the exit code. */
static int take_option(struct arguments *a, int option)
{
	switch (option) {
	case 'h': print_usage(stdout); return EXIT_SUCCESS;
	case 'n': a->session.name = optarg; break;
	case OPTION_ACCOUNT: a->session.account = optarg; break;
	case OPTION_CA: a->door.ca = optarg; break;
	case OPTION_CERTIFICATE: a->door.certificate = optarg; break;
	case OPTION_CHANNEL: a->channel = optarg; break;
	case OPTION_COURSE: a->course = true; break;
	case OPTION_INSECURE: a->door.insecure = true; break;
	case OPTION_IRC: a->session.irc = true; break;
	case OPTION_KEY: a->door.key = optarg; break;
	case OPTION_LANG: a->lang = optarg; break;
	case OPTION_TLS: a->door.tls = true; break;
	case OPTION_VERSION: puts("foster-chat " PACKAGE_VERSION); return EXIT_SUCCESS;
	default: print_usage(stderr); return EXIT_USAGE;
	}
	return -1;
}

/* -1: go on; else the exit code. Some of the rules keep a password from who must not see it. */
static int check_options(const struct arguments *a)
{
	const struct door_options *door = &a->door;

	if (a->course && a->session.irc)
		return complain("--course and --irc are two protocols: choose one");
	if (!a->session.irc && (door->tls || a->channel || a->session.account))
		return complain("--tls, --channel and --account are for --irc");
	if (!door->tls && (door->ca || door->insecure || door->certificate || door->key))
		return complain("--ca, --insecure, --certificate and --key are for --irc --tls");
	if (door->ca && door->insecure)
		return complain("--ca checks the certificate, --insecure does not: choose one");
	if (!door->certificate != !door->key)
		return complain("--certificate and --key belong together");
	if (door->certificate && a->session.account)
		return complain("--account logs in by password, --certificate without: choose one");
	if (a->lang && strncmp(a->lang, "en", 2) != 0 && strncmp(a->lang, "zh", 2) != 0)
		return complain("--lang %s: there are en and zh", a->lang);
	return -1;
}

/* "host", "host:port", "::1", "[::1]:port" */
static int split_place(struct arguments *a, const char *place)
{
	const char *colon = strrchr(place, ':'), *host = place, *port = NULL;
	size_t size = strlen(place);
	int64_t number;

	if (*place == '[') {
		host++;
		size = strcspn(host, "]");
		if (!host[size] || (host[size + 1] && host[size + 1] != ':'))
			return complain("%s: an address in brackets is written [::1]:8888", place);
		port = host[size + 1] ? host + size + 2 : NULL;
	} else if (colon && strchr(place, ':') == colon) {
		size = (size_t)(colon - place);
		port = colon + 1;
	}
	if (size == 0 || size >= sizeof(a->host))
		return complain("%s: this takes HOST or HOST:PORT", place);
	if (port && parse_int(port, 1, PORT_MAX, &number) < 0)
		return complain("%s: a port is a number from 1 to %d", place, PORT_MAX);
	snprintf(a->host, sizeof(a->host), "%.*s", (int)size, host);
	if (port)
		snprintf(a->port, sizeof(a->port), "%d", (int)number);
	return -1;
}

/* A shell takes an unquoted "#chat" for a comment: so "chat" will do. */
static int take_channel(struct arguments *a)
{
	const char *name = a->channel ? a->channel : "#chat";

	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == ',')
			return complain("--channel %s: a channel's name has no blanks and commas",
					name);
	}
	if (snprintf(a->channel_name, sizeof(a->channel_name), "%s%s",
		     isalnum((unsigned char)*name) || *name & 0x80 ? "#" : "",
		     name) >= (int)sizeof(a->channel_name) ||
	    !*name)
		return complain("--channel: a channel's name has 1 to %d bytes", CHANNEL_MAX - 2);
	a->session.channel = a->channel_name;
	return -1;
}

static enum language find_language(const struct arguments *a)
{
	static const char *const variables[] = { "LC_ALL", "LC_MESSAGES", "LANG" };

	if (a->lang)
		return language_of(a->lang);
	for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
		const char *value = getenv(variables[i]);

		if (value && *value)
			return language_of(value);
	}
	return LANGUAGE_ENGLISH;
}

static void fill_in(struct arguments *a)
{
	bool v6 = strchr(a->host, ':');

	a->session.language = find_language(a);
	a->session.external = a->door.certificate != NULL;
	if (a->session.account && !a->session.name)
		a->session.name = a->session.account;
	a->door.host = a->host;
	a->door.port = a->port;
	a->door.datagrams = !a->session.irc;
	a->door.loopback_only = a->session.account && (!a->door.tls || a->door.insecure);
	if (!*a->port)
		strcpy(a->port, a->door.tls ? PORT_TLS : a->session.irc ? PORT_IRC : PORT_COURSE);
	snprintf(a->server, sizeof(a->server), v6 ? "[%s]:%s" : "%s:%s", a->host, a->port);
	a->session.server = a->server;
}

/* -1: go on; else the exit code. */
static int parse_arguments(int argc, char *argv[], struct arguments *a)
{
	int o, code;

	while ((o = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
		code = take_option(a, o);
		if (code >= 0)
			return code;
	}
	if (argc - optind > 1)
		return complain("unexpected argument \"%s\": one HOST[:PORT] is all",
				argv[optind + 1]);
	code = check_options(a);
	if (code < 0)
		code = split_place(a, optind < argc ? argv[optind] : HOST_DEFAULT);
	if (code < 0)
		code = take_channel(a);
	if (code < 0)
		fill_in(a);
	return code;
}

int main(int argc, char *argv[])
{
	struct arguments arguments = { .course = false };
	int code;

	if (fd_fill_stdio() < 0)
		return EXIT_FAILURE;
	code = parse_arguments(argc, argv, &arguments);
	return code >= 0 ? code : run(&arguments.session, &arguments.door);
}
