/* SPDX-License-Identifier: MIT */
/*
 * fosterd: options, start, the loop, the end. See supervisor.h for what it is. After start it
 * ends only when the manager says so, or when it is killed.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "supervisor/adopt.h"
#include "supervisor/command.h"
#include "supervisor/end.h"
#include "supervisor/keeper.h"
#include "supervisor/manager-link.h"
#include "supervisor/reap.h"
#include "supervisor/run-directory.h"
#include "supervisor/spawn.h"
#include "supervisor/stage.h"
#include "supervisor/systemd.h"
#include "supervisor/table.h"
#include "supervisor/upgrade.h"

#define EXIT_USAGE 2
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

#define EVENTS_A_TURN 64

struct options {
	const char *config, *run_directory, *join;
	bool check;
	bool rehearse;  /* see upgrade.h */
	char **command; /* what stands behind "--"; NULL: a configuration is to be run */
};

static const char usage[] =
	"Usage: fosterd [-c FILE] [--run-directory DIR] [--join NAME]\n"
	"       fosterd --check [-c FILE]\n"
	"       fosterd -- COMMAND [ARGUMENT...]\n"
	"\n"
	"Supervises the services of a configuration, in the foreground; or is the init of\n"
	"one command, and exits with its exit code.\n"
	"\n"
	"  -c, --config FILE        the configuration (root: " PKGCONFDIR "/foster.conf,\n"
	"                           else ~/.config/foster/foster.conf)\n"
	"      --run-directory DIR  where the control socket is and the state lies\n"
	"                           (root: " PKGRUNTIMEDIR ", else $XDG_RUNTIME_DIR/foster)\n"
	"      --join NAME          wait for that service's own end, stop all others, and exit\n"
	"                           with its exit code\n"
	"      --check              check the configuration, say what is wrong, and exit\n"
	"  -h, --help               print this\n"
	"  -V, --version            print the version\n"
	"\n"
	"Ask and command it with fosterctl(1).\n";

int supervisor_copy_fd(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, FD_BASE);

	return copy < 0 ? -errno : copy;
}

int supervisor_raise_fd(int fd)
{
	int copy;

	if (fd >= FD_BASE)
		return fd;
	copy = supervisor_copy_fd(fd);
	fd_close(fd);
	return copy;
}

int supervisor_watch(struct supervisor *s, int fd, uint32_t events, enum watch watch, uint32_t slot)
{
	struct epoll_event event = { .events = events, .data.u64 = (uint64_t)watch << 32 | slot };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* --- options -------------------------------------------------------------------------- */

/* What stands behind the options: nothing, or "--" and a command. */
static int parse_command(int argc, char **argv, struct options *o)
{
	bool dashes = optind > 1 && strcmp(argv[optind - 1], "--") == 0;

	if (optind == argc && !dashes)
		return 0;
	if (optind == argc) {
		log_error("there is no command behind '--'");
		return -EINVAL;
	}
	if (!dashes) {
		log_error("'%s' is not understood: to run one command, write 'fosterd -- %s'",
			  argv[optind], argv[optind]);
		return -EINVAL;
	}
	if (o->config || o->run_directory || o->join || o->check) {
		log_error("one command has no configuration and no run directory: --config, "
			  "--run-directory, --join and --check cannot stand before '--'");
		return -EINVAL;
	}
	o->command = argv + optind;
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "run-directory", required_argument, NULL, 'r' },
		{ "join", required_argument, NULL, 'j' },
		{ "check", no_argument, NULL, 'k' },
		{ "rehearse", no_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL },
	};

	for (int c; (c = getopt_long(argc, argv, "+c:hV", long_options, NULL)) != -1;) {
		switch (c) {
		case 'c': o->config = optarg; break;
		case 'r': o->run_directory = optarg; break;
		case 'j': o->join = optarg; break;
		case 'k': o->check = true; break;
		case 'R': o->rehearse = true; break;
		case 'h': fputs(usage, stdout); exit(0);
		case 'V': puts("fosterd " PACKAGE_VERSION); exit(0);
		default: return -EINVAL;
		}
	}
	return parse_command(argc, argv, o);
}

/*
 * Where foster-manager is: beside fosterd in a build tree, else in ../libexec/foster as in any
 * prefix, else where it was configured to be.
 */
static const char *manager_beside(void)
{
	static char path[PATH_MAX];
	static const char *const beside[] = { "foster-manager",
					      "../libexec/foster/foster-manager" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < ELEMENTSOF(beside); i++) {
		int length = snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self), self,
				      beside[i]);

		if (length < (int)sizeof(path) && access(path, X_OK) == 0)
			return path;
	}
	return PKGLIBEXECDIR "/foster-manager";
}

