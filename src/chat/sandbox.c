/* SPDX-License-Identifier: MIT */
/* The walls around the process that faces the network: see sandbox.h. */
#include "config.h"

#include "chat/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_SECCOMP
#include <seccomp.h>
#endif

#include "base/fd.h"
#include "base/log.h"
#include "base/macro.h"
#include "chat/privilege.h"

/* Watched from inside, by a sanitizer say: what watches has files, processes and calls of its own. */
#ifdef INSTRUMENTED
static const bool instrumented = true;
#else
static const bool instrumented = false;
#endif

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

/* Where it stands, for it may be replaced; a link, where it leads as well. */
static int allow_beside(int rules, const char *file)
{
	_cleanup_free_ char *real = realpath(file, NULL);
	const char *paths[] = { file, real };
	int r = 0;

	for (size_t i = 0; i < ELEMENTSOF(paths) && r == 0; i++) {
		const char *slash = paths[i] ? strrchr(paths[i], '/') : NULL;
		_cleanup_free_ char *directory =
			slash ? strndup(paths[i], MAX(slash - paths[i], 1)) : strdup(".");

		r = !directory ? -ENOMEM : paths[i] ? allow(rules, directory, TO_READ) : 0;
	}
	return r;
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

/* --- system calls: seccomp ------------------------------------------------------------------ */

#ifdef HAVE_SECCOMP

/*
 * What libc, libevent, SQLite and OpenSSL call for us. What is on neither list is unknown (ENOSYS): so
 * a newer libc falls back to what it did before.
 */
static const char *const allowed[] = {
	/* memory, time, itself */
	"brk",
	"clock_getres",
	"clock_gettime",
	"clock_gettime64",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"exit",
	"exit_group",
	"futex",
	"futex_time64",
	"getcpu",
	"getegid",
	"geteuid",
	"getgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getrandom",
	"getrlimit",
	"getrusage",
	"gettid",
	"gettimeofday",
	"getuid",
	"madvise",
	"membarrier",
	"mincore",
	"mremap",
	"munmap",
	"nanosleep",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_sigtimedwait_time64",
	"sched_getaffinity",
	"sched_yield",
	"set_robust_list",
	"sigaltstack",
	"sigreturn",
	"sysinfo",
	"time",
	"times",
	"ugetrlimit",
	"uname",
	/* descriptors */
	"_llseek",
	"close",
	"close_range",
	"dup",
	"dup2",
	"dup3",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd",
	"eventfd2",
	"lseek",
	"pipe",
	"pipe2",
	"poll",
	"ppoll",
	"ppoll_time64",
	"pread64",
	"preadv",
	"pselect6",
	"pwrite64",
	"pwritev",
	"read",
	"readv",
	"select",
	"signalfd",
	"signalfd4",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	"write",
	"writev",
	/* its connections; none is made */
	"accept",
	"accept4",
	"getpeername",
	"getsockname",
	"getsockopt",
	"recv",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"send",
	"setsockopt",
	"shutdown",
	/* its files, as far as Landlock lets it */
	"access",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fallocate",
	"fchmod",
	"fchown",
	"fchown32",
	"fdatasync",
	"flock",
	"fstat",
	"fstat64",
	"fstatat64",
	"fstatfs",
	"fstatfs64",
	"fsync",
	"ftruncate",
	"ftruncate64",
	"getcwd",
	"getdents",
	"getdents64",
	"inotify_add_watch",
	"inotify_init",
	"inotify_init1",
	"inotify_rm_watch",
	"lstat",
	"lstat64",
	"mkdir",
	"mkdirat",
	"newfstatat",
	"open",
	"openat",
	"openat2",
	"readlink",
	"readlinkat",
	"rename",
	"renameat",
	"renameat2",
	"rmdir",
	"stat",
	"stat64",
	"statfs",
	"statfs64",
	"statx",
	"sync_file_range",
	"umask",
	"unlink",
	"unlinkat",
	/* its children, which it can but end and reap */
	"pidfd_send_signal",
	"wait4",
	"waitid",
	"waitpid",
};

/* What one would try who has taken the process over. */
static const char *const refused[] = {
	"bind",
	"bpf",
	"chmod", /* and what follows of that kind: Landlock lets the owner of a file do it, everywhere */
	"chown",
	"connect",
	"execve",
	"execveat",
	"fchmodat",
	"fchmodat2",
	"fchownat",
	"init_module",
	"io_uring_setup",
	"kcmp",
	"keyctl",
	"kill",
	"lchown",
	"listen",
	"memfd_create",
	"mount",
	"open_by_handle_at",
	"perf_event_open",
	"pidfd_getfd",
	"pidfd_open",
	"pivot_root",
	"process_vm_readv",
	"process_vm_writev",
	"rt_sigqueueinfo",
	"setgid",
	"setns",
	"setresgid",
	"setresuid",
	"setuid",
	"socket",
	"socketpair",
	"tkill",
	"unshare",
	"userfaultfd",
	"utimensat",
};

/* Those of a process; where it is watched from inside, the watcher's part is left out. */
static const char *const refused_processes[] = { "fork", "ptrace", "vfork" };

static int add_list(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		int number = seccomp_syscall_resolve_name(names[i]);

		if (number >= 0) /* this machine has it */
			r = seccomp_rule_add(filter, action, number, 0);
	}
	return r;
}

