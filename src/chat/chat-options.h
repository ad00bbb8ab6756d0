/* SPDX-License-Identifier: MIT */
/*
 * The options of chat.conf in one table: name, type, default, limits and where the value goes.
 * Pure but for the memory that stored texts take.
 */
#ifndef FOSTER_CHAT_CHAT_OPTIONS_H
#define FOSTER_CHAT_CHAT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct chat_config;

#define CHAT_OPTIONS 52

enum kind {
	KIND_WORD,      /* text without blanks, of min to max bytes */
	KIND_TEXT,      /* text, the same */
	KIND_CHANNEL,   /* "" where max is 1: none */
	KIND_LINES,     /* a list of texts */
	KIND_OPERATORS, /* a list of those: operators.h */
	KIND_REGEXES,   /* a list of regular expressions, extended */
	KIND_ADDRESSES, /* a list of addresses */
	KIND_COUNT,     /* uint32_t, min to max */
	KIND_SIZE,      /* size_t, min to max bytes */
	KIND_CHOICE,    /* uint32_t: which of the words in choices */
	KIND_SWITCH,    /* bool: on, off */
	KIND_DURATION,  /* uint64_t microseconds, min to max seconds; "0" and "infinity": never */
};

struct option_row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *value; /* the default; of lists, the items with blanks between them */
	uint64_t min, max;
	const char *choices; /* words with blanks between them */
};

extern const struct option_row chat_options[CHAT_OPTIONS];

bool chat_option_is_list(const struct option_row *row);

/* Is text a value of the option? 0, or -EINVAL with what is allowed; numbers are returned. */
int chat_option_parse(const struct option_row *row, const char *text, uint64_t *ret,
		      struct error *e);

/* Puts one value where it belongs; a list's is added to it. 0, -EINVAL, -ENOMEM. */
int chat_option_store(struct chat_config *config, const struct option_row *row, const char *text);
int chat_option_store_default(struct chat_config *config, const struct option_row *row);

#endif
