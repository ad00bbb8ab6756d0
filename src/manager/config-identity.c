/* SPDX-License-Identifier: MIT */
/* Users and groups: see config-identity.h. */
#include "manager/config-identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"

#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

struct group_entry {
	char *name;
	int error;
	gid_t gid;
};

struct identities {
	struct identity_user *users;
	size_t n_users;
	struct group_entry *groups;
	size_t n_groups;
};

struct identities *identities_new(void)
{
	return calloc(1, sizeof(struct identities));
}

struct identities *identities_free(struct identities *ids)
{
	if (!ids)
		return NULL;
	for (size_t i = 0; i < ids->n_users; i++) {
		free(ids->users[i].name);
		free(ids->users[i].home);
		free(ids->users[i].shell);
		free(ids->users[i].groups);
	}
	for (size_t i = 0; i < ids->n_groups; i++)
		free(ids->groups[i].name);
	free(ids->users);
	free(ids->groups);
	free(ids);
	return NULL;
}

static int list_groups(struct identity_user *user, const char *account)
{
	int n = 32;

	for (;;) {
		gid_t *groups = reallocarray(user->groups, n, sizeof(*groups));
		int room = n;

		if (!groups)
			return -ENOMEM;
		user->groups = groups;
		if (getgrouplist(account, user->gid, groups, &n) >= 0) {
			user->n_groups = n;
			return 0;
		}
		/* n is now what is needed; some NSS modules leave it as it was. */
		n = MAX(n, room * 2);
		if (n > GROUPS_MAX)
			return -E2BIG;
	}
}

static void look_up_user(struct identity_user *user)
{
	struct passwd *pw;
	int64_t number;

	errno = 0;
	pw = getpwnam(user->name);
	if (!pw && parse_int(user->name, 0, UINT32_MAX - 1, &number) == 0) {
		user->uid = (uid_t)number;
		pw = getpwuid(user->uid);
		if (!pw)
			return; /* a number needs no account */
	}
	if (!pw) {
		user->error = -ENOENT;
		return;
	}
	user->uid = pw->pw_uid;
	user->gid = pw->pw_gid;
	user->has_group = true;
	user->home = strdup(pw->pw_dir);
	user->shell = strdup(pw->pw_shell);
	user->error = user->home && user->shell ? list_groups(user, pw->pw_name) : -ENOMEM;
}

const struct identity_user *identities_user(struct identities *ids, const char *name)
{
	struct identity_user *bigger, *user;

	for (size_t i = 0; i < ids->n_users; i++) {
		if (strcmp(ids->users[i].name, name) == 0)
			return &ids->users[i];
	}
	bigger = reallocarray(ids->users, ids->n_users + 1, sizeof(*bigger));
	if (!bigger)
		return NULL;
	ids->users = bigger;
	user = &bigger[ids->n_users];
	*user = (struct identity_user){ .name = strdup(name) };
	if (!user->name)
		return NULL;
	ids->n_users++;
	look_up_user(user);
	return user;
}

int identities_group(struct identities *ids, const char *name, gid_t *ret)
{
	struct group_entry *bigger, entry = { 0 };
	struct group *gr;
	int64_t number;

	for (size_t i = 0; i < ids->n_groups; i++) {
		if (strcmp(ids->groups[i].name, name) == 0) {
			*ret = ids->groups[i].gid;
			return ids->groups[i].error;
		}
	}
	gr = getgrnam(name);
	if (gr)
		entry.gid = gr->gr_gid;
	else if (parse_int(name, 0, UINT32_MAX - 1, &number) == 0)
		entry.gid = (gid_t)number;
	else
		entry.error = -ENOENT;
	bigger = reallocarray(ids->groups, ids->n_groups + 1, sizeof(*bigger));
	if (bigger)
		ids->groups = bigger;
	entry.name = bigger ? strdup(name) : NULL;
	if (!entry.name)
		return -ENOMEM;
	bigger[ids->n_groups++] = entry;
	*ret = entry.gid;
	return entry.error;
}
