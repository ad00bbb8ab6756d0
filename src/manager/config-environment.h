/* SPDX-License-Identifier: MIT */
/* "NAME=value" lists and the files that hold them. Pure. */
#ifndef FOSTER_MANAGER_CONFIG_ENVIRONMENT_H
#define FOSTER_MANAGER_CONFIG_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A letter or _, then letters, digits and _; then "=". */
bool environment_valid(const char *entry);

/*
 * Reads the text of an environment file: lines NAME=value; empty ones and those that begin with
 * # or ; are skipped; white space around a value is dropped; 'values' are literal, in "values"
 * a backslash keeps ", \, $ and ` as they are; both may run over lines. Appends to *list.
 * 0, -ENOMEM, or -EINVAL with the text and *ret_line.
 */
int environment_file_parse(const char *text, size_t size, char ***list, int *ret_line,
			   struct error *e);

/* Of entries with one name the last wins and keeps the place of the first. In place. */
void environment_unify(char **list);

size_t environment_size(char *const *list); /* bytes, the NULs included */

#endif
