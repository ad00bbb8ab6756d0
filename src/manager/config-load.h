/* SPDX-License-Identifier: MIT */
/*
 * What the steps of reading a config share. The steps: every file is parsed (config-load.c,
 * config-section.c), then defaults are filled in and what a value stands for is looked up
 * (config-resolve.c), then the services are checked against one another (config-check.c).
 * Private to the config's own files.
 */
#ifndef FOSTER_MANAGER_CONFIG_LOAD_H
#define FOSTER_MANAGER_CONFIG_LOAD_H

#include "base/error.h"
#include "manager/config-draft.h"
#include "manager/config-identity.h"
#include "manager/config-parse.h"
#include "manager/config-problem.h"

struct loader {
	struct config_source *source;
	struct config_problems *problems;
	struct config *config;
	size_t directory_size; /* of the main file's path: what file fields leave out */

	struct service_draft *services; /* the drafts of config->services, in the same order */
	size_t services_room;
	struct place *socket_places; /* of config->sockets, in the same order */
	size_t sockets_room;
	struct service_config *defaults; /* the table's defaults, then those of the section */
	struct place defaults_place;
	struct top_draft top;
	struct place top_places[OPTIONS_MAX]; /* where each option of the top level was set */
	struct identities *identities;

	char **files; /* every file's path, in the order of reading; places point to them */
	size_t n_files, files_room;
	struct name_index *file_index;
	bool out_of_memory;
};

/* A problem at an option of a section: on the option's line, or else on the section's. */
void loader_complain(struct loader *l, const struct place *place, const struct option_table *table,
		     const char *option, const char *fmt, ...) PRINTF(5, 6);

/* Room for one more behind the n elements of *array, doubled when used up. false: no memory. */
bool loader_make_room(struct loader *l, void *array, size_t n, size_t *room, size_t size);

/* config-section.c: a section to where it belongs; ctx is the loader. */
section_handler config_take_section;

/* config-resolve.c: defaults, users and groups, environment files. */
void config_resolve(struct loader *l);

/* config-check.c: names of services and sockets, cycles, addresses used twice. */
void config_check(struct loader *l);

#endif
