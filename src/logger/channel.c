/* SPDX-License-Identifier: MIT */
/* The channel: see channel.h. */
#include "logger/channel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "logger/count.h"
#include "logger/file.h"
#include "logger/settings.h"
#include "logger/stream.h"

#define PACKET   (16 * 1024) /* more than the manager puts into one */
#define MESSAGES 64          /* in one turn of the loop */

static char packet[PACKET] __attribute__((aligned(8)));
static int channel = -1;

static void complain_of_pipe(const char *name)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	log_error("%s: its pipe did not come with the message, and is not read: is the limit of "
		  "open files, %ju, too low?",
		  name, (uintmax_t)limit.rlim_cur);
}

/* Takes the pipe. */
static void open_or_set(const struct logger_message *m, const struct logger_settings *set,
			const char *const *texts, int pipe)
{
	struct settings *settings = settings_get(set, texts);

	if (!settings) {
		log_error_errno(-ENOMEM, "%s: is not logged", texts[LOGGER_NAME_TEXT]);
		fd_close(pipe);
	} else if (m->type == LOGGER_SET) {
		stream_set(m->number, settings);
	} else if (pipe < 0) {
		complain_of_pipe(texts[LOGGER_NAME_TEXT]);
		settings_put(settings);
	} else {
		stream_open(m->number, pipe, settings, texts[LOGGER_NAME_TEXT]);
	}
}

/* Takes fd. */
static enum channel_state handle(const struct logger_message *m, const struct logger_settings *set,
				 const char *const *texts, int fd)
{
	switch (m->type) {
	case LOGGER_OPEN:
	case LOGGER_SET: open_or_set(m, set, texts, fd); break;
	case LOGGER_RUN: stream_run(m->number, m->pid, texts[LOGGER_NAME_TEXT]); break;
	case LOGGER_CLOSE: stream_close(m->number, m->value); break;
	case LOGGER_REOPEN: log_files_close(); break;
	case LOGGER_SYNC:
		stream_sync(m->number);
		channel_tell(LOGGER_SYNCED, m->number, m->value);
		break;
	case LOGGER_COUNT: count_to(fd); break;
	case LOGGER_QUIT: return CHANNEL_QUIT;
	case LOGGER_LEAVE: return CHANNEL_LEAVE;
	default: log_warning("a message of type %u has no meaning here", m->type);
	}
	return CHANNEL_OPEN;
}

static bool has_descriptor(const struct logger_message *m)
{
	return m->type == LOGGER_OPEN || m->type == LOGGER_COUNT;
}

/* A packet of n bytes. */
static enum channel_state handle_packet(size_t n, const int *fds, size_t n_fds)
{
	enum channel_state state = CHANNEL_OPEN;
	size_t used = 0;

	for (const char *p = packet; n > 0 && state == CHANNEL_OPEN;) {
		const struct logger_settings *set;
		const struct logger_message *m;
		const char *texts[LOGGER_TEXTS_MAX];
		int size = logger_decode(p, n, &m, &set, texts);

		if (size < 0) {
			log_error("the manager sent %zu bytes that are no message", n);
			break;
		}
		state = handle(m, set, texts, has_descriptor(m) && used < n_fds ? fds[used++] : -1);
		p += size;
		n -= (size_t)size;
	}
	while (used < n_fds)
		fd_close(fds[used++]);
	return state;
}

enum channel_state channel_read(int fd)
{
	enum channel_state state = CHANNEL_OPEN;

	channel = fd;
	for (int i = 0; i < MESSAGES && state == CHANNEL_OPEN; i++) {
		int fds[FD_PASS_MAX];
		size_t n_fds = FD_PASS_MAX;
		ssize_t n;

		/* Where there is no room a pipe does not arrive, and nobody would read it. */
		log_files_make_room(streams_number());
		n = fd_receive(fd, packet, sizeof(packet), fds, &n_fds, MSG_DONTWAIT);

		if (n == -EAGAIN)
			break;
		state = n > 0 ? handle_packet((size_t)n, fds, n_fds) : CHANNEL_GONE;
	}
	return state;
}

/* -EAGAIN: the manager is slow. */
static int tell(struct logger_message m)
{
	char data[sizeof(m)];
	int size = logger_encode(&m, NULL, NULL, 0, data, sizeof(data));
	ssize_t n = 0;

	if (channel >= 0 && size > 0)
		n = fd_send(channel, data, (size_t)size, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? (int)n : 0;
}

void channel_tell(enum logger_type type, uint32_t number, uint64_t value)
{
	tell((struct logger_message){ .type = type, .number = number, .value = value });
}

static struct untold {
	struct untold *next;
	struct logger_message message;
} * untold, **untold_end = &untold;

void channel_tell_surely(enum logger_type type, uint32_t number, uint64_t value)
{
	struct logger_message m = { .type = type, .number = number, .value = value };
	struct untold *u;

	if (!untold && tell(m) != -EAGAIN)
		return;
	u = calloc(1, sizeof(*u));
	if (!u) {
		log_error_errno(-ENOMEM, "the manager is not told that a pipe is closed");
		return;
	}
	u->message = m;
	*untold_end = u;
	untold_end = &u->next;
}

bool channel_tell_rest(void)
{
	while (untold && tell(untold->message) != -EAGAIN) {
		struct untold *u = untold;

		untold = u->next;
		free(u);
	}
	if (!untold)
		untold_end = &untold;
	return untold;
}
