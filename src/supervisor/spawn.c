/* SPDX-License-Identifier: MIT */
/*
 * Fork: see spawn.h. A pipe that exec closes tells how the child fared: its end without a word
 * means that the program runs; otherwise it names the step that failed and the errno. Our own
 * copy of its write end can be closed only when the child has left our table of descriptors
 * (stage.h), which it says first.
 */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "supervisor/child.h"
#include "supervisor/identity.h"
#include "supervisor/manager-link.h"
#include "supervisor/stage.h"
#include "supervisor/table.h"

/* The slot's record of a new child, before it exists. */
static void prepare_slot(struct supervisor *s, const struct spawn_request *r)
{
	struct link_child *child = &table_slot(s->table, r->slot)->child;

	table_set_pid(s->table, r->slot, 0);
	memset(child->name, 0, sizeof(child->name));
	memcpy(child->name, r->name, strlen(r->name));
	memcpy(child->note, r->note, r->note_size);
	child->note_size = r->note_size;
	child->flags = r->daemon ? CHILD_DAEMON : 0;
	child->instance = table_next_instance(s->table);
	child->started = now_monotonic();
	child->status = 0;
	child->step = STEP_NONE;
	child->error = 0;
	child->user_usec = child->system_usec = child->max_rss = 0;
}

static void refuse(struct supervisor *s, uint32_t slot, int error)
{
	struct link_child *child = &table_slot(s->table, slot)->child;

	child->state = CHILD_NONE;
	child->step = STEP_FORK;
	child->error = -error;
	table_tell_slot(s->table, slot, TELL_SPAWNED);
}

/* A pipe whose ends are none of the n descriptors that a child's own are to be. */
static int make_exec_pipe(int ends[2], int n)
{
	/* Never blocking: a child that hangs in a step before exec hangs alone. */
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int fd = ends[i] < n ? fcntl(ends[i], F_DUPFD_CLOEXEC, n) : ends[i], error = -errno;

		if (fd != ends[i])
			fd_close(ends[i]);
		if (fd < 0) {
			fd_close(ends[1 - i]);
			return error;
		}
		ends[i] = fd;
	}
	return 0;
}

/* Puts what the child needs into low numbers. False, and all as before, when there are too few. */
static bool stage_plan(struct stage *stage, const struct spawn_request *r, struct child_plan *plan)
{
	struct child_plan low = *plan;
	int first = child_first_free(r);
	bool done = true;

	for (int i = 0; i < 3 && done; i++) {
		if (i == 2 && plan->stdio[2] == plan->stdio[1])
			low.stdio[2] = low.stdio[1];
		else if (plan->stdio[i] >= FD_BASE)
			done = (low.stdio[i] = stage_copy(stage, plan->stdio[i], first)) >= 0;
	}
	for (size_t i = 0; i < r->n_fds && done; i++)
		done = (low.fds[i] = stage_copy(stage, plan->fds[i], first)) >= 0;
	if (r->ready_fd > 0 && done)
		done = (low.ready = stage_copy(stage, plan->ready, first)) >= 0;
	if (plan->program >= 0 && done)
		done = (low.program = stage_copy(stage, plan->program, first)) >= 0;
	if (!done || stage_take(stage, plan->exec_pipe) < 0) {
		stage_clear(stage);
		return false;
	}
	*plan = low;
	return true;
}

/* --- the exec pipe -------------------------------------------------------------------- */

static void close_exec_pipe(struct supervisor *s, struct table_slot *slot)
{
	/* A child on its way may hold a copy: closing ours would not end the watch. */
	if (slot->exec_watched)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, slot->exec_fd, NULL);
	slot->exec_watched = false;
	slot->exec_fd = fd_close(slot->exec_fd);
}

