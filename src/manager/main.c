/* SPDX-License-Identifier: MIT */
/*
 * foster-manager: options, start, the loop. Started by fosterd, again and again when need be;
 * by hand only for --check. See manager.h.
 */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/strv.h"
#include "manager/advice.h"
#include "manager/cgroup.h"
#include "manager/control.h"
#include "manager/depend.h"
#include "manager/events.h"
#include "manager/fd-store.h"
#include "manager/hunt.h"
#include "manager/keep.h"
#include "manager/log-directory.h"
#include "manager/logs.h"
#include "manager/manager.h"
#include "manager/notify-socket.h"
#include "manager/reload.h"
#include "manager/report.h"
#include "manager/reserve.h"
#include "manager/restore.h"
#include "manager/service.h"
#include "manager/shutdown.h"
#include "manager/sockets.h"
#include "manager/spawn.h"
#include "manager/supervisor-link.h"
#include "manager/tree.h"
#include "manager/upgrade.h"

#define EXIT_USAGE        2
#define RUN_DIRECTORY_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/control"))
#define EXIT_CONFIG       78 /* EX_CONFIG of sysexits.h, which systemd knows, too */

static const char usage[] =
	"Usage: foster-manager --check [-c FILE]\n"
	"\n"
	"The part of foster that reads the configuration and decides. fosterd starts it; by hand\n"
	"it checks a configuration and says what is wrong.\n";

static int parse_options(int argc, char **argv, struct manager_options *o)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "run-directory", required_argument, NULL, 'r' },
		{ "join", required_argument, NULL, 'j' },
		{ "private", no_argument, NULL, 'p' },
		{ "check", no_argument, NULL, 'k' },
		{ "rehearse", required_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL },
	};

	for (int c; (c = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1;) {
		switch (c) {
		case 'c': o->config_path = optarg; break;
		case 'r': o->run_directory = optarg; break;
		case 'j': o->join = optarg; break;
		case 'p': o->private_directory = true; break;
		case 'k': o->check = true; break;
		case 'R': o->rehearse = optarg; break;
		case 'h': fputs(usage, stdout); exit(0);
		case 'V': puts("foster-manager " PACKAGE_VERSION); exit(0);
		default: return -EINVAL;
		}
	}
	if (optind < argc && o->check && !o->config_path)
		o->config_path = argv[optind++];
	if (optind < argc || (!o->check && !o->run_directory)) {
		fputs(usage, stderr);
		return -EINVAL;
	}
	return 0;
}

/* Where the configuration is when nobody says. */
static const char *default_config_path(void)
{
	static char path[PATH_MAX];
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		return PKGCONFDIR "/foster.conf";
	if (xdg && *xdg)
		snprintf(path, sizeof(path), "%s/foster/foster.conf", xdg);
	else
		snprintf(path, sizeof(path), "%s/.config/foster/foster.conf", home ? home : "");
	return path;
}

/* --- configuration ---------------------------------------------------------------------- */

static void print_problems(const struct config_problems *problems, FILE *to)
{
	for (size_t i = 0; i < problems->n; i++) {
		const struct config_problem *p = &problems->items[i];

		if (p->line > 0)
			fprintf(to, "%s:%d: %s\n", p->file, p->line, p->text);
		else
			fprintf(to, "%s: %s\n", p->file, p->text);
	}
}

static struct config *load_or_complain(struct manager *m, const char *path,
				       struct config_source *source)
{
	struct config_problems problems = { 0 };
	struct config *config = config_load(path, source, &problems);

	print_problems(&problems, stderr);
	if (!config)
		fprintf(stderr, "%s: %zu error%s\n", path, problems.n, problems.n == 1 ? "" : "s");
	if (!config && problems.n > 0)
		report_reason(m, "%s:%d: %s", problems.items[0].file, problems.items[0].line,
			      problems.items[0].text);
	config_problems_clear(&problems);
	return config;
}

