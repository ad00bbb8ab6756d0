/* SPDX-License-Identifier: MIT */
/* fosterctl check and reload. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "ctl/client.h"
#include "ctl/table.h"

/* Runs foster-manager from a directory; returns only when it is not there. */
static void try_manager(const char *directory, const char *below, const char *file)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s%s/foster-manager", directory, below) <
	    (int)sizeof(path))
		execl(path, "foster-manager", "--check", file, (char *)NULL);
}

/* Where fosterd of this user reads its config. */
static char *default_config(void)
{
	const char *home = getenv("XDG_CONFIG_HOME"), *below = "/foster/foster.conf";
	char *path;

	if (geteuid() == 0)
		return strdup(PKGCONFDIR "/foster.conf");
	if (!home || !*home) {
		home = getenv("HOME");
		below = "/.config/foster/foster.conf";
	}
	return home && asprintf(&path, "%s%s", home, below) >= 0 ? path : NULL;
}

/* The manager reads configs, so it is the one that checks them: this becomes it. */
int verb_check(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_free_ char *file = n > 0 ? strdup(args[0]) : default_config();
	char self[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (!file) {
		complain("which file? fosterctl check FILE");
		return EXIT_USAGE;
	}
	if (size > 0) {
		self[size] = '\0';
		slash = strrchr(self, '/');
		if (slash)
			*slash = '\0';
		try_manager(self, "", file);
		try_manager(self, "/../libexec/foster", file);
	}
	try_manager(PKGLIBEXECDIR, "", file);
	complain("cannot run foster-manager, neither beside fosterctl nor in %s: %s", PKGLIBEXECDIR,
		 strerror(errno));
	return EXIT_FAILED;
}

/* --- reload --- */

static void table_cleanup(struct table **table)
{
	table_free(*table);
}

static enum colour action_colour(const char *action)
{
	if (strcmp(action, "stop") == 0)
		return COLOUR_RED;
	if (strcmp(action, "start") == 0)
		return COLOUR_GREEN;
	return COLOUR_YELLOW;
}

/* What is kept is only counted: of a thousand services one may differ. */
static int print_plan(const struct ctl *ctl, const json_t *plan)
{
	static const struct column columns[] = { { "ACTION" }, { "NAME" }, { "DIFFERS" } };
	_cleanup_(table_cleanup) struct table *table = table_new(columns, ELEMENTSOF(columns));
	size_t kept = 0, i;
	json_t *step;

	if (!table)
		return out_of_memory();
	json_array_foreach(plan, i, step)
	{
		const char *action = member_text(step, "action"), *name = member_text(step, "name");
		const char *differs = member_text(step, "differs");

		if (action && strcmp(action, "keep") == 0) {
			kept++;
			continue;
		}
		if (table_add(table, action_colour(action ? action : ""), action ? action : "?") <
			    0 ||
		    table_add(table, COLOUR_NONE, name ? name : "?") < 0 ||
		    table_add(table, COLOUR_NONE, differs ? differs : "") < 0)
			return out_of_memory();
	}
	if (kept < json_array_size(plan))
		table_print(table, stdout, ctl->width, ctl->colours);
	printf("keep: %zu service%s%s\n", kept, kept == 1 ? "" : "s",
	       ctl->dry_run ? "; nothing was done" : "");
	return EXIT_OK;
}

static void print_problems(const json_t *problems)
{
	json_t *problem;
	size_t i;

	json_array_foreach(problems, i, problem)
	{
		const char *file = member_text(problem, "file"),
			   *text = member_text(problem, "text");
		json_int_t line = member_number(problem, "line");

		print_disarmed(stderr, file ? file : "?");
		if (line > 0)
			fprintf(stderr, ":%" JSON_INTEGER_FORMAT, line);
		fputs(": ", stderr);
		print_disarmed(stderr, text ? text : "?");
		putc('\n', stderr);
	}
}

int verb_reload(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_answer_ struct answer answer = { 0 };
	int code;

	client_call(ctl, "POST", ctl->dry_run ? "/v1/reload?dry_run=1" : "/v1/reload", NULL,
		    USEC_INFINITY, &answer);
	if (ctl->json && answer.json)
		puts(answer.body);
	else if (answer.json && answer.status != 200)
		print_problems(json_object_get(answer.json, "problems"));
	code = client_check(ctl, NULL, answer.error, answer.status, answer.json);
	if (code == EXIT_OK && !ctl->json && !ctl->quiet)
		code = print_plan(ctl, json_object_get(answer.json, "plan"));
	return code;
}