void spawn_read_exec_pipe(struct supervisor *s, uint32_t index)
{
	struct table_slot *slot = table_slot(s->table, index);
	struct child_report report;
	ssize_t n;

	if (slot->exec_fd < 0)
		return;
	while ((n = read(slot->exec_fd, &report, sizeof(report))) == sizeof(report) &&
	       report.step == STEP_NONE) {
		stage_clear(&slot->stage);
		if (report.error)
			slot->child.flags &= ~CHILD_IN_CGROUP;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n == sizeof(report)) {
		stage_clear(&slot->stage); /* it may not have come that far */
		slot->child.step = report.step;
		slot->child.error = report.error;
	} else if (slot->child.state == CHILD_FORKED) {
		slot->child.state = CHILD_RUNNING;
	}
	close_exec_pipe(s, slot);
	table_tell_slot(s->table, index, TELL_STARTED);
}

void spawn_end_exec_pipe(struct supervisor *s, uint32_t index)
{
	struct table_slot *slot = table_slot(s->table, index);

	stage_clear(&slot->stage); /* a dead child needs nothing any more */
	spawn_read_exec_pipe(s, index);
	if (slot->exec_fd >= 0)
		close_exec_pipe(s, slot);
}

void spawn_watch_starting(struct supervisor *s)
{
	for (int64_t i; (i = table_first_starting(s->table)) >= 0; table_pop_starting(s->table)) {
		struct table_slot *slot = table_slot(s->table, i);

		spawn_read_exec_pipe(s, i);
		if (slot->exec_fd < 0 || slot->exec_watched)
			continue;
		if (supervisor_watch(s, slot->exec_fd, EPOLLIN, WATCH_EXEC, i) == 0)
			slot->exec_watched = true;
		else
			log_error_errno(-errno,
					"%s[%d]: its exec cannot be watched; its end will "
					"tell",
					slot->child.name, slot->child.pid);
	}
}

/* Those that were forked first have mostly exec'd by now: gives their low numbers back. */
static void read_first_started(struct supervisor *s)
{
	for (int64_t i; (i = table_first_starting(s->table)) >= 0; table_pop_starting(s->table)) {
		spawn_read_exec_pipe(s, i);
		if (table_slot(s->table, i)->exec_fd >= 0)
			return;
	}
}

/* --- the fork ------------------------------------------------------------------------- */

static void record_child(struct supervisor *s, const struct spawn_request *r, pid_t pid, int pipe)
{
	struct table_slot *slot = table_slot(s->table, r->slot);

	table_set_pid(s->table, r->slot, pid);
	slot->child.state = CHILD_FORKED;
	slot->exec_fd = pipe;
	slot->exec_watched = false;
	/* It cannot be gone: we have not reaped it. */
	identity_take(pid, &slot->pidfs_inode, &slot->start_ticks);
	table_push_starting(s->table, r->slot);
	table_tell_slot(s->table, r->slot, TELL_SPAWNED);
}

/*
 * fork(2), but the kernel writes the child's pid into the table before the child runs: were we
 * killed at this moment, the next supervisor would still find it. (clone(2), raw: glibc's fork
 * has no such option, and nothing of ours listens to pthread_atfork.)
 */
static pid_t fork_into(int32_t *pid, unsigned long flags)
{
	return syscall(SYS_clone, flags | CLONE_PARENT_SETTID | SIGCHLD, NULL, pid, NULL, NULL);
}

