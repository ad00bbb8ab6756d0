/* SPDX-License-Identifier: MIT */
/* The logger and its pipes: see logs.h. */
#include "manager/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/logger.h"
#include "base/units.h"
#include "manager/packet-queue.h"
#include "manager/restore.h"
#include "manager/service.h"
#include "manager/supervisor-link.h"

#define FLUSH_MAX 1000 /* ms */

struct logs {
	struct service *logger;
	struct packet_queue *channel;
	int fd; /* our end of the channel */
	bool made[LINK_SLOTS];
	bool quitting;
	bool program_kept;
};

static char *logger_command[] = { (char *)"foster-log", NULL };

static const struct service_config logger_config = {
	.name = (char *)LOGGER_NAME,
	.command = logger_command,
	.daemon = false,
	.death_signal = SIGKILL,
	.restart = RESTART_ALWAYS,
	.restart_delay = 100 * USEC_PER_MSEC,
	.restart_delay_max = 5 * USEC_PER_SEC,
	.restart_reset = 10 * USEC_PER_SEC,
	.stop_signal = SIGTERM,
	.stop_timeout = 5 * USEC_PER_SEC,
	.ready = READY_EXEC,
	.start_timeout = 10 * USEC_PER_SEC,
	.log = LOG_TYPE_INHERIT,
};

bool logs_is_logger(const struct service *s)
{
	return s->config == &logger_config;
}

/* --- the channel ------------------------------------------------------------------------ */

static int make_channel(struct manager *m)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	supervisor_link_store(m, PLACE_LOGGER, "logger", ends[0]);
	supervisor_link_store(m, PLACE_LOGGER_CHANNEL, "logger-channel", fd_copy(ends[1]));
	m->logs->fd = ends[1];
	return 0;
}

/* Takes fd. */
static void tell(struct manager *m, enum logger_type type, uint32_t number, const char *path,
		 int fd)
{
	struct logger_message message = { .type = type, .number = number };
	size_t length = path ? strlen(path) : 0;

	if (length >= sizeof(message.path)) {
		log_error("%s: the path of the log is too long", path);
		fd_close(fd);
		return;
	}
	if (path)
		memcpy(message.path, path, length);
	message.size = (offsetof(struct logger_message, path) + length + 1 + 3) / 4 * 4;
	packet_queue_send(m->logs->channel, &message, message.size, fd);
}

/* Beside the manager's own program, or where it was configured to be. */
static void keep_program(struct manager *m)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/foster-log"));
	char *slash;
	int fd;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	strcpy(slash ? slash : path, "/foster-log");
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		fd = open(PKGLIBEXECDIR "/foster-log", O_PATH | O_CLOEXEC);
	if (fd >= 0) /* else it is looked for in PATH when it is started */
		supervisor_link_store(m, PLACE_LOGGER_PROGRAM, "logger-program", fd);
	m->logs->program_kept = fd >= 0;
}

uint32_t logs_program_place(struct manager *m)
{
	return m->logs->program_kept ? PLACE_LOGGER_PROGRAM : LINK_PLACE_NULL;
}

int logs_init(struct manager *m, const struct link_child *child)
{
	struct logs *l = m->logs = calloc(1, sizeof(*l));
	int error = 0;

	if (!l)
		return -ENOMEM;
	l->fd = child ? supervisor_link_fetch(m, PLACE_LOGGER_CHANNEL) : -1;
	if (l->fd < 0)
		error = make_channel(m);
	if (error < 0)
		return error;
	l->program_kept = supervisor_link_stored(m, PLACE_LOGGER_PROGRAM);
	if (!l->program_kept || m->hello.renewed)
		keep_program(m);
	l->channel = packet_queue_new(m->base, l->fd, "channel to foster-log");
	l->logger = service_new(m, &logger_config);
	if (!l->channel || !l->logger)
		return -ENOMEM;
	if (child) {
		restore_service(m, l->logger, child);
		return 0;
	}
	error = manager_take_slot(m, l->logger);
	if (error == 0)
		service_start(l->logger, REASON_BOOT);
	return error;
}

void logs_shutdown(struct manager *m)
{
	struct logs *l = m->logs;

	if (!l)
		return;
	service_free(l->logger);
	packet_queue_free(l->channel);
	fd_close(l->fd);
	free(l);
	m->logs = NULL;
}

struct service *logs_service(const struct manager *m)
{
	return m->logs ? m->logs->logger : NULL;
}

/* --- pipes ------------------------------------------------------------------------------ */

char *logs_path(const struct service *s, char *buf, size_t size)
{
	if (s->config->log != LOG_TYPE_FILE)
		return NULL;
	snprintf(buf, size, "%s/%s.log", s->manager->log_directory, s->config->name);
	return buf;
}

static void name_of(const struct service *s, char *buf, size_t size)
{
	snprintf(buf, size, "log:%s", s->config->name);
}

/* Opens the pipe of fd anew in another mode. The fd, or -errno. */
static int reopen(int fd, int flags)
{
	char path[32];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, flags | O_CLOEXEC);
	return copy < 0 ? -errno : copy;
}

