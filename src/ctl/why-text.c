/* SPDX-License-Identifier: MIT */
/* Why, in words: see why-text.h. */
#include "ctl/why-text.h"

#include <stdarg.h>
#include <string.h>

#include "base/macro.h"
#include "base/text.h"
#include "base/units.h"
#include "ctl/member.h"
#include "ctl/show.h"

/* --- pieces ----------------------------------------------------------------------------- */

static void label(const struct why_text *w, const char *text)
{
	fprintf(w->f, "%12s: ", text);
}

static void more(const struct why_text *w)
{
	fprintf(w->f, "%12s  ", "");
}

/* A duration that stands in a member, in microseconds; "" when there is none. */
static const char *duration(const json_t *o, const char *key, char buf[DURATION_TEXT_MAX])
{
	json_int_t usec = member_number(o, key);

	return usec < 0 ? "" : format_duration(buf, DURATION_TEXT_MAX, (uint64_t)usec);
}

/* before TEXT after, or nothing when there is no text. */
static void put(const struct why_text *w, const char *before, const char *text, const char *after)
{
	if (!text || !*text)
		return;
	fputs(before, w->f);
	print_disarmed(w->f, text);
	fputs(after, w->f);
}

static bool is(const json_t *o, const char *key, const char *value)
{
	const char *text = member_text(o, key);

	return text && strcmp(text, value) == 0;
}

/* --- the state -------------------------------------------------------------------------- */

static void print_state(const struct why_text *w, const json_t *why)
{
	const char *state = member_text(why, "state");
	char buf[DURATION_TEXT_MAX];

	put(w, "", member_text(why, "name"), "");
	fputs(": ", w->f);
	colour_print(w->f, w->colours, state_colour(state ? state : "?"), state ? state : "?");
	put(w, " since ", member_text(why, "since"), "");
	put(w, " (", duration(why, "for_us", buf), ")");
	fputc('\n', w->f);
}

/* --- who wanted it ---------------------------------------------------------------------- */

/* "root (fosterctl[1234])"; false when it was nobody. */
static bool print_person(const struct why_text *w, const char *before, const json_t *by)
{
	json_int_t uid = member_number(by, "uid"), pid = member_number(by, "pid");
	const char *name = uid >= 0 ? w->user_name((uint32_t)uid) : NULL;
	const char *command = member_text(by, "command");

	if (pid <= 0)
		return false;
	fputs(before, w->f);
	if (name)
		print_disarmed(w->f, name);
	else
		fprintf(w->f, "uid %" JSON_INTEGER_FORMAT, uid);
	fputs(" (", w->f);
	print_disarmed(w->f, command ? command : "pid ");
	fprintf(w->f, command ? "[%" JSON_INTEGER_FORMAT "])" : "%" JSON_INTEGER_FORMAT ")", pid);
	return true;
}

/* What each "why" of a wish says after the verb. The service's name comes behind before_service. */
static const struct {
	const char *why, *words, *before_service;
} wish_words[] = {
	{ "command", "", "" },
	{ "autostart", ", as it is set to autostart", "" },
	{ "needed by a service", "", ", because %s needs it" },
	{ "a service it needs was stopped", "", ", with %s, which it needs" },
	{ "shutdown", ", for the shutdown", "" },
	{ "no longer in the configuration", ", as no configuration names it any more", "" },
	{ "its configuration changed", ", as its configuration changed", "" },
	{ "adopted from an earlier supervisor", " before this fosterd, which adopted it", "" },
	{ "new in the configuration", ", as it was new in the configuration", "" },
};

static void print_wish_why(const struct why_text *w, const json_t *wish)
{
	const char *service = member_text(wish, "service");

	for (size_t i = 0; i < ELEMENTSOF(wish_words); i++) {
		const char *before = wish_words[i].before_service, *gap = strstr(before, "%s");

		if (!is(wish, "why", wish_words[i].why))
			continue;
		fputs(wish_words[i].words, w->f);
		if (!gap || !service)
			return;
		fwrite(before, 1, (size_t)(gap - before), w->f);
		print_disarmed(w->f, service);
		fputs(gap + 2, w->f);
		return;
	}
	put(w, ": ", member_text(wish, "why"), "");
}

static const char *past_of(const json_t *wish)
{
	return is(wish, "verb", "stop")      ? "stopped"
	       : is(wish, "verb", "restart") ? "restarted"
					     : "started";
}

