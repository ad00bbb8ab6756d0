/* SPDX-License-Identifier: MIT */
/*
 * Fork: see spawn.h. A pipe that exec closes tells how the child fared: its end without a word
 * means that the program runs; otherwise it names the step that failed and the errno.
 */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
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
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int fd = ends[i] < n ? supervisor_raise_fd(ends[i]) : ends[i];

		if (fd < 0) {
			fd_close(ends[1 - i]);
			return fd;
		}
		ends[i] = fd;
	}
	return 0;
}

static void record_child(struct supervisor *s, const struct spawn_request *r, pid_t pid, int pipe)
{
	struct table_slot *slot = table_slot(s->table, r->slot);

	table_set_pid(s->table, r->slot, pid);
	slot->child.state = CHILD_FORKED;
	slot->exec_fd = pipe;
	/* It cannot be gone: we have not reaped it. */
	identity_take(pid, &slot->pidfs_inode, &slot->start_ticks);
	if (supervisor_watch(s, pipe, EPOLLIN, WATCH_EXEC, r->slot) < 0)
		slot->exec_fd = fd_close(pipe); /* its end will tell what is to be told */
	table_tell_slot(s->table, r->slot, TELL_SPAWNED);
}

/*
 * fork(2), but the kernel writes the child's pid into the table before the child runs: were we
 * killed at this moment, the next supervisor would still find it. (clone(2), raw: glibc's fork
 * has no such option, and nothing of ours listens to pthread_atfork.)
 */
static pid_t fork_into(int32_t *pid)
{
	return syscall(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, NULL, pid, NULL, NULL);
}

void spawn_child(struct supervisor *s, const struct spawn_request *r)
{
	struct table_slot *slot = table_slot(s->table, r->slot);
	struct child_plan plan;
	int pipe[2], error;
	pid_t pid;

	if (slot->child.state == CHILD_FORKED || slot->child.state == CHILD_RUNNING) {
		log_error("%s[%d]: the manager asked for a second copy; refused", slot->child.name,
			  slot->child.pid);
		return;
	}
	prepare_slot(s, r);
	error = make_exec_pipe(pipe, 3 + r->n_fds);
	if (error < 0) {
		refuse(s, r->slot, error);
		return;
	}
	child_prepare(s, r, slot->child.instance, &plan);
	slot->pidfs_inode = slot->start_ticks = 0;
	slot->child.state = CHILD_FORKED;
	pid = fork_into(&slot->child.pid);
	if (pid == 0)
		child_run(s, r, &plan, pipe[1]);
	error = -errno;
	fd_close(pipe[1]);
	if (pid < 0) {
		fd_close(pipe[0]);
		refuse(s, r->slot, error);
		return;
	}
	record_child(s, r, pid, pipe[0]);
}

void spawn_read_exec_pipe(struct supervisor *s, uint32_t index)
{
	struct table_slot *slot = table_slot(s->table, index);
	struct child_failure failure;
	ssize_t n;

	if (slot->exec_fd < 0)
		return;
	n = read(slot->exec_fd, &failure, sizeof(failure));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	slot->exec_fd = fd_close(slot->exec_fd);
	if (n == sizeof(failure)) {
		slot->child.step = failure.step;
		slot->child.error = failure.error;
	} else if (slot->child.state == CHILD_FORKED) {
		slot->child.state = CHILD_RUNNING;
	}
	table_tell_slot(s->table, index, TELL_STARTED);
}

pid_t spawn_own(struct supervisor *s, const char *path, char **argv, int fd)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	child_reset_signals();
	setsid(); /* so that a terminal's Ctrl-C reaches the supervisor alone */
	setrlimit(RLIMIT_NOFILE, &s->nofile);
	if (dup2(fd, LINK_FD) < 0)
		_exit(127);
	execv(path, argv);
	log_error_errno(-errno, "%s", path);
	_exit(127);
}
