/* SPDX-License-Identifier: MIT */
/* The command line: see options.h. */
#include "ctl/options.h"

#include <string.h>

#include "base/text.h"
#include "base/units.h"

struct option_row {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* NULL: a flag */
	size_t offset;        /* of the flag, or of a const char * */
	bool duration;        /* the argument goes into a uint64_t */
	bool global;
	const char *help;
	const char *only; /* the verb that it means this with; another row has it for others */
};

#define FIELD(m) offsetof(struct ctl, m)

/* clang-format off */
static const struct option_row rows[] = {
	{ "run-directory", 0,   "DIR",      FIELD(run_directory), false, true,  "fosterd's run directory, where its control socket is" },
	{ "json",          0,   NULL,       FIELD(json),          false, true,  "print what the manager sent, for programs" },
	{ "no-color",      0,   NULL,       FIELD(no_color),      false, true,  "no colours on a terminal (nor with NO_COLOR in the environment)" },
	{ "quiet",         'q', NULL,       FIELD(quiet),         false, true,  "print errors only" },
	{ "help",          'h', NULL,       FIELD(help),          false, true,  "print help, of the verb when there is one" },
	{ "version",       0,   NULL,       FIELD(version),       false, true,  "print fosterctl's version" },
	{ "no-wait",       0,   NULL,       FIELD(no_wait),       false, false, "do not wait until it is done" },
	{ "whole",         0,   NULL,       FIELD(whole),         false, false, "signal the service's whole tree of processes" },
	{ "follow",        'f', NULL,       FIELD(follow),        false, false, "go on with what happens from now on" },
	{ "since",         0,   "SEQ",      FIELD(since),         false, false, "only events behind that number", "events" },
	{ "since",         0,   "TIME",     FIELD(since),         false, false, "only lines since then: 13:40, \"2026-11-25 13:40\", today, 10min (ago)", "log" },
	{ "config",        0,   "FILE",     FIELD(config),        false, false, "of the chat room, for its accounts and K-lines" },
	{ "stream",        0,   "STREAM",   FIELD(stream),        false, false, "stdout or stderr alone, where they are apart" },
	{ "grep",          0,   "REGEX",    FIELD(grep),          false, false, "only lines that match the extended regular expression" },
	{ "dry-run",       0,   NULL,       FIELD(dry_run),       false, false, "only print what would be done" },
	{ "all",           0,   NULL,       FIELD(all),           false, false, "stop services that are no daemons, too" },
	{ "join",          0,   NULL,       FIELD(join),          false, false, "first wait for the own end of services that are no daemons" },
	{ "blocking",      0,   NULL,       FIELD(blocking),      false, false, "say what a shutdown waits for, or would wait for" },
	{ "count",         'n', "COUNT",    FIELD(count),         false, false, "end after so many tables; 1 when the output is no terminal", "top" },
	{ "count",         'n', "LINES",    FIELD(count),         false, false, "only the last lines, or all of them; 10, with --since and --grep all", "log" },
	{ "interval",      0,   "DURATION", FIELD(interval),      true,  false, "the time between two tables, 2s when it is not given" },
	{ "timeout",       0,   "DURATION", FIELD(timeout),       true,  false, "wait no longer: 250ms, 10s, 5min" },
};
/* clang-format on */

/* Whether a verb takes an option; without a verb only the global ones count. */
static bool takes(const struct verb *verb, const struct option_row *row)
{
	const char *found = verb ? verb->options : NULL;
	size_t n = strlen(row->name);

	if (row->global)
		return true;
	while (found && (found = strstr(found, row->name))) {
		if (found[n] == ' ' && (found == verb->options || found[-1] == ' '))
			return true;
		found += n;
	}
	return false;
}

static const struct option_row *find_row(const char *name, size_t size)
{
	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		if (strlen(rows[i].name) == size && memcmp(rows[i].name, name, size) == 0)
			return &rows[i];
	}
	return NULL;
}

static const struct option_row *find_letter(char letter)
{
	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		if (rows[i].letter == letter)
			return &rows[i];
	}
	return NULL;
}

static int unknown_option(const char *word, const struct verb *verb)
{
	char name[64];
	struct nearest search = { .word = name };

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (size_t i = 0; word[1] == '-' && i < ELEMENTSOF(rows); i++) {
		if (takes(verb, &rows[i]))
			nearest_consider(&search, rows[i].name);
	}
	if (search.best)
		complain("there is no option %s (did you mean --%s?)", word, search.best);
	else
		complain("there is no option %s; see fosterctl help%s%s", word, verb ? " " : "",
			 verb ? verb->name : "");
	return EXIT_USAGE;
}

static int set_argument(struct ctl *ctl, const struct option_row *row, const char *value)
{
	void *field = (char *)ctl + row->offset;

	if (!row->duration) {
		*(const char **)field = value;
		return EXIT_OK;
	}
	if (parse_duration(value, field) == 0)
		return EXIT_OK;
	complain("--%s=%s: this takes a duration such as 250ms, 10s or 5min", row->name, value);
	return EXIT_USAGE;
}

struct parser {
	struct ctl *ctl;
	char **argv;
	int argc, at;
	const struct option_row *used[ELEMENTSOF(rows)]; /* in the order given */
	size_t n_used;
	const char *first_unknown;
};

