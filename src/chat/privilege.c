/* SPDX-License-Identifier: MIT */
/* Who the process is, and what it may: see privilege.h. */
#include "chat/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"

#define CAPABILITIES 64 /* as many as the kernel's interface has room for */

static int find_entry(const char *user, const struct passwd **ret, struct error *e)
{
	const struct passwd *entry;
	int64_t number;

	errno = 0;
	entry = getpwnam(user);
	if (!entry && parse_int(user, 0, UINT32_MAX - 1, &number) == 0)
		entry = getpwuid((uid_t)number);
	if (!entry && errno != 0 && errno != ENOENT)
		return error_set_errno(e, -errno, "user %s", user);
	if (!entry)
		return error_set(e, -EINVAL, "user %s: there is no such user here", user);
	*ret = entry;
	return 0;
}

int identity_check(const char *user, struct error *e)
{
	const struct passwd *entry;

	return find_entry(user, &entry, e);
}

int identity_find(const char *user, struct identity *ret, struct error *e)
{
	const struct passwd *entry;
	int r = find_entry(user, &entry, e);

	if (r < 0)
		return r;
	snprintf(ret->name, sizeof(ret->name), "%s", entry->pw_name);
	ret->uid = entry->pw_uid;
	ret->gid = entry->pw_gid;
	ret->is_ours = ret->uid == geteuid() && ret->uid == getuid();
	if (!ret->is_ours && geteuid() != 0)
		return error_set(e, -EINVAL,
				 "user = %s takes a start as root, and this is user %u; start it "
				 "as root or leave user out",
				 user, (unsigned)geteuid());
	return 0;
}

int identity_make_directory(const struct identity *identity, const char *path, struct error *e)
{
	int r;

	if (access(path, F_OK) == 0)
		return 0;
	r = fd_make_directories(path, 0755);
	if (r == 0 && mkdir(path, 0700) < 0)
		r = -errno;
	/* Not through a link that somebody has put there meanwhile. */
	if (r == 0 && identity && lchown(path, identity->uid, identity->gid) < 0)
		r = -errno;
	return r < 0 && identity ? error_set_errno(e, r, "%s", path) : 0;
}

int identity_become(const struct identity *i, struct error *e)
{
	pid_t parent = getppid();
	int signo = 0;

	if (i->is_ours)
		return 0;
	if (prctl(PR_GET_PDEATHSIG, &signo) < 0)
		signo = 0;
	if (initgroups(i->name, i->gid) < 0 || setresgid(i->gid, i->gid, i->gid) < 0 ||
	    setresuid(i->uid, i->uid, i->uid) < 0)
		return error_set_errno(e, -errno, "cannot become user %s", i->name);
	if (signo == 0)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, signo) < 0)
		return error_set_errno(e, -errno, "the death signal");
	return getppid() == parent ? 0 : error_set(e, -ESRCH, "the parent has ended");
}

void privilege_bound(void)
{
	/* Who has not CAP_SETPCAP may not, and needs not: without new privileges none is used. */
	for (int i = 0; i < CAPABILITIES; i++)
		prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

int privilege_drop(bool keep_files, struct error *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint64_t keep = keep_files ? UINT64_C(1) << CAP_DAC_OVERRIDE : 0, has;
	struct __user_cap_data_struct data[2];

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &header, data) < 0)
		return error_set_errno(e, -errno, "capget");
	has = data[0].permitted | (uint64_t)data[1].permitted << 32;
	keep &= has;
	for (int i = 0; i < 2; i++) {
		data[i].permitted = data[i].effective = (uint32_t)(keep >> (32 * i));
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return error_set_errno(e, -errno, "capset");
	return 0;
}
