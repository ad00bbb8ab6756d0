/* SPDX-License-Identifier: MIT */
/* Cgroups of services: see cgroup.h, cgroups(7) and the kernel's admin-guide/cgroup-v2. */
#include "manager/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "manager/cgroup-path.h"
#include "manager/proc.h"
#include "manager/reserve.h"
#include "manager/service.h"
#include "manager/supervisor-link.h"
#include "manager/tree.h"

#define SUFFIX     ".service" /* no file of the kernel's own ends so */
#define DEPTH_MAX  16         /* of cgroups that a service makes below its own */
#define KILL_TRIES 50         /* looks, where the kernel has no cgroup.kill */
#define LOOK_EVERY 50         /* ms, where inotify has no watch left for us */

struct watch {
	struct service *service;
	int descriptor; /* inotify's; -1: it could not be had, and it is looked at now and then */
	struct watch *next;
};

struct cgroups {
	char *path;
	int fd;          /* of the directory */
	bool may_freeze; /* no cgroup.kill: one that was killed may have been left frozen */
	int inotify;
	struct event *changed, *now_and_then;
	struct watch *watches;
};

/* --- the directory ---------------------------------------------------------------------- */

static void on_changed(evutil_socket_t fd, short what, void *arg);
static void on_now_and_then(evutil_socket_t fd, short what, void *arg);

static int listen_to_changes(struct manager *m, struct cgroups *c)
{
	c->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (c->inotify < 0)
		return -errno;
	c->changed = event_new(m->base, c->inotify, EV_READ | EV_PERSIST, on_changed, m);
	c->now_and_then = event_new(m->base, -1, 0, on_now_and_then, c);
	return c->now_and_then && c->changed && event_add(c->changed, NULL) == 0 ? 0 : -ENOMEM;
}

/* Opens path, which cgroup_path_find() gave, for use. 0 or -errno. */
static int use(struct manager *m, struct cgroups *c)
{
	int error;

	c->fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->fd < 0)
		return -errno;
	c->may_freeze = faccessat(c->fd, "cgroup.kill", F_OK, 0) < 0;
	error = listen_to_changes(m, c);
	if (error == 0)
		supervisor_link_store(m, PLACE_CGROUP, "cgroup", fd_copy(c->fd));
	return error;
}

int cgroups_init(struct manager *m)
{
	struct cgroups *c = m->cgroups = calloc(1, sizeof(*c));
	int error;

	if (!c)
		return -ENOMEM;
	c->fd = c->inotify = -1;
	error = cgroup_path_find(m->options.run_directory, m->config->config->cgroup, m->run_id,
				 &c->path);
	if (error == 0)
		error = use(m, c);
	if (error == 0)
		return 0;
	if (error != -ENOENT)
		log_warning_errno(error, "no cgroups%s%s", c->path ? ": " : "",
				  c->path ? c->path : "");
	free(c->path);
	c->path = NULL;
	return error == -ENOMEM ? error : 0;
}

void cgroups_shutdown(struct manager *m)
{
	struct cgroups *c = m->cgroups;

	if (!c)
		return;
	while (c->watches)
		cgroup_unwatch(c->watches->service);
	if (c->changed)
		event_free(c->changed);
	if (c->now_and_then)
		event_free(c->now_and_then);
	fd_close(c->inotify);
	fd_close(c->fd);
	free(c->path);
	free(c);
	m->cgroups = NULL;
}

const char *cgroups_path(const struct manager *m)
{
	return m->cgroups ? m->cgroups->path : NULL;
}

/* --- one cgroup ------------------------------------------------------------------------- */

static const char *name_of(const char *service, char buf[CGROUP_NAME_MAX])
{
	snprintf(buf, CGROUP_NAME_MAX, "%s" SUFFIX, service);
	return buf;
}

/* A file of the service's cgroup. The fd or -errno. */
static int open_file(const struct cgroups *c, const char *service, const char *file, int flags)
{
	char path[CGROUP_NAME_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "%s" SUFFIX "/%s", service, file);
	fd = c && c->path ? openat(c->fd, path, flags | O_CLOEXEC) : -1;
	return fd < 0 ? (c && c->path ? -errno : -ENOENT) : fd;
}

