/* SPDX-License-Identifier: MIT */
/* sd_notify's receiving side: see notify-socket.h. */
#include "manager/notify-socket.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/units.h"
#include "manager/fd-store.h"
#include "manager/handover.h"
#include "manager/proc.h"
#include "manager/service.h"
#include "manager/socket-file.h"
#include "manager/supervisor-link.h"

#define MESSAGE_MAX    4096
#define MESSAGES_TURN  256
#define MESSAGES_HEARD 4096 /* that may have come before one that is looked for */
#define NEWS_TRIES     100
#define NEWS_WAIT_MS   10
#define ANCESTORS_MAX  32
#define ERRNO_MAX      4095 /* of the kernel */
#define RECEIVE_BUFFER (8 << 20)

#define SOCKET_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

/* What came along with a message, and what it says of that. */
struct descriptors {
	int fds[FD_PASS_MAX];
	size_t n;
	bool store, remove, no_poll;
	const char *name; /* NULL: none was said */
};

struct notify_socket {
	int fd;
	char file[SOCKET_FILE_MAX]; /* which file it is bound to: socket-file.h */
	struct event *readable;
};

static int make_socket(struct manager *m)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify",
			 m->options.run_directory);
	int on = 1, size = RECEIVE_BUFFER;

	if (fd < 0)
		return -errno;
	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, 0666) < 0 || /* services of any user; credentials decide */
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return TAKE_FD(fd);
}

/* --- who said it ------------------------------------------------------------------------ */

/* The service whose main process is pid, or an ancestor of it. */
static struct service *service_above(struct manager *m, pid_t pid)
{
	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
		struct service *s = manager_find_pid(m, pid);
		struct proc_stat st;

		if (s)
			return s;
		if (proc_stat(pid, &st) < 0)
			return NULL;
		pid = st.ppid;
	}
	return NULL;
}

static bool is_child_of_supervisor(const struct manager *m, pid_t pid)
{
	struct proc_stat st;

	return proc_stat(pid, &st) == 0 && st.ppid == m->supervisor_pid;
}

/* Of the users that the service may have, by its configuration. */
static bool is_of_its_user(const struct service *s, uid_t uid)
{
	return uid == 0 || uid == geteuid() || (s->config->change_user && uid == s->config->uid);
}

/*
 * Anybody can write a mark into an environment of his own. It is believed of the users that the
 * service may have, and of an orphan that the supervisor has adopted; those of a service that
 * was adopted itself went elsewhere.
 */
static bool may_speak_for(const struct service *s, pid_t pid, uid_t uid)
{
	return is_of_its_user(s, uid) && (s->adopted || is_child_of_supervisor(s->manager, pid));
}

/* An orphan of the service that the supervisor adopted: known by its mark. */
static struct service *service_of_mark(struct manager *m, pid_t pid, uid_t uid)
{
	struct proc_mark borne = proc_mark(pid);

	for (size_t i = 0; i < m->n_services; i++) {
		struct service *s = m->services[i];

		if (s->instance && proc_mark_is(&borne, m->run_id, s->instance))
			return may_speak_for(s, pid, uid) ? s : NULL;
	}
	return NULL;
}

static bool any_start_is_unanswered(const struct manager *m)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (m->services[i]->spawn_sent)
			return true;
	}
	return false;
}

/*
 * A process of ours so young that the supervisor has not told of it: it was held up between the
 * fork and the news of it. The news are waited for, a moment; what the process says would be
 * lost otherwise, and it says that it is ready only once.
 */
static bool is_on_its_way(struct manager *m, pid_t pid)
{
	struct proc_mark borne;

	/* Only a child of the supervisor's, and only while a start is unanswered: an orphan of a
	 * service that forged the mark of a start to come must not make us wait. */
	if (!any_start_is_unanswered(m) || !is_child_of_supervisor(m, pid))
		return false;
	borne = proc_mark(pid);
	if (!borne.in_environment || borne.run_id != m->run_id)
		return false;
	for (size_t i = 0; i < m->n_services; i++) {
		if (m->services[i]->instance >= borne.instance)
			return false;
	}
	return true;
}

static struct service *await_sender(struct manager *m, pid_t pid)
{
	struct pollfd news = { .fd = LINK_FD, .events = POLLIN };
	struct service *s = NULL;

