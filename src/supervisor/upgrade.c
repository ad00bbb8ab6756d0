/* SPDX-License-Identifier: MIT */
/* Another program in the supervisor's place: see upgrade.h. */
#include "supervisor/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "supervisor/child.h"
#include "supervisor/reap.h"
#include "supervisor/spawn.h"
#include "supervisor/stage.h"
#include "supervisor/table.h"

#define HANDED_OVER    "FOSTER_TAKE_OVER" /* descriptors: the lock, and what we were before */
#define ENVIRONMENT    8192               /* variables */
#define ARGUMENTS      64
#define REHEARSAL_TIME 20    /* seconds */
#define REHEARSAL_SAYS 65536 /* bytes */

/* What the next program finds in its environment. */
struct hand_over {
	int lock;             /* on the run directory: the table is in there */
	int program, manager; /* of the old one */
	int back;             /* 1: it is the old one that is run again */
};

static char handed_over[64];
static char *environment[ENVIRONMENT + 2];

/* --- the program ------------------------------------------------------------------------ */

/*
 * The path by which a start of today finds what we are: as we were called, which may lead over a
 * symbolic link that points to the newest release. Without a slash it was found in PATH.
 */
void upgrade_init(struct supervisor *s, char **argv)
{
	static char path[LINK_PROGRAM_MAX];
	struct upgrade *u = &s->upgrade;
	const char *called = argv[0] ? argv[0] : "";
	char directory[PATH_MAX];
	int n = -1;

	if (called[0] == '/')
		n = snprintf(path, sizeof(path), "%s", called);
	else if (strchr(called, '/') && getcwd(directory, sizeof(directory)))
		n = snprintf(path, sizeof(path), "%s/%s", directory,
			     called + (strncmp(called, "./", 2) == 0 ? 2 : 0));
	if (n < 0 || (size_t)n >= sizeof(path) || access(path, X_OK) < 0) {
		ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

		path[length > 0 ? length : 0] = '\0';
	}
	u->argv = argv;
	u->program = path;
	u->next = path;
	u->old_fd = u->old_manager_fd = -1;
	u->program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (u->program_fd >= 0)
		u->program_fd = supervisor_raise_fd(u->program_fd);
}

/* --- handing over ----------------------------------------------------------------------- */

/* What must outlive the exec: all that the table knows by number, and the lock. */
static void keep_descriptors(struct supervisor *s, bool keep)
{
	uint32_t n;
	struct table_slot *slots = table_slots(s->table, &n);

	fd_set_cloexec(s->lock_fd, !keep);
	for (uint32_t i = 0; i < n; i++) {
		if (slots[i].pidfd >= 0)
			fd_set_cloexec(slots[i].pidfd, !keep);
		if (slots[i].exec_fd >= 0)
			fd_set_cloexec(slots[i].exec_fd, !keep);
	}
	for (int64_t i = -1; (i = table_next_place(s->table, i)) >= 0;) {
		if (table_place(s->table, i)->fd >= 0)
			fd_set_cloexec(table_place(s->table, i)->fd, !keep);
	}
}

static void write_state(struct supervisor *s)
{
	struct table_upgrade *t = table_upgrade(s->table);

	t->generation = s->keeper.generation;
	t->end_signal = s->end_signal;
	memcpy(t->signalled, s->signalled, sizeof(t->signalled));
	t->nofile_soft = s->nofile.rlim_cur;
	t->nofile_hard = s->nofile.rlim_max;
	t->orphans = s->orphans;
	snprintf(t->run_directory, sizeof(t->run_directory), "%s", s->run_directory);
	t->pid = s->pid; /* last: now it is whole */
}

/* Our environment, and what names the descriptors. False: it has too many variables. */
static bool make_environment(const struct hand_over *h)
{
	size_t n = 0;

	snprintf(handed_over, sizeof(handed_over), HANDED_OVER "=%d:%d:%d:%d", h->lock, h->program,
		 h->manager, h->back);
	for (; environ && environ[n] && n < ENVIRONMENT; n++)
		environment[n] = environ[n];
	if (environ && environ[n])
		return false;
	environment[n] = handed_over;
	environment[n + 1] = NULL;
	return true;
}

