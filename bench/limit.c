/* SPDX-License-Identifier: MIT */
/*
 * The limit of the benchmark: bench-limit N PROGRAM FILE [CGROUP]. What no supervisor that forks
 * can be faster than: a pipe for each child's output, fork, exec, wait, and again for each that
 * ended; below the directory CGROUP, a cgroup for each child, which is born into it.
 * It keeps one descriptor a child, no name, no state, no file. With N = 0 it ends at once: that
 * is what a command costs that does nothing.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN_MAX 65536
#define PIDS         (1 << 22) /* the kernel's highest pid_max */

static int log_pipe[CHILDREN_MAX];
static int child_of_pid[PIDS]; /* sparse: a page costs memory when it is first written */

/* The child's side. */
static void run(char **argv, int output)
{
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execv(argv[0], argv);
	_exit(127);
}

static pid_t fork_into_cgroup(const char *cgroup, int child)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	char path[4096];
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "%s/%d", cgroup, child);
	mkdir(path, 0755); /* it is there when the child is started again */
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	args.cgroup = fd;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid != 0)
		close(fd);
	return pid;
}

static void start(int child, char **argv, const char *cgroup)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		perror("bench-limit: pipe2");
		exit(1);
	}
	pid = cgroup ? fork_into_cgroup(cgroup, child) : fork();
	if (pid == 0)
		run(argv, ends[1]);
	if (pid < 0 || pid >= PIDS) {
		perror("bench-limit: fork");
		exit(1);
	}
	close(ends[1]);
	log_pipe[child] = ends[0];
	child_of_pid[pid] = child;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 0;
	const char *cgroup = argc > 4 ? argv[4] : NULL;
	struct rlimit limit;
	pid_t pid;

	if (n <= 0)
		return 0;
	if (n > CHILDREN_MAX || argc < 4) {
		fprintf(stderr, "usage: bench-limit N PROGRAM FILE [CGROUP]\n");
		return 2;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < n; i++)
		start(i, argv + 2, cgroup);
	while ((pid = waitpid(-1, NULL, 0)) > 0) {
		close(log_pipe[child_of_pid[pid]]);
		start(child_of_pid[pid], argv + 2, cgroup);
	}
	return 1;
}
