/* SPDX-License-Identifier: MIT */
/*
 * Reading through a config_source: each answer of the disk, failures too, is kept the first
 * time and given again later. Private to the config's own files; the rest is in config.h.
 */
#ifndef FOSTER_MANAGER_CONFIG_SOURCE_H
#define FOSTER_MANAGER_CONFIG_SOURCE_H

#include <stddef.h>

#include "manager/config.h"

/*
 * The bytes of a regular file of at most max bytes; they stay the source's. 0 or the -errno of
 * the first read; -EFBIG above max, -EISDIR, -EMEDIUMTYPE when it is no regular file. A
 * restored source answers -ENOENT for a file that it does not hold.
 */
int config_source_read(struct config_source *source, const char *path, size_t max,
		       const char **ret_data, size_t *ret_size);

/* The paths that a pattern matches, sorted; the caller's. No match is an empty list. 0, -errno. */
int config_source_glob(struct config_source *source, const char *pattern, char ***ret_paths);

#endif
