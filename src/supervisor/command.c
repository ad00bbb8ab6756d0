/* SPDX-License-Identifier: MIT */
/*
 * One command: see command.h. All signals are blocked and taken one by one with sigwaitinfo(2):
 * no handler and no descriptor that the command could inherit, and no wake-up when nothing
 * happens. A blocked signal is kept even if its action is to be ignored, or if we are the first
 * process of a namespace; so dispositions stay as they were, for the command.
 */
#include "supervisor/command.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/units.h"
#include "supervisor/descendants.h"
#include "supervisor/execute.h"
#include "supervisor/terminal.h"

#define GRACE         (5 * USEC_PER_SEC) /* from SIGTERM to SIGKILL; docker stop has 10 s for all */
#define STRANGERS     (50 * USEC_PER_MSEC)
#define KILL_WAIT     (10 * USEC_PER_MSEC) /* doubled each time */
#define KILL_WAIT_MAX USEC_PER_SEC
#define REAPS_A_TURN  256 /* so that a storm of orphans keeps no signal waiting */
#define REAP_TURNS    100 /* and then others, between two looks at who is left */

struct command {
	const char *name;
	pid_t pid; /* 0: has ended */
	int exit_code;
	pid_t self;
	sigset_t signals;
	struct terminal terminal;
	unsigned end_requests; /* SIGTERM and SIGINT; the second one ends the grace period */
};

enum children {
	CHILDREN_NONE,
	CHILDREN_LIVE, /* some, and none has ended */
	CHILDREN_MORE, /* some may have ended */
};

/* The next signal, waiting at most so long (USEC_INFINITY: for ever). 0: none came. */
static int wait_signal(const struct command *c, uint64_t usec)
{
	struct timespec timeout = { .tv_sec = usec / USEC_PER_SEC,
				    .tv_nsec = usec % USEC_PER_SEC * NSEC_PER_USEC };
	siginfo_t info = { 0 };
	int signo = sigtimedwait(&c->signals, &info, usec == USEC_INFINITY ? NULL : &timeout);

	/* What we did ourselves is nobody's word: SIGPIPE for a message that nobody reads. */
	if (signo < 0 || (info.si_code == SI_USER && info.si_pid == c->self))
		return 0;
	return signo;
}

/* --- the command's life ------------------------------------------------------------------ */

static void forward(const struct command *c, int signo)
{
	int error = kill(-c->pid, signo) < 0 ? -errno : 0;

	/* One that left its group is still the command. */
	if (getpgid(c->pid) != c->pid)
		error = kill(c->pid, signo) < 0 ? -errno : 0;
	if (error < 0)
		log_warning_errno(error, "%s[%d]: cannot send %s", c->name, c->pid,
				  signal_to_string(signo));
}

/*
 * Stops our own group as the command was stopped, so that the shell sees its job stop, be it a
 * pipeline or a script. The kernel does not let us stop where nobody is there to continue us: an
 * orphaned group, or the first process of a namespace. True if we were stopped and continued.
 */
static bool stop_along(const struct command *c, int signo)
{
	sigset_t set;

	if (c->self == 1)
		return false;
	kill(0, signo);
	sigemptyset(&set);
	sigaddset(&set, signo);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it is that we stop */
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigpending(&set);
	return sigismember(&set, SIGCONT);
}

static void command_stopped(struct command *c, int signo)
{
	bool wants_terminal = signo == SIGTTIN || signo == SIGTTOU, lent;

	if (c->terminal.fd < 0)
		return; /* no job control: it is for him who stopped it to continue it */
	if (wants_terminal && terminal_lend(&c->terminal, c->pid)) {
		kill(-c->pid, SIGCONT);
		return;
	}
	lent = c->terminal.lent;
	terminal_take_back(&c->terminal);
	/* SIGSTOP cannot be refused: who else would continue an orphaned group? */
	if (stop_along(c, signo == SIGSTOP ? SIGTSTP : signo))
		return; /* SIGCONT is waiting for its turn */
	if (lent)
		terminal_lend(&c->terminal, c->pid);
	/* Without an init between them, the kernel would not have let it stop. */
	if (signo == SIGTSTP)
		kill(-c->pid, SIGCONT);
	else if (wants_terminal)
		log_warning("%s[%d]: stopped, for it wants the terminal, which is another's",
			    c->name, c->pid);
}

static void command_changed(struct command *c, int status)
{
	if (WIFSTOPPED(status)) {
		command_stopped(c, WSTOPSIG(status));
		return;
	}
	c->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	c->pid = 0;
}

static enum children reap(struct command *c)
{
	for (int i = 0; i < REAPS_A_TURN; i++) {
		int status, options = WNOHANG | __WALL | (c->pid ? WUNTRACED : 0);
		pid_t pid = waitpid(-1, &status, options);

		if (pid < 0)
			return CHILDREN_NONE;
		if (pid == 0)
			return CHILDREN_LIVE;
		if (pid == c->pid)
			command_changed(c, status);
	}
	return CHILDREN_MORE;
}

