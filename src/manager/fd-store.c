/* SPDX-License-Identifier: MIT */
/* Descriptors of services: see fd-store.h. */
#include "manager/fd-store.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "manager/service.h"
#include "manager/supervisor-link.h"

#define PLACES        (LINK_PLACES - PLACE_FD_STORE)
#define EVENTS_A_TURN 16

/*
 * In the supervisor's store they are "fdp:SLOT:NAME", or "fds:..." for those that are not polled.
 */
#define POLLED_PREFIX "fdp:"
#define PLAIN_PREFIX  "fds:"

struct stored_fd {
	uint32_t place;
	int fd; /* our copy; -1: not fetched yet */
	bool poll;
	struct stored_fd *next;
	char name[FD_NAME_MAX + 1];
};

static struct {
	int epoll_fd; /* of those that may hang up */
	struct event *hung_up;
	struct service *owner[PLACES];
} state = { .epoll_fd = -1 };

/* --- one of them ------------------------------------------------------------------------ */

static void watch(struct stored_fd *f)
{
	struct epoll_event event = { .events = 0, .data.u32 = f->place };

	/* Fails for files, which never hang up. */
	if (f->poll)
		epoll_ctl(state.epoll_fd, EPOLL_CTL_ADD, f->fd, &event);
}

static void free_one(struct stored_fd *f)
{
	state.owner[f->place - PLACE_FD_STORE] = NULL;
	/* Others have copies of it: closing ours would not end the watch. */
	if (f->fd >= 0 && f->poll)
		epoll_ctl(state.epoll_fd, EPOLL_CTL_DEL, f->fd, NULL);
	fd_close(f->fd);
	free(f);
}

/* Takes it out of the list at p. */
static void drop(struct service *s, struct stored_fd **p)
{
	struct stored_fd *f = *p;

	*p = f->next;
	supervisor_link_drop(s->manager, f->place);
	free_one(f);
}

static struct stored_fd *append(struct service *s, uint32_t place, const char *name, bool poll)
{
	struct stored_fd *f = calloc(1, sizeof(*f)), **p = &s->stored_fds;

	if (!f)
		return NULL;
	*f = (struct stored_fd){ .place = place, .fd = -1, .poll = poll };
	snprintf(f->name, sizeof(f->name), "%s", name);
	while (*p)
		p = &(*p)->next;
	*p = f;
	state.owner[place - PLACE_FD_STORE] = s;
	return f;
}

/* --- adding ----------------------------------------------------------------------------- */

static bool is_same_file(int a, int b)
{
	struct stat x, y;
	long r = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);

	if (r >= 0)
		return r == 0;
	/* Where that is not built in, or forbidden: nearly as good for all but plain files. */
	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino && !S_ISREG(x.st_mode);
}

/* A new manager has asked for what is stored, and may hear of more before it has that. */
static void await_stored(struct service *s)
{
	struct stored_fd *f = s->stored_fds;

	while (f && f->fd >= 0)
		f = f->next;
	/* fosterd answers in the order of the questions: behind this answer all others are here. */
	if (f)
		fd_close(supervisor_link_fetch(s->manager, PLACE_NOTIFY));
}

static bool is_there(const struct service *s, int fd, size_t *ret_n)
{
	*ret_n = 0;
	for (const struct stored_fd *f = s->stored_fds; f; f = f->next, ++*ret_n) {
		if (f->fd >= 0 && is_same_file(f->fd, fd))
			return true;
	}
	return false;
}

/* Printable ASCII without the colon that stands between names. */
static bool is_name(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++) {
		if (name[i] < ' ' || name[i] > '~' || name[i] == ':')
			return false;
	}
	return length > 0 && length <= FD_NAME_MAX;
}

/* -1: all are taken. */
static int64_t free_place(void)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		if (!state.owner[i])
			return PLACE_FD_STORE + i;
	}
	return -1;
}

static void add_one(struct service *s, int fd, const char *name, bool poll)
{
	int64_t place = free_place();
	char key[LINK_NAME_MAX + 8];
	struct stored_fd *f;
	int copy = fd_copy(fd);

	f = place >= 0 && copy >= 0 ? append(s, place, name, poll) : NULL;
	if (!f) {
		fd_close(copy);
		log_error("%s: no room for a descriptor of its: it is not kept", service_label(s));
		return;
	}
	f->fd = copy;
	snprintf(key, sizeof(key), "%s%u:%s", poll ? POLLED_PREFIX : PLAIN_PREFIX, s->slot, name);
	supervisor_link_store(s->manager, f->place, key, fd_copy(fd));
	watch(f);
}

