/* SPDX-License-Identifier: MIT */
/* The seam to libsystemd: see systemd.h. */
#include "manager/systemd.h"

#include <errno.h>

#ifdef HAVE_SYSTEMD
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "base/library.h"
#include "base/log.h"
#include "base/macro.h"

#define LIBRARY "libsystemd.so.0"

static struct {
	void *library;
	__typeof__(&sd_pid_notify_with_fds) pid_notify;
	__typeof__(&sd_notify_barrier) barrier;
} sd;

bool systemd_open(void)
{
	const struct library_function functions[] = {
		LIBRARY_FUNCTION(sd.pid_notify, sd_pid_notify_with_fds),
		LIBRARY_FUNCTION(sd.barrier, sd_notify_barrier),
	};
	const char *path = getenv("NOTIFY_SOCKET");

	if (!path || !*path)
		return false;
	sd.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (sd.library && library_find(sd.library, functions, ELEMENTSOF(functions)))
		return true;
	log_warning("systemd is told nothing: " LIBRARY ": %s", dlerror());
	systemd_close();
	return false;
}

void systemd_close(void)
{
	if (sd.library)
		dlclose(sd.library);
	memset(&sd, 0, sizeof(sd));
}

/*
 * The library's sends wait while the receiver's queue is full, and a manager waits for nobody.
 * A connected socket tells whether it is.
 */
static bool would_wait(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	if (fd < 0 || length >= sizeof(address.sun_path))
		return false; /* the library finds that out, too */
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	if (connect(fd, (const struct sockaddr *)&address,
		    offsetof(struct sockaddr_un, sun_path) + length) < 0)
		return false;
	return poll(&room, 1, 0) == 0;
}

static int send_lines(pid_t pid, const char *lines, const int *fds, unsigned n_fds)
{
	int r;

	if (!sd.library)
		return 0;
	if (would_wait())
		return -EAGAIN;
	r = sd.pid_notify(pid, 0, lines, fds, n_fds);
	return r < 0 ? r : 0;
}

int systemd_send(pid_t pid, const char *lines)
{
	return send_lines(pid, lines, NULL, 0);
}

int systemd_send_fd(pid_t pid, const char *lines, int fd)
{
	return send_lines(pid, lines, &fd, 1);
}

void systemd_flush(uint64_t usec)
{
	if (sd.library)
		sd.barrier(0, usec);
}

#else

bool systemd_open(void)
{
	return false;
}

void systemd_close(void)
{
}

int systemd_send(pid_t pid, const char *lines)
{
	return -EOPNOTSUPP;
}

int systemd_send_fd(pid_t pid, const char *lines, int fd)
{
	return -EOPNOTSUPP;
}

void systemd_flush(uint64_t usec)
{
}

#endif