static int write_file(const struct cgroups *c, const char *service, const char *file,
		      const char *text)
{
	int fd, error;

	reserve_begin();
	fd = open_file(c, service, file, O_WRONLY);
	error = fd < 0 ? fd : write(fd, text, strlen(text)) < 0 ? -errno : 0;
	fd_close(fd);
	reserve_end();
	return error;
}

const char *cgroup_prepare(struct service *s, char buf[CGROUP_NAME_MAX])
{
	struct cgroups *c = s->manager->cgroups;

	buf[0] = '\0';
	if (!c || !c->path)
		return buf;
	name_of(s->config->name, buf);
	if (mkdirat(c->fd, buf, 0755) == 0) {
		s->cgroup_spent = false;
		return buf;
	}
	if (errno == EEXIST && s->cgroup_spent) {
		cgroup_remove(s);
		s->cgroup_spent = mkdirat(c->fd, buf, 0755) < 0;
		if (!s->cgroup_spent)
			return buf;
	}
	if (errno == EEXIST) {
		if (c->may_freeze)
			write_file(c, s->config->name, "cgroup.freeze", "0");
		return buf;
	}
	log_warning_errno(-errno, "%s: no cgroup %s/%s", s->config->name, c->path, buf);
	buf[0] = '\0';
	return buf;
}

const char *cgroup_path(const struct service *s, char *buf, size_t size)
{
	char name[CGROUP_NAME_MAX];

	if (!s->in_cgroup || !cgroups_path(s->manager))
		return NULL;
	snprintf(buf, size, "%s/%s", s->manager->cgroups->path, name_of(s->config->name, name));
	return buf;
}

/* What a file of the service's cgroup holds, NUL-terminated. Its size or -errno. */
static ssize_t read_file(const struct cgroups *c, const char *service, const char *file, char *buf,
			 size_t size)
{
	ssize_t n;
	int fd;

	reserve_begin();
	fd = open_file(c, service, file, O_RDONLY);
	n = fd < 0 ? fd : read(fd, buf, size - 1);
	if (fd >= 0 && n < 0)
		n = -errno;
	fd_close(fd);
	reserve_end();
	buf[MAX(n, (ssize_t)0)] = '\0';
	return n;
}

bool cgroup_is_empty(struct service *s)
{
	char text[256];
	ssize_t n = read_file(s->manager->cgroups, s->config->name, "cgroup.events", text,
			      sizeof(text));

	/* What cannot be looked at may not be empty. */
	if (n < 0)
		return n == -ENOENT || n == -ENODEV;
	return !strstr(text, "populated 1");
}

/* --- all that is in it ------------------------------------------------------------------ */

static int add_pids(int directory, struct pid_list *l)
{
	int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	int pid, error = 0;

	if (!f) {
		error = -errno;
		fd_close(fd);
		return error;
	}
	while (error == 0 && fscanf(f, "%d", &pid) == 1)
		error = pid > 0 ? pid_list_add(l, pid) : 0; /* 0: of another PID namespace */
	fclose(f);
	return error;
}

/* Calls for each cgroup below directory, the innermost first. Takes directory. */
static void walk(int directory, int depth, void (*call)(int parent, const char *name, void *ctx),
		 void *ctx)
{
	DIR *d = depth > 0 ? fdopendir(directory) : NULL;

	if (!d) {
		fd_close(directory);
		return;
	}
	for (struct dirent *e; (e = readdir(d));) {
		int below;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		below = openat(dirfd(d), e->d_name,
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below >= 0)
			walk(below, depth - 1, call, ctx);
		call(dirfd(d), e->d_name, ctx);
	}
	closedir(d);
}

static void add_pids_of(int parent, const char *name, void *ctx)
{
	_cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		add_pids(fd, ctx);
}

static int pids_of(const struct cgroups *c, const char *service, struct pid_list *l)
{
	int fd = open_file(c, service, ".", O_RDONLY | O_DIRECTORY), error;

	if (fd < 0)
		return fd;
	error = add_pids(fd, l);
	walk(fd, DEPTH_MAX, add_pids_of, l);
	return error;
}

