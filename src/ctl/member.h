/* SPDX-License-Identifier: MIT */
/* What the manager's JSON says. Pure. */
#ifndef FOSTER_CTL_MEMBER_H
#define FOSTER_CTL_MEMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Of an object: NULL, -1 or false when it is missing, null or of another type. */
const char *member_text(const json_t *object, const char *key);
json_int_t member_number(const json_t *object, const char *key);
bool member_true(const json_t *object, const char *key);

/* Prints a service's own words on one line without harm to a terminal. */
void print_disarmed(FILE *f, const char *text);

#endif
