/* SPDX-License-Identifier: MIT */
/* See the header. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process-support.h"

static int fds_before;
static pid_t suite;

void require_true(bool condition, const char *what, const char *file, int line)
{
	if (condition)
		return;
	if (getpid() == suite)
		_fail(file, line);
	fprintf(stderr, "%s:%d: in a child: not so: %s\n", file, line, what);
	abort();
}

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

int process_setup(void **state)
{
	suite = getpid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fds_before = count_fds();
	return 0;
}

int process_teardown(void **state)
{
	assert_int_equal(foster_active_children(NULL, 0), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

int run_return(void *arg)
{
	return *(int *)arg;
}

int run_forever(void *arg)
{
	alarm(60); /* not for ever, should the test fail */
	for (;;)
		pause();
}

int run_deaf(void *arg)
{
	signal(SIGTERM, SIG_IGN);
	send_int(*(int *)arg, getpid());
	return run_forever(NULL);
}

foster_process *started(const char *name, foster_process_run *run, void *arg)
{
	foster_process *process = foster_process_new(name, run, arg);

	REQUIRE(process);
	REQUIRE(foster_process_start(process) == 0);
	return process;
}

void finish(foster_process *process, int code)
{
	int got = -1000;

	REQUIRE(foster_process_join(process, DEADLINE_MS) == 0);
	REQUIRE(foster_process_exitcode(process, &got) == 0);
	REQUIRE(got == code);
	REQUIRE(foster_process_free(process) == 0);
}

void kill_and_free(foster_process *process)
{
	REQUIRE(foster_process_kill(process) == 0);
	finish(process, -SIGKILL);
}

pid_t host_start(int (*play)(void *), void *arg)
{
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(play(arg));
	return pid;
}

int watch(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	REQUIRE(fd >= 0);
	return fd;
}

bool ends_within(int pidfd, int ms)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return poll(&end, 1, ms) == 1;
}

int host_wait(pid_t host)
{
	int fd = watch(host);
	int status;

	if (!ends_within(fd, DEADLINE_MS)) {
		kill(host, SIGKILL);
		REQUIRE(!"the host ended");
	}
	close(fd);
	REQUIRE(waitpid(host, &status, 0) == host);
	return status;
}

void reap_orphan(pid_t pid)
{
	/* It becomes this process's child when its own parent is gone for good. */
	for (int ms = 0; ms < DEADLINE_MS; ms += 5) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return;
		poll(NULL, 0, 5);
	}
	REQUIRE(!"the orphan ended");
}

void make_pipe(int ret_fds[2])
{
	REQUIRE(pipe2(ret_fds, O_CLOEXEC) == 0);
}

void close_pipe(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

void send_int(int fd, int value)
{
	REQUIRE(write(fd, &value, sizeof(value)) == sizeof(value));
}

int receive_int(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	int value;

	while (poll(&in, 1, DEADLINE_MS) < 0 && errno == EINTR)
		;
	REQUIRE(in.revents & POLLIN);
	REQUIRE(read(fd, &value, sizeof(value)) == sizeof(value));
	return value;
}

bool at_eof(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&in, 1, DEADLINE_MS) == 1 && read(fd, &byte, 1) == 0;
}
