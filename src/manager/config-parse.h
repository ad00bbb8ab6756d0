/* SPDX-License-Identifier: MIT */
/*
 * One file's text into sections of option texts: the scan, libconfuse, and the shape of it all
 * against the tables of options. The only file that knows libconfuse; its lexer is global, so
 * one parse at a time. Private to the config's own files.
 */
#ifndef FOSTER_MANAGER_CONFIG_PARSE_H
#define FOSTER_MANAGER_CONFIG_PARSE_H

#include <stddef.h>

#include "manager/config-draft.h"
#include "manager/option.h"

enum section_kind {
	SECTION_TOP, /* what stands outside of sections; comes last */
	SECTION_DEFAULTS,
	SECTION_SERVICE,
	SECTION_SOCKET,
	_SECTION_KINDS
};

/* Everything in it is valid during the call that gets it. */
struct section_text {
	enum section_kind kind;
	const struct option_table *table;
	const char *title; /* NULL where the kind has none */
	struct place place;
	char *const *values[OPTIONS_MAX]; /* of the options in place.set */
	size_t n_values[OPTIONS_MAX];     /* 0: an empty list */
};

typedef void section_handler(void *ctx, const struct section_text *section);

/*
 * Calls handler for each section, in their order, and for the top level. Problems are added
 * under the name file. 0, -EINVAL when any was added, or -ENOMEM.
 */
int config_parse(const char *file, const char *text, size_t size, struct config_problems *problems,
		 section_handler *handler, void *ctx);

#endif