/* The same into a cgroup, by clone3(2): cheaper than moving there, and nothing can slip out. */
static pid_t fork_into_cgroup(int32_t *pid, unsigned long flags, int cgroup)
{
	struct clone_args args = {
		.flags = flags | CLONE_PARENT_SETTID | CLONE_INTO_CGROUP,
		.parent_tid = (uintptr_t)pid,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

/*
 * The cgroup that the fork could not make the child's own, the child may enter by itself: no
 * clone3 or not this of it (an old kernel, a filter), or a cgroup that nobody is born into. What
 * speaks of resources is final: EAGAIN also means that the cgroup has as many as it may.
 */
static bool may_enter_later(int error)
{
	return error != EAGAIN && error != ENOMEM;
}

/* The cgroup of a start; -1: none, or it is gone, and the child runs without. */
static int open_cgroup(struct supervisor *s, const struct spawn_request *r)
{
	struct table_place *place = *r->cgroup ? table_place(s->table, r->cgroup_place) : NULL;

	if (!place || place->fd < 0)
		return -1;
	return openat(place->fd, r->cgroup, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static pid_t fork_in_plain_way(struct table_slot *slot, const struct spawn_request *r,
			       struct child_plan *plan, unsigned long flags, int cgroup)
{
	plan->cgroup = plan->staged && cgroup >= 0
			       ? stage_copy(&slot->stage, cgroup, child_first_free(r))
			       : cgroup;
	if (plan->cgroup < 0)
		slot->child.flags &= ~CHILD_IN_CGROUP;
	return fork_into(&slot->child.pid, flags);
}

/* The child's pid, or -errno. The exec pipe's write end is no longer ours to close. */
static pid_t fork_child(struct supervisor *s, struct table_slot *slot,
			const struct spawn_request *r, struct child_plan *plan)
{
	_cleanup_close_ int cgroup = open_cgroup(s, r);
	unsigned long flags;
	pid_t pid = -1;

	plan->staged = s->may_stage && stage_plan(&slot->stage, r, plan);
	flags = plan->staged ? CLONE_FILES : 0;
	slot->child.flags |= cgroup >= 0 ? CHILD_IN_CGROUP : 0;
	if (cgroup >= 0)
		pid = fork_into_cgroup(&slot->child.pid, flags, cgroup);
	if (pid < 0 && (cgroup < 0 || may_enter_later(errno)))
		pid = fork_in_plain_way(slot, r, plan, flags, cgroup);
	if (pid == 0)
		child_run(s, r, plan);
	if (pid < 0)
		pid = -errno;
	if (!plan->staged)
		fd_close(plan->exec_pipe);
	else if (pid < 0)
		stage_clear(&slot->stage);
	return pid;
}

void spawn_child(struct supervisor *s, const struct spawn_request *r)
{
	struct table_slot *slot = table_slot(s->table, r->slot);
	struct child_plan plan;
	int pipe[2], error;
	pid_t pid;

	if (!slot) {
		error = -errno;
		log_error_errno(error, "%s: no room for its record in the run directory", r->name);
		manager_link_refuse(s, r->slot, -error);
		return;
	}
	if (table_slot_is_alive(slot)) {
		log_error("%s[%d]: the manager asked for a second copy; refused", slot->child.name,
			  slot->child.pid);
		return;
	}
	read_first_started(s);
	prepare_slot(s, r);
	error = make_exec_pipe(pipe, child_first_free(r));
	if (error < 0) {
		refuse(s, r->slot, error);
		return;
	}
	child_prepare(s, r, slot->child.instance, &plan);
	plan.exec_pipe = pipe[1];
	plan.cgroup = -1;
	slot->pidfs_inode = slot->start_ticks = 0;
	slot->child.state = CHILD_FORKED;
	pid = fork_child(s, slot, r, &plan);
	if (pid < 0) {
		fd_close(pipe[0]);
		refuse(s, r->slot, pid);
		return;
	}
	record_child(s, r, pid, pipe[0]);
}

void spawn_execute(int fd, char **argv, char **envp)
{
	syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
}

pid_t spawn_manager(struct supervisor *s, int fd)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	child_reset_signals();
	setsid(); /* so that a terminal's Ctrl-C reaches the supervisor alone */
	setrlimit(RLIMIT_NOFILE, &s->nofile);
	if (dup2(fd, LINK_FD) < 0)
		_exit(127);
	/* A script cannot be run by a descriptor that the exec closes. */
	spawn_execute(s->manager_fd, s->manager_argv, environ);
	execv(s->manager_path, s->manager_argv);
	log_error_errno(-errno, "%s", s->manager_path);
	_exit(127);
}
