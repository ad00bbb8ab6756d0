/* SPDX-License-Identifier: MIT */
/*
 * Files that have been rotated away: "web.log" becomes "web.log.20261125T134000.123456Z", later
 * perhaps with ".gz" or ".zst" behind it. The time is that of the rotation, in UTC: their names'
 * order is that of what is in them. See also fosterctl(1), which reads them.
 */
#ifndef FOSTER_LOGGER_ROTATION_H
#define FOSTER_LOGGER_ROTATION_H

#include <stdint.h>

#include "logger/settings.h"

/* Gives the file its name with the time. 0 or -errno. */
int rotation_rename(int directory, const char *name);

/*
 * Removes the oldest rotated files of a name that are more, in number or bytes, than the settings
 * say, and has the others compressed where they say so.
 */
void rotation_tidy(const struct settings *, const char *name);

/*
 * Has compressed what a logger that was killed has left, of all the names that were put on the
 * list: one look at each directory, however many services have their files there.
 */
void rotation_look_later(const struct settings *, const char *name);
void rotation_look(void);

#endif
