/* SPDX-License-Identifier: MIT */
/* foster-chatd: the chat room. See foster-chatd(8). */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/strv.h"
#include "chat/account-verbs.h"
#include "chat/footprint.h"
#include "chat/privilege.h"
#include "chat/server.h"

#define EXIT_USAGE  2
#define EXIT_CONFIG 78 /* EX_CONFIG: starting again will not help */

struct arguments {
	const char *config;
	bool check;
	const char *group; /* NULL, or of the verbs that follow */
	char **verb;
	int n_verb;
};

static void print_usage(FILE *to)
{
	fputs("usage: foster-chatd [--config FILE] [--check]\n"
	      "       foster-chatd [--config FILE] account|kline VERB...\n"
	      "\n"
	      "The chat room: IRC, and the course protocol over UDP.\n"
	      "\n"
	      "  -c, --config FILE   read FILE (chat.conf(5)); without it the defaults hold\n"
	      "      --check         say whether the config is right, and exit\n"
	      "  -h, --help          this text\n"
	      "      --version       the version\n",
	      to);
}

/* -1: go on; else the exit code. */
static int parse_arguments(int argc, char *argv[], struct arguments *ret)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "check", no_argument, NULL, 'k' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'v' },
						 { 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "+c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c': ret->config = optarg; break;
		case 'k': ret->check = true; break;
		case 'h': print_usage(stdout); return 0;
		case 'v': puts("foster-chatd " PACKAGE_VERSION); return 0;
		default: print_usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind < argc && is_account_group(argv[optind])) {
		ret->group = argv[optind];
		ret->verb = argv + optind + 1;
		ret->n_verb = argc - optind - 1;
		return -1;
	}
	if (optind < argc) {
		fprintf(stderr, "foster-chatd: unexpected argument \"%s\"\n", argv[optind]);
		print_usage(stderr);
		return EXIT_USAGE;
	}
	return -1;
}

/* As many descriptors as we may have: each connection takes one. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning_errno(-errno, "the limit of descriptors stays at %llu",
				  (unsigned long long)limit.rlim_cur);
}

/* A supervisor that goes on trying is told, too: by the last line of the log. */
static int wrong_config(const struct error *e, bool at_start)
{
	const char *service = getenv("FOSTER_SERVICE");

	log_error("%s", e->text);
	if (at_start && service && *service)
		log_notice("starting again does not help before that is mended; fosterctl stop %s "
			   "ends the trying",
			   service);
	return EXIT_CONFIG;
}

/* What a start would find, as far as it can be told before. */
static int check(const struct chat_config *config, const char *path)
{
	bool doors = strv_length(config->irc_listen) + strv_length(config->tls_listen) +
			     strv_length(config->course_listen) >
		     0;
	struct error e;

	if (!path)
		path = "the defaults";
	if (config->user && identity_check(config->user, &e) < 0) {
		log_error("%s: %s", path, e.text);
		return EXIT_CONFIG;
	}
	printf("%s: right%s\n", path,
	       doors ? "" : ", for a supervisor that passes sockets: all listen lists are empty");
	return EXIT_SUCCESS;
}

static int cannot_start(int r, const struct error *e)
{
	if (r == -EINVAL || r == -EDESTADDRREQ)
		return wrong_config(e, true);
	log_error("%s", e->text);
	return EXIT_FAILURE;
}

static int serve(struct chat_config *config, const char *path)
{
	struct server *server;
	struct sockets sockets;
	struct error e;
	const struct listen_lists lists = {
		.irc = config->irc_listen,
		.tls = config->tls_listen,
		.course = config->course_listen,
		.irc_optional = !config->irc_listen_set,
		.course_optional = !config->course_listen_set,
		.tls_possible = config->tls != NULL,
		.plaintext_anywhere = config->plaintext == PLAINTEXT_ANYWHERE,
	};
	int r = sockets_open(&sockets, &lists, &e);

	if (r < 0) {
		sockets_close(&sockets);
		chat_config_free(config);
		return cannot_start(r, &e);
	}
	r = server_new(config, path, &sockets, &server, &e);
	if (r < 0)
		return cannot_start(r, &e);
	r = server_run(server);
	server_free(server);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct arguments arguments = { .config = NULL };
	struct chat_config *config;
	struct error e;
	int r;

	fd_fill_stdio();
	log_init("foster-chatd");
	r = parse_arguments(argc, argv, &arguments);
	if (r >= 0)
		return r;
	if (chat_config_load(arguments.config, &config, &e) < 0)
		return wrong_config(&e, !arguments.check && !arguments.group);
	if (arguments.group) {
		r = account_verb(config, arguments.config, arguments.group, arguments.verb,
				 arguments.n_verb);
		chat_config_free(config);
		return r;
	}
	if (arguments.check) {
		r = check(config, arguments.config);
		chat_config_free(config);
		return r;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ,
	       SIG_IGN); /* a limit of file sizes is an error of write(2), as a full disk */
	raise_limits();
	footprint_bound_heap();
	return serve(config, arguments.config);
}
