/* SPDX-License-Identifier: MIT */
/* The logger and its pipes: see logs.h. */
#include "manager/logs.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log-name.h"
#include "base/log.h"
#include "base/logger.h"
#include "base/units.h"
#include "manager/control.h"
#include "manager/events.h"
#include "manager/log-closing.h"
#include "manager/log-count.h"
#include "manager/log-pipe.h"
#include "manager/packet-queue.h"
#include "manager/restore.h"
#include "manager/service.h"
#include "manager/spawn.h"
#include "manager/supervisor-link.h"

#define FLUSH_MAX   1000 /* ms */
#define QUIT_MAX    10   /* s: it has a last look at each pipe only */
#define CRASHES_MAX 16   /* whose last lines are waited for: of more at once nobody reads them */

struct crash {
	char *path; /* of the log; NULL: the place is free */
	char service[CONFIG_NAME_MAX + 1];
	char end[REASON_TEXT_MAX];
	int pid;
	uint32_t number; /* of the pipe */
	uint8_t asked;   /* how often: what an earlier logger was asked is answered too early */
	bool objects;    /* it is of log-format = json */
};

struct logs {
	struct service *logger;
	struct packet_queue *channel;
	struct log_counts *counts; /* NULL: nothing is counted */
	struct log_closings *closings;
	int fd; /* our end of the channel */
	struct event *readable;
	struct event *impatient;   /* once it was told to quit */
	bool made[LOGGER_NUMBERS]; /* by this manager: the pipe lies in the store */
	bool quitting;
	bool program_kept;
	struct crash crashes[CRASHES_MAX];
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
static void send_encoded(struct manager *m, const char *data, int size, const char *name, int fd)
{
	if (size > 0) {
		packet_queue_send(m->logs->channel, data, (size_t)size, fd);
		return;
	}
	log_error("%s: names and paths of its log are too long together", name);
	fd_close(fd);
}

/* The same. */
static void send_message(struct manager *m, struct logger_message *message,
			 const struct logger_settings *settings, const char *const *texts,
			 size_t n_texts, int fd)
{
	char data[LOGGER_MESSAGE_MAX] __attribute__((aligned(8)));
	int size = logger_encode(message, settings, texts, n_texts, data, sizeof(data));

	send_encoded(m, data, size, n_texts > 0 ? texts[0] : "", fd);
}

static void tell(struct manager *m, enum logger_type type, uint32_t number, uint64_t value)
{
	struct logger_message message = { .type = type, .number = number, .value = value };

	send_message(m, &message, NULL, NULL, 0, -1);
}

static void forget_crash(struct crash *c)
{
	free(c->path);
	c->path = NULL;
}

static void ask_for_last_words(struct manager *m, size_t i)
{
	const struct crash *c = &m->logs->crashes[i];

	tell(m, LOGGER_SYNC, c->number, (uint64_t)c->asked << 8 | i);
}

/* What it said last is in its file. */
static void on_synced(struct manager *m, uint64_t value)
{
	size_t i = value & UINT8_MAX;
	struct crash *c = i < CRASHES_MAX ? &m->logs->crashes[i] : NULL;

	if (!c || !c->path || c->asked != (uint8_t)(value >> 8))
		return;
	events_crash(m, c->service, c->pid, c->end, control_tail(c->path, c->objects));
	forget_crash(c);
}

static uint32_t place_of(uint32_t number)
{
	return number < LOGGER_STDERR ? number : PLACE_STDERR + (number - LOGGER_STDERR);
}

/* Nothing is left in that pipe. */
static void on_closed(struct manager *m, const struct logger_message *message)
{
	if (log_closings_done(m->logs->closings, message->number, message->value))
		supervisor_link_drop(m, place_of(message->number));
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct manager *m = arg;
	char data[LOGGER_MESSAGE_MAX] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		const struct logger_message *message;
		const struct logger_settings *settings;
		const char *texts[LOGGER_TEXTS_MAX];

		if (logger_decode(data, (size_t)n, &message, &settings, texts) < 0)
			continue;
		if (message->type == LOGGER_SYNCED)
			on_synced(m, message->value);
		else if (message->type == LOGGER_CLOSED)
			on_closed(m, message);
	}
	if (n == 0) /* fosterd is gone, and with it the other end */
		event_del(m->logs->readable);
}

