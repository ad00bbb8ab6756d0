/* SPDX-License-Identifier: MIT */
/*
 * What a section looks like while the config is being read: the values, which of them were set
 * and on which line, so that a problem found late still has its place. Private to the config's
 * own files.
 */
#ifndef FOSTER_MANAGER_CONFIG_DRAFT_H
#define FOSTER_MANAGER_CONFIG_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manager/config-index.h"
#include "manager/config.h"
#include "manager/option.h"

/* Where a section stands, and its options. */
struct place {
	const char *file; /* kept by the loader */
	int line;
	uint64_t set;           /* bit i: option i of the table stands in the section */
	uint64_t refused;       /* bit i: it is there, but as something that was refused */
	int lines[OPTIONS_MAX]; /* of the options that are set */
};

struct service_draft {
	struct service_config *service;
	struct place place;
};

struct socket_draft {
	char **listen, **datagram;
	char *from_systemd;
	int backlog;
	mode_t mode;
};

struct top_draft {
	char *log_directory, *control_group, *control_read_group, *cgroup;
	char **include; /* of the file that is read */
};

#endif
