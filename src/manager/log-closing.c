/* SPDX-License-Identifier: MIT */
/* Pipes of services that are gone: see log-closing.h. */
#include "manager/log-closing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/logger.h"
#include "manager/manager.h"
#include "manager/supervisor-link.h"

#define STORED_NAME "closing:"

struct closing {
	uint64_t value;
	size_t size;
	char open[];
};

struct log_closings {
	struct manager *manager;
	struct closing *of[LOGGER_NUMBERS];
	bool stored[LINK_SLOTS]; /* what is about its numbers */
	bool asked[LINK_SLOTS];  /* for that, and it has not come yet */
	uint64_t last_value;
};

struct log_closings *log_closings_new(struct manager *m)
{
	struct log_closings *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->manager = m;
	for (uint32_t slot = 0; slot < LINK_SLOTS; slot++) {
		const char *name = supervisor_link_stored(m, PLACE_READY + slot);

		if (!name || strncmp(name, STORED_NAME, strlen(STORED_NAME)) != 0)
			continue;
		c->stored[slot] = c->asked[slot] = true;
		supervisor_link_ask(m, PLACE_READY + slot);
	}
	return c;
}

struct log_closings *log_closings_free(struct log_closings *c)
{
	for (size_t i = 0; c && i < LOGGER_NUMBERS; i++)
		free(c->of[i]);
	free(c);
	return NULL;
}

uint64_t log_closings_add(struct log_closings *c, uint32_t number, const char *open, size_t size)
{
	struct closing *closing = malloc(sizeof(*closing) + size);

	if (!closing)
		return 0;
	*closing = (struct closing){ .value = ++c->last_value, .size = size };
	memcpy(closing->open, open, size);
	free(c->of[number]);
	c->of[number] = closing;
	return closing->value;
}

void log_closings_forget(struct log_closings *c, uint32_t number)
{
	uint32_t slot = number % LOGGER_STDERR;

	free(c->of[number]);
	c->of[number] = NULL;
	if (!c->stored[slot] || log_closings_hold_slot(c, slot))
		return;
	c->stored[slot] = false;
	supervisor_link_drop(c->manager, PLACE_READY + slot);
}

/* Whether all of it is there. */
static int write_numbers(const struct log_closings *c, uint32_t slot, int fd)
{
	int error = 0;

	for (uint32_t number = slot; number < LOGGER_NUMBERS && error == 0;
	     number += LOGGER_STDERR) {
		if (c->of[number])
			error = fd_write_all(fd, c->of[number]->open, c->of[number]->size);
	}
	return error;
}

void log_closings_store(struct log_closings *c, uint32_t slot, const char *name)
{
	_cleanup_close_ int fd = -1;
	char text[LINK_NAME_MAX + 8];
	int error;

	if (!log_closings_hold_slot(c, slot))
		return;
	fd = memfd_create("foster-log-closing", MFD_CLOEXEC);
	error = fd < 0 ? -errno : write_numbers(c, slot, fd);
	if (error < 0) {
		log_warning_errno(error, "%s: what waits in its pipe is lost with this manager",
				  name);
		return;
	}
	snprintf(text, sizeof(text), STORED_NAME "%s", name);
	supervisor_link_store(c->manager, PLACE_READY + slot, text, TAKE_FD(fd));
	c->stored[slot] = true;
}

bool log_closings_has(const struct log_closings *c, uint32_t number)
{
	return c->of[number];
}

bool log_closings_hold_slot(const struct log_closings *c, uint32_t slot)
{
	return c->asked[slot] || c->of[slot] || c->of[slot + LOGGER_STDERR];
}

const char *log_closings_open(const struct log_closings *c, uint32_t number, size_t *ret_size,
			      uint64_t *ret_value)
{
	const struct closing *closing = c->of[number];

	if (!closing)
		return NULL;
	*ret_size = closing->size;
	*ret_value = closing->value;
	return closing->open;
}

bool log_closings_done(struct log_closings *c, uint32_t number, uint64_t value)
{
	if (!c->of[number] || c->of[number]->value != value)
		return false;
	log_closings_forget(c, number);
	return true;
}

static void take_messages(struct log_closings *c, uint32_t slot, const char *data, size_t n)
{
	const char *texts[LOGGER_TEXTS_MAX];
	const struct logger_settings *settings;
	const struct logger_message *m;
	int size;

	for (; n > 0 && (size = logger_decode(data, n, &m, &settings, texts)) > 0;
	     data += size, n -= (size_t)size) {
		if (m->number % LOGGER_STDERR == slot)
			log_closings_add(c, m->number, data, (size_t)size);
	}
}

bool log_closings_fetched(struct log_closings *c, uint32_t place, int fd)
{
	char data[2 * LOGGER_MESSAGE_MAX] __attribute__((aligned(8)));
	uint32_t slot = place - PLACE_READY;
	ssize_t n;

	if (!c->asked[slot])
		return false;
	n = fd < 0 ? -1 : pread(fd, data, sizeof(data), 0);
	c->asked[slot] = false;
	take_messages(c, slot, data, n > 0 ? (size_t)n : 0);
	return true;
}
