/* SPDX-License-Identifier: MIT */
/*
 * The system calls of the process that faces the network: see sandbox.h. libseccomp compiles the
 * list; it is loaded for that moment alone, as it is larger than what it leaves.
 */
#include "config.h"

#ifdef HAVE_SECCOMP

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/library.h"
#include "base/macro.h"
#include "chat/sandbox-internal.h"

#define LIBRARY "libseccomp.so.2"

static struct {
	void *library;
	bool complete; /* it has these */
	__typeof__(&seccomp_init) init;
	__typeof__(&seccomp_attr_set) set;
	__typeof__(&seccomp_syscall_resolve_name) resolve;
	__typeof__(&seccomp_rule_add_array) add;
	__typeof__(&seccomp_load) load;
	__typeof__(&seccomp_release) release;
} lib;

/*
 * What libc, libevent, SQLite and OpenSSL call for us. What is on neither list is unknown (ENOSYS):
 * so a newer libc falls back to what it did before.
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

/*
 * condition NULL: whatever its arguments are. A name that this machine does not have is passed
 * over.
 */
static int add(scmp_filter_ctx filter, uint32_t action, const char *name,
	       const struct scmp_arg_cmp *condition)
{
	int number = lib.resolve(name);

	return number < 0 ? 0 : lib.add(filter, action, number, condition ? 1 : 0, condition);
}

static int add_list(scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add(filter, action, names[i], NULL);
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

	for (size_t i = 0; i < n && r == 0; i++)
		r = add(filter, action, uses[i].name, &uses[i].condition);
	return r;
}

/* Its argument that says what is to be done, one of these. */
static int add_commands(scmp_filter_ctx filter, uint32_t action, const char *name,
			const unsigned long *commands, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct scmp_arg_cmp condition = SCMP_A1(SCMP_CMP_EQ, commands[i]);

		r = add(filter, action, name, &condition);
	}
	return r;
}

#if __WORDSIZE == 32
/* Of files of any size, and of those that a library may think are small. */
#define LOCKS 5, 6, 7, 12, 13, 14
#else
#define LOCKS F_GETLK, F_SETLK, F_SETLKW
#endif

/* Of these only some uses. */
static int allow_uses(scmp_filter_ctx filter)
{
	static const unsigned long ioctls[] = { FIONBIO, FIONREAD, FIOCLEX, TCGETS, SIOCOUTQ };
	static const unsigned long fcntls[] = { F_DUPFD,     F_DUPFD_CLOEXEC, F_GETFD,
						F_SETFD,     F_GETFL,         F_SETFL,
						F_OFD_GETLK, F_OFD_SETLK,     F_OFD_SETLKW,
						LOCKS };
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

static int enclose(void)
{
	scmp_filter_ctx filter = lib.init(instrumented ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS));
	int r;

	if (!filter)
		return -ENOMEM;
	lib.set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	r = add_rules(filter);
	if (r == 0)
		r = lib.load(filter);
	lib.release(filter);
	return r < 0 ? r : 1;
}

void sandbox_prepare_calls(void)
{
	const struct library_function functions[] = {
		LIBRARY_FUNCTION(lib.init, seccomp_init),
		LIBRARY_FUNCTION(lib.set, seccomp_attr_set),
		LIBRARY_FUNCTION(lib.resolve, seccomp_syscall_resolve_name),
		LIBRARY_FUNCTION(lib.add, seccomp_rule_add_array),
		LIBRARY_FUNCTION(lib.load, seccomp_load),
		LIBRARY_FUNCTION(lib.release, seccomp_release),
	};

	lib.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	lib.complete = lib.library && library_find(lib.library, functions, ELEMENTSOF(functions));
}

int sandbox_enclose_calls(void)
{
	int r = -ELIBACC;

	if (lib.complete)
		r = enclose();
	if (lib.library)
		dlclose(lib.library);
	memset(&lib, 0, sizeof(lib));
	malloc_trim(0); /* as much as all the rest of a room without users has */
	return r;
}

#else

#include "chat/sandbox-internal.h"

void sandbox_prepare_calls(void)
{
}

int sandbox_enclose_calls(void)
{
	return 0;
}

#endif