static int check(struct manager *m)
{
	const struct manager_options *o = &m->options;
	struct config_source *source = config_source_new();
	struct config *config = source ? load_or_complain(m, o->config_path, source) : NULL;
	int code = config ? EXIT_SUCCESS : EXIT_CONFIG;

	if (config && o->join && !config_find_service(config, o->join)) {
		fprintf(stderr, "--join %s: the configuration has no such service\n", o->join);
		code = EXIT_CONFIG;
	}
	if (code == EXIT_SUCCESS)
		advice_print(config, stderr);
	if (code == EXIT_SUCCESS)
		printf("%s: good, %zu service%s\n", o->config_path, config->n_services,
		       config->n_services == 1 ? "" : "s");
	config_free(config);
	config_source_free(source);
	return code;
}

/*
 * Could this manager go on where that of the running foster is? Its configuration is descriptor 3,
 * and fosterd, of this release, has looked at the table already.
 */
static int rehearse(struct manager *m)
{
	struct config *config;

	if (strcmp(m->options.rehearse, LINK_VERSION_TEXT) != 0) {
		log_error("its fosterd speaks version %s of the link, its foster-manager version "
			  "%s: they are of different releases",
			  m->options.rehearse, LINK_VERSION_TEXT);
		return EXIT_FAILURE;
	}
	if (config_source_restore(LINK_FD, &m->source) < 0) {
		log_error("the configuration in force cannot be read");
		return EXIT_FAILURE;
	}
	config = load_or_complain(m, m->options.config_path, m->source);
	if (!config)
		return EXIT_CONFIG;
	config_free(config);
	config_source_free(m->source);
	puts(UPGRADE_GOOD PACKAGE_VERSION);
	return EXIT_SUCCESS;
}

/* The one in force, as the last manager kept it; else what the files say now. */
static int load_config(struct manager *m)
{
	struct config *config;
	_cleanup_close_ int fd = -1;

	if (supervisor_link_stored(m, PLACE_CONFIG))
		fd = supervisor_link_fetch(m, PLACE_CONFIG);
	if (fd >= 0 && config_source_restore(fd, &m->source) < 0)
		log_warning("the configuration in force cannot be read back: reading the files");
	if (!m->source)
		m->source = config_source_new();
	config = m->source ? load_or_complain(m, m->options.config_path, m->source) : NULL;
	if (!config)
		return -EINVAL;
	if (m->options.join && !config_find_service(config, m->options.join)) {
		log_error("--join %s: the configuration has no such service", m->options.join);
		config_free(config);
		return -EINVAL;
	}
	m->config = config_ref_new(config);
	return m->config ? 0 : -ENOMEM;
}

/* --- the services ---------------------------------------------------------------------- */

static int make_services(struct manager *m)
{
	const struct config *c = m->config->config;

	m->services = calloc(c->n_services + 1, sizeof(*m->services));
	if (!m->services)
		return -ENOMEM;
	for (; m->n_services < c->n_services; m->n_services++) {
		struct service *s = service_new(m, c->services[m->n_services]);

		if (!s)
			return -ENOMEM;
		m->services[m->n_services] = s;
	}
	manager_index_name(m);
	return 0;
}

static int give_slots(struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (m->services[i]->slot == NO_SLOT && manager_take_slot(m, m->services[i]) < 0)
			return log_error_errno(-ENOSPC, "%s: more services than fosterd can keep",
					       m->services[i]->config->name);
	}
	return 0;
}

/* What nobody has told to run or to stop yet. */
static bool is_new(const struct service *s)
{
	return s->machine.state == STATE_STOPPED && s->machine.reason == REASON_NONE;
}

static void start_services(struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		struct service *s = m->services[i];
		bool joined = m->options.join && strcmp(s->config->name, m->options.join) == 0;

		if (is_new(s) && (s->config->autostart || joined))
			service_start(s, REASON_BOOT);
	}
}

/* --- start ------------------------------------------------------------------------------ */

