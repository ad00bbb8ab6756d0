/* SPDX-License-Identifier: MIT */
/* What a command waits for: see progress.h. */
#include "ctl/progress.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/strv.h"
#include "ctl/client.h"
#include "ctl/table.h"
#include "ctl/why-text.h"

#define PATIENCE (1 * USEC_PER_SEC) /* who is quick says nothing */

static int prepare(struct exchange *e, bool again)
{
	struct progress *p = e->user;

	e->request = http_request("GET", p->target, NULL, &e->request_size);
	return e->request ? 0 : -ENOMEM;
}

void progress_hide(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

/* "waiting for web: stopping, SIGKILL in 4s (and 2 more)" */
static void show(struct progress *p, const char *line, size_t n)
{
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, n > 1 ? "waiting for %s (and %zu more)" : "waiting for %s", line,
		     n - 1) < 0) {
		text = NULL;
		return;
	}
	progress_hide(p);
	fwrite(text, 1, text_cut(text, p->width - 1), stderr);
	p->shown = true;
}

/* Those that failed are not waited for: they only are not as they should be. */
static bool is_waited_for(const struct progress *p, const json_t *service)
{
	const char *name = member_text(service, "name");

	return name && member_text(service, "waits_for") &&
	       (!p->names || strv_contains(p->names, name));
}

/* Where lines stay, only what was not told last time. */
static void tell(struct progress *p, char **keys)
{
	STRV_FOREACH(key, keys) {
		if (!strv_contains(p->told, *key))
			fprintf(stderr, "waiting for %s\n", *key);
	}
}

static void look(struct progress *p, const json_t *list)
{
	_cleanup_free_ char *first = NULL;
	_cleanup_strv_ char **keys = NULL;
	json_t *service;
	size_t i;

	json_array_foreach(list, i, service)
	{
		_cleanup_free_ char *key = NULL;

		if (!is_waited_for(p, service))
			continue;
		if (!first)
			first = why_line(service);
		key = why_key(service);
		if (!key || strv_push(&keys, key) < 0)
			return;
	}
	if (p->width == 0)
		tell(p, keys);
	else if (first)
		show(p, first, strv_length(keys));
	else
		progress_hide(p);
	strv_free(p->told);
	p->told = TAKE_PTR(keys);
}

static enum exchange_next done(struct exchange *e)
{
	struct progress *p = e->user;
	_cleanup_json_ json_t *json = NULL;

	if (e->error < 0 || e->status != 200)
		return EXCHANGE_OVER; /* it helps nobody to hear of it */
	json = json_loads(e->body, 0, NULL);
	look(p, json_object_get(json, "services"));
	fflush(stderr);
	return EXCHANGE_LATER;
}

void progress_init(struct progress *p, const struct ctl *ctl, const char *target, char **names,
		   struct exchange *ret)
{
	static const struct exchange_ops ops = { .prepare = prepare,
						 .done = done,
						 .ends_with_fosterd = true };
	struct winsize size;

	*p = (struct progress){ .ctl = ctl, .target = target, .names = names };
	if (isatty(STDERR_FILENO))
		p->width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1
				   ? size.ws_col
				   : 80;
	*ret = (struct exchange){ .ops = &ops,
				  .user = p,
				  .delay = ctl->quiet ? UINT64_MAX / 2 : PATIENCE,
				  .pause = PATIENCE,
				  .background = true };
}

void progress_clear(struct progress *p, struct exchange *e)
{
	progress_hide(p);
	p->told = strv_free(p->told);
	exchange_clear(e);
}
