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

#include "base/fd.h"
#include "supervisor/spawn.h"
#include "supervisor/stage.h"
#include "supervisor/table.h"

void child_reset_signals(void)
{
	uint64_t none = 0; /* what the kernel takes; the raw call touches fewer pages of libc */

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
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

int child_first_free(const struct spawn_request *r)
{
	int behind_fds = 3 + r->n_fds;

	return r->ready_fd >= behind_fds ? r->ready_fd + 1 : behind_fds;
}

/* The program becomes the second number after the child's own; first it makes room for the pipe. */
static int move_program(struct child_plan *plan, int last)
{
	int away;

	if (plan->program < 0)
		return 0;
	away = fcntl(plan->program, F_DUPFD_CLOEXEC, last + 2);
	if (away < 0)
		return -errno;
	plan->program = away;
	return 0;
}

/*
 * The exec pipe becomes the first number after the child's own, and the rest is closed: of the
 * pipes of children that are on their way at the same time, no child may keep a copy for longer
 * than it must. Where the kernel cannot (before Linux 5.9), exec closes them.
 */
static int close_the_rest(const struct spawn_request *r, struct child_plan *plan)
{
	int last = child_first_free(r), behind_fds = 3 + r->n_fds;
	int error = move_program(plan, last);

	if (error < 0)
		return error;
	if (plan->exec_pipe != last && dup3(plan->exec_pipe, last, O_CLOEXEC) < 0)
		return -errno;
	plan->exec_pipe = last;
	if (plan->program >= 0) {
		if (dup3(plan->program, ++last, O_CLOEXEC) < 0)
			return -errno;
		plan->program = last;
	}
	syscall(SYS_close_range, last + 1, ~0U, 0);
	if (r->ready_fd > behind_fds)
		syscall(SYS_close_range, behind_fds, r->ready_fd - 1, 0);
	return 0;
}

/* No source is below a target: see FD_BASE and make_exec_pipe(). */
static int set_descriptors(const struct spawn_request *r, struct child_plan *plan)
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
	if (r->ready_fd > 0 && error == 0)
		error = put_fd(plan->ready, r->ready_fd);
	return error < 0 ? error : close_the_rest(r, plan);
}

/* Where the service is to have no such limit of its own. */
static void set_mark(const struct spawn_request *r, const struct child_plan *plan)
{
	struct rlimit mark = { plan->mark, plan->mark };

	for (size_t i = 0; i < r->n_limits; i++) {
		if (r->limits[i].resource == RLIMIT_RTTIME)
			return;
	}
	/* Fails where our own limit is lower, as of a fosterd below another one's service. */
	setrlimit(RLIMIT_RTTIME, &mark);
}

static int set_limits(struct supervisor *s, const struct spawn_request *r,
		      const struct child_plan *plan)
{
	/* We raised our own limit of descriptors; the service gets what we were given. */
	if (setrlimit(RLIMIT_NOFILE, &s->nofile) < 0)
		return -errno;
	set_mark(r, plan);
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

static int set_directory(const struct spawn_request *r, const struct child_plan *plan)
{
	return chdir(*r->directory ? r->directory : plan->root) < 0 ? -errno : 0;
}

/* As snprintf(3) would, but with little stack: a page of it more is a page copied a fork. */
static void append_number(char *to, const char *prefix, uint64_t number)
{
	char digits[21];
	size_t n = 0;

	while (*prefix)
		*to++ = *prefix++;
	do
		digits[n++] = '0' + number % 10;
	while ((number /= 10) > 0);
	while (n > 0)
		*to++ = digits[--n];
	*to = '\0';
}

void child_prepare(struct supervisor *s, const struct spawn_request *r, uint64_t instance,
		   struct child_plan *plan)
{
	char **env = r->envp;

	for (int i = 0; i < 3; i++)
		plan->stdio[i] = place_fd(s, r->stdio[i], i);
	for (size_t i = 0; i < r->n_fds; i++)
		plan->fds[i] = place_fd(s, r->fds[i], -1);
	plan->ready = r->ready_fd > 0 ? place_fd(s, r->ready_place, -1) : -1;
	plan->program =
		r->program_place == LINK_PLACE_NULL ? -1 : place_fd(s, r->program_place, -1);
	while (*env)
		env++;
	append_number(plan->instance, s->mark, instance);
	plan->mark = link_limit_mark(table_run_id(s->table), instance);
	*env++ = plan->instance;
	if (r->n_fds > 0) {
		snprintf(plan->listen_fds, sizeof(plan->listen_fds), "LISTEN_FDS=%zu", r->n_fds);
		*env++ = plan->listen_fds;
	}
	*env = NULL;
	plan->env_end = env;
	plan->root[0] = '/';
	plan->root[1] = '\0';
	plan->search = !strchr(r->argv[0], '/');
}

/* What only the child itself can know. */
static void add_own_pid(struct child_plan *plan)
{
	snprintf(plan->listen_pid, sizeof(plan->listen_pid), "LISTEN_PID=%d", getpid());
	plan->env_end[0] = plan->listen_pid;
	plan->env_end[1] = NULL;
}

/*
 * As execvpe(3) does, but for the shell that it tries on ENOEXEC: no magic here. A function of
 * its own, lest its path takes a page of stack where there is nothing to search.
 */
static __attribute__((noinline)) int search_and_execute(const struct spawn_request *r)
{
	const char *command = r->argv[0];
	int error = ENOENT;

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

static void report(const struct child_plan *plan, enum spawn_step step, int error)
{
	struct child_report report = { step, -error };
	/* The pipe has room for both reports: it neither blocks nor is cut. Should it fail, the
	 * supervisor sees an exec that was followed by exit 127. */
	ssize_t n UNUSED = write(plan->exec_pipe, &report, sizeof(report));
}

NORETURN static void fail(const struct child_plan *plan, enum spawn_step step, int error)
{
	report(plan, step, error);
	_exit(127);
}

static int enter_cgroup(const struct child_plan *plan)
{
	int fd = openat(plan->cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	int error = fd < 0 || write(fd, "0", 1) < 0 ? -errno : 0;

	fd_close(fd);
	return error;
}

/* First of all: until then each descriptor that we touched would be the supervisor's. */
static void leave_supervisor(const struct child_plan *plan)
{
	int error = plan->staged ? stage_leave() : 0;

	if (error < 0)
		fail(plan, STEP_DESCRIPTORS, error);
	/* Early, lest a child of it is born elsewhere; and as who we are still. */
	if (plan->cgroup >= 0)
		error = enter_cgroup(plan);
	if (plan->staged || error < 0)
		report(plan, STEP_NONE, error);
}

static int execute(const struct spawn_request *r, const struct child_plan *plan)
{
	if (plan->program >= 0)
		spawn_execute(plan->program, r->argv, r->envp);
	if (plan->search)
		return search_and_execute(r);
	execve(r->argv[0], r->argv, r->envp);
	return -errno;
}

NORETURN void child_run(struct supervisor *s, const struct spawn_request *r,
			struct child_plan *plan)
{
	enum spawn_step step = STEP_SESSION;
	int error = 0;

	leave_supervisor(plan);
	if (r->n_fds > 0)
		add_own_pid(plan);

	child_reset_signals();
	if (setsid() < 0)
		fail(plan, step, -errno);
	step = STEP_DESCRIPTORS;
	error = set_descriptors(r, plan);
	if (error == 0) {
		step = STEP_LIMITS;
		error = set_limits(s, r, plan);
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
		error = set_directory(r, plan);
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
		error = execute(r, plan);
	}
	fail(plan, step, error);
}
