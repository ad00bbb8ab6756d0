/* SPDX-License-Identifier: MIT */
/* The walls around the process that faces the network: see sandbox.h. */
#include "config.h"

#include "chat/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/macro.h"
#include "chat/privilege.h"
#include "chat/sandbox-internal.h"

/* --- files: Landlock, landlock(7) ----------------------------------------------------------- */

/* The system calls have the same numbers on all machines; headers may be older than the kernel. */
#define LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_ADD_RULE       445
#define LANDLOCK_RESTRICT_SELF  446
#define LANDLOCK_VERSION        1 /* a flag: asks for it */
#define LANDLOCK_PATH_BENEATH   1

enum landlock_right {
	MAY_WRITE = 1 << 1,
	MAY_READ = 1 << 2,
	MAY_LIST = 1 << 3,
	MAY_REMOVE_DIRECTORY = 1 << 4,
	MAY_REMOVE = 1 << 5,
	MAY_MAKE_DIRECTORY = 1 << 7,
	MAY_MAKE = 1 << 8,
	MAY_REFER = 1 << 13,    /* from version 2 */
	MAY_TRUNCATE = 1 << 14, /* 3 */
	MAY_IOCTL = 1 << 15,    /* 5 */
};

#define RIGHTS_1       ((1 << 13) - 1)
#define NET_ALL        3 /* bind and connect, from version 4 */
#define SCOPE_ABSTRACT 1 /* abstract Unix sockets, from version 6 */
#define TO_READ        (MAY_READ | MAY_LIST)
#define TO_WRITE                                                                                   \
	(TO_READ | MAY_WRITE | MAY_REMOVE | MAY_REMOVE_DIRECTORY | MAY_MAKE | MAY_MAKE_DIRECTORY | \
	 MAY_TRUNCATE)

struct landlock_ruleset {
	uint64_t files, net, scoped;
};

struct landlock_beneath {
	uint64_t allowed;
	int32_t directory;
} __attribute__((packed));

/* 0: the kernel has none, or it is not switched on. */
static int landlock_version(void)
{
	long version = syscall(LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION);

	return version > 0 ? (int)version : 0;
}

static uint64_t known_rights(int version)
{
	return RIGHTS_1 | (version >= 2 ? MAY_REFER : 0) | (version >= 3 ? MAY_TRUNCATE : 0) |
	       (version >= 5 ? MAY_IOCTL : 0);
}

/* What is not there needs no rule. */
static int allow(int rules, const char *path, uint64_t rights)
{
	struct landlock_beneath beneath = { .allowed = rights };
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		beneath.allowed &= MAY_READ | MAY_WRITE | MAY_TRUNCATE | MAY_IOCTL;
	beneath.directory = fd;
	return syscall(LANDLOCK_ADD_RULE, rules, LANDLOCK_PATH_BENEATH, &beneath, 0) < 0 ? -errno
											 : 0;
}

static int allow_directory_of(int rules, const char *file)
{
	const char *slash = strrchr(file, '/');
	_cleanup_free_ char *directory = slash ? strndup(file, MAX(slash - file, 1)) : strdup(".");

	return directory ? allow(rules, directory, TO_READ) : -ENOMEM;
}