/*
 * Runs a program in our place: the one at path, or (NULL) the old one. Returns -errno when it
 * cannot be done, and nothing has changed then. Calls nothing that a signal's handler may not.
 */
static int replace(struct supervisor *s, const char *path, const struct hand_over *h)
{
	int error;

	if (!make_environment(h))
		return -E2BIG;
	write_state(s);
	keep_descriptors(s, true);
	fd_set_cloexec(h->program, false);
	fd_set_cloexec(h->manager, false);
	if (path)
		execve(path, s->upgrade.argv, environment);
	else
		spawn_execute(h->program, s->upgrade.argv, environment);
	error = -errno;
	keep_descriptors(s, false);
	fd_set_cloexec(h->program, true);
	fd_set_cloexec(h->manager, true);
	table_upgrade(s->table)->pid = 0;
	return error;
}

void upgrade_run(struct supervisor *s)
{
	struct table_upgrade *t = table_upgrade(s->table);
	struct upgrade *u = &s->upgrade;
	struct hand_over h;
	int error;

	if (!u->due || s->keeper.pid)
		return;
	u->due = false;
	t->attempts++;
	t->outcome = UPGRADE_TAKEN_OVER;
	t->error = 0;
	log_info("%s takes over", u->next);
	snprintf(t->program, sizeof(t->program), "%s", u->program);
	u->argv[0] = (char *)u->next;
	h = (struct hand_over){ s->lock_fd, u->program_fd, s->manager_fd, 0 };
	error = replace(s, u->next, &h);
	u->argv[0] = (char *)u->program;
	t->outcome = UPGRADE_EXEC_FAILED;
	t->error = -error;
	log_error_errno(error, "%s cannot take over: this one goes on", u->next);
	s->keeper.next_start = now_monotonic();
}

void upgrade_fall_back(struct supervisor *s, enum upgrade_outcome outcome, int status)
{
	struct upgrade *u = &s->upgrade;
	struct hand_over h = { s->lock_fd, u->old_fd, u->old_manager_fd, 1 };
	struct table_upgrade *t;
	int error;

	if (u->old_fd < 0)
		return;
	t = table_upgrade(s->table);
	t->outcome = outcome;
	t->error = status;
	u->argv[0] = (char *)u->old_program;
	error = replace(s, NULL, &h);
	log_error_errno(error, "there is no way back to the fosterd of before");
	u->old_fd = u->old_manager_fd = -1;
}

static void watch_for_crash(struct supervisor *s, bool on);

void upgrade_confirm(struct supervisor *s)
{
	struct upgrade *u = &s->upgrade;

	u->fresh = false;
	if (u->old_fd < 0)
		return;
	u->old_fd = fd_close(u->old_fd);
	u->old_manager_fd = fd_close(u->old_manager_fd);
	watch_for_crash(s, false);
	log_info("fosterd " PACKAGE_VERSION " has taken over");
}

/* --- taking over ------------------------------------------------------------------------ */

static struct supervisor *crashing;

/*
 * The memory may be damaged: of it nothing is used but what names the old program. A signal that
 * somebody sent is no crash, and does what it always does.
 */
static void on_crash(int signo, siginfo_t *info, void *context)
{
	if (info->si_code > 0 || info->si_pid == getpid())
		upgrade_fall_back(crashing, UPGRADE_CRASHED, signo);
	raise(signo); /* blocked until we return; then its default action */
}

static void watch_for_crash(struct supervisor *s, bool on)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	struct sigaction action = { .sa_flags = SA_RESETHAND };

	if (on) {
		action.sa_sigaction = on_crash;
		action.sa_flags |= SA_SIGINFO;
	} else {
		action.sa_handler = SIG_DFL;
	}
	crashing = s;
	for (size_t i = 0; i < ELEMENTSOF(signals); i++)
		sigaction(signals[i], &action, NULL);
}

