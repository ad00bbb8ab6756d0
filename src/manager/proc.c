/* SPDX-License-Identifier: MIT */
/* /proc: see proc.h and proc(5). */
#include "manager/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/link.h"
#include "base/units.h"
#include "manager/history.h"

#define CHILDREN_READS  4 /* until a list of children stands still */
#define ENVIRONMENT_MAX (256 * 1024)
#define FLAG_EXITING    0x4 /* PF_EXITING of the kernel's sched.h, in the field flags of stat */

int pid_list_add(struct pid_list *l, pid_t pid)
{
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		pid_t *bigger = realloc(l->pids, room * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		l->pids = bigger;
		l->room = room;
	}
	l->pids[l->n++] = pid;
	return 0;
}

bool pid_list_has(const struct pid_list *l, pid_t pid)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->pids[i] == pid)
			return true;
	}
	return false;
}

/* A small file of /proc/PID, NUL-terminated. Its size, or -errno, -ESRCH where it is gone. */
static ssize_t read_small(pid_t pid, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[48];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return -errno;
	n = fd < 0 ? -1 : read(fd, buf, size - 1);
	buf[MAX(n, (ssize_t)0)] = '\0';
	return n <= 0 ? -ESRCH : n;
}

#define STAT_MAX 512

/* /proc/PID/stat; *ret_end is the end of the name, which may hold anything. 0 or -errno. */
static int read_stat(pid_t pid, char text[STAT_MAX], char **ret_end)
{
	ssize_t n = read_small(pid, "stat", text, STAT_MAX);

	*ret_end = n < 0 ? NULL : strrchr(text, ')');
	if (n < 0)
		return n;
	return *ret_end ? 0 : -EINVAL;
}

int proc_stat(pid_t pid, struct proc_stat *ret)
{
	char text[STAT_MAX], *p;
	int error = read_stat(pid, text, &p);

	if (error < 0)
		return error;
	if (sscanf(p + 1, " %c %d %d %d", &ret->state, &ret->ppid, &ret->pgrp, &ret->session) != 4)
		return -EINVAL;
	return 0;
}

int proc_life(pid_t pid, struct proc_life *ret)
{
	unsigned long long born;
	unsigned flags, threads;
	char text[STAT_MAX], *p, state;
	int error = read_stat(pid, text, &p);

	if (error < 0)
		return error;
	if (sscanf(p + 1,
		   " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u %*d %llu",
		   &state, &ret->ppid, &flags, &threads, &born) != 5)
		return -EINVAL;
	ret->exiting = (flags & FLAG_EXITING) || state == 'Z' || state == 'X';
	ret->headless = ret->exiting && threads > 1;
	ret->dead = state == 'X' || (state == 'Z' && threads <= 1);
	ret->stopped = state == 'T';
	ret->blocked = state == 'D';
	ret->born = born;
	return 0;
}

int proc_user(pid_t pid, uid_t *ret)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0)
		return -errno;
	*ret = st.st_uid;
	return 0;
}

int proc_usage(pid_t pid, struct proc_usage *ret)
{
	char text[STAT_MAX], *name, *p;
	unsigned long long user, system;
	long long waited_user, waited_system, pages;
	long ticks = sysconf(_SC_CLK_TCK);
	int error = read_stat(pid, text, &p);

	if (error < 0)
		return error;
	name = strchr(text, '(');
	if (!name ||
	    sscanf(p + 1,
		   " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %u %*d "
		   "%*u %*u %lld",
		   &ret->stat.state, &ret->stat.ppid, &ret->stat.pgrp, &ret->stat.session, &user,
		   &system, &waited_user, &waited_system, &ret->threads, &pages) != 10)
		return -EINVAL;
	*p = '\0';
	snprintf(ret->command, sizeof(ret->command), "%s", name + 1);
	ret->cpu = (user + system + waited_user + waited_system) * (USEC_PER_SEC / ticks);
	ret->rss = (uint64_t)pages * sysconf(_SC_PAGESIZE);
	return 0;
}

void proc_command(pid_t pid, char *buf, size_t size)
{
	char text[64];
	ssize_t n = pid > 0 ? read_small(pid, "comm", text, sizeof(text)) : -ESRCH;

	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	snprintf(buf, size, "%s", n > 0 ? text : "");
}

struct asker proc_asker(pid_t pid)
{
	struct asker asker = { 0 };
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (pid <= 0 || stat(path, &st) < 0)
		return asker;
	asker.uid = st.st_uid;
	asker.pid = pid;
	proc_command(pid, asker.command, sizeof(asker.command));
	return asker;
}

