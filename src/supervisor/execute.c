/* SPDX-License-Identifier: MIT */
/* The start of the command: see execute.h. */
#include "supervisor/execute.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "supervisor/proc.h"
#include "supervisor/terminal.h"

static bool names_pid(const char *variable, const char *name, pid_t pid)
{
	size_t length = strlen(name);

	return strncmp(variable, name, length) == 0 && atoi(variable + length) == pid;
}

/*
 * What was said to fosterd by its pid is meant for the command: sd_listen_fds(3) and
 * sd_watchdog_enabled(3) compare it with their own. The pidfd's number beside it goes.
 */
static void readdress_environment(pid_t from)
{
	static char listen_pid[32], watchdog_pid[32];
	bool ours = false;
	char **to = environ;

	snprintf(listen_pid, sizeof(listen_pid), "LISTEN_PID=%d", getpid());
	snprintf(watchdog_pid, sizeof(watchdog_pid), "WATCHDOG_PID=%d", getpid());
	for (char **e = environ; *e; e++) {
		if (names_pid(*e, "LISTEN_PID=", from)) {
			*e = listen_pid;
			ours = true;
		} else if (names_pid(*e, "WATCHDOG_PID=", from)) {
			*e = watchdog_pid;
		}
	}
	for (char **e = environ; ours && *e; e++) {
		if (strncmp(*e, "LISTEN_PIDFDID=", strlen("LISTEN_PIDFDID=")) != 0)
			*to++ = *e;
	}
	if (ours)
		*to = NULL;
}

/* Whether there is such a file, be it in a directory of the search path. */
static bool exists(const char *name)
{
	const char *search = getenv("PATH");
	char path[4096];

	if (strchr(name, '/'))
		return access(name, F_OK) == 0;
	for (const char *p = search ? search : "/bin:/usr/bin"; *name && p; p = strchr(p, ':')) {
		p += *p == ':';
		snprintf(path, sizeof(path), "%.*s/%s", (int)strcspn(p, ":"), p, name);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/*
 * execvp(3) has one errno for a script and for its interpreter that is missing, and another one
 * for a directory of the search path that is closed to us, whatever may be in it.
 */
NORETURN static void fail(const char *name, int error)
{
	bool found = exists(name);

	if (error == ENOENT && found) {
		log_error("%s: cannot be run: the interpreter that its first line names, or its "
			  "loader, is not there",
			  name);
		_exit(EXIT_NOT_EXECUTABLE);
	}
	if (error == EACCES && !found && !strchr(name, '/'))
		error = ENOENT;
	log_error_errno(-error, "%s: cannot be run", name);
	_exit(error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* The order: a change of credentials would clear the death signal, there is none; but a parent
 * that died before it was armed sends no signal, so that is looked at after it. */
NORETURN static void run_child(char **argv, pid_t parent, const struct terminal *t, bool foreground,
			       const sigset_t *mask)
{
	/* Neither can fail in a process that has just been forked. */
	if (t->fd >= 0)
		setpgid(0, 0);
	else
		setsid();
	if (foreground)
		tcsetpgrp(t->fd, getpid());
	readdress_environment(parent);
	sigprocmask(SIG_SETMASK, mask, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_NOT_EXECUTABLE);
	execvp(argv[0], argv);
	fail(argv[0], errno);
}

/*
 * The raw call, for fork(2) cannot wait for the exec: the group of the command exists, and has
 * the terminal, before any signal is passed on to it. Memory is not shared, so what the child
 * writes is its own.
 */
static pid_t fork_until_exec(void)
{
	return syscall(SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL);
}

pid_t execute(char **argv, struct terminal *t, const sigset_t *mask)
{
	bool foreground = t->wanted && terminal_is_ours(t);
	pid_t parent = getpid(), pid = fork_until_exec();

	if (pid == 0)
		run_child(argv, parent, t, foreground, mask);
	if (pid < 0)
		return -errno;
	t->lent = foreground;
	return pid;
}

/* --- the streams ------------------------------------------------------------------------ */

static bool is_stream(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Files stay open: to close one drops the record locks that we hold on it since before exec. */
static void let_go(int fd, void *arg)
{
	const int *null_fd = arg;

	if (fd == STDERR_FILENO || !is_stream(fd))
		return;
	if (fd < STDERR_FILENO)
		dup2(*null_fd, fd);
	else
		close(fd);
}

void let_go_of_streams(void)
{
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd >= 0)
		proc_each_entry("/proc/self/fd", let_go, &null_fd);
}