int cgroup_pids(struct service *s, struct pid_list *l)
{
	return pids_of(s->manager->cgroups, s->config->name, l);
}

/* --- signals ---------------------------------------------------------------------------- */

static int compare_pids(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/*
 * A pid that was read may be another's when it is opened: only who is still in the cgroup after
 * that gets the signal. How many did, or -errno. Who has had it from the supervisor is left out.
 */
static int signal_all(const struct cgroups *c, const char *service, int signo, struct service *s)
{
	_cleanup_pids_ struct pid_list read = { 0 }, again = { 0 };
	_cleanup_free_ int *fds = NULL;
	int error = pids_of(c, service, &read), n = 0;

	fds = calloc(read.n + 1, sizeof(*fds));
	if (error < 0 || !fds)
		return error < 0 ? error : -ENOMEM;
	for (size_t i = 0; i < read.n; i++)
		fds[i] = proc_pidfd(read.pids[i]);
	error = pids_of(c, service, &again);
	if (again.n > 0)
		qsort(again.pids, again.n, sizeof(pid_t), compare_pids);
	for (size_t i = 0; i < read.n; i++) {
		if (fds[i] >= 0 && again.n > 0 &&
		    bsearch(&read.pids[i], again.pids, again.n, sizeof(pid_t), compare_pids) &&
		    !(s && tree_was_signalled(s, signo, read.pids[i]))) {
			proc_pidfd_signal(fds[i], signo);
			n++;
		}
		fd_close(fds[i]);
	}
	return error < 0 ? error : n;
}

int cgroup_signal(struct service *s, int signo)
{
	int n = signal_all(s->manager->cgroups, s->config->name, signo, s);

	return MIN(n, 0);
}

/* Before Linux 5.14. Frozen, they cannot fork; and whom SIGKILL finds frozen it ends. */
static int freeze_and_kill(struct cgroups *c, const char *service)
{
	int error = write_file(c, service, "cgroup.freeze", "1");

	for (int i = 0; i < KILL_TRIES && signal_all(c, service, SIGKILL, NULL) > 0; i++)
		;
	write_file(c, service, "cgroup.freeze", "0");
	return error;
}

/*
 * cgroup.kill signals the main thread of each process, and where that one has ended alone the
 * others never hear of it (Linux 6.18). What is sent to the process reaches them.
 */
static void kill_headless(const struct cgroups *c, const char *service)
{
	_cleanup_pids_ struct pid_list members = { 0 };
	struct proc_life life;

	pids_of(c, service, &members);
	for (size_t i = 0; i < members.n; i++) {
		if (proc_life(members.pids[i], &life) == 0 && life.headless) {
			signal_all(c, service, SIGKILL, NULL);
			return;
		}
	}
}

int cgroup_kill(const struct manager *m, const char *service)
{
	struct cgroups *c = m->cgroups;
	int error = write_file(c, service, "cgroup.kill", "1");
	struct service *s = manager_find(m, service);
	char name[CGROUP_NAME_MAX];

	if (s)
		s->cgroup_spent = true;
	if (error == 0)
		kill_headless(c, service);

	/* Also where it is there and refuses, as in some containers. */
	if (error != -ENOENT && error != -EOPNOTSUPP && error != -EINVAL)
		return error;
	if (!c || !c->path || faccessat(c->fd, name_of(service, name), F_OK, 0) < 0)
		return -ENOENT;
	c->may_freeze = true;
	return freeze_and_kill(c, service);
}

/* --- until it is empty ------------------------------------------------------------------ */

static void drop(struct cgroups *c, struct watch **p)
{
	struct watch *w = *p;

	*p = w->next;
	if (w->descriptor >= 0)
		inotify_rm_watch(c->inotify, w->descriptor);
	free(w);
}

void cgroup_unwatch(struct service *s)
{
	struct cgroups *c = s->manager->cgroups;

	for (struct watch **p = c ? &c->watches : NULL; p && *p; p = &(*p)->next) {
		if ((*p)->service == s) {
			drop(c, p);
			return;
		}
	}
}

static void look(struct cgroups *c, int descriptor)
{
	for (struct watch **p = &c->watches; *p; p = &(*p)->next) {
		struct service *s = (*p)->service;

		if ((*p)->descriptor != descriptor)
			continue;
		if (cgroup_is_empty(s)) {
			drop(c, p);
			service_event(s, EVENT_EMPTY, (struct machine_facts){ 0 });
		}
		return;
	}
}

/* All of them, or those that inotify does not watch. True: of these there are some left. */
static bool look_at_many(struct cgroups *c, bool all)
{
	bool left = false;

	for (struct watch **p = &c->watches; *p;) {
		struct service *s = (*p)->service;

		if ((!all && (*p)->descriptor >= 0) || !cgroup_is_empty(s)) {
			left |= (*p)->descriptor < 0;
			p = &(*p)->next;
			continue;
		}
		drop(c, p);
		service_event(s, EVENT_EMPTY, (struct machine_facts){ 0 });
		/* That may have changed the list. */
		p = &c->watches;
		left = false;
	}
	return left;
}

static void look_later(struct cgroups *c)
{
	static const struct timeval later = { .tv_usec = LOOK_EVERY * 1000 };

	event_add(c->now_and_then, &later);
}

static void on_now_and_then(evutil_socket_t fd, short what, void *arg)
{
	if (look_at_many(arg, false))
		look_later(arg);
}

static void on_changed(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const void *)p;

			p += sizeof(*e) + e->len;
			if (e->mask & IN_Q_OVERFLOW)
				look_at_many(m->cgroups, true);
			else if (e->mask & (IN_MODIFY | IN_IGNORED))
				look(m->cgroups, e->wd);
		}
	}
}

