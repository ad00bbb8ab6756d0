/* SPDX-License-Identifier: MIT */
/* Lines for people within a minute: see window.h. */
#include "chat/admin/window.h"

#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/admin/words.h"

#define LENGTH      (60 * USEC_PER_SEC)
#define NAMES_SHOWN 5 /* of those that are counted */

/* How many lines there may be before one more of its kind is only counted. */
static const unsigned limits[NEWS_KINDS] = {
	[NEWS_ENDED] = 10,  [NEWS_FAILED] = 10,  [NEWS_RUNNING] = 5,
	[NEWS_STOPPED] = 5, [NEWS_REQUEST] = 20, [NEWS_OTHER] = 5,
};

static const char *const words[NEWS_KINDS] = {
	[NEWS_ENDED] = "ended",     [NEWS_FAILED] = "failed",    [NEWS_RUNNING] = "running",
	[NEWS_STOPPED] = "stopped", [NEWS_REQUEST] = "requests", [NEWS_OTHER] = "other events",
};

bool window_takes(struct window *w, uint64_t now, struct news_kind kind, const char *name)
{
	unsigned *used = kind.news == NEWS_REQUEST ? &w->requests[kind.old] : &w->lines[kind.old];

	/* A clock that says 0 would be no window. */
	if (!w->began)
		w->began = MAX(now, 1U);
	if (kind.answers)
		return true;
	if (*used < limits[kind.news]) {
		*used += 1;
		return true;
	}
	if (w->counts[kind.news]++ < NAMES_SHOWN && *name)
		words_add(w->names[kind.news], sizeof(w->names[0]), "%s%s",
			  w->names[kind.news][0] ? ", " : "", name);
	return false;
}

uint64_t window_end(const struct window *w)
{
	return w->began ? w->began + LENGTH : USEC_INFINITY;
}

void window_close(struct window *w, char *line, size_t size)
{
	line[0] = '\0';
	for (int i = 0; i < NEWS_KINDS; i++) {
		if (w->counts[i] == 0)
			continue;
		words_add(line, size, "%s%u %s",
			  *line ? ", " : "in the last minute also: ", w->counts[i], words[i]);
		if (w->names[i][0])
			words_add(line, size, " (%s%s)", w->names[i],
				  w->counts[i] > NAMES_SHOWN ? ", ..." : "");
	}
	*w = (struct window){ .began = 0 };
}