static int take_over(struct manager *m)
{
	struct error e = { "" };
	int error;

	sockets_restore(m);
	error = sockets_bind(m, m->config->config, &e);
	if (error < 0) {
		log_error("%s", e.text);
		report_reason(m, "%s", e.text);
		return error;
	}
	sockets_commit(m, m->config->config);
	error = make_services(m);
	if (error == 0)
		error = depend_link_all(m);
	if (error < 0)
		return log_error_errno(error, "services");
	restore_apply(m);
	error = logs_init(m, restore_logger(m));
	if (error == 0)
		error = give_slots(m);
	return error;
}

static int init(struct manager *m)
{
	int error;

	if (strlen(m->options.run_directory) > RUN_DIRECTORY_MAX) {
		log_error("%s: too long for the paths of Unix sockets in it (at most %zu bytes); "
			  "choose another run directory",
			  m->options.run_directory, RUN_DIRECTORY_MAX);
		return -ENAMETOOLONG;
	}
	m->base = event_base_new();
	if (!m->base || report_init(m) < 0)
		return -ENOMEM;
	if ((error = supervisor_link_open(m)) < 0 || (error = supervisor_link_sync(m)) < 0)
		return log_error_errno(error, "no link to fosterd, who must start me");
	error = load_config(m);
	if (error < 0)
		return error;
	if ((error = log_directory_make(m, m->config->config)) < 0 ||
	    (error = events_init(m)) < 0 || (error = shutdown_init(m)) < 0 ||
	    (error = trees_init(m)) < 0 || (error = hunt_init(m)) < 0 ||
	    (error = cgroups_init(m)) < 0 || (error = spawn_init(m)) < 0 ||
	    (error = sockets_init(m)) < 0 || (error = fd_store_init(m)) < 0)
		return error;
	error = take_over(m);
	if (error < 0)
		return error;
	if ((error = notify_socket_init(m)) < 0 || (error = control_init(m)) < 0)
		return error;
	keep_tidy(m);
	reload_save(m);
	return 0;
}

static void prepare_process(void)
{
	struct rlimit limit;

	signal(SIGPIPE, SIG_IGN);
	/* fosterd is told of these, and tells us. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void close_all(struct manager *m)
{
	control_shutdown(m);
	notify_socket_shutdown(m);
	for (size_t i = 0; i < m->n_services; i++)
		service_free(m->services[i]);
	free(m->services);
	logs_shutdown(m);
	cgroups_shutdown(m);
	trees_shutdown(m);
	hunt_shutdown(m);
	shutdown_free(m);
	events_shutdown(m);
	report_free(m);
	sockets_shutdown(m);
	fd_store_shutdown(m);
	spawn_shutdown();
	supervisor_link_close(m);
	config_ref_put(m->config);
	config_source_free(m->source);
	free(m->log_directory);
	event_base_free(m->base);
}

int main(int argc, char **argv)
{
	static struct manager m;
	int error;

	fd_fill_stdio();
	/* Executed by descriptor it has that one's name, before Linux 6.14. */
	prctl(PR_SET_NAME, "foster-manager");
	log_init("foster-manager");
	if (parse_options(argc, argv, &m.options) < 0)
		return EXIT_USAGE;
	if (!m.options.config_path)
		m.options.config_path = default_config_path();
	if (m.options.check)
		return check(&m);
	if (m.options.rehearse)
		return rehearse(&m);
	prepare_process();
	reserve_fill();
	error = init(&m);
	if (error < 0) {
		if (m.generation == 1)
			cgroups_remove(&m);
		report_failed(&m, error);
		return error == -EINVAL ? EXIT_CONFIG : EXIT_FAILURE;
	}
	supervisor_link_running(&m);
	fd_store_restore(&m);
	restore_catch_up(&m);
	supervisor_link_go_live(&m);
	start_services(&m);
	report_changed(&m);
	upgrade_finish(&m);
	event_base_dispatch(m.base);
	if (upgrade_is_leaving(&m)) {
		upgrade_leave(&m);
		return EXIT_SUCCESS;
	}
	close_all(&m);
	return EXIT_SUCCESS;
}
