/* SPDX-License-Identifier: MIT */
/*
 * The child between fork and exec: see child.h.
 *
 * The order: the session first, so that the process group exists; descriptors while we may
 * still open them; limits and nice while we are privileged; groups before the group, the group
 * before the user, since each step takes away the right to the one before; the directory as the
 * user, who must be able to enter it; and last the death signal, which a change of credentials
 * would clear (prctl(2), PR_SET_PDEATHSIG), followed by the look whether the parent is there
 * at all: a parent that died before sends no signal.
 */
#include "supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/table.h"

/* Room for FOSTER_INSTANCE, LISTEN_PID and LISTEN_FDS, which only the child can know. */
static char instance_text[64], listen_pid_text[32], listen_fds_text[32];
static char *environment[LINK_ARGS_MAX + 5];

void child_reset_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL); /* the only one that we ignore; none has a handler */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * A log pipe is stored open for both directions, one descriptor for both ends. The service
 * must only write: it gets an open of its own. Without /proc it gets the stored one.
 */
static int open_for_writing(int fd)
{
	char path[32];
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if ((flags & O_ACCMODE) != O_RDWR || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	flags = open(path, O_WRONLY | O_CLOEXEC);
	return flags < 0 ? fd : flags;
}

static int place_fd(struct supervisor *s, uint32_t place, int inherited)
{
	struct table_place *p;

	if (place == LINK_PLACE_NULL)
		return s->null_fd;
	if (place == LINK_PLACE_INHERIT)
		return inherited;
	p = table_place(s->table, place);
	return p ? p->fd : -1;
}

/* dup2 that clears CLOEXEC also where both are the same. */
static int put_fd(int from, int to)
{
	if (from < 0)
		return -EBADF;
	if (from == to)
		return fcntl(to, F_SETFD, 0) < 0 ? -errno : 0;
	return dup2(from, to) < 0 ? -errno : 0;
}

/* All our own descriptors are at FD_BASE or above, so no target is also a later source. */
static int set_descriptors(struct supervisor *s, const struct spawn_request *r)
{
	int out = -1, error = 0;

	for (size_t i = 0; i < r->n_fds && error == 0; i++)
		error = put_fd(place_fd(s, r->fds[i], -1), 3 + i);
	if (error == 0)
		error = put_fd(place_fd(s, r->stdio[0], 0), 0);
	for (int i = 1; i <= 2 && error == 0; i++) {
		if (i == 1 || r->stdio[i] != r->stdio[1] || r->stdio[i] == LINK_PLACE_INHERIT)
			out = open_for_writing(place_fd(s, r->stdio[i], i));
		error = put_fd(out, i);
	}
	return error;
}

static int set_limits(struct supervisor *s, const struct spawn_request *r)
{
	/* We raised our own limit of descriptors; the service gets what we were given. */
	if (setrlimit(RLIMIT_NOFILE, &s->nofile) < 0)
		return -errno;
	for (size_t i = 0; i < r->n_limits; i++) {
		struct rlimit limit = { r->limits[i].soft, r->limits[i].hard };

		if (setrlimit(r->limits[i].resource, &limit) < 0)
			return -errno;
	}
	return 0;
}

static int set_user(const struct spawn_request *r, enum spawn_step *step)
{
	*step = STEP_GROUPS;
	/* The raw call: glibc's would look for other threads to take along. */
	if (r->change_user && syscall(SYS_setgroups, r->n_groups, r->groups) < 0)
		return -errno;
	*step = STEP_GROUP;
	if (r->change_user && setresgid(r->gid, r->gid, r->gid) < 0)
		return -errno;
	*step = STEP_USER;
	if (r->change_user && setresuid(r->uid, r->uid, r->uid) < 0)
		return -errno;
	return 0;
}

static int set_directory(const struct spawn_request *r)
{
	return chdir(*r->directory ? r->directory : "/") < 0 ? -errno : 0;
}

static char **make_environment(struct supervisor *s, const struct spawn_request *r,
			       uint64_t instance)
{
	size_t n = 0;

	while (r->envp[n]) {
		environment[n] = r->envp[n];
		n++;
	}
	snprintf(instance_text, sizeof(instance_text), "FOSTER_INSTANCE=%016llx.%llu",
		 (unsigned long long)table_run_id(s->table), (unsigned long long)instance);
	environment[n++] = instance_text;
	if (r->n_fds > 0) {
		snprintf(listen_pid_text, sizeof(listen_pid_text), "LISTEN_PID=%d", getpid());
		snprintf(listen_fds_text, sizeof(listen_fds_text), "LISTEN_FDS=%zu", r->n_fds);
		environment[n++] = listen_pid_text;
		environment[n++] = listen_fds_text;
	}
	environment[n] = NULL;
	return environment;
}

/* As execvpe(3) does, but for the shell that it tries on ENOEXEC: no magic here. */
static int execute(const struct spawn_request *r, char **envp)
{
	const char *command = r->argv[0];
	int error = ENOENT;

	if (strchr(command, '/')) {
		execve(command, r->argv, envp);
		return -errno;
	}
	for (const char *p = r->search; *p;) {
		size_t length = strcspn(p, ":");
		char path[4096];

		if (length + strlen(command) + 2 <= sizeof(path) && length > 0) {
			snprintf(path, sizeof(path), "%.*s/%s", (int)length, p, command);
			execve(path, r->argv, envp);
			if (errno != ENOENT && errno != ENOTDIR)
				error = errno;
			if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
				break;
		}
		p += length + (p[length] == ':');
	}
	return -error;
}

NORETURN static void fail(int exec_pipe, enum spawn_step step, int error)
{
	struct child_failure failure = { step, -error };
	/* The pipe is empty and this fits: it neither blocks nor is cut. Should it fail, the
	 * supervisor sees an exec that was followed by exit 127. */
	ssize_t n UNUSED = write(exec_pipe, &failure, sizeof(failure));

	_exit(127);
}

NORETURN void child_run(struct supervisor *s, const struct spawn_request *r, uint64_t instance,
			int exec_pipe)
{
	enum spawn_step step = STEP_SESSION;
	char **envp = make_environment(s, r, instance);
	int error = 0;

	child_reset_signals();
	if (setsid() < 0)
		fail(exec_pipe, step, -errno);
	step = STEP_DESCRIPTORS;
	error = set_descriptors(s, r);
	if (error == 0) {
		step = STEP_LIMITS;
		error = set_limits(s, r);
	}
	if (error == 0 && r->has_nice) {
		step = STEP_NICE;
		error = setpriority(PRIO_PROCESS, 0, r->nice) < 0 ? -errno : 0;
	}
	if (error == 0)
		error = set_user(r, &step);
	if (r->has_umask)
		umask(r->umask);
	if (error == 0) {
		step = STEP_DIRECTORY;
		error = set_directory(r);
	}
	if (error == 0 && r->daemon) {
		step = STEP_DEATH_SIGNAL;
		error = prctl(PR_SET_PDEATHSIG, r->death_signal, 0, 0, 0) < 0 ? -errno : 0;
	}
	if (error == 0 && getppid() != s->pid) {
		step = STEP_PARENT;
		error = -ESRCH;
	}
	if (error == 0) {
		step = STEP_EXEC;
		error = execute(r, envp);
	}
	fail(exec_pipe, step, error);
}