static int add_numbers(const char *text, struct pid_list *l)
{
	char *end;

	for (long n; (n = strtol(text, &end, 10)) > 0; text = end) {
		if (pid_list_add(l, n) < 0)
			return -ENOMEM;
	}
	return 0;
}

/*
 * The kernel writes the list an entry at a time. When one that it has passed is reaped meanwhile,
 * the next may be left out, although it lives all the time: so only a list that comes out the same
 * twice is believed. -EAGAIN: it does not stand still; what was seen last is there.
 */
static int children_of_thread(const char *path, struct pid_list *l)
{
	_cleanup_free_ char *text = NULL;
	int error = fd_read_file(path, 16 << 20, &text, NULL);
	bool same = false;

	for (int i = 0; i < CHILDREN_READS && error == 0 && !same; i++) {
		_cleanup_free_ char *before = TAKE_PTR(text);

		error = fd_read_file(path, 16 << 20, &text, NULL);
		same = error == 0 && strcmp(before, text) == 0;
	}
	if (error == 0)
		error = add_numbers(text, l);
	return error == 0 && !same ? -EAGAIN : error;
}

/* Calls add with each number that is a name in the directory. */
static int each_number(const char *path, int (*add)(pid_t, void *), void *arg)
{
	DIR *dir = opendir(path);
	int error = 0;

	if (!dir)
		return -errno;
	for (struct dirent *e; error == 0 && (e = readdir(dir));) {
		char *end;
		long number = strtol(e->d_name, &end, 10);

		if (number > 0 && *end == '\0')
			error = add(number, arg);
	}
	closedir(dir);
	return error;
}

struct children {
	pid_t pid;
	struct pid_list *list;
};

static int add_children(pid_t thread, void *arg)
{
	struct children *c = arg;
	char path[64];
	int error;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", c->pid, thread);
	error = children_of_thread(path, c->list);
	/* A thread that ended meanwhile has given its children to another. */
	return error == -ENOENT && thread != c->pid ? 0 : error;
}

int proc_children(pid_t pid, struct pid_list *l)
{
	struct children c = { pid, l };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return each_number(path, add_children, &c);
}

int proc_pidfd(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int proc_pidfd_signal(int pidfd, int signo)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

static int add_pid(pid_t pid, void *arg)
{
	return pid_list_add(arg, pid);
}

int proc_all(struct pid_list *l)
{
	return each_number("/proc", add_pid, l);
}

static bool find_in_environment(pid_t pid, struct proc_mark *mark)
{
	static const char name[] = "FOSTER_INSTANCE=";
	_cleanup_free_ char *text = NULL;
	unsigned long long run_id, instance;
	char path[32];
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	if (fd_read_file(path, ENVIRONMENT_MAX, &text, &size) < 0)
		return false;
	for (const char *p = text; p < text + size; p += strlen(p) + 1) {
		if (strncmp(p, name, sizeof(name) - 1) == 0 &&
		    sscanf(p + sizeof(name) - 1, "%16llx.%llu", &run_id, &instance) == 2) {
			mark->run_id = run_id;
			mark->instance = instance;
			return true;
		}
	}
	return false;
}

static uint64_t find_in_limits(pid_t pid)
{
	static const char name[] = "\nMax realtime timeout";
	unsigned long long soft, hard;
	char text[4096], *line;

	if (read_small(pid, "limits", text, sizeof(text)) < 0)
		return 0;
	line = strstr(text, name);
	if (!line || sscanf(line + sizeof(name) - 1, "%llu %llu", &soft, &hard) != 2 ||
	    soft != hard || hard < LINK_LIMIT_MARK_MIN)
		return 0;
	return hard;
}

struct proc_mark proc_mark(pid_t pid)
{
	struct proc_mark mark = { .in_environment = false };

	mark.in_environment = find_in_environment(pid, &mark);
	if (!mark.in_environment)
		mark.limit = find_in_limits(pid);
	return mark;
}

bool proc_mark_is(const struct proc_mark *mark, uint64_t run_id, uint64_t instance)
{
	if (mark->in_environment)
		return mark->run_id == run_id && mark->instance == instance;
	return mark->limit && mark->limit == link_limit_mark(run_id, instance);
}

void proc_add_descendants(struct pid_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		proc_children(l->pids[i], l);
}

int proc_open_live(pid_t pid)
{
	_cleanup_close_ int fd = proc_pidfd(pid);
	struct proc_life life;
	int error;

	if (fd < 0)
		return fd == -EINVAL ? -ESRCH : fd;
	error = proc_life(pid, &life);
	if (error < 0)
		return error;
	return life.dead ? -ESRCH : TAKE_FD(fd);
}
