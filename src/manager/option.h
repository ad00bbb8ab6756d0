/* SPDX-License-Identifier: MIT */
/*
 * What the options of a config section are: one table per kind of section, from which parsing,
 * the texts of errors, defaults, comparison, printing and the manual's list come. An option
 * lives in a field of a struct, at an offset: strings and lists there are allocated and
 * belong to the struct.
 */
#ifndef FOSTER_MANAGER_OPTION_H
#define FOSTER_MANAGER_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/macro.h"

#define OPTIONS_MAX 64 /* in one table: sets of options are bit masks */

enum option_type {
	OPTION_TEXT,     /* char *: no control characters, not empty */
	OPTION_PATH,     /* char *: absolute; a leading "-" stays when OPTION_MAY_MISS */
	OPTION_LIST,     /* char **: each element not empty */
	OPTION_COMMAND,  /* char **: the first element not empty, the others may be */
	OPTION_BOOL,     /* bool */
	OPTION_DURATION, /* uint64_t, microseconds */
	OPTION_NUMBER,   /* int */
	OPTION_COUNT,    /* unsigned */
	OPTION_MODE,     /* mode_t, octal */
	OPTION_SIGNAL,   /* int */
	OPTION_ENUM,     /* an enum, through from_string and to_string */
	OPTION_SIZE,     /* uint64_t, bytes; 0, or at least min */
	OPTION_RATE,     /* struct log_rate */
	OPTION_LIMIT,    /* an element of struct service_config's limits */
	_OPTION_TYPES
};

enum option_flag {
	OPTION_RESTART = 1 << 0,   /* a change holds from the service's next start */
	OPTION_DEFAULTS = 1 << 1,  /* may stand in the section defaults */
	OPTION_FINITE = 1 << 2,    /* a duration that cannot be infinity */
	OPTION_MAY_MISS = 1 << 3,  /* a path that may begin with "-" */
	OPTION_LETHAL = 1 << 4,    /* a signal whose default action ends a process */
	OPTION_NO_DIFF = 1 << 5,   /* its effect is compared elsewhere */
	OPTION_BARE_LIST = 1 << 6, /* one element needs no braces */
	OPTION_ATTRIBUTE = 1 << 7, /* of the process object: a reload restarts nothing for it */
	OPTION_EMPTY = 1 << 8,     /* a text that may be empty */
};

enum limit_unit {
	LIMIT_NUMBER,
	LIMIT_BYTES,
	LIMIT_SECONDS,
	LIMIT_MICROSECONDS,
};

struct option {
	const char *name;
	enum option_type type;
	unsigned flags;
	size_t offset;        /* of the field */
	size_t has;           /* of a bool that says whether it was set; 0: there is none */
	int64_t min, max;     /* of a number */
	const char *allowed;  /* the values, as messages and the manual say it */
	const char *fallback; /* the default as text; NULL: none */
	const char *help;     /* one sentence */

	int (*from_string)(const char *); /* of an enum */
	const char *(*to_string)(int);
	int resource; /* of a limit: RLIMIT_* */
	enum limit_unit unit;
};

struct option_table {
	const char *section; /* "service"; NULL: the top level */
	const struct option *options;
	size_t n;
};

extern const struct option_table service_options, socket_options, top_options;

/* The index of the option of that name, or -ENOENT. */
int option_find(const struct option_table *table, const char *name);
static inline bool option_is_list(const struct option *o)
{
	return o->type == OPTION_LIST || o->type == OPTION_COMMAND;
}

/*
 * Sets the field of object from the texts of the config (n is 1 but for lists), and its
 * has-field. What the field held before is freed. 0, -ENOMEM, or -EINVAL with the error's text
 * "restart-delay = \"5\": a duration is ..., ...", the object unchanged.
 */
int option_set(const struct option *o, void *object, char *const *values, size_t n,
	       struct error *e);

/* Fills the error's text: what was given, what is allowed. Returns -EINVAL. */
int option_refuse(const struct option *o, const char *value, struct error *e);

/* Sets the field to the table's default; programmer's error when that is not valid. 0, -ENOMEM. */
int option_set_fallback(const struct option *o, void *object);

int option_copy(const struct option *o, void *to, const void *from); /* 0 or -ENOMEM */
bool option_equal(const struct option *o, const void *a, const void *b);
void option_clear(const struct option *o, void *object); /* frees what the field holds */

/* The line "name = value" as a config has it, after indent; nothing where the field is not set. */
void option_print(const struct option *o, const void *object, const char *indent, FILE *f);

/* The list of a table's options for foster.conf(5): mdoc items. */
void option_table_print_mdoc(const struct option_table *table, FILE *f);

#endif