static void print_wish(const struct why_text *w, const json_t *why)
{
	const json_t *wish = json_object_get(why, "wish");
	char buf[DURATION_TEXT_MAX];

	label(w, "wanted");
	fputs(is(why, "desired", "up") ? "up" : "down", w->f);
	if (json_is_object(wish)) {
		fprintf(w->f, "; %s", past_of(wish));
		print_person(w, " by ", wish);
		print_wish_why(w, wish);
		put(w, ", ", duration(wish, "ago_us", buf), " ago");
	} else {
		fputs("; nobody has started it yet", w->f);
	}
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

static void print_own_wait(const struct why_text *w, const json_t *why)
{
	if (is(why, "waits_for", "ready")) {
		label(w, "waits");
		fputs(is(why, "ready_by", "notify") ? "for its READY=1" : "for its exec", w->f);
		fputc('\n', w->f);
	}
	for (size_t i = 0; i < ELEMENTSOF(waits_words); i++) {
		if (!waits_words[i][1] || !is(why, "waits_for", waits_words[i][0]))
			continue;
		label(w, "waits");
		fprintf(w->f, "%s\n", waits_words[i][1]);
	}
}

/* "for db: failed, exit 1"; by is told when it is not the service itself that waits. */
static void print_link(const struct why_text *w, const json_t *link, const char *name)
{
	const char *by = member_text(link, "by"), *state = member_text(link, "state");

	put(w, "for ", member_text(link, "name"), "");
	if (by && name && strcmp(by, name) != 0)
		put(w, ", which ", by, " waits for");
	fputs(": ", w->f);
	colour_print(w->f, w->colours, state_colour(state ? state : "?"), state ? state : "?");
	put(w, ", ", member_text(link, "reason"), "");
	put(w, "; ", member_text(link, "next"), "");
	fputc('\n', w->f);
}

static void print_chain(const struct why_text *w, const json_t *why)
{
	json_t *link;
	size_t i;

	json_array_foreach(json_object_get(why, "waits"), i, link)
	{
		if (i == 0)
			label(w, "waits");
		else
			more(w);
		print_link(w, link, member_text(why, "name"));
	}
}

static const char *ordinal(json_int_t n)
{
	if (n / 10 % 10 == 1)
		return "th";
	return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

/* Why nothing will happen by itself to one that has ended. */
static void print_rest(const struct why_text *w, const json_t *why)
{
	if (!is(why, "desired", "up") ||
	    (!is(why, "state", "failed") && !is(why, "state", "exited")))
		return;
	label(w, "next");
	fputs("nothing by itself", w->f);
	put(w, " (restart = ", member_text(why, "restart"), ")");
	fputc('\n', w->f);
}

static void print_next(const struct why_text *w, const json_t *why)
{
	const char *next = member_text(why, "next");
	json_int_t retry = member_number(why, "retry");

	if (!next || !*next || is(why, "waits_for", "services"))
		return;
	label(w, "next");
	print_disarmed(w->f, next);
	if (retry > 0)
		fprintf(w->f, ", %" JSON_INTEGER_FORMAT "%s retry", retry, ordinal(retry));
	fputc('\n', w->f);
}

static void print_processes(const struct why_text *w, const json_t *why)
{
	const json_t *list = json_object_get(why, "processes");
	json_t *process;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	label(w, "processes");
	json_array_foreach(list, i, process)
	{
		fputs(i ? ", " : "", w->f);
		put(w, "", member_text(process, "command"), "");
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
		put(w, "", member_text(service, "name"), "");
		put(w, " (", member_text(service, "state"), note);
	}
	return before + json_array_size(list);
}

static void print_neighbours(const struct why_text *w, const json_t *why, const char *title,
			     const char *needs, const char *order)
{
	const json_t *first = json_object_get(why, needs), *second = json_object_get(why, order);

	if (json_array_size(first) + json_array_size(second) == 0)
		return;
	label(w, title);
	print_names(w, second, print_names(w, first, 0, ")"), "; order only)");
	fputc('\n', w->f);
}

/* --- ends ------------------------------------------------------------------------------- */

static void print_followed(const struct why_text *w, const json_t *end)
{
	json_int_t n = member_number(end, "attempts");

	if (is(end, "followed", "starting") || is(end, "followed", "running")) {
		fputs("started again", w->f);
	} else if (is(end, "followed", "backoff")) {
		fprintf(w->f, "%" JSON_INTEGER_FORMAT "%s retry after a while", n, ordinal(n));
	} else if (is(end, "followed", "waiting")) {
		fputs("waited for what it needs", w->f);
	} else if (is(end, "followed", "stopping")) {
		fputs("the rest of its tree is being ended", w->f);
	} else if (is(end, "followed", "failed") && n > 0) {
		fprintf(w->f, "failed: gave up after %" JSON_INTEGER_FORMAT " %s", n,
			n == 1 ? "retry" : "retries");
	} else {
		put(w, "", member_text(end, "followed"), "");
	}
}

/* Why it ended, unless it was by itself or the failed step says it. */
static void print_cause(const struct why_text *w, const json_t *end)
{
	if (is(end, "why", "ended") || is(end, "why", "could not be started"))
		return;
	if (is(end, "why", "command"))
		fputs(" (somebody asked)", w->f);
	else
		put(w, " (", member_text(end, "why"), ")");
}

static void print_end(const struct why_text *w, const json_t *end)
{
	char buf[DURATION_TEXT_MAX];

	put(w, "", member_text(end, "time"), " ");
	put(w, "", member_text(end, "text"), "");
	print_cause(w, end);
	put(w, ", was up ", duration(end, "up_us", buf), "");
	fputs("; ", w->f);
	print_followed(w, end);
	fputc('\n', w->f);
}

static void print_ends(const struct why_text *w, const json_t *why)
{
	json_t *end;
	size_t i;

	json_array_foreach(json_object_get(why, "ends"), i, end)
	{
		if (i == 0)
			label(w, "last ends");
		else
			more(w);
		print_end(w, end);
	}
}

/* --- the whole -------------------------------------------------------------------------- */

static void print_field(const struct why_text *w, const json_t *why, const char *title,
			const char *key)
{
	const char *text = member_text(why, key);

	if (!text || !*text)
		return;
	label(w, title);
	print_disarmed(w->f, text);
	fputc('\n', w->f);
}

void why_print(const struct why_text *w, const json_t *why)
{
	print_state(w, why);
	print_field(w, why, "reason", "reason");
	print_wish(w, why);
	print_field(w, why, "says", "status");
	print_own_wait(w, why);
	print_chain(w, why);
	print_next(w, why);
	print_rest(w, why);
	print_processes(w, why);
	print_neighbours(w, why, "needs", "requires", "after");
	print_neighbours(w, why, "needed by", "required_by", "before");
	print_ends(w, why);
}

static void print_awaited(const struct why_text *w, const json_t *why)
{
	const json_t *list = json_object_get(why, "awaits");

	if (json_array_size(list) == 0)
		return;
	label(w, "waits");
	fputs("for ", w->f);
	print_names(w, list, 0, ")");
	fputc('\n', w->f);
}

void why_print_short(const struct why_text *w, const json_t *why)
{
	print_state(w, why);
	print_field(w, why, "reason", "reason");
	print_wish(w, why);
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
		print_person(w, ", asked for by ", json_object_get(blocking, "by"));
	if (n > 0)
		fprintf(w->f, "%s %zu service%s:\n",
			under_way ? "; it waits for" : "; one would wait for", n,
			n == 1 ? "" : "s");
	else
		fputs(under_way ? "; it waits for nothing more.\n"
				: "; one would wait for nothing.\n",
		      w->f);
	if (job)
		put(w, "It begins by itself when ", job, " has ended (fosterd --join).\n");
}

static void print_blocker(const struct why_text *w, const json_t *s)
{
	print_state(w, s);
	if (member_true(s, "own_end")) {
		label(w, "waits");
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
		put(w, i ? ", " : ", waits for ", member_text(other, "name"), "");
		put(w, " (", member_text(other, "state"), ")");
	}
}

static void put_key(const struct why_text *w, const json_t *s)
{
	put(w, "", member_text(s, "name"), ": ");
	put(w, "", member_text(s, "state"), "");
	put_awaited(w, s);
	if (is(s, "waits_for", "own-end"))
		fputs(", waits for its own end", w->f);
	if (is(s, "waits_for", "tree"))
		fputs(", waits for the rest of its tree", w->f);
}

static void put_line(const struct why_text *w, const json_t *s)
{
	put_key(w, s);
	if (!is(s, "waits_for", "services"))
		put(w, ", ", member_text(s, "next"), "");
}

char *why_line(const json_t *why)
{
	return collect(put_line, why);
}

char *why_key(const json_t *why)
{
	return collect(put_key, why);
}
