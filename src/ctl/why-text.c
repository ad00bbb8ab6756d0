/* SPDX-License-Identifier: MIT */
/* Why, in words: see why-text.h. */
#include "ctl/why-text.h"

#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "ctl/show.h"
#include "ctl/why-pieces.h"

/* --- the state -------------------------------------------------------------------------- */

static void print_state(const struct why_text *w, const json_t *why)
{
	const char *state = member_text(why, "state");
	char buf[DURATION_TEXT_MAX];

	why_put(w, "", member_text(why, "name"), "");
	fputs(": ", w->f);
	colour_print(w->f, w->colours, state_colour(state ? state : "?"), state ? state : "?");
	why_put(w, " since ", member_text(why, "since"), "");
	why_put(w, " (", why_duration(why, "for_us", buf), ")");
	fputc('\n', w->f);
}

/* --- what it waits for ------------------------------------------------------------------ */

static const char *const waits_words[][2] = {
	{ "services", NULL }, /* told by name */
	{ "restart", NULL },  /* told by what comes next */
	{ "end", "for the end of its main process" },
	{ "tree", "for the end of the rest of its tree: its main process has ended" },
	{ "own-end", "for its own end: nobody stops it" },
	{ "turn", "for its turn: many services start" },
};

static const char *ready_word(const json_t *why)
{
	static const char *const words[][2] = {
		{ "notify", "for its READY=1" },
		{ "fd", "for a newline on its readiness descriptor" },
		{ "forking", "for the daemon that it is to leave behind" },
		{ "oneshot", "for the end of its work" },
	};

	for (size_t i = 0; i < ELEMENTSOF(words); i++) {
		if (why_is(why, "ready_by", words[i][0]))
			return words[i][1];
	}
	return "for its exec";
}

static void print_own_wait(const struct why_text *w, const json_t *why)
{
	if (why_is(why, "waits_for", "ready")) {
		why_label(w, "waits");
		fputs(ready_word(why), w->f);
		fputc('\n', w->f);
	}
	for (size_t i = 0; i < ELEMENTSOF(waits_words); i++) {
		if (!waits_words[i][1] || !why_is(why, "waits_for", waits_words[i][0]))
			continue;
		why_label(w, "waits");
		fprintf(w->f, "%s\n", waits_words[i][1]);
	}
}

/* "for db: failed, exit 1"; by is told when it is not the service itself that waits. */
static void print_link(const struct why_text *w, const json_t *link, const char *name)
{
	const char *by = member_text(link, "by"), *state = member_text(link, "state");

	why_put(w, "for ", member_text(link, "name"), "");
	if (by && name && strcmp(by, name) != 0)
		why_put(w, ", which ", by, " waits for");
	fputs(": ", w->f);
	colour_print(w->f, w->colours, state_colour(state ? state : "?"), state ? state : "?");
	why_put(w, ", ", member_text(link, "reason"), "");
	why_put(w, "; ", member_text(link, "next"), "");
	fputc('\n', w->f);
}

static void print_chain(const struct why_text *w, const json_t *why)
{
	json_t *link;
	size_t i;

	json_array_foreach(json_object_get(why, "waits"), i, link)
	{
		why_item(w, i, "waits");
		print_link(w, link, member_text(why, "name"));
	}
}

/* Why nothing will happen by itself to one that has ended. */
static void print_rest(const struct why_text *w, const json_t *why)
{
	if (!why_is(why, "desired", "up") ||
	    (!why_is(why, "state", "failed") && !why_is(why, "state", "exited")))
		return;
	why_label(w, "next");
	fputs("nothing by itself", w->f);
	why_put(w, " (restart = ", member_text(why, "restart"), ")");
	fputc('\n', w->f);
}

static void print_next(const struct why_text *w, const json_t *why)
{
	const char *next = member_text(why, "next");
	json_int_t retry = member_number(why, "retry");

	if (!next || !*next || why_is(why, "waits_for", "services"))
		return;
	why_label(w, "next");
	print_disarmed(w->f, next);
	if (retry > 0)
		fprintf(w->f, ", %" JSON_INTEGER_FORMAT "%s retry", retry, why_ordinal(retry));
	fputc('\n', w->f);
}

static void print_processes(const struct why_text *w, const json_t *why)
{
	const json_t *list = json_object_get(why, "processes");
	json_t *process;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	why_label(w, "processes");
	json_array_foreach(list, i, process)
	{
		fputs(i ? ", " : "", w->f);
		why_put(w, "", member_text(process, "command"), "");
		fprintf(w->f, "[%" JSON_INTEGER_FORMAT "]", member_number(process, "pid"));
	}
	fputc('\n', w->f);
}

/* --- neighbours ------------------------------------------------------------------------- */

static size_t print_names(const struct why_text *w, const json_t *list, size_t before,
			  const char *note)
{
	json_t *service;
	size_t i;

	json_array_foreach(list, i, service)
	{
		fputs(before + i ? ", " : "", w->f);
		why_put(w, "", member_text(service, "name"), "");
		why_put(w, " (", member_text(service, "state"), note);
	}
	return before + json_array_size(list);
}