/* The old program, where not even the table can be read: all its descriptors are open still. */
static int refuse(struct supervisor *s, struct hand_over *h, int error)
{
	log_error_errno(error, "what the fosterd of before handed over cannot be read");
	if (h->back || !make_environment(h))
		return error;
	h->back = 1;
	make_environment(h);
	spawn_execute(h->program, s->upgrade.argv, environment);
	return log_error_errno(-errno, "there is no way back to it");
}

/* Copies: children have no table. */
static void copy_paths(struct supervisor *s)
{
	static char run_directory[LINK_PROGRAM_MAX], program[LINK_PROGRAM_MAX];
	const struct table_upgrade *t = table_upgrade(s->table);

	snprintf(run_directory, sizeof(run_directory), "%s", t->run_directory);
	snprintf(program, sizeof(program), "%s", t->program);
	s->run_directory = run_directory;
	s->upgrade.old_program = program;
}

static void remember_old(struct supervisor *s, const struct hand_over *h)
{
	struct table_upgrade *t = table_upgrade(s->table);
	struct upgrade *u = &s->upgrade;

	if (!h->back) {
		u->old_fd = h->program;
		u->old_manager_fd = h->manager;
		return;
	}
	fd_close(u->program_fd);
	fd_close(s->manager_fd);
	u->program_fd = h->program;
	s->manager_fd = h->manager;
	if (t->outcome == UPGRADE_TAKEN_OVER)
		t->outcome = UPGRADE_FELL_BACK;
}

int upgrade_open(struct supervisor *s)
{
	const char *text = getenv(HANDED_OVER);
	struct hand_over h;

	if (!text)
		return 0;
	if (sscanf(text, "%d:%d:%d:%d", &h.lock, &h.program, &h.manager, &h.back) != 4)
		return log_error_errno(-EINVAL, HANDED_OVER " is not for you to set");
	unsetenv(HANDED_OVER);
	s->table = table_open_handed_over(h.lock);
	if (!s->table || table_upgrade(s->table)->pid != s->pid)
		return refuse(s, &h, s->table ? -EPROTO : -errno);
	s->lock_fd = h.lock;
	copy_paths(s);
	s->upgrade.fresh = true;
	/* Executed by descriptor it has that one's name, before Linux 6.14. */
	prctl(PR_SET_NAME, "fosterd");
	remember_old(s, &h);
	return 1;
}

static void read_state(struct supervisor *s)
{
	struct table_upgrade *t = table_upgrade(s->table);

	s->keeper.generation = t->generation;
	s->keeper.ever_ready = true;
	s->end_signal = t->end_signal;
	memcpy(s->signalled, t->signalled, sizeof(s->signalled));
	s->nofile.rlim_cur = t->nofile_soft;
	s->nofile.rlim_max = t->nofile_hard;
	s->orphans = t->orphans;
	s->orphans_untold = s->orphans.total > 0;
	t->pid = 0;
}

static int take_slot(struct supervisor *s, uint32_t index, struct table_slot *slot)
{
	/* The exec has closed what was staged. */
	slot->stage = (struct stage){ 0 };
	slot->exec_watched = slot->starting = false;
	if (slot->exec_fd >= 0)
		table_push_starting(s->table, index);
	if (!table_slot_is_alive(slot))
		return 0;
	table_set_pid(s->table, index, slot->child.pid);
	return slot->pidfd < 0 ? 0
			       : supervisor_watch(s, slot->pidfd, EPOLLIN, WATCH_ADOPTED, index);
}

static int take_place(struct supervisor *s, uint32_t index, const struct table_place *place)
{
	if (place->fd < 0)
		return 0;
	stage_reserve(place->fd);
	if (!place->is_door)
		return 0;
	return supervisor_watch(s, place->fd, EPOLLIN | EPOLLET, WATCH_DOOR, index);
}

