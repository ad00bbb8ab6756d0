/* SPDX-License-Identifier: MIT */
/* Of systemd's interface what only its main process can do: see systemd.h. */
#include "supervisor/systemd.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/given.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/units.h"
#include "supervisor/table.h"

#define LISTEN_FDS_FIRST 3
#define BEATS            2 /* signs of life in the time that one of them is wanted in */
#define BEATS_RETRY      8

/* --- descriptors ------------------------------------------------------------------------ */

/* How many were passed to this process, and not to the one that it was forked from. */
static int count_given(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int64_t n;

	if (!pid || !fds || parse_int(pid, 1, INT32_MAX, &n) < 0 || n != getpid() ||
	    parse_int(fds, 0, INT32_MAX - LISTEN_FDS_FIRST, &n) < 0)
		return 0;
	return n;
}

static void put_into_store(struct supervisor *s, uint32_t index, const char *name, int length)
{
	struct table_place *place = table_place(s->table, GIVEN_FIRST + index);
	int fd = LISTEN_FDS_FIRST + index;
	int error = fd_set_nonblock(fd, true); /* they come blocking, and wake several services */

	if (length > GIVEN_NAME_MAX) {
		log_warning("descriptor %d of systemd's has a name of more than %d bytes and "
			    "cannot be used; FileDescriptorName= sets a shorter one",
			    fd, GIVEN_NAME_MAX);
		return;
	}
	fd = error < 0 ? error : supervisor_raise_fd(fd);
	if (fd < 0) {
		log_error_errno(fd, "descriptor '%.*s' of systemd's", length, name);
		return;
	}
	snprintf(place->name, sizeof(place->name), GIVEN_PREFIX "%.*s", length, name);
	place->fd = fd;
}

void systemd_take_descriptors(struct supervisor *s)
{
	const char *names = getenv("LISTEN_FDNAMES");
	int n = count_given();

	if (n > GIVEN_MAX)
		log_warning("systemd gave %d descriptors; only the first %d are used", n,
			    GIVEN_MAX);
	for (int i = 0; i < MIN(n, GIVEN_MAX); i++) {
		const char *name = names && *names ? names : "unknown";
		size_t length = strcspn(name, ":");

		put_into_store(s, i, name, length);
		if (names)
			names += strcspn(names, ":");
		names += names && *names == ':';
	}
}

/* --- signs of life ---------------------------------------------------------------------- */

static struct {
	bool asked; /* whether they are wanted was looked up */
	uint64_t interval, next;
} watchdog;

void systemd_alive(void)
{
	uint64_t now;

	if (!watchdog.asked) {
		watchdog.interval = notify_watchdog_usec();
		watchdog.asked = true;
	}
	if (!watchdog.interval)
		return;
	now = now_monotonic();
	if (now < watchdog.next)
		return;
	/* A queue that is full has room a little later. */
	watchdog.next =
		now + watchdog.interval / (notify_try_send("WATCHDOG=1") < 0 ? BEATS_RETRY : BEATS);
}

int systemd_timeout(int timeout)
{
	uint64_t now, left;

	if (!watchdog.interval)
		return timeout;
	now = now_monotonic();
	left = watchdog.next > now ? (watchdog.next - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC : 0;
	left = MIN(left, (uint64_t)INT32_MAX);
	return timeout < 0 ? (int)left : MIN(timeout, (int)left);
}

void systemd_failed(int error)
{
	notify_try_send("ERRNO=%d", -error);
}