	/* The start that is waited for may still be in our own queue, and never be answered. */
	if (is_on_its_way(m, pid))
		supervisor_link_flush(m, NEWS_WAIT_MS);
	for (int i = 0; i < NEWS_TRIES && !s && is_on_its_way(m, pid); i++) {
		poll(&news, 1, NEWS_WAIT_MS);
		supervisor_link_catch_up(m);
		s = manager_find_pid(m, pid);
	}
	return s;
}

static struct service *find_sender(struct manager *m, pid_t pid, uid_t uid)
{
	struct service *s = manager_find_pid(m, pid);

	if (s)
		return s;
	/* The news of its start may still be on its way from the supervisor. */
	supervisor_link_catch_up(m);
	s = service_above(m, pid);
	/* Below the main process there may be anybody, as below a service that logs users in. */
	if (s && pid != s->pid && !is_of_its_user(s, uid))
		return NULL;
	if (!s)
		s = service_of_mark(m, pid, uid);
	return s ? s : await_sender(m, pid);
}

/* --- what was said ---------------------------------------------------------------------- */

static void on_ready(struct service *s, const char *value)
{
	if (strcmp(value, "1") != 0)
		return;
	service_set_phase(s, PHASE_NONE); /* the end of a reload, too */
	if (s->config->ready == READY_NOTIFY)
		service_event(s, EVENT_READY, (struct machine_facts){ 0 });
}

static void on_reloading(struct service *s, const char *value)
{
	if (strcmp(value, "1") == 0)
		service_set_phase(s, PHASE_RELOADING);
}

static void on_stopping(struct service *s, const char *value)
{
	if (strcmp(value, "1") == 0)
		service_set_phase(s, PHASE_STOPPING);
}

static void on_errno(struct service *s, const char *value)
{
	int64_t error;

	if (parse_int(value, 0, ERRNO_MAX, &error) == 0)
		service_set_error(s, (int)error);
}

static void on_status(struct service *s, const char *value)
{
	service_set_status(s, value);
}

static void on_watchdog(struct service *s, const char *value)
{
	if (strcmp(value, "1") == 0)
		service_alive(s);
	else if (strcmp(value, "trigger") == 0)
		service_event(s, EVENT_WATCHDOG, (struct machine_facts){ 0 });
}

static void on_watchdog_usec(struct service *s, const char *value)
{
	int64_t usec;

	if (parse_int(value, 0, INT64_MAX / 2, &usec) == 0)
		service_set_watchdog(s, usec);
}

/* The present wait, be it for readiness or for the end, lasts at least so much longer. */
static void on_extend(struct service *s, const char *value)
{
	int64_t usec;

	if (parse_int(value, 1, INT64_MAX / 2, &usec) == 0)
		service_extend(s, usec);
}

static void on_main_pid(struct service *s, const char *value)
{
	int64_t pid;

	if (parse_int(value, 1, INT32_MAX, &pid) == 0)
		handover_named(s, (pid_t)pid);
}

static const struct {
	const char *name;
	void (*handle)(struct service *, const char *value);
} variables[] = {
	{ "READY", on_ready },
	{ "STATUS", on_status },
	{ "MAINPID", on_main_pid },
	{ "RELOADING", on_reloading },
	{ "STOPPING", on_stopping },
	{ "ERRNO", on_errno },
	{ "WATCHDOG", on_watchdog },
	{ "WATCHDOG_USEC", on_watchdog_usec },
	{ "EXTEND_TIMEOUT_USEC", on_extend },
};

static void handle_line(struct service *s, char *line)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
		if (strcmp(variables[i].name, line) == 0)
			variables[i].handle(s, value);
	}
}

/* What counts for a message as a whole. */
static void handle_descriptors(struct service *s, const struct descriptors *d)
{
	if (d->remove)
		fd_store_remove(s, d->name);
	else if (d->store)
		fd_store_add(s, d->fds, d->n, d->name, !d->no_poll);
}

/* True when the line was about descriptors. */
static bool take_line(struct descriptors *d, const char *line)
{
	if (strcmp(line, "FDSTORE=1") == 0)
		return d->store = true;
	if (strcmp(line, "FDSTOREREMOVE=1") == 0)
		return d->remove = true;
	if (strcmp(line, "FDPOLL=0") == 0)
		return d->no_poll = true;
	if (strncmp(line, "FDNAME=", 7) == 0)
		return (d->name = line + 7);
	return false;
}

static void handle_message(struct manager *m, char *text, const struct ucred *sender,
			   struct descriptors *d)
{
	struct service *s = find_sender(m, sender->pid, sender->uid);

	if (!s) {
		log_debug("notification of process %d, which belongs to no service: dropped",
			  sender->pid);
		return;
	}
	for (char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!take_line(d, line))
			handle_line(s, line);
	}
	handle_descriptors(s, d);
}

