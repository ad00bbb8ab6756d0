/* SPDX-License-Identifier: MIT */
/*
 * Users and groups by name or number, each looked up once a load: ten thousand services of one
 * user ask NSS a single time. May block (NSS). Private to the config's own files.
 */
#ifndef FOSTER_MANAGER_CONFIG_IDENTITY_H
#define FOSTER_MANAGER_CONFIG_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct identity_user {
	char *name;
	int error;          /* -ENOENT: there is none */
	char *home, *shell; /* of the account; NULL: none */
	uid_t uid;
	bool has_group; /* false: a number that no account has */
	gid_t gid;
	gid_t *groups; /* supplementary, the own one included */
	size_t n_groups;
};

struct identities;
struct identities *identities_new(void);
struct identities *identities_free(struct identities *); /* always NULL */

/* The user stays owned by identities, until the next call. NULL when out of memory. */
const struct identity_user *identities_user(struct identities *ids, const char *name);

/* 0, -ENOENT, -ENOMEM or what NSS said. */
int identities_group(struct identities *ids, const char *name, gid_t *ret);

#endif
