/* SPDX-License-Identifier: MIT */
/* fosterctl status: a table of services, or one of them in full; list: their names. */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "ctl/client.h"
#include "ctl/rows.h"
#include "ctl/show.h"

static const struct column columns[] = {
	{ "NAME" },         { "STATE" },          { "READY" },  { "PID", true },
	{ "UPTIME", true }, { "RESTARTS", true }, { "DAEMON" }, { "NEXT/REASON" },
};

struct rows {
	struct service_row *list;
	size_t n;
};

static void rows_clear(struct rows *rows)
{
	free(rows->list);
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static int add_row(struct table *table, const struct service_row *row)
{
	char buf[DURATION_TEXT_MAX];
	int64_t pid = row->pid > 0 ? row->pid : -1;
	/* What comes next, or else why it is as it is. */
	const char *last = *row->next ? row->next : row->reason;
	int r = 0;

	r |= table_add(table, COLOUR_NONE, or_dash(row->name));
	r |= table_add(table, state_colour(row->state), or_dash(row->state));
	r |= table_add(table, COLOUR_NONE, row->ready ? "yes" : "no");
	r |= table_add(table, COLOUR_NONE, number_text(buf, sizeof(buf), pid));
	r |= table_add(table, COLOUR_NONE, uptime_text(buf, sizeof(buf), row->uptime));
	r |= table_add(table, COLOUR_NONE, number_text(buf, sizeof(buf), row->restarts));
	r |= table_add(table, COLOUR_NONE, row->daemon ? "yes" : "no");
	r |= table_add(table, COLOUR_NONE, last);
	return r;
}

static void table_cleanup(struct table **table)
{
	table_free(*table);
}

static int print_table(const struct ctl *ctl, const struct rows *rows)
{
	_cleanup_(table_cleanup) struct table *table = table_new(columns, ELEMENTSOF(columns));

	for (size_t i = 0; i < rows->n; i++) {
		if (!table || add_row(table, &rows->list[i]) < 0)
			return out_of_memory();
	}
	if (rows->n == 0)
		printf("There are no services.\n");
	else
		table_print(table, stdout, ctl->width, ctl->colours);
	return EXIT_OK;
}

/* Those of the list that a word names, behind *ret. false: there is none. */
static bool choose(const struct rows *rows, const char *word, struct rows *ret)
{
	bool found = false;

	for (size_t i = 0; i < rows->n; i++) {
		bool again = false;

		if (strcmp(rows->list[i].name, word) != 0 &&
		    fnmatch(word, rows->list[i].name, 0) != 0)
			continue;
		found = true;
		for (size_t k = 0; k < ret->n; k++)
			again |= ret->list[k].name == rows->list[i].name;
		if (!again)
			ret->list[ret->n++] = rows->list[i];
	}
	return found;
}

static void complain_unknown(const struct rows *rows, const char *word)
{
	struct nearest search = { .word = word };

	if (strpbrk(word, "*?[")) {
		complain("no service matches %s", word);
		return;
	}
	for (size_t i = 0; i < rows->n; i++)
		nearest_consider(&search, rows->list[i].name);
	complain("no service '%s'%s%s%s", word, search.best ? " (did you mean " : "",
		 search.best ? search.best : "", search.best ? "?)" : "");
}

/* The list's objects as they came, of the services that were chosen, in that order. */
static int print_chosen_json(const json_t *list, const struct rows *chosen)
{
	_cleanup_json_ json_t *document = json_pack("{s:[]}", "services");
	json_t *out = json_object_get(document, "services"), *service;
	size_t i;

	for (size_t k = 0; k < chosen->n; k++) {
		json_array_foreach(list, i, service)
		{
			const char *name = member_text(service, "name");

			if (name && strcmp(name, chosen->list[k].name) == 0)
				json_array_append(out, service);
		}
	}
	if (!document)
		return out_of_memory();
	json_dumpf(document, stdout, JSON_COMPACT);
	putchar('\n');
	return EXIT_OK;
}

static int print_json(const char *body, const struct rows *chosen, bool all)
{
	_cleanup_json_ json_t *document = NULL;

	if (all) {
		puts(body);
		return EXIT_OK;
	}
	document = json_loads(body, 0, NULL);
	return print_chosen_json(json_object_get(document, "services"), chosen);
}

static int show_list(const struct ctl *ctl, const char *body, const struct rows *rows, char **args,
		     size_t n_args)
{
	_cleanup_(rows_clear) struct rows chosen = { calloc(rows->n + 1, sizeof(*chosen.list)), 0 };
	int code = EXIT_OK;

	if (!chosen.list)
		return out_of_memory();
	for (size_t i = 0; i < n_args; i++) {
		if (!choose(rows, args[i], &chosen)) {
			complain_unknown(rows, args[i]);
			code = EXIT_NO_SERVICE;
		}
	}
	for (size_t i = 0; n_args == 0 && i < rows->n; i++)
		chosen.list[chosen.n++] = rows->list[i];
	for (size_t i = 0; i < chosen.n; i++)
		code = worse(code, state_code(chosen.list[i].state, chosen.list[i].ready));
	if (ctl->json)
		return worse(code, print_json(body, &chosen, n_args == 0));
	if (ctl->quiet || (n_args > 0 && chosen.n == 0))
		return code;
	return worse(code, print_table(ctl, &chosen));
}

static int show_one(const struct ctl *ctl, const char *name)
{
	_cleanup_free_ char *target = client_target(name, "");
	_cleanup_answer_ struct answer answer = { 0 };
	const char *state;
	int r;

	if (!target)
		return out_of_memory();
	client_call(ctl, "GET", target, NULL, ANSWER_MAX, &answer);
	r = client_check(ctl, name, answer.error, answer.status, answer.json);
	if (r != EXIT_OK)
		return r;
	state = member_text(answer.json, "state");
	if (ctl->json)
		puts(answer.body);
	else if (!ctl->quiet)
		show_service(ctl, answer.json);
	return state_code(or_dash(state ? state : ""), member_true(answer.json, "ready"));
}

/* The rows are read in place: text is changed. Prints an error. */
static int parse_rows(char *text, struct rows *ret)
{
	int r = text ? service_rows_parse(text, &ret->list, &ret->n) : -ENOMEM;

	if (r == -ENOMEM)
		return out_of_memory();
	if (r < 0) {
		complain("foster-manager's answer is not a list of services");
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int verb_status(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_(rows_clear) struct rows rows = { 0 };
	_cleanup_answer_ struct answer answer = { 0 };
	_cleanup_free_ char *copy = NULL;
	int code;

	if (n == 1 && !strpbrk(args[0], "*?["))
		return show_one(ctl, args[0]);
	code = client_fetch(ctl, "/v1/services", &answer);
	if (code != EXIT_OK)
		return code;
	if (ctl->json)
		copy = strdup(answer.body);
	code = parse_rows(ctl->json ? copy : answer.body, &rows);
	return code != EXIT_OK ? code : show_list(ctl, answer.body, &rows, args, n);
}

int verb_list(const struct ctl *ctl, char **args, size_t n)
{
	_cleanup_(rows_clear) struct rows rows = { 0 };
	_cleanup_answer_ struct answer answer = { 0 };
	int code = client_fetch(ctl, "/v1/services", &answer);

	if (code != EXIT_OK)
		return code;
	if (ctl->json) {
		puts(answer.body);
		return EXIT_OK;
	}
	code = parse_rows(answer.body, &rows);
	for (size_t i = 0; code == EXIT_OK && i < rows.n; i++)
		puts(rows.list[i].name);
	return code;
}