/* "/tls" for "/tls/current/key.pem" if "current" is a link there: so it can be led elsewhere. */
static int allow_links_of(int rules, const char *file)
{
	_cleanup_free_ char *path = strdup(file);
	int r = path ? 0 : -ENOMEM;

	for (char *slash = path; r == 0 && (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		struct stat st;

		*slash = '\0';
		/* In the root it would be all files that there are. */
		if (strrchr(path, '/') != path && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
			r = allow_directory_of(rules, path);
	}
	return r;
}

/* Where it stands, for it may be replaced; and where it leads, if it is a link or behind one. */
static int allow_beside(int rules, const char *file)
{
	_cleanup_free_ char *real = realpath(file, NULL);
	int r = allow_directory_of(rules, file);

	if (r == 0 && real)
		r = allow_directory_of(rules, real);
	return r < 0 ? r : allow_links_of(rules, file);
}

static int allow_all(int rules, const struct sandbox_settings *settings, uint64_t known)
{
	int r = allow(rules, "/dev/null", (MAY_READ | MAY_WRITE) & known);

	for (size_t i = 0; i < SANDBOX_FILES && r == 0; i++) {
		if (settings->files[i])
			r = allow_beside(rules, settings->files[i]);
	}
	if (r == 0 && settings->directory)
		r = allow(rules, settings->directory, TO_WRITE & known);
	return r == 0 && instrumented ? allow(rules, "/", known) : r;
}

/* The version that holds; 0: none; or -errno. */
static int enclose_files(const struct sandbox_settings *settings)
{
	int version = landlock_version(), r;
	struct landlock_ruleset set = { .files = known_rights(version),
					.net = version >= 4 ? NET_ALL : 0,
					.scoped = version >= 6 ? SCOPE_ABSTRACT : 0 };
	size_t size = version >= 6   ? sizeof(set)
		      : version >= 4 ? offsetof(struct landlock_ruleset, scoped)
				     : offsetof(struct landlock_ruleset, net);
	_cleanup_close_ int rules = -1;

	if (version == 0)
		return 0;
	rules = (int)syscall(LANDLOCK_CREATE_RULESET, &set, size, 0);
	if (rules < 0)
		return -errno;
	r = allow_all(rules, settings, set.files);
	if (r == 0 && syscall(LANDLOCK_RESTRICT_SELF, rules, 0) < 0)
		r = -errno;
	return r < 0 ? r : version;
}

/* --- both ----------------------------------------------------------------------------------- */

static int is_lacking(const struct sandbox_settings *settings, const char *what, int error,
		      struct error *e)
{
	if (settings->mode == SANDBOX_REQUIRED)
		return error_set(e, error < 0 ? error : -EOPNOTSUPP,
				 "sandbox = required, and there is no %s%s%s", what,
				 error < 0 ? ": " : "", error < 0 ? strerror(-error) : "");
	if (error < 0)
		log_warning_errno(error, "sandbox: no %s", what);
	return 0;
}

static int enclose(const struct sandbox_settings *settings, const char *user, struct error *e)
{
	int landlock, seccomp, r;

	/* Landlock asks for it, too. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set_errno(e, -errno, "no_new_privs");
	sandbox_prepare_calls();
	landlock = enclose_files(settings);
	r = landlock > 0 ? 0 : is_lacking(settings, "Landlock", landlock, e);
	/* Root reads and writes his own files, or within the walls every file. */
	if (r == 0)
		r = privilege_drop(landlock > 0, e);
	if (r < 0)
		return r;
	seccomp = sandbox_enclose_calls();
	r = seccomp > 0 ? 0 : is_lacking(settings, "seccomp", seccomp, e);
	if (r == 0)
		log_info("sandbox: user %s, %s, %s", user,
			 landlock > 0 ? "its own files alone" : "no walls around files (Landlock)",
			 seccomp > 0 ? "its own system calls alone"
				     : "no walls around system calls (seccomp)");
	return r;
}

int sandbox_enter(const struct sandbox_settings *settings, struct error *e)
{
	struct identity identity;
	char user[48];
	int r = 0;

	snprintf(user, sizeof(user), "%u", (unsigned)geteuid());
	if (settings->user) {
		r = identity_find(settings->user, &identity, e);
		snprintf(user, sizeof(user), "%s", r == 0 ? identity.name : "");
	}
	if (r == 0 && settings->directory)
		r = identity_make_directory(settings->user ? &identity : NULL, settings->directory,
					    e);
	if (settings->mode != SANDBOX_OFF)
		privilege_bound();
	if (r == 0 && settings->user)
		r = identity_become(&identity, e);
	if (r < 0 || settings->mode == SANDBOX_OFF)
		return r;
	return enclose(settings, user, e);
}