int upgrade_take_over(struct supervisor *s)
{
	uint32_t n;
	struct table_slot *slots = table_slots(s->table, &n);
	int error = 0;

	if (s->upgrade.old_fd >= 0)
		watch_for_crash(s, true);
	read_state(s);
	keep_descriptors(s, false);
	for (uint32_t i = 0; i < n && error == 0; i++)
		error = take_slot(s, i, &slots[i]);
	for (int64_t i = -1; error == 0 && (i = table_next_place(s->table, i)) >= 0;)
		error = take_place(s, i, table_place(s->table, i));
	/* A signal's default action, when it is set, throws a SIGCHLD away that was pending. */
	reap_children(s);
	return error;
}

/* --- the rehearsal ---------------------------------------------------------------------- */

static void tell_rehearsed(struct supervisor *s, int status, int error)
{
	s->upgrade.rehearsed = (struct link_rehearsed){ .header.type = LINK_REHEARSED,
							.status = status,
							.error = error };
	s->upgrade.rehearsed_untold = true;
}

/* The same arguments as ours, in the program that is tried. */
static void run_rehearsal(struct supervisor *s, int words, int config)
{
	const struct rlimit says = { REHEARSAL_SAYS, REHEARSAL_SAYS };
	char *argv[ARGUMENTS] = { (char *)s->upgrade.next, (char *)"--rehearse" };
	size_t n = 2;

	for (char **arg = s->upgrade.argv + 1; *arg && n < ARGUMENTS - 1; arg++)
		argv[n++] = *arg;
	child_reset_signals();
	alarm(REHEARSAL_TIME); /* it outlives the exec, and ends what hangs */
	setrlimit(RLIMIT_FSIZE, &says);
	setsid();
	setrlimit(RLIMIT_NOFILE, &s->nofile);
	if (dup2(words, STDOUT_FILENO) < 0 || dup2(words, STDERR_FILENO) < 0 ||
	    dup2(config, LINK_FD) < 0)
		_exit(127);
	execv(s->upgrade.next, argv);
	log_error_errno(-errno, "%s", s->upgrade.next);
	_exit(127);
}

void upgrade_rehearse(struct supervisor *s, const struct link_program *m)
{
	static char path[LINK_PROGRAM_MAX];
	struct table_place *words = table_place(s->table, m->words),
			   *config = table_place(s->table, m->config);
	struct upgrade *u = &s->upgrade;
	int words_fd, config_fd;
	pid_t pid;

	if (u->rehearsal || !words || !config || words->fd < 0 || config->fd < 0) {
		tell_rehearsed(s, 0, u->rehearsal ? EBUSY : EMFILE);
		return;
	}
	memcpy(path, m->path, sizeof(path));
	path[sizeof(path) - 1] = '\0';
	u->next = *path ? path : u->program;
	words_fd = words->fd;
	config_fd = config->fd;
	pid = fork(); /* the child has no table */
	if (pid == 0)
		run_rehearsal(s, words_fd, config_fd);
	if (pid < 0)
		tell_rehearsed(s, 0, errno);
	else
		u->rehearsal = pid;
}

void upgrade_before_reaping(struct supervisor *s, pid_t pid)
{
	if (pid == s->upgrade.rehearsal)
		kill(-pid, SIGKILL);
}

bool upgrade_is_rehearsal(struct supervisor *s, pid_t pid, int status)
{
	if (pid != s->upgrade.rehearsal)
		return false;
	s->upgrade.rehearsal = 0;
	tell_rehearsed(s, status, 0);
	return true;
}

void upgrade_manager_ended(struct supervisor *s)
{
	if (s->upgrade.rehearsal)
		kill(s->upgrade.rehearsal, SIGKILL); /* not reaped: the pid is its own */
	s->upgrade.rehearsed_untold = false;
}

int upgrade_rehearsal(const char *run_directory)
{
	_cleanup_close_ int fd = open(run_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? log_error_errno(-errno, "%s", run_directory) : table_check(fd);
}