/*
 * All our managers are what lies there now: after a newer release was installed they go on
 * understanding us, until we are upgraded, too.
 */
static void find_manager(struct supervisor *s)
{
	int fd;

	s->manager_path = manager_beside();
	fd = open(s->manager_path, O_PATH | O_CLOEXEC);
	s->manager_fd = fd < 0 ? -1 : supervisor_raise_fd(fd);
}

static char **make_manager_argv(const struct options *o, const char *run_directory)
{
	static char *argv[12];
	size_t n = 0;

	argv[n++] = (char *)"foster-manager";
	if (run_directory) {
		argv[n++] = (char *)"--run-directory";
		argv[n++] = (char *)run_directory;
	}
	if (o->run_directory)
		argv[n++] = (char *)"--private"; /* logs default to the run directory */
	if (o->config) {
		argv[n++] = (char *)"--config";
		argv[n++] = (char *)o->config;
	}
	if (o->join) {
		argv[n++] = (char *)"--join";
		argv[n++] = (char *)o->join;
	}
	if (o->check)
		argv[n++] = (char *)"--check";
	if (o->rehearse) {
		argv[n++] = (char *)"--rehearse";
		argv[n++] = (char *)LINK_VERSION_TEXT;
	}
	argv[n] = NULL;
	return argv;
}

/* --- start ---------------------------------------------------------------------------- */

static void raise_nofile(struct supervisor *s)
{
	struct rlimit raised;

	getrlimit(RLIMIT_NOFILE, &s->nofile);
	raised = s->nofile;
	raised.rlim_cur = raised.rlim_max;
	setrlimit(RLIMIT_NOFILE, &raised);
}

/* Every signal as a fresh program has it, whatever we inherited: children get it from us. */
static void default_signals(void)
{
	/* That a child was stopped or goes on is not for us to know. */
	static const struct sigaction ends_only = { .sa_handler = SIG_DFL,
						    .sa_flags = SA_NOCLDSTOP };

	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL); /* fails for those that cannot be changed */
	sigaction(SIGCHLD, &ends_only, NULL);
}

static int open_signal_fd(void)
{
	static const int watched[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGPWR, SIGUSR1, SIGUSR2 };
	sigset_t set, blocked;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < ELEMENTSOF(watched); i++)
		sigaddset(&set, watched[i]);
	/* Blocked, not ignored: so a child has but its mask to reset. */
	blocked = set;
	sigaddset(&blocked, SIGPIPE);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : supervisor_raise_fd(fd);
}

/* What we inherited beyond stdio is not for the services. */
static void close_inherited_on_exec(void)
{
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int fd = 3; fd < FD_BASE * 10; fd++) /* before Linux 5.11 */
		fd_set_cloexec(fd, true);
}

static int init(struct supervisor *s)
{
	int null_fd;

	close_inherited_on_exec();
	default_signals();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_warning_errno(-errno, "cannot become the parent of orphans");
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return -errno;
	s->epoll_fd = supervisor_raise_fd(s->epoll_fd);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return -errno;
	s->null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, FD_BASE - 1);
	fd_close(null_fd);
	stage_reserve(s->null_fd);
	s->may_stage = s->null_fd < FD_BASE && stage_supported();
	s->signal_fd = open_signal_fd();
	if (s->epoll_fd < 0 || s->null_fd < 0 || s->signal_fd < 0)
		return -EMFILE;
	return supervisor_watch(s, s->signal_fd, EPOLLIN, WATCH_SIGNALS, 0);
}

/* --- the loop ------------------------------------------------------------------------- */

/*
 * An end that is asked for while no manager can be started must not wait for one for ever.
 */
static void end_without_manager(struct supervisor *s)
{
	if (!s->end_signal || s->ending || s->keeper.pid || s->keeper.failures < 3)
		return;
	log_warning("no manager to end the services in order: ending them all");
	s->ending = s->keep = s->without_manager = true;
	s->exit_code = 1;
}

static bool is_end(int signo)
{
	return signo == SIGTERM || signo == SIGINT || signo == SIGPWR;
}

void supervisor_read_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap_hinted(s, info.ssi_pid);
		} else if (info.ssi_signo < ELEMENTSOF(s->signalled)) {
			s->signalled[info.ssi_signo] = info.ssi_pid + 1;
			if (is_end(info.ssi_signo))
				s->end_signal = info.ssi_signo;
		}
	}
	s->reap_due = true;
}