void fd_store_add(struct service *s, const int *fds, size_t n, const char *name, bool poll)
{
	size_t there;

	if (s->config->fd_store_max == 0)
		return; /* who speaks to systemd tries, and is not told there either */
	await_stored(s);
	if (!name)
		name = "stored";
	if (!is_name(name)) {
		log_warning("%s: FDNAME=%.64s is no name of a descriptor: printable ASCII without "
			    "colons, at most %d bytes",
			    service_label(s), name, FD_NAME_MAX);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (is_there(s, fds[i], &there))
			continue;
		if (there >= s->config->fd_store_max) {
			log_warning("%s: it stores more descriptors than fd-store-max = %u",
				    service_label(s), s->config->fd_store_max);
			return;
		}
		add_one(s, fds[i], name, poll);
	}
}

void fd_store_remove(struct service *s, const char *name)
{
	for (struct stored_fd **p = &s->stored_fds; *p;) {
		if (strcmp((*p)->name, name ? name : "stored") == 0)
			drop(s, p);
		else
			p = &(*p)->next;
	}
}

void fd_store_clear(struct service *s)
{
	while (s->stored_fds)
		drop(s, &s->stored_fds);
}

void fd_store_forget(struct service *s)
{
	while (s->stored_fds) {
		struct stored_fd *f = s->stored_fds;

		s->stored_fds = f->next;
		free_one(f);
	}
}

static void on_hung_up(evutil_socket_t fd, short what, void *arg)
{
	struct epoll_event events[EVENTS_A_TURN];
	int n = epoll_wait(state.epoll_fd, events, EVENTS_A_TURN, 0);

	for (int i = 0; i < n; i++) {
		struct service *s = state.owner[events[i].data.u32 - PLACE_FD_STORE];
		struct stored_fd **p = s ? &s->stored_fds : NULL;

		while (p && *p && (*p)->place != events[i].data.u32)
			p = &(*p)->next;
		if (p && *p)
			drop(s, p);
	}
}

/* --- for a start ------------------------------------------------------------------------ */

size_t fd_store_places(const struct service *s, uint32_t *places, size_t max)
{
	size_t n = 0;

	for (const struct stored_fd *f = s->stored_fds; f && n < max; f = f->next)
		places[n++] = f->place;
	return n;
}

size_t fd_store_names(const struct service *s, char *buf, size_t size)
{
	size_t used = 0, n = 0;

	buf[0] = '\0';
	for (const struct stored_fd *f = s->stored_fds; f && used < size; f = f->next, n++)
		used += snprintf(buf + used, size - used, ":%s", f->name);
	return n;
}

/* --- a new manager ---------------------------------------------------------------------- */

static bool may_be_started_again(const struct service *s)
{
	return s->config->fd_store_max > 0 && s->machine.desired_up &&
	       s->machine.state != STATE_EXITED && s->machine.state != STATE_FAILED;
}

static bool restore_one(struct manager *m, uint32_t place, const char *key)
{
	bool polled = strncmp(key, POLLED_PREFIX, strlen(POLLED_PREFIX)) == 0;
	const char *name = strchr(key + strlen(PLAIN_PREFIX), ':');
	unsigned long slot = strtoul(key + strlen(PLAIN_PREFIX), NULL, 10);
	struct service *s = slot < LINK_SLOTS ? m->by_slot[slot] : NULL;

	if (!name || !s || !may_be_started_again(s) || !append(s, place, name + 1, polled))
		return false;
	supervisor_link_ask(m, place);
	return true;
}

void fd_store_restore(struct manager *m)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		const char *key = supervisor_link_stored(m, PLACE_FD_STORE + i);

		if (key && !restore_one(m, PLACE_FD_STORE + i, key))
			supervisor_link_drop(m, PLACE_FD_STORE + i);
	}
}

void fd_store_fetched(struct manager *m, uint32_t place, int fd)
{
	struct service *s = state.owner[place - PLACE_FD_STORE];

	for (struct stored_fd *f = s ? s->stored_fds : NULL; f && fd >= 0; f = f->next) {
		if (f->place == place && f->fd < 0) {
			f->fd = fd;
			watch(f);
			return;
		}
	}
	fd_close(fd);
}

int fd_store_init(struct manager *m)
{
	state.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (state.epoll_fd < 0)
		return -errno;
	state.hung_up = event_new(m->base, state.epoll_fd, EV_READ | EV_PERSIST, on_hung_up, NULL);
	return state.hung_up && event_add(state.hung_up, NULL) == 0 ? 0 : -ENOMEM;
}

void fd_store_shutdown(struct manager *m)
{
	if (state.hung_up)
		event_free(state.hung_up);
	state.hung_up = NULL;
	state.epoll_fd = fd_close(state.epoll_fd);
}
