/* SPDX-License-Identifier: MIT */
/* Config files in a private directory, for the tests of the config's reader. */
#ifndef FOSTER_TESTS_CONFIG_FIXTURE_H
#define FOSTER_TESTS_CONFIG_FIXTURE_H

#include <stddef.h>

#include "manager/config.h"

extern char fixture_directory[]; /* made by fixture_setup(), removed by fixture_teardown() */

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Writes a file under the directory, making the one folder of "conf.d/x". */
void fixture_write(const char *name, const char *data, size_t size);
void fixture_write_text(const char *name, const char *text);
void fixture_remove(const char *name);

/* The path of a file under the directory, in a static buffer. */
const char *fixture_path(const char *name);

/* Loads foster.conf with a source of its own. */
struct config *fixture_load(struct config_problems *problems);

/* Loads foster.conf and fails the test, telling the problems, when it has any. */
struct config *fixture_load_good(void);

/* The same after writing text to foster.conf. */
struct config *fixture_good(const char *text);

#endif