/* One option has been found; value is what follows "=", or NULL. */
static int take_option(struct parser *p, const struct option_row *row, const char *value)
{
	bool seen = false;

	for (size_t i = 0; i < p->n_used; i++)
		seen |= p->used[i] == row;
	if (!seen)
		p->used[p->n_used++] = row;
	if (!row->argument) {
		if (value) {
			complain("--%s takes no value", row->name);
			return EXIT_USAGE;
		}
		*(bool *)((char *)p->ctl + row->offset) = true;
		return EXIT_OK;
	}
	if (!value && p->at + 1 < p->argc)
		value = p->argv[++p->at];
	if (!value) {
		complain("--%s needs a value: --%s %s", row->name, row->name, row->argument);
		return EXIT_USAGE;
	}
	return set_argument(p->ctl, row, value);
}

static int take_word(struct parser *p)
{
	const char *word = p->argv[p->at];
	size_t size;
	const struct option_row *row;

	if (word[1] == '-') {
		size = strcspn(word + 2, "=");
		row = find_row(word + 2, size);
		if (row)
			return take_option(p, row, word[2 + size] ? word + 3 + size : NULL);
	}
	for (size_t i = 1; word[1] != '-' && word[i]; i++) {
		const char *rest = word[i + 1] ? word + i + 1 : NULL;
		int r;

		row = find_letter(word[i]);
		if (!row) {
			p->first_unknown = word;
			return EXIT_OK;
		}
		if (row->argument)
			return take_option(p, row, rest); /* -n3, or -n 3 */
		r = take_option(p, row, NULL);
		if (r != EXIT_OK)
			return r;
	}
	if (word[1] == '-' && !p->first_unknown)
		p->first_unknown = word;
	return EXIT_OK;
}

static const struct verb *find_verb(const char *name)
{
	struct nearest search = { .word = name };

	for (size_t i = 0; i < n_verbs; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
		nearest_consider(&search, verbs[i].name);
	}
	if (search.best)
		complain("there is no verb %s (did you mean %s?)", name, search.best);
	else
		complain("there is no verb %s; see fosterctl help", name);
	return NULL;
}

/* The options are known, the verb is: do they belong together? */
static int check(const struct parser *p, const struct command_line *line)
{
	const struct verb *verb = line->verb;

	if (p->first_unknown)
		return unknown_option(p->first_unknown, verb);
	for (size_t i = 0; i < p->n_used; i++) {
		if (takes(verb, p->used[i]))
			continue;
		complain("%s%s%stakes no option --%s", verb ? "the verb " : "fosterctl ",
			 verb ? verb->name : "", verb ? " " : "without a verb ", p->used[i]->name);
		return EXIT_USAGE;
	}
	if (!verb || p->ctl->help)
		return EXIT_OK;
	if (line->n_args < verb->min || line->n_args > verb->max) {
		complain("usage: fosterctl %s %s", verb->name, verb->arguments);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

int options_parse(int argc, char **argv, struct ctl *ctl, struct command_line *ret)
{
	struct parser p = { .ctl = ctl, .argv = argv, .argc = argc };
	bool options = true;
	int n = 0;

	ctl->timeout = ctl->interval = USEC_INFINITY;
	for (p.at = 1; p.at < argc; p.at++) {
		char *word = argv[p.at];
		int r;

		if (options && strcmp(word, "--") == 0) {
			options = false;
		} else if (options && word[0] == '-' && word[1]) {
			r = take_word(&p);
			if (r != EXIT_OK)
				return r;
		} else {
			argv[n++] = word; /* never ahead of what is read: n < at */
		}
	}
	*ret = (struct command_line){ 0 };
	if (n > 0) {
		ret->verb = find_verb(argv[0]);
		if (!ret->verb)
			return EXIT_USAGE;
		ret->args = argv + 1;
		ret->n_args = (size_t)n - 1;
	}
	return check(&p, ret);
}

static void print_options(const struct verb *verb, bool global, FILE *f)
{
	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		const struct option_row *row = &rows[i];
		char left[48];

		if (row->global != global || !takes(verb, row) ||
		    (row->only && strcmp(row->only, verb->name) != 0))
			continue;
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", row->letter ? "-" : " ",
			 row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
		fprintf(f, "  %-26s %s\n", left, row->help);
	}
}

void options_print_help(const struct verb *verb, FILE *f)
{
	if (verb) {
		fprintf(f, "usage: fosterctl %s %s\n\n%s.\n\n", verb->name, verb->arguments,
			verb->help);
		print_options(verb, false, f);
		print_options(verb, true, f);
		return;
	}
	fprintf(f, "usage: fosterctl [OPTION...] VERB [ARGUMENT...]\n\nVerbs:\n");
	for (size_t i = 0; i < n_verbs; i++) {
		char left[48];

		snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].arguments);
		fprintf(f, "  %-26s %s\n", left, verbs[i].help);
	}
	fprintf(f, "\nOptions:\n");
	print_options(NULL, true, f);
	fprintf(f, "\nMore: fosterctl help VERB, fosterctl(1).\n");
}