#ifdef __s390__
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

/* A use of a call, by one of its arguments. */
struct use {
	const char *name;
	struct scmp_arg_cmp condition;
};

static int add_uses(scmp_filter_ctx filter, uint32_t action, const struct use *uses, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		int number = seccomp_syscall_resolve_name(uses[i].name);

		if (number >= 0)
			r = seccomp_rule_add_array(filter, action, number, 1, &uses[i].condition);
	}
	return r;
}

/* One of these values, of the argument that says what is to be done. */
static int add_commands(scmp_filter_ctx filter, uint32_t action, const char *name,
			const unsigned long *commands, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct use use = { name, SCMP_A1(SCMP_CMP_EQ, commands[i]) };

		r = add_uses(filter, action, &use, 1);
	}
	return r;
}

/* Of these only some uses. */
static int allow_uses(scmp_filter_ctx filter)
{
	static const unsigned long ioctls[] = { FIONBIO, FIONREAD, FIOCLEX, TCGETS };
	static const unsigned long fcntls[] = { F_DUPFD,     F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,
						F_GETFL,     F_SETFL,         5,           6,
						7, /* F_GETLK, F_SETLK, F_SETLKW */
						F_OFD_GETLK, F_OFD_SETLK,     F_OFD_SETLKW };
	static const unsigned long fcntls64[] = { 12, 13, 14 }; /* the same of 32 bit machines */
	const struct use uses[] = {
		/* a thread, no process; clone3(2), whose flags are in memory, is not there */
		{ "clone", SCMP_CMP(CLONE_FLAGS, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD) },
		{ "tgkill", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()) },
		{ "prctl", SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME) },
		/* its own limits */
		{ "prlimit64", SCMP_A0(SCMP_CMP_EQ, 0) },
		/* not to connect with what is sent */
		{ "sendto", SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0) },
		{ "sendmsg", SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0) },
		{ "sendmmsg", SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0) },
		/* no new code */
		{ "mmap", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
		{ "mmap2", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
		{ "mprotect", SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
	};
	int r = add_uses(filter, SCMP_ACT_ALLOW, uses, ELEMENTSOF(uses));

	if (r == 0)
		r = add_commands(filter, SCMP_ACT_ALLOW, "ioctl", ioctls, ELEMENTSOF(ioctls));
	if (r == 0)
		r = add_commands(filter, SCMP_ACT_ALLOW, "fcntl", fcntls, ELEMENTSOF(fcntls));
	if (r == 0)
		r = add_commands(filter, SCMP_ACT_ALLOW, "fcntl64", fcntls, ELEMENTSOF(fcntls));
	if (r == 0)
		r = add_commands(filter, SCMP_ACT_ALLOW, "fcntl64", fcntls64, ELEMENTSOF(fcntls64));
	return r;
}

/* Of these what one would try, as above. */
static int refuse_uses(scmp_filter_ctx filter)
{
	/* The kernel signals a descriptor's owner in our name, whom kill(2) does not reach. */
	static const unsigned long owners[] = { F_SETOWN, F_SETSIG, F_SETOWN_EX };
	static const struct use uses[] = {
		{ "prlimit64", { 0, SCMP_CMP_NE, 0, 0 } },
		{ "sendto", { 3, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN } },
		{ "sendmsg", { 2, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN } },
		{ "sendmmsg", { 3, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, MSG_FASTOPEN } },
	};
	int r = add_uses(filter, SCMP_ACT_ERRNO(EPERM), uses, ELEMENTSOF(uses));

	if (r == 0)
		r = add_commands(filter, SCMP_ACT_ERRNO(EPERM), "fcntl", owners,
				 ELEMENTSOF(owners));
	if (r == 0)
		r = add_commands(filter, SCMP_ACT_ERRNO(EPERM), "fcntl64", owners,
				 ELEMENTSOF(owners));
	return r;
}

static int add_rules(scmp_filter_ctx filter)
{
	int r = add_list(filter, SCMP_ACT_ERRNO(EPERM), refused, ELEMENTSOF(refused));

	if (r == 0)
		r = refuse_uses(filter);
	if (r < 0 || instrumented)
		return r;
	r = add_list(filter, SCMP_ACT_ERRNO(EPERM), refused_processes,
		     ELEMENTSOF(refused_processes));
	if (r == 0)
		r = add_list(filter, SCMP_ACT_ALLOW, allowed, ELEMENTSOF(allowed));
	return r < 0 ? r : allow_uses(filter);
}

/* 1, or -errno. */
static int enclose_calls(void)
{
	scmp_filter_ctx filter =
		seccomp_init(instrumented ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS));
	int r;

	if (!filter)
		return -ENOMEM;
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	r = add_rules(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? r : 1;
}

#else

static int enclose_calls(void)
{
	return 0;
}

#endif

/* --- both ----------------------------------------------------------------------------------- */

/* Before he is nobody who could make it. */
static int make_directory(const struct sandbox_settings *settings, const struct identity *identity,
			  struct error *e)
{
	const char *path = settings->directory;
	int r;

	if (!path || access(path, F_OK) == 0)
		return 0;
	r = fd_make_directories(path, 0755);
	if (r == 0 && mkdir(path, 0700) < 0)
		r = -errno;
	/* Not through a link that somebody has put there meanwhile. */
	if (r == 0 && identity && lchown(path, identity->uid, identity->gid) < 0)
		r = -errno;
	/* One of which nothing is needed yet is missed by whoever does. */
	return r < 0 && identity ? error_set_errno(e, r, "%s", path) : 0;
}

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
	landlock = enclose_files(settings);
	r = landlock > 0 ? 0 : is_lacking(settings, "Landlock", landlock, e);
	/* Root reads and writes his own files, or within the walls every file. */
	if (r == 0)
		r = privilege_drop(landlock > 0, e);
	if (r < 0)
		return r;
	seccomp = enclose_calls();
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
	if (r == 0)
		r = make_directory(settings, settings->user ? &identity : NULL, e);
	if (settings->mode != SANDBOX_OFF)
		privilege_bound();
	if (r == 0 && settings->user)
		r = identity_become(&identity, e);
	if (r < 0 || settings->mode == SANDBOX_OFF)
		return r;
	return enclose(settings, user, e);
}
