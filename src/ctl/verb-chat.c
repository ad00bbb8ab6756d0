/* SPDX-License-Identifier: MIT */
/* fosterctl chat: speaking as the admin, accounts, K-lines. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "ctl/client.h"

/* --- say --- */

static char *join_words(char **words, size_t n)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s%s", i ? " " : "", words[i]);
	return fclose(f) == 0 ? text : NULL;
}

static int say(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_answer_ struct answer answer = { 0 };
	_cleanup_free_ char *text = NULL, *body = NULL;
	_cleanup_json_ json_t *document = NULL;
	json_int_t listeners;
	int code;

	text = join_words(args, n);
	if (text && !*text) {
		complain("there is no text to say");
		return EXIT_USAGE;
	}
	document = text ? json_pack("{s:s}", "text", text) : NULL;
	body = document ? json_dumps(document, JSON_COMPACT) : NULL;
	if (text && !document) {
		complain("the text is not UTF-8");
		return EXIT_USAGE;
	}
	if (!body)
		return out_of_memory();
	client_call_once(ctl, "/v1/announce", body, &answer);
	code = client_check(ctl, NULL, answer.error, answer.status, answer.json);
	if (code != EXIT_OK)
		return code;
	listeners = member_number(answer.json, "listeners");
	if (ctl->json)
		puts(answer.body);
	else if (!ctl->quiet && listeners >= 0)
		printf("said to %" JSON_INTEGER_FORMAT " chat room%s\n", listeners,
		       listeners == 1 ? "" : "s");
	return EXIT_OK;
}

/* --- account, kline --- */

/* Where the room of this user reads its config, if it has one: the defaults hold without. */
static char *default_config(void)
{
	const char *home = getenv("XDG_CONFIG_HOME"), *below = "/foster/chat.conf";
	char *path = NULL;

	if (geteuid() == 0) {
		path = strdup(PKGCONFDIR "/chat.conf");
	} else {
		if (!home || !*home) {
			home = getenv("HOME");
			below = "/.config/foster/chat.conf";
		}
		if (home && asprintf(&path, "%s%s", home, below) < 0)
			path = NULL;
	}
	if (path && access(path, F_OK) < 0) {
		free(path);
		path = NULL;
	}
	return path;
}

/* Runs foster-chatd from a directory; returns only when it is not there. */
static void try_chatd(const char *directory, const char *below, char **argv)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s%s/foster-chatd", directory, below) < (int)sizeof(path))
		execv(path, argv);
}

/* The room keeps what these are about, so it is the one that changes it: this becomes it. */
static int run_chatd(const struct ctl *ctl, char **args, size_t n)
{
	char **argv = calloc(n + 4, sizeof(char *)), self[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *config = ctl->config ? strdup(ctl->config) : default_config(), *slash;
	size_t i = 0;

	if (!argv)
		return out_of_memory();
	argv[i++] = (char *)"foster-chatd";
	if (config) {
		argv[i++] = (char *)"--config";
		argv[i++] = config;
	}
	memcpy(argv + i, args, n * sizeof(char *));
	if (size > 0) {
		self[size] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		try_chatd(self, "", argv);
		try_chatd(self, "/../libexec/foster", argv);
	}
	try_chatd(PKGLIBEXECDIR, "", argv);
	complain("cannot run foster-chatd, neither beside fosterctl nor in %s: %s", PKGLIBEXECDIR,
		 strerror(errno));
	free(config);
	free(argv);
	return EXIT_FAILED;
}

int verb_chat(const struct ctl *ctl, char **args, size_t n)
{
	if (strcmp(args[0], "say") == 0 && n > 1)
		return say(ctl, args + 1, n - 1);
	if (ctl->json && strcmp(args[0], "say") != 0) {
		complain("--json is not for chat %s", args[0]);
		return EXIT_USAGE;
	}
	if (strcmp(args[0], "account") == 0 || strcmp(args[0], "kline") == 0)
		return run_chatd(ctl, args, n);
	complain("usage: fosterctl chat say TEXT..., chat account VERB..., or chat kline VERB...");
	return EXIT_USAGE;
}
