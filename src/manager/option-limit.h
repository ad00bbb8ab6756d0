/* SPDX-License-Identifier: MIT */
/*
 * Options of the type OPTION_LIMIT: resource limits, "SOFT:HARD". The object is a struct
 * service_config. Private to the files of options; what each does is in option.h.
 */
#ifndef FOSTER_MANAGER_OPTION_LIMIT_H
#define FOSTER_MANAGER_OPTION_LIMIT_H

#include "manager/option.h"

int limit_option_set(const struct option *o, void *object, char *const *values, size_t n,
		     struct error *e);
int limit_option_copy(const struct option *o, void *to, const void *from);
bool limit_option_equal(const struct option *o, const void *a, const void *b);
void limit_option_clear(const struct option *o, void *object); /* all limits of the object */
void limit_option_print(const struct option *o, const void *object, FILE *f);
bool limit_option_is_set(const struct option *o, const void *object);

#endif
