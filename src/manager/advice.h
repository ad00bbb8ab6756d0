/* SPDX-License-Identifier: MIT */
/* What is not wrong in a configuration, but worth a word to whoever checks it. */
#ifndef FOSTER_MANAGER_ADVICE_H
#define FOSTER_MANAGER_ADVICE_H

#include <stdio.h>

struct config;

/*
 * Tells that there are more pipes than may be open files, or larger ones than may be had. Names
 * services that we could not end: an ordinary user's whose command is a set-user-ID program of
 * somebody else's. Looks at the files. Returns how many notes that makes.
 */
unsigned advice_print(const struct config *, FILE *);

#endif
