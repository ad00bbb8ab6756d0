/* SPDX-License-Identifier: MIT */
/*
 * Files that have been rotated away: "web.log" becomes "web.log.20261125T134000.123456Z", later
 * perhaps with ".gz" or ".zst" behind it. The time is that of the rotation, in UTC: their names'
 * order is that of what is in them. See also fosterctl(1), which reads them.
 */
#ifndef FOSTER_LOGGER_ROTATION_H
#define FOSTER_LOGGER_ROTATION_H

#include <stdint.h>

#include "base/log-name.h"
#include "logger/file.h"
#include "logger/settings.h"

#define ROTATED_NAME_MAX (LOG_FILE_NAME_MAX + LOG_NAME_STAMP + 8)

/* Gives the file its name with the time, which is put into ret. 0 or -errno. */
int rotation_rename(int directory, const char *name, char ret[ROTATED_NAME_MAX]);

/*
 * Removes the oldest rotated files of a name that are more, in number or bytes, than the settings
 * say, and has the others compressed where they say so. newest: the name of the one that was
 * rotated just now, or NULL; where the clock was once ahead it gets another one, as it is the last.
 */
void rotation_tidy(const struct settings *, const char *name, const char *newest);

/*
 * Has compressed what a logger that was killed has left, of all the names that were put on the
 * list: one look at each directory, however many services have their files there.
 */
void rotation_look_later(const struct settings *, const char *name);
void rotation_look(void);

#endif