bool cgroup_watch(struct service *s)
{
	struct cgroups *c = s->manager->cgroups;
	char path[PATH_MAX], name[CGROUP_NAME_MAX];
	struct watch *w;

	cgroup_unwatch(s);
	w = calloc(1, sizeof(*w));
	if (!w) {
		log_error("%s: out of memory: its cgroup is not waited for", service_label(s));
		return true;
	}
	snprintf(path, sizeof(path), "%s/%s/cgroup.events", c->path,
		 name_of(s->config->name, name));
	w->service = s;
	w->descriptor = inotify_add_watch(c->inotify, path, IN_MODIFY);
	w->next = c->watches;
	c->watches = w;
	if (w->descriptor < 0 && errno != ENOENT) {
		log_warning_errno(-errno, "%s: %s cannot be watched, and is looked at now and then",
				  service_label(s), path);
		look_later(c);
	}
	/* Looked at after the watch is there: what changes from now on is told. */
	if (!cgroup_is_empty(s))
		return false;
	drop(c, &c->watches);
	return true;
}

/* --- the end ---------------------------------------------------------------------------- */

/* Fails for one that is not empty: it stays. */
static void remove_directory(int parent, const char *name, void *ctx)
{
	size_t *left = ctx;

	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		++*left;
}

void cgroup_remove(struct service *s)
{
	struct cgroups *c = s->manager->cgroups;
	char name[CGROUP_NAME_MAX];
	size_t left = 0;
	int fd;

	cgroup_unwatch(s);
	if (!c || !c->path || unlinkat(c->fd, name_of(s->config->name, name), AT_REMOVEDIR) == 0 ||
	    errno == ENOENT)
		return;
	fd = open_file(c, s->config->name, ".", O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return;
	walk(fd, DEPTH_MAX, remove_directory, &left);
	unlinkat(c->fd, name, AT_REMOVEDIR);
}

size_t cgroups_remove(struct manager *m)
{
	struct cgroups *c = m->cgroups;
	int fd = c && c->path ? openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	size_t left = 0;

	if (fd < 0)
		return 0;
	walk(fd, DEPTH_MAX, remove_directory, &left);
	if (left == 0)
		cgroup_path_remove(m->options.run_directory, c->path);
	return left;
}
