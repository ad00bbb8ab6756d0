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

void child_reset_signals(void)
{
	static const struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigaction(SIGPIPE, &by_default, NULL); /* the only one that we ignore; none has a handler */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
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

/* No source is below a target: see supervisor_raise_fd(). */
static int set_descriptors(const struct spawn_request *r, const struct child_plan *plan)
{
	int error = 0;

	for (size_t i = 0; i < r->n_fds && error == 0; i++)
		error = put_fd(plan->fds[i], 3 + i);
	if (error == 0)
		error = put_fd(plan->stdio[0], 0);
	/* A log pipe is open for both directions: so the service holds a reader of its own, and
	 * gets no SIGPIPE while nobody else reads. */
	for (int i = 1; i <= 2 && error == 0; i++)
		error = put_fd(plan->stdio[i], i);
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

void child_prepare(struct supervisor *s, const struct spawn_request *r, uint64_t instance,
		   struct child_plan *plan)
{
	char **env = r->envp;

	for (int i = 0; i < 3; i++)
		plan->stdio[i] = place_fd(s, r->stdio[i], i);
	for (size_t i = 0; i < r->n_fds; i++)
		plan->fds[i] = place_fd(s, r->fds[i], -1);
	while (*env)
		env++;
	snprintf(plan->instance, sizeof(plan->instance), "FOSTER_INSTANCE=%016llx.%llu",
		 (unsigned long long)table_run_id(s->table), (unsigned long long)instance);
	*env++ = plan->instance;
	if (r->n_fds > 0) {
		snprintf(plan->listen_fds, sizeof(plan->listen_fds), "LISTEN_FDS=%zu", r->n_fds);
		*env++ = plan->listen_fds;
	}
	*env = NULL;
	plan->env_end = env;
}

/* What only the child itself can know. */
static void add_own_pid(struct child_plan *plan)
{
	snprintf(plan->listen_pid, sizeof(plan->listen_pid), "LISTEN_PID=%d", getpid());
	plan->env_end[0] = plan->listen_pid;
	plan->env_end[1] = NULL;
}

/* As execvpe(3) does, but for the shell that it tries on ENOEXEC: no magic here. */
static int execute(const struct spawn_request *r)
{
	const char *command = r->argv[0];
	int error = ENOENT;

	if (strchr(command, '/')) {
		execve(command, r->argv, r->envp);
		return -errno;
	}
	for (const char *p = r->search; *p;) {
		size_t length = strcspn(p, ":");
		char path[4096];

		if (length + strlen(command) + 2 <= sizeof(path) && length > 0) {
			snprintf(path, sizeof(path), "%.*s/%s", (int)length, p, command);
			execve(path, r->argv, r->envp);
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

NORETURN void child_run(struct supervisor *s, const struct spawn_request *r,
			struct child_plan *plan, int exec_pipe)
{
	enum spawn_step step = STEP_SESSION;
	int error = 0;

	if (r->n_fds > 0)
		add_own_pid(plan);

	child_reset_signals();
	if (setsid() < 0)
		fail(exec_pipe, step, -errno);
	step = STEP_DESCRIPTORS;
	error = set_descriptors(r, plan);
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
		error = execute(r);
	}
	fail(exec_pipe, step, error);
}
