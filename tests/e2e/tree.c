/* SPDX-License-Identifier: MIT */
/*
 * A service whose one start makes a whole tree: a child, its child, one in a session of its
 * own, an orphan of a double fork, one that ignores SIGTERM and, for root, one that has changed
 * its user. Installed set-user-ID root it makes no such one; told so, its main process becomes
 * root for good, and can no longer be signalled by who started it. One that forks away goes on in
 * the grandchild of the process that was started. Each appends a line "KIND PID" to the file that
 * is named, and pauses.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/notify.h"

#define NOBODY     65534
#define FORK_TRIES 1000
#define FORK_PAUSE 10000 /* us */

static int out;

static void tell(const char *kind)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s %d\n", kind, (int)getpid());

	if (write(out, line, n) != n)
		err(1, "write");
}

static _Noreturn void stay(const char *kind)
{
	tell(kind);
	for (;;)
		pause();
}

/* In the middle of somebody's fork bomb there is no process to be had for a while. */
static pid_t fork_or_die(void)
{
	pid_t pid = fork();

	for (int i = 0; pid < 0 && errno == EAGAIN && i < FORK_TRIES; i++) {
		usleep(FORK_PAUSE);
		pid = fork();
	}
	if (pid < 0)
		err(1, "fork");
	return pid;
}

static void change_user(void)
{
	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		err(1, "changing the user");
}

static _Noreturn void be_child(void)
{
	if (fork_or_die() == 0)
		stay("grandchild");
	if (fork_or_die() == 0) {
		setsid();
		stay("setsid");
	}
	stay("child");
}

/* What is in between is reaped, so that its child is an orphan by then. */
static void leave_orphan(void)
{
	pid_t between = fork_or_die();

	if (between == 0) {
		setsid();
		if (fork_or_die() == 0)
			stay("orphan");
		_exit(0);
	}
	waitpid(between, NULL, 0);
}

/* As a daemon does that was written for init. Returns in the daemon. */
static void fork_away(void)
{
	pid_t between = fork_or_die();

	if (between > 0) {
		waitpid(between, NULL, 0);
		_exit(0);
	}
	setsid();
	if (fork_or_die() > 0)
		_exit(0);
}

static void make_tree(void)
{
	if (fork_or_die() == 0)
		be_child();
	leave_orphan();
	if (fork_or_die() == 0) {
		signal(SIGTERM, SIG_IGN);
		stay("stubborn");
	}
	if (getuid() == 0 && fork_or_die() == 0) {
		change_user();
		stay("user");
	}
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "change-user", no_argument, NULL, 'u' },
		{ "ready", no_argument, NULL, 'r' },
		{ "become-root", no_argument, NULL, 'R' },
		{ "fork-away", no_argument, NULL, 'f' },
		{ NULL, 0, NULL, 0 },
	};
	bool other_user = false, ready = false, root = false, away = false;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'u': other_user = true; break;
		case 'r': ready = true; break;
		case 'R': root = true; break;
		case 'f': away = true; break;
		default: return 2;
		}
	}
	if (optind != argc - 1)
		errx(2, "usage: test-tree [--fork-away] [--change-user] [--ready] [--become-root] "
			"FILE");
	out = open(argv[optind], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (out < 0)
		err(1, "%s", argv[optind]);
	if (away)
		fork_away();
	make_tree();
	if (root && setresuid(0, 0, 0) < 0)
		err(1, "becoming root");
	if (other_user)
		change_user(); /* which clears its death signal */
	if (ready && notify_send("READY=1") < 0)
		errx(1, "NOTIFY_SOCKET cannot be used");
	stay("main");
}
