/* SPDX-License-Identifier: MIT */
/* What a stream's output is to become. Thousands of services share a few of these. */
#ifndef FOSTER_LOGGER_SETTINGS_H
#define FOSTER_LOGGER_SETTINGS_H

#include "base/logger.h"
#include "base/packed.h"

struct settings {
	struct logger_settings set;
	const char *directory; /* of the files; absolute */
	const char *prefix, *socket;
	unsigned refs;
	struct settings *next;
};

/* One with these contents, new or shared. NULL: out of memory. To be given back by _put(). */
struct settings *settings_get(const struct logger_settings *set,
			      const char *const texts[LOGGER_TEXTS_MAX]);
struct settings *settings_put(struct settings *); /* always NULL */

/* How files that were rotated away are compressed. */
enum packing settings_packing(const struct settings *);

#endif