static void supervise(struct command *c)
{
	enum children children = CHILDREN_LIVE;

	while (c->pid) {
		int signo = wait_signal(c, children == CHILDREN_MORE ? 0 : USEC_INFINITY);

		if (signo == SIGTERM || signo == SIGINT)
			c->end_requests = 1;
		if (signo == SIGCONT)
			terminal_continued(&c->terminal, c->pid);
		if (signo && signo != SIGCHLD)
			forward(c, signo);
		if (signo == SIGCHLD || children == CHILDREN_MORE)
			children = reap(c);
	}
}

/* --- the end of the rest ------------------------------------------------------------------ */

/* As the first process of a namespace we are asked to end those, too, that came from outside. */
static bool strangers_left(const struct command *c)
{
	return c->self == 1 && kill(-1, 0) == 0;
}

static int terminate_rest(const struct command *c)
{
	if (c->self != 1)
		return descendants_terminate();
	kill(-1, SIGTERM);
	kill(-1, SIGCONT);
	return 0;
}

/* True when nothing is left; false when the time is over, or a second request to end came. */
static bool wait_grace(struct command *c)
{
	uint64_t deadline = now_monotonic() + GRACE, now;

	while ((now = now_monotonic()) < deadline && c->end_requests < 2) {
		enum children children = reap(c);
		uint64_t wait = children == CHILDREN_MORE ? 0 : deadline - now;
		int signo;

		if (children == CHILDREN_NONE) {
			if (!strangers_left(c))
				return true;
			wait = MIN(wait, STRANGERS); /* of their end no signal tells us */
		}
		signo = wait_signal(c, wait);
		c->end_requests += signo == SIGTERM || signo == SIGINT;
	}
	return false;
}

/* Reaps for so long, or until nothing is left. */
static bool reap_for(struct command *c, uint64_t usec)
{
	uint64_t deadline = now_monotonic() + usec, now = deadline - usec;
	enum children children;

	while ((children = reap(c)) != CHILDREN_NONE && now < deadline) {
		wait_signal(c, children == CHILDREN_MORE ? 0 : deadline - now);
		now = now_monotonic();
	}
	return children == CHILDREN_NONE;
}

static void reap_ended(void *arg)
{
	for (int turn = 0; turn < REAP_TURNS && reap(arg) == CHILDREN_MORE; turn++)
		;
}

static void kill_rest(struct command *c)
{
	uint64_t wait = KILL_WAIT;
	pid_t refused = 0;
	int error;

	do {
		error = descendants_kill(reap_ended, c, &refused);
		if (error == -EPERM)
			log_warning_errno(error, "process %d cannot be ended and is left", refused);
		else if (error < 0)
			log_warning_errno(error, "what %s started cannot be found and is left",
					  c->name);
		if (error < 0)
			return;
		wait = MIN(wait * 2, KILL_WAIT_MAX);
	} while (!reap_for(c, wait));
}

static void end_rest(struct command *c)
{
	enum children children;
	int error;

	while ((children = reap(c)) == CHILDREN_MORE)
		;
	if (children == CHILDREN_NONE && !strangers_left(c))
		return;
	error = terminate_rest(c);
	if (error < 0) {
		log_warning_errno(error, "what %s started cannot be found and is left", c->name);
		return;
	}
	/* Our end is SIGKILL to all that is in our PID namespace: nothing outruns the kernel. */
	if (!wait_grace(c) && c->self != 1)
		kill_rest(c);
}

/* --- start -------------------------------------------------------------------------------- */

/* Blocks what can be passed on; *ret_mask is what was blocked before. */
static void take_signals(struct command *c, sigset_t *ret_mask)
{
	/* A fault of ours is ours. */
	static const int faults[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };

	sigfillset(&c->signals);
	for (size_t i = 0; i < ELEMENTSOF(faults); i++)
		sigdelset(&c->signals, faults[i]);
	sigprocmask(SIG_BLOCK, &c->signals, ret_mask);
	/* Ignored, it would take all exit statuses with it. */
	signal(SIGCHLD, SIG_DFL);
}

int command_run(char **argv)
{
	static struct command c;
	sigset_t mask;

	c.name = argv[0];
	c.self = getpid();
	take_signals(&c, &mask);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_warning_errno(-errno, "cannot become the parent of orphans");
	terminal_open(&c.terminal);
	c.pid = execute(argv, &c.terminal, &mask);
	if (c.pid < 0) {
		log_error_errno(c.pid, "%s: cannot be started", c.name);
		return EXIT_NOT_EXECUTABLE;
	}
	fd_fill_stdio();
	let_go_of_streams();
	supervise(&c);
	if (c.terminal.lent)
		c.end_requests = 1; /* what the terminal's Ctrl-C asked for went past us */
	terminal_take_back(&c.terminal);
	end_rest(&c);
	return c.exit_code;
}
