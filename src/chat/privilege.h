/* SPDX-License-Identifier: MIT */
/*
 * Who the process is, and what it may: given away for good. Linux's capabilities(7),
 * credentials(7).
 */
#ifndef FOSTER_CHAT_PRIVILEGE_H
#define FOSTER_CHAT_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct identity {
	char name[33];
	uid_t uid;
	gid_t gid;
	bool is_ours; /* it is who we are: nothing changes */
};

/*
 * Who user is, a name or a number. Blocks: asks what nsswitch.conf(5) names. 0; -EINVAL: there is
 * none, or he is another, and only root may become that; -errno.
 */
int identity_find(const char *user, struct identity *ret, struct error *e);

/* Only whether there is such a user: 0 or -EINVAL, or -errno. */
int identity_check(const char *user, struct error *e);

/*
 * Makes the directory for him alone, while we are who may; NULL: for who we are, and if that fails
 * whoever needs it will miss it. What is there already stays as it is.
 */
int identity_make_directory(const struct identity *identity, const char *path, struct error *e);

/*
 * Becomes him, with his groups, in this thread and those to come. A death signal, which the kernel
 * clears with that, is set again; -ESRCH: the parent that it was to come from has gone meanwhile.
 */
int identity_become(const struct identity *identity, struct error *e);

/* Nothing that is executed later has a capability, even of root. To be called while we are root. */
void privilege_bound(void);

/*
 * Gives every capability away; keep_files: but to read and write the files of others, which root
 * takes for granted. 0 or -errno.
 */
int privilege_drop(bool keep_files, struct error *e);

#endif