/* Keeps the pipe with the supervisor, and gives the logger its read end. Takes both. */
static int take_pipe(struct service *s, int both, int reader)
{
	char name[LINK_NAME_MAX + 8], path[LOGGER_PATH_MAX];

	name_of(s, name, sizeof(name));
	supervisor_link_store(s->manager, s->slot, name, both);
	tell(s->manager, LOGGER_OPEN, s->slot, logs_path(s, path, sizeof(path)), reader);
	s->manager->logs->made[s->slot] = true;
	return 0;
}

/*
 * The stored descriptor is open for both directions: one number holds both ends, so the pipe
 * and what is in it live as long as the supervisor, whoever reads or writes.
 */
static int make_pipe(struct service *s)
{
	_cleanup_close_ int reader = -1, writer = -1, both = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	reader = ends[0];
	writer = ends[1];
	both = reopen(reader, O_RDWR);
	if (both < 0)
		return both;
	/* So that the service may open /dev/stdout and /dev/stderr as its own user. */
	if (s->config->change_user && fchown(reader, s->config->uid, (gid_t)-1) < 0)
		log_warning_errno(-errno, "%s: fchown of its log pipe", s->config->name);
	return take_pipe(s, TAKE_FD(both), TAKE_FD(reader));
}

/* Ours is open for both directions, which no other program does with a pipe. */
static bool is_ours(pid_t pid, int fd)
{
	_cleanup_free_ char *text = NULL;
	char path[48], *flags;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/1", pid);
	if (fd_read_file(path, 4096, &text, NULL) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && (strtol(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) == O_RDWR;
}

void logs_adopt(struct service *s)
{
	_cleanup_close_ int both = -1, reader = -1;
	char path[32];

	if (s->config->log != LOG_TYPE_FILE || s->pid <= 0)
		return;
	/* Its standard output is the pipe, unless it has put something else there. */
	snprintf(path, sizeof(path), "/proc/%d/fd/1", s->pid);
	both = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (!is_ours(s->pid, both)) {
		log_warning("%s: its output is no pipe of ours any more; it is not logged",
			    service_label(s));
		return;
	}
	reader = reopen(both, O_RDONLY | O_NONBLOCK);
	if (reader >= 0 && fd_set_nonblock(both, false) == 0)
		take_pipe(s, TAKE_FD(both), TAKE_FD(reader));
}

/* The last manager made it: its name tells whose it is. */
static bool is_stored(const struct service *s)
{
	const char *stored = supervisor_link_stored(s->manager, s->slot);
	char name[LINK_NAME_MAX + 8];

	name_of(s, name, sizeof(name));
	return stored && strcmp(stored, name) == 0;
}

uint32_t logs_place(struct service *s)
{
	int error;

	if (s->config->log == LOG_TYPE_INHERIT)
		return LINK_PLACE_INHERIT;
	if (s->config->log == LOG_TYPE_NONE)
		return LINK_PLACE_NULL;
	if (s->manager->logs->made[s->slot] || is_stored(s))
		return s->slot;
	error = make_pipe(s);
	if (error < 0) {
		log_error_errno(error, "%s: no pipe for its log; its output is lost",
				s->config->name);
		return LINK_PLACE_NULL;
	}
	return s->slot;
}

uint32_t logs_stdin_place(const struct service *s)
{
	return logs_is_logger(s) ? PLACE_LOGGER : LINK_PLACE_NULL;
}

static bool has_pipe(const struct service *s)
{
	return s->slot != NO_SLOT && (s->manager->logs->made[s->slot] || is_stored(s));
}

void logs_forget(struct service *s)
{
	if (!s->manager->logs || !has_pipe(s))
		return;
	supervisor_link_drop(s->manager, s->slot);
	tell(s->manager, LOGGER_CLOSE, s->slot, NULL, -1);
	s->manager->logs->made[s->slot] = false;
}

/* --- the logger ------------------------------------------------------------------------- */

void logs_logger_started(struct service *logger)
{
	struct manager *m = logger->manager;

	/* The first one is told of each pipe when it is made. */
	if (logger->machine.restarts == 0)
		return;
	for (size_t i = 0; i < m->n_services; i++) {
		if (has_pipe(m->services[i]))
			supervisor_link_ask(m, m->services[i]->slot);
	}
}

void logs_fetched(struct manager *m, uint32_t slot, int fd)
{
	struct service *s = m->by_slot[slot];
	char path[LOGGER_PATH_MAX];
	_cleanup_close_ int reader = fd < 0 ? -EBADF : reopen(fd, O_RDONLY | O_NONBLOCK);

	if (reader >= 0 && s && logs_path(s, path, sizeof(path)))
		tell(m, LOGGER_OPEN, slot, path, TAKE_FD(reader));
	else if (s)
		log_error_errno(reader, "%s: its log pipe cannot be given to the logger",
				s->config->name);
}

void logs_flush(struct manager *m)
{
	packet_queue_flush(m->logs->channel, FLUSH_MAX);
}

void logs_renew(struct manager *m)
{
	if (machine_is_active(&m->logs->logger->machine))
		tell(m, LOGGER_QUIT, 0, NULL, -1);
}

bool logs_quit(struct manager *m)
{
	struct logs *l = m->logs;

	if (!l || !machine_is_active(&l->logger->machine))
		return true;
	if (!l->quitting) {
		l->quitting = true;
		service_let_end(l->logger, REASON_SHUTDOWN);
		tell(m, LOGGER_QUIT, 0, NULL, -1);
	}
	return false;
}
