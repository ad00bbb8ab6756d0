/* SPDX-License-Identifier: MIT */
/* What explanations are made of: see why-pieces.h. */
#include "ctl/why-pieces.h"

#include <string.h>

#include "base/macro.h"

/* --- pieces ----------------------------------------------------------------------------- */

void why_label(const struct why_text *w, const char *text)
{
	fprintf(w->f, "%12s: ", text);
}

void why_more(const struct why_text *w)
{
	fprintf(w->f, "%12s  ", "");
}

void why_item(const struct why_text *w, size_t index, const char *title)
{
	if (index == 0)
		why_label(w, title);
	else
		why_more(w);
}

/* A duration that stands in a member, in microseconds; "" when there is none. */
const char *why_duration(const json_t *o, const char *key, char buf[DURATION_TEXT_MAX])
{
	json_int_t usec = member_number(o, key);

	return usec < 0 ? "" : format_duration(buf, DURATION_TEXT_MAX, (uint64_t)usec);
}

/* before TEXT after, or nothing when there is no text. */
void why_put(const struct why_text *w, const char *before, const char *text, const char *after)
{
	if (!text || !*text)
		return;
	fputs(before, w->f);
	print_disarmed(w->f, text);
	fputs(after, w->f);
}

bool why_is(const json_t *o, const char *key, const char *value)
{
	const char *text = member_text(o, key);

	return text && strcmp(text, value) == 0;
}

const char *why_ordinal(json_int_t n)
{
	if (n / 10 % 10 == 1)
		return "th";
	return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : n % 10 == 3 ? "rd" : "th";
}

/* --- who wanted it ---------------------------------------------------------------------- */

/* "root (fosterctl[1234])"; false when it was nobody. */
bool why_print_person(const struct why_text *w, const char *before, const json_t *by)
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

		if (!why_is(wish, "why", wish_words[i].why))
			continue;
		fputs(wish_words[i].words, w->f);
		if (!gap || !service)
			return;
		fwrite(before, 1, (size_t)(gap - before), w->f);
		print_disarmed(w->f, service);
		fputs(gap + 2, w->f);
		return;
	}
	why_put(w, ": ", member_text(wish, "why"), "");
}

static const char *past_of(const json_t *wish)
{
	return why_is(wish, "verb", "stop")      ? "stopped"
	       : why_is(wish, "verb", "restart") ? "restarted"
						 : "started";
}

void why_print_wish(const struct why_text *w, const json_t *why)
{
	const json_t *wish = json_object_get(why, "wish");
	char buf[DURATION_TEXT_MAX];

	why_label(w, "wanted");
	fputs(why_is(why, "desired", "up") ? "up" : "down", w->f);
	if (json_is_object(wish)) {
		fprintf(w->f, "; %s", past_of(wish));
		why_print_person(w, " by ", wish);
		print_wish_why(w, wish);
		why_put(w, ", ", why_duration(wish, "ago_us", buf), " ago");
	} else {
		fputs("; nobody has started it yet", w->f);
	}
	fputc('\n', w->f);
}

/* --- ends ------------------------------------------------------------------------------- */

static void print_followed(const struct why_text *w, const json_t *end)
{
	json_int_t n = member_number(end, "attempts");

	if (why_is(end, "followed", "starting") || why_is(end, "followed", "running")) {
		fputs("started again", w->f);
	} else if (why_is(end, "followed", "backoff")) {
		fprintf(w->f, "%" JSON_INTEGER_FORMAT "%s retry after a while", n, why_ordinal(n));
	} else if (why_is(end, "followed", "waiting")) {
		fputs("waited for what it needs", w->f);
	} else if (why_is(end, "followed", "stopping")) {
		fputs("the rest of its tree is being ended", w->f);
	} else if (why_is(end, "followed", "failed") && n > 0) {
		fprintf(w->f, "failed: gave up after %" JSON_INTEGER_FORMAT " %s", n,
			n == 1 ? "retry" : "retries");
	} else {
		why_put(w, "", member_text(end, "followed"), "");
	}
}

/* Why it ended, unless it was by itself or the failed step says it. */
static void print_cause(const struct why_text *w, const json_t *end)
{
	if (why_is(end, "why", "ended") || why_is(end, "why", "could not be started"))
		return;
	if (why_is(end, "why", "command"))
		fputs(" (somebody asked)", w->f);
	else
		why_put(w, " (", member_text(end, "why"), ")");
}

static void print_end(const struct why_text *w, const json_t *end)
{
	char buf[DURATION_TEXT_MAX];

	why_put(w, "", member_text(end, "time"), " ");
	why_put(w, "", member_text(end, "text"), "");
	print_cause(w, end);
	why_put(w, ", was up ", why_duration(end, "up_us", buf), "");
	fputs("; ", w->f);
	print_followed(w, end);
	fputc('\n', w->f);
}

void why_print_ends(const struct why_text *w, const json_t *why)
{
	json_t *end;
	size_t i;

	json_array_foreach(json_object_get(why, "ends"), i, end)
	{
		why_item(w, i, "last ends");
		print_end(w, end);
	}
}
