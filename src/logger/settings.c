/* SPDX-License-Identifier: MIT */
/* Settings: see settings.h. */
#include "logger/settings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LOOKS_MAX 32 /* of the latest: were all services different, a search would find nothing */

static struct settings *latest;

static bool is_same(const struct settings *s, const struct logger_settings *set,
		    const char *const *texts)
{
	return memcmp(&s->set, set, sizeof(*set)) == 0 &&
	       strcmp(s->directory, texts[LOGGER_DIRECTORY]) == 0 &&
	       strcmp(s->prefix, texts[LOGGER_PREFIX]) == 0 &&
	       strcmp(s->socket, texts[LOGGER_SOCKET]) == 0;
}

static const char *put_text(char **at, const char *text)
{
	char *begin = *at;

	*at = stpcpy(begin, text) + 1;
	return begin;
}

/* The texts follow the struct. */
static struct settings *make(const struct logger_settings *set, const char *const *texts)
{
	size_t size = sizeof(struct settings);
	struct settings *s;
	char *text;

	for (size_t i = LOGGER_DIRECTORY; i < LOGGER_TEXTS_MAX; i++)
		size += strlen(texts[i]) + 1;
	s = calloc(1, size);
	if (!s)
		return NULL;
	text = (char *)(s + 1);
	s->set = *set;
	s->directory = put_text(&text, texts[LOGGER_DIRECTORY]);
	s->prefix = put_text(&text, texts[LOGGER_PREFIX]);
	s->socket = put_text(&text, texts[LOGGER_SOCKET]);
	return s;
}

struct settings *settings_get(const struct logger_settings *set,
			      const char *const texts[LOGGER_TEXTS_MAX])
{
	struct settings *s = latest;

	for (int i = 0; s && i < LOOKS_MAX; i++, s = s->next) {
		if (is_same(s, set, texts)) {
			s->refs++;
			return s;
		}
	}
	s = make(set, texts);
	if (!s)
		return NULL;
	s->refs = 1;
	s->next = latest;
	latest = s;
	return s;
}

struct settings *settings_put(struct settings *s)
{
	struct settings **p = &latest;

	if (!s || --s->refs > 0)
		return NULL;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	free(s);
	return NULL;
}

enum packing settings_packing(const struct settings *s)
{
	if (s->set.flags & LOGGER_ZSTD)
		return PACKING_ZSTD;
	return s->set.flags & LOGGER_GZIP ? PACKING_GZIP : PACKING_NONE;
}