static void handle_event(struct supervisor *s, const struct epoll_event *event)
{
	uint32_t slot = (uint32_t)event->data.u64;

	switch ((enum watch)(event->data.u64 >> 32)) {
	case WATCH_SIGNALS: supervisor_read_signals(s); break;
	case WATCH_EXEC: spawn_read_exec_pipe(s, slot); break;
	case WATCH_ADOPTED: reap_adopted(s, slot); break;
	case WATCH_DOOR: keeper_expect_answer(s); break;
	case WATCH_LINK:
		if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			manager_link_read(s);
		break;
	}
}

static void run(struct supervisor *s)
{
	struct epoll_event events[EVENTS_A_TURN];

	while (!s->ending || s->keeper.pid > 0) {
		int n;

		spawn_watch_starting(s);
		manager_link_flush(s);
		systemd_alive();
		n = epoll_wait(s->epoll_fd, events, EVENTS_A_TURN,
			       systemd_timeout(keeper_timeout(s)));
		for (int i = 0; i < n; i++)
			handle_event(s, &events[i]);
		if (s->reap_due) {
			/* First the manager hears of the one that the signal named: to look
			 * for others takes the kernel a walk over all children. */
			manager_link_flush(s);
			reap_children(s);
			manager_link_flush(s);
			if (s->service_ended)
				manager_link_await(s);
			s->reap_due = s->service_ended = false;
		}
		end_without_manager(s);
		upgrade_run(s);
		keeper_run(s);
	}
}

/* No other program's: --check, and the rehearsal of an upgrade. */
static int run_manager(struct supervisor *s, const struct options *o, const char *run_directory)
{
	execv(s->manager_path, make_manager_argv(o, run_directory));
	log_error_errno(-errno, "%s", s->manager_path);
	return EXIT_FAILURE;
}

static int rehearse(struct supervisor *s, const struct options *o, const char *run_directory)
{
	return upgrade_rehearsal(run_directory) < 0 ? EXIT_FAILURE
						    : run_manager(s, o, run_directory);
}

/* A plain start: nobody is there, at most what an earlier supervisor left. */
static int start(struct supervisor *s, const char *directory)
{
	static char run_directory[PATH_MAX];
	int error = run_directory_open(s, directory, run_directory);

	s->run_directory = run_directory;
	if (error == 0)
		error = adopt_left_behind(s);
	if (error < 0)
		systemd_failed(error);
	else
		systemd_take_descriptors(s);
	return error;
}

static int begin(struct supervisor *s, const struct options *o, const char *directory,
		 bool handed_over)
{
	int error = init(s);

	if (error < 0)
		return log_error_errno(error, "cannot start");
	error = handed_over ? upgrade_take_over(s) : start(s, directory);
	if (error < 0)
		return error;
	snprintf(s->mark, sizeof(s->mark), "FOSTER_INSTANCE=%016llx.",
		 (unsigned long long)table_run_id(s->table));
	s->manager_argv = make_manager_argv(o, s->run_directory);
	if (handed_over) { /* the loop starts it, again and again if need be: services are there */
		s->keeper.next_start = now_monotonic();
		return 0;
	}
	error = keeper_start(s);
	return error < 0 ? log_error_errno(error, "%s", s->manager_path) : 0;
}

int main(int argc, char **argv)
{
	static struct supervisor s = { .epoll_fd = -1,
				       .signal_fd = -1,
				       .null_fd = -1,
				       .lock_fd = -1,
				       .link_fd = -1,
				       .manager_fd = -1 };
	static char default_directory[PATH_MAX];
	struct options o = { 0 };
	const char *directory;
	int handed_over;

	log_init("fosterd");
	if (parse_options(argc, argv, &o) < 0) {
		fputs("Try 'fosterd --help'.\n", stderr);
		return EXIT_USAGE;
	}
	if (o.command)
		return command_run(o.command);
	fd_fill_stdio();
	s.pid = getpid();
	raise_nofile(&s);
	upgrade_init(&s, argv);
	find_manager(&s);
	if (o.check)
		return run_manager(&s, &o, NULL);
	handed_over = upgrade_open(&s);
	if (handed_over < 0)
		return EXIT_FAILURE;
	directory = o.run_directory;
	if (!directory && run_directory_default(default_directory, PATH_MAX) < 0)
		return EXIT_USAGE;
	directory = directory ? directory : default_directory;
	if (o.rehearse)
		return rehearse(&s, &o, directory);
	if (begin(&s, &o, directory, handed_over) < 0) {
		upgrade_fall_back(&s, UPGRADE_FELL_BACK, W_EXITCODE(EXIT_FAILURE, 0));
		return EXIT_FAILURE;
	}
	run(&s);
	end_all(&s);
	return s.exit_code;
}