static struct ucred take_control(struct msghdr *msg, struct descriptors *d)
{
	struct ucred sender = { .pid = 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&sender, CMSG_DATA(c), sizeof(sender));
		} else if (c->cmsg_type == SCM_RIGHTS) {
			d->n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(d->fds, CMSG_DATA(c), d->n * sizeof(int));
		}
	}
	return sender;
}

/*
 * A service says only once that it is ready, and who hears it may be killed in the same moment.
 * So a message is looked at first, and leaves the socket when what it has changed is on its way
 * to fosterd, which keeps it. The next manager finds it there otherwise, and to handle it twice
 * does no harm.
 */
static bool handle_one(struct manager *m, int fd)
{
	char text[MESSAGE_MAX + 1];
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct ucred)) +
			   CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control;
	struct iovec iov = { text, MESSAGE_MAX };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct descriptors descriptors = { .n = 0 };
	ssize_t n = recvmsg(fd, &msg, MSG_PEEK | MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct ucred sender;

	if (n < 0)
		return errno == EINTR;
	sender = take_control(&msg, &descriptors);
	text[n] = '\0';
	if (sender.pid > 0 && !(msg.msg_flags & MSG_TRUNC))
		handle_message(m, text, &sender, &descriptors);
	for (size_t i = 0; i < descriptors.n; i++)
		fd_close(descriptors.fds[i]);
	supervisor_link_flush(m, 0);
	/* Closes the descriptors in it, too: the answer that BARRIER=1 waits for. */
	return recv(fd, NULL, 0, MSG_DONTWAIT) >= 0 || errno == EINTR;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	for (int i = 0; i < MESSAGES_TURN && handle_one(arg, fd); i++)
		;
}

void notify_socket_hear(struct manager *m)
{
	for (int i = 0; i < MESSAGES_HEARD && m->notify && handle_one(m, m->notify->fd); i++)
		;
}

static const char *path_of(const struct manager *m, char buf[SOCKET_PATH_MAX])
{
	snprintf(buf, SOCKET_PATH_MAX, "%s/notify", m->options.run_directory);
	return buf;
}

static bool path_is_there(const struct manager *m)
{
	char path[SOCKET_PATH_MAX];

	return socket_file_is(m->notify->file, path_of(m, path));
}

/* Makes the socket, keeps it with the supervisor, and listens to it. */
static int listen_to(struct manager *m, int fd)
{
	struct notify_socket *n = m->notify;

	n->fd = fd;
	n->readable = event_new(m->base, n->fd, EV_READ | EV_PERSIST, on_readable, m);
	return n->readable && event_add(n->readable, NULL) == 0 ? 0 : -ENOMEM;
}

static int make_and_listen(struct manager *m)
{
	char path[SOCKET_PATH_MAX];
	int fd = make_socket(m);

	if (fd < 0)
		return log_error_errno(fd, "%s/notify", m->options.run_directory);
	supervisor_link_store(m, PLACE_NOTIFY,
			      socket_file_name("notify", path_of(m, path), m->notify->file),
			      fd_copy(fd));
	return listen_to(m, fd);
}

int notify_socket_init(struct manager *m)
{
	const char *stored = supervisor_link_stored(m, PLACE_NOTIFY);
	int fd = -ENOENT;

	m->notify = calloc(1, sizeof(*m->notify));
	if (!m->notify)
		return -ENOMEM;
	m->notify->fd = -1;
	if (stored)
		snprintf(m->notify->file, sizeof(m->notify->file), "%s", stored);
	if (stored && path_is_there(m))
		fd = supervisor_link_fetch(m, PLACE_NOTIFY);
	return fd >= 0 ? listen_to(m, fd) : make_and_listen(m);
}

void notify_socket_check(struct manager *m)
{
	struct notify_socket *n = m->notify;

	if (path_is_there(m))
		return;
	log_warning("%s/notify was deleted: making it again", m->options.run_directory);
	on_readable(n->fd, EV_READ, m); /* what was said before */
	if (n->readable)
		event_free(n->readable);
	n->readable = NULL;
	n->fd = fd_close(n->fd);
	make_and_listen(m);
}

void notify_socket_shutdown(struct manager *m)
{
	struct notify_socket *n = m->notify;

	if (!n)
		return;
	if (n->readable)
		event_free(n->readable);
	fd_close(n->fd);
	free(n);
	m->notify = NULL;
}