static void print_neighbours(const struct why_text *w, const json_t *why, const char *title,
			     const char *needs, const char *order)
{
	const json_t *first = json_object_get(why, needs), *second = json_object_get(why, order);

	if (json_array_size(first) + json_array_size(second) == 0)
		return;
	why_label(w, title);
	print_names(w, second, print_names(w, first, 0, ")"), "; order only)");
	fputc('\n', w->f);
}

/* --- the whole -------------------------------------------------------------------------- */

static void print_field(const struct why_text *w, const json_t *why, const char *title,
			const char *key)
{
	const char *text = member_text(why, key);

	if (!text || !*text)
		return;
	why_label(w, title);
	print_disarmed(w->f, text);
	fputc('\n', w->f);
}

void why_print(const struct why_text *w, const json_t *why)
{
	print_state(w, why);
	print_field(w, why, "reason", "reason");
	why_print_wish(w, why);
	print_field(w, why, "says", "status");
	print_own_wait(w, why);
	print_chain(w, why);
	print_next(w, why);
	print_rest(w, why);
	print_processes(w, why);
	print_neighbours(w, why, "needs", "requires", "after");
	print_neighbours(w, why, "needed by", "required_by", "before");
	why_print_ends(w, why);
}

static void print_awaited(const struct why_text *w, const json_t *why)
{
	const json_t *list = json_object_get(why, "awaits");

	if (json_array_size(list) == 0)
		return;
	why_label(w, "waits");
	fputs("for ", w->f);
	print_names(w, list, 0, ")");
	fputc('\n', w->f);
}

void why_print_short(const struct why_text *w, const json_t *why)
{
	print_state(w, why);
	print_field(w, why, "reason", "reason");
	why_print_wish(w, why);
	print_own_wait(w, why);
	print_awaited(w, why);
	print_next(w, why);
}

/* --- a shutdown ------------------------------------------------------------------------- */

static void print_shutdown(const struct why_text *w, const json_t *blocking, size_t n)
{
	bool under_way = member_true(blocking, "under_way");
	const char *job = member_text(blocking, "main_job");

	fputs(under_way ? "A shutdown is under way" : "No shutdown is under way", w->f);
	if (under_way)
		why_print_person(w, ", asked for by ", json_object_get(blocking, "by"));
	if (n > 0)
		fprintf(w->f, "%s %zu service%s:\n",
			under_way ? "; it waits for" : "; one would wait for", n,
			n == 1 ? "" : "s");
	else
		fputs(under_way ? "; it waits for nothing more.\n"
				: "; one would wait for nothing.\n",
		      w->f);
	if (job)
		why_put(w, "It begins by itself when ", job, " has ended (fosterd --join).\n");
}

static void print_blocker(const struct why_text *w, const json_t *s)
{
	print_state(w, s);
	if (member_true(s, "own_end")) {
		why_label(w, "waits");
		fputs("for its own end (--join)\n", w->f);
	} else {
		print_own_wait(w, s);
	}
	print_awaited(w, s);
	print_next(w, s);
	print_processes(w, s);
}

void why_print_blocking(const struct why_text *w, const json_t *blocking)
{
	const json_t *list = json_object_get(blocking, "services");
	json_t *service;
	size_t i;

	print_shutdown(w, blocking, json_array_size(list));
	json_array_foreach(list, i, service) print_blocker(w, service);
}

/* --- on one line ------------------------------------------------------------------------ */

/* Collects what is printed. */
static char *collect(void (*print)(const struct why_text *, const json_t *), const json_t *o)
{
	char *text = NULL;
	size_t size;
	struct why_text w = { .f = open_memstream(&text, &size) };

	if (!w.f)
		return NULL;
	print(&w, o);
	if (fclose(w.f) == 0)
		return text;
	free(text);
	return NULL;
}

static void put_awaited(const struct why_text *w, const json_t *s)
{
	json_t *other;
	size_t i;

	json_array_foreach(json_object_get(s, "awaits"), i, other)
	{
		why_put(w, i ? ", " : ", waits for ", member_text(other, "name"), "");
		why_put(w, " (", member_text(other, "state"), ")");
	}
}

static void put_key(const struct why_text *w, const json_t *s)
{
	why_put(w, "", member_text(s, "name"), ": ");
	why_put(w, "", member_text(s, "state"), "");
	put_awaited(w, s);
	if (why_is(s, "waits_for", "own-end"))
		fputs(", waits for its own end", w->f);
	if (why_is(s, "waits_for", "tree"))
		fputs(", waits for the rest of its tree", w->f);
}

static void put_line(const struct why_text *w, const json_t *s)
{
	put_key(w, s);
	if (!why_is(s, "waits_for", "services"))
		why_put(w, ", ", member_text(s, "next"), "");
}

char *why_line(const json_t *why)
{
	return collect(put_line, why);
}

char *why_key(const json_t *why)
{
	return collect(put_key, why);
}