/* Of one that runs already: it may be one that was not given any. */
static void tell_counts(struct manager *m)
{
	struct logger_message message = { .type = LOGGER_COUNT };
	int fd = log_counts_fd(m->logs->counts);

	if (fd >= 0)
		send_message(m, &message, NULL, NULL, 0, fd);
}

/* Beside the manager's own program, or where it was configured to be. */
static void keep_program(struct manager *m)
{
	char own[PATH_MAX], path[PATH_MAX + sizeof("/foster-log")];
	int fd;

	spawn_own_directory(own, sizeof(own));
	snprintf(path, sizeof(path), "%s/foster-log", own);
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

size_t logs_places(const struct manager *m, uint32_t *places)
{
	places[0] = PLACE_LOGGER_COUNTS;
	return m->logs->counts ? 1 : 0;
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
	l->readable = event_new(m->base, l->fd, EV_READ | EV_PERSIST, on_readable, m);
	l->logger = service_new(m, &logger_config);
	l->closings = log_closings_new(m);
	if (!l->channel || !l->closings || !l->logger || !l->readable ||
	    event_add(l->readable, NULL) < 0)
		return -ENOMEM;
	l->counts = log_counts_new(m);
	if (child) {
		/* One that is of another release is about to be replaced, and counts as it did. */
		if (!m->hello.renewed)
			tell_counts(m);
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
	log_counts_free(l->counts);
	log_closings_free(l->closings);
	for (size_t i = 0; i < CRASHES_MAX; i++)
		forget_crash(&l->crashes[i]);
	if (l->readable)
		event_free(l->readable);
	if (l->impatient)
		event_free(l->impatient);
	fd_close(l->fd);
	free(l);
	m->logs = NULL;
}

struct service *logs_service(const struct manager *m)
{
	return m->logs ? m->logs->logger : NULL;
}

/* --- what the logger is told of a pipe -------------------------------------------------- */

bool logs_is_logged(const struct service *s)
{
	return s->config->log <= LOG_TYPE_SYSLOG;
}

static void name_of(const struct service *s, uint32_t number, char *buf, size_t size)
{
	snprintf(buf, size, "%s:%s", number < LOGGER_STDERR ? "log" : "err", s->config->name);
}

/* The last manager made it: its name tells whose it is. */
static bool is_stored(const struct service *s, uint32_t number)
{
	const char *stored = supervisor_link_stored(s->manager, place_of(number));
	char name[LINK_NAME_MAX + 8];

	name_of(s, number, name, sizeof(name));
	return stored && strcmp(stored, name) == 0;
}

static bool has_pipe(const struct service *s, uint32_t number)
{
	const struct logs *l = s->manager->logs;

	return !log_closings_has(l->closings, number) && (l->made[number] || is_stored(s, number));
}

static bool wants_apart(const struct service *s)
{
	return logs_is_logged(s) && s->config->log_stderr == LOG_STDERR_APART;
}

/* One that has outlived a fosterd is logged as it was started, whatever its section says now. */
static bool is_apart(const struct service *s)
{
	if (!s->adopted || s->slot == NO_SLOT)
		return wants_apart(s);
	return has_pipe(s, s->slot + LOGGER_STDERR);
}

static bool writes_to_file(const struct service *s)
{
	if (logs_is_logged(s))
		return s->config->log == LOG_TYPE_FILE;
	return s->adopted && s->slot != NO_SLOT && has_pipe(s, s->slot);
}

char *logs_path(const struct service *s, bool only_stderr, char *buf, size_t size)
{
	char name[CONFIG_NAME_MAX + 16];

	if (!writes_to_file(s) || (only_stderr && !is_apart(s)))
		return NULL;
	snprintf(buf, size, "%s/%s", s->manager->log_directory,
		 log_name(name, sizeof(name), s->config->name, only_stderr));
	return buf;
}

static uint32_t flags_of(const struct service_config *c)
{
	return (c->log_format == LOG_FORMAT_JSON ? LOGGER_JSON : 0) |
	       (c->log_timestamps == LOG_STAMPS_UTC ? LOGGER_UTC : 0) |
	       (c->log_timestamps == LOG_STAMPS_LOCAL ? LOGGER_LOCAL : 0) |
	       (c->log_compress == LOG_COMPRESS_GZIP ? LOGGER_GZIP : 0) |
	       (c->log_compress == LOG_COMPRESS_ZSTD ? LOGGER_ZSTD : 0) |
	       (c->log_full == LOG_FULL_DROP ? LOGGER_DROP : 0);
}

static enum logger_sink sink_of(const struct service_config *c)
{
	switch (c->log) {
	case LOG_TYPE_JOURNAL: return LOGGER_SINK_JOURNAL;
	case LOG_TYPE_SYSLOG: return LOGGER_SINK_SYSLOG;
	default: return LOGGER_SINK_FILE;
	}
}

/* OPEN or SET, of LOGGER_MESSAGE_MAX bytes at most. Its size, or -EMSGSIZE. */
static int encode_settings(const struct service *s, enum logger_type type, uint32_t number,
			   char *data)
{
	const struct service_config *c = s->config;
	struct logger_message message = { .type = type, .number = number };
	const struct logger_settings settings = {
		.sink = sink_of(c),
		.flags = flags_of(c) | (is_apart(s) ? LOGGER_APART : 0),
		.size = c->log_size,
		.keep_size = c->log_keep_size,
		.period = c->log_time,
		.rate_lines = c->log_rate.lines,
		.rate_period = c->log_rate.period,
		.buffer = c->log_buffer,
		.keep = c->log_keep,
		.mode = c->log_mode,
		.uid = c->log_uid,
		.gid = c->log_gid,
	};
	const char *const texts[] = { c->name, s->manager->log_directory,
				      c->log_prefix ? c->log_prefix : "",
				      c->log_socket ? c->log_socket : "" };

	return logger_encode(&message, &settings, texts, ELEMENTSOF(texts), data,
			     LOGGER_MESSAGE_MAX);
}

/* Takes fd. */
static void tell_settings(struct service *s, enum logger_type type, uint32_t number, int fd)
{
	char data[LOGGER_MESSAGE_MAX] __attribute__((aligned(8)));
	int size = encode_settings(s, type, number, data);

	send_encoded(s->manager, data, size, s->config->name, fd);
}

/* Only where it is written down. */
static void tell_process(struct service *s, uint32_t number)
{
	char instance[64];
	const char *text = instance;
	struct logger_message message = { .type = LOGGER_RUN,
					  .number = number,
					  .pid = (uint32_t)s->pid };

	if (s->pid <= 0 ||
	    (s->config->log == LOG_TYPE_FILE && s->config->log_format != LOG_FORMAT_JSON))
		return;
	snprintf(instance, sizeof(instance), "%016" PRIx64 ".%" PRIu64, s->manager->run_id,
		 s->instance);
	send_message(s->manager, &message, NULL, &text, 1, -1);
}

/* --- pipes ------------------------------------------------------------------------------ */

static uint32_t number_of(uint32_t place)
{
	return place < LINK_SLOTS ? place : place - PLACE_STDERR + LOGGER_STDERR;
}

bool logs_is_place(uint32_t place)
{
	return place < LINK_SLOTS || (place >= PLACE_STDERR && place < PLACE_STDERR + LINK_SLOTS);
}

/* Keeps the pipe with the supervisor, and gives the logger its read end. Takes both. */
static void take_pipe(struct service *s, uint32_t number, struct log_pipe *pipe)
{
	char name[LINK_NAME_MAX + 8];

	name_of(s, number, name, sizeof(name));
	supervisor_link_store(s->manager, place_of(number), name, TAKE_FD(pipe->both));
	tell_settings(s, LOGGER_OPEN, number, TAKE_FD(pipe->reader));
	s->manager->logs->made[number] = true;
}

/*
 * That it is open for both directions does not tell a pipe of ours from one of another fosterd,
 * whose service this one is. The configuration may have changed since, and is asked only where
 * nothing is known.
 */
static bool was_made_for(const struct service *s, uint32_t number, const struct log_pipe *pipe,
			 bool wanted)
{
	const struct log_counts *counts = s->manager->logs->counts;

	return log_counts_say(counts, number) ? log_counts_is_of(counts, number, pipe->both)
					      : wanted;
}

static void adopt_pipe(struct service *s, uint32_t number, int fd, bool wanted)
{
	_cleanup_(log_pipe_clear) struct log_pipe pipe = LOG_PIPE_NONE;

	if (has_pipe(s, number))
		return;
	/* Its standard output is the pipe, unless it has put something else there. */
	if (log_pipe_adopt(&pipe, s->pid, fd) == 0 && was_made_for(s, number, &pipe, wanted)) {
		take_pipe(s, number, &pipe);
		tell_process(s, number);
	} else if (wanted) {
		log_warning("%s: its %s is no pipe of ours any more; it is not logged",
			    service_label(s), fd == STDERR_FILENO ? "standard error" : "output");
	}
}

void logs_adopt(struct service *s)
{
	if (s->pid <= 0)
		return;
	/* First: of the other it is said whether there is one. */
	if (!log_pipe_is_same(s->pid, STDOUT_FILENO, STDERR_FILENO))
		adopt_pipe(s, s->slot + LOGGER_STDERR, STDERR_FILENO, wants_apart(s));
	adopt_pipe(s, s->slot, STDOUT_FILENO, logs_is_logged(s));
}

/* Its pipe stays in the store until what is in it is written. */
static void forget_pipe(struct service *s, uint32_t number)
{
	char data[LOGGER_MESSAGE_MAX] __attribute__((aligned(8)));
	struct logs *l = s->manager->logs;
	uint64_t value = 0;
	int size;

	if (!has_pipe(s, number))
		return;
	size = encode_settings(s, LOGGER_OPEN, number, data);
	if (size > 0)
		value = log_closings_add(l->closings, number, data, (size_t)size);
	if (value == 0)
		supervisor_link_drop(s->manager, place_of(number));
	tell(s->manager, LOGGER_CLOSE, number, value);
	l->made[number] = false;
}

static uint32_t pipe_place(struct service *s, uint32_t number)
{
	_cleanup_(log_pipe_clear) struct log_pipe pipe = LOG_PIPE_NONE;
	const struct service_config *c = s->config;
	int error;

	if (has_pipe(s, number))
		return place_of(number);
	error = log_pipe_make(&pipe, c->change_user ? c->uid : (uid_t)-1);
	if (error < 0) {
		log_error_errno(error, "%s: no pipe for its log; its output is lost", c->name);
		return LINK_PLACE_NULL;
	}
	log_closings_forget(s->manager->logs->closings, number);
	log_counts_begin(s->manager->logs->counts, number, pipe.reader);
	take_pipe(s, number, &pipe);
	return place_of(number);
}

/* The next fosterd must not take what it inherits for its pipe. */
static void forget_number(struct service *s, uint32_t number)
{
	if (!logs_is_logger(s) && !has_pipe(s, number))
		log_counts_no_pipe(s->manager->logs->counts, number);
}

uint32_t logs_place(struct service *s)
{
	if (s->config->log == LOG_TYPE_INHERIT) {
		forget_number(s, s->slot);
		return LINK_PLACE_INHERIT;
	}
	if (s->config->log == LOG_TYPE_NONE)
		return LINK_PLACE_NULL;
	return pipe_place(s, s->slot);
}

uint32_t logs_stderr_place(struct service *s, uint32_t stdout_place)
{
	if (wants_apart(s))
		return pipe_place(s, s->slot + LOGGER_STDERR);
	if (logs_is_logger(s) || s->slot == NO_SLOT)
		return stdout_place;
	if (has_pipe(s, s->slot + LOGGER_STDERR)) { /* of another configuration */
		forget_pipe(s, s->slot + LOGGER_STDERR);
		if (has_pipe(s, s->slot))
			tell_settings(s, LOGGER_SET, s->slot, -1);
	}
	if (s->config->log == LOG_TYPE_INHERIT)
		forget_number(s, s->slot + LOGGER_STDERR);
	return stdout_place;
}

uint32_t logs_stdin_place(const struct service *s)
{
	return logs_is_logger(s) ? PLACE_LOGGER : LINK_PLACE_NULL;
}

void logs_forget(struct service *s)
{
	if (!s->manager->logs || s->slot == NO_SLOT)
		return;
	forget_pipe(s, s->slot);
	forget_pipe(s, s->slot + LOGGER_STDERR);
	log_closings_store(s->manager->logs->closings, s->slot, s->config->name);
}

bool logs_hold_slot(const struct manager *m, uint32_t slot)
{
	return m->logs && log_closings_hold_slot(m->logs->closings, slot);
}

void logs_crashed(struct service *s, int pid, const char *end)
{
	struct logs *l = s->manager->logs;
	bool apart = is_apart(s);
	char path[PATH_MAX];
	size_t i = 0;

	while (i < CRASHES_MAX && l->crashes[i].path)
		i++;
	if (i == CRASHES_MAX || s->slot == NO_SLOT || !logs_path(s, apart, path, sizeof(path)))
		return;
	l->crashes[i] = (struct crash){ .path = strdup(path),
					.asked = l->crashes[i].asked + 1,
					.pid = pid,
					.objects = s->config->log_format == LOG_FORMAT_JSON };
	snprintf(l->crashes[i].service, sizeof(l->crashes[i].service), "%s", s->config->name);
	snprintf(l->crashes[i].end, sizeof(l->crashes[i].end), "%s", end);
	l->crashes[i].number = s->slot + (apart ? LOGGER_STDERR : 0);
	ask_for_last_words(s->manager, i);
}

bool logs_count(const struct service *s, bool only_stderr, struct logger_count *ret)
{
	uint32_t number = s->slot + (only_stderr ? LOGGER_STDERR : 0);

	if (s->slot == NO_SLOT || !has_pipe(s, number))
		return false;
	*ret = log_counts_of(s->manager->logs->counts, number);
	return true;
}

uint64_t logs_dropped(const struct service *s)
{
	uint64_t sum = 0;

	for (int only_stderr = 0; only_stderr < 2; only_stderr++) {
		struct logger_count count;

		for (size_t i = 0; logs_count(s, only_stderr, &count) && i < _LOGGER_LOSSES; i++)
			sum += count.lost[i];
	}
	return sum;
}

void logs_spawned(struct service *s)
{
	if (has_pipe(s, s->slot))
		tell_process(s, s->slot);
	if (has_pipe(s, s->slot + LOGGER_STDERR))
		tell_process(s, s->slot + LOGGER_STDERR);
}

void logs_changed(struct service *s)
{
	if (s->slot == NO_SLOT || !logs_is_logged(s))
		return;
	for (uint32_t number = s->slot; number < LOGGER_NUMBERS; number += LOGGER_STDERR) {
		if (!has_pipe(s, number))
			continue;
		tell_settings(s, LOGGER_SET, number, -1);
		tell_process(s, number);
	}
}

/* --- the logger ------------------------------------------------------------------------- */

/* The supervisor sends them one by one: logs_fetched(). */
static void ask_for_pipes(struct manager *m)
{
	for (uint32_t number = 0; number < LOGGER_NUMBERS; number++) {
		if (log_closings_has(m->logs->closings, number))
			supervisor_link_ask(m, place_of(number));
	}
	for (size_t i = 0; i < m->n_services; i++) {
		const struct service *s = m->services[i];

		if (s->slot != NO_SLOT && has_pipe(s, s->slot))
			supervisor_link_ask(m, s->slot);
		if (s->slot != NO_SLOT && has_pipe(s, s->slot + LOGGER_STDERR))
			supervisor_link_ask(m, place_of(s->slot + LOGGER_STDERR));
	}
}

/* What it was asked the next one would answer before it has the pipe: it is asked anew then. */
void logs_logger_ended(struct service *logger)
{
	for (size_t i = 0; i < CRASHES_MAX; i++)
		logger->manager->logs->crashes[i].asked++;
}

static void expect_last_words(struct manager *m)
{
	for (size_t i = 0; i < CRASHES_MAX; i++) {
		const struct crash *c = &m->logs->crashes[i];
		const struct service *s = m->by_slot[c->number % LOGGER_STDERR];

		if (c->path && !log_closings_has(m->logs->closings, c->number) &&
		    (!s || !has_pipe(s, c->number))) /* it is gone, and with it what was in it */
			on_synced(m, (uint64_t)c->asked << 8 | i);
	}
}

void logs_logger_started(struct service *logger)
{
	/* The first one is told of each pipe when it is made. */
	if (logger->machine.restarts == 0)
		return;
	ask_for_pipes(logger->manager);
	expect_last_words(logger->manager);
}

void logs_catch_up(struct manager *m)
{
	/* An upgrade has the logger replaced, which asks for all. */
	if (m->generation > 1 && !m->hello.renewed)
		ask_for_pipes(m);
}

/* A logger that may not know of it. Takes reader. */
static void close_again(struct manager *m, uint32_t number, int reader)
{
	uint64_t value;
	size_t size;
	const char *open = log_closings_open(m->logs->closings, number, &size, &value);

	if (reader < 0) {
		log_closings_forget(m->logs->closings, number);
		supervisor_link_drop(m, place_of(number));
		return;
	}
	packet_queue_send(m->logs->channel, open, size, reader);
	tell(m, LOGGER_CLOSE, number, value);
}

bool logs_closing_fetched(struct manager *m, uint32_t place, int fd)
{
	uint32_t slot = place - PLACE_READY;

	if (!m->logs || !log_closings_fetched(m->logs->closings, place, fd))
		return false;
	for (uint32_t number = slot; number < LOGGER_NUMBERS; number += LOGGER_STDERR) {
		if (log_closings_has(m->logs->closings, number))
			supervisor_link_ask(m, place_of(number));
	}
	return true;
}

void logs_fetched(struct manager *m, uint32_t place, int fd)
{
	uint32_t number = number_of(place);
	struct service *s = m->by_slot[number % LOGGER_STDERR];
	int reader = fd < 0 ? -EBADF : log_pipe_reader(fd);

	if (log_closings_has(m->logs->closings, number)) {
		close_again(m, number, reader);
	} else if (reader >= 0 && s) {
		tell_settings(s, LOGGER_OPEN, number, reader);
		tell_process(s, number);
	} else {
		if (s)
			log_error_errno(reader, "%s: its log pipe cannot be given to the logger",
					s->config->name);
		fd_close(reader);
	}
	for (size_t i = 0; i < CRASHES_MAX; i++) {
		if (m->logs->crashes[i].path && m->logs->crashes[i].number == number)
			ask_for_last_words(m, i);
	}
}

void logs_reopen(struct manager *m)
{
	tell(m, LOGGER_REOPEN, 0, 0);
}

void logs_flush(struct manager *m)
{
	packet_queue_flush(m->logs->channel, FLUSH_MAX);
}

void logs_renew(struct manager *m)
{
	if (machine_is_active(&m->logs->logger->machine))
		tell(m, LOGGER_LEAVE, 0, 0);
}

/* It was not told, for its channel is lost, or what it writes to hangs. */
static void on_impatient(evutil_socket_t fd, short what, void *arg)
{
	struct logs *l = arg;

	log_warning("foster-log does not leave: it is ended; what the pipes hold is lost");
	l->logger->let_end = false; /* now by a signal */
	service_stop(l->logger, REASON_SHUTDOWN);
}

bool logs_quit(struct manager *m)
{
	static const struct timeval patience = { QUIT_MAX, 0 };
	struct logs *l = m->logs;

	if (!l || !machine_is_active(&l->logger->machine))
		return true;
	if (!l->quitting) {
		l->quitting = true;
		service_let_end(l->logger, REASON_SHUTDOWN);
		l->impatient = evtimer_new(m->base, on_impatient, l);
		if (l->impatient)
			evtimer_add(l->impatient, &patience);
		tell(m, LOGGER_QUIT, 0, 0);
	}
	return false;
}
