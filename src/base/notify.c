/* SPDX-License-Identifier: MIT */
/* The service's side of sd_notify and sd_listen_fds: see notify.h. */
#include "base/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/units.h"

#define LISTEN_FDS_FIRST 3
#define LISTEN_FDS_MAX   1024
#define PATIENCE         5 /* s, with a receiver that does not read */

static char *fd_names[LISTEN_FDS_MAX];
static int kept_fd = -1; /* to send by; -1: one is made for each message */

static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct timeval patience = { .tv_sec = PATIENCE };

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

int notify_keep_socket(void)
{
	if (kept_fd < 0)
		kept_fd = make_socket();
	return MIN(kept_fd, 0);
}

static int notify_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_length)
{
	size_t length = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || length < 2)
		return -EAFNOSUPPORT;
	if (length >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	memcpy(ret->sun_path, path, length);
	if (path[0] == '@')
		ret->sun_path[0] = '\0'; /* the abstract namespace */
	*ret_length = offsetof(struct sockaddr_un, sun_path) + length;
	return 0;
}

static int PRINTF(1, 0) send_formatted(const char *fmt, va_list ap, int flags)
{
	const char *path = getenv("NOTIFY_SOCKET");
	_cleanup_close_ int made = -1;
	struct sockaddr_un address;
	socklen_t length;
	char text[2048];
	ssize_t sent;
	int n, r, fd = kept_fd;

	if (!path || !*path)
		return 0;
	r = notify_address(path, &address, &length);
	if (r < 0)
		return r;
	n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -EMSGSIZE;
	if (fd < 0)
		fd = made = make_socket();
	if (fd < 0)
		return fd;
	do
		sent = sendto(fd, text, n, MSG_NOSIGNAL | flags, (struct sockaddr *)&address,
			      length);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 1;
}

int notify_send(const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = send_formatted(fmt, ap, 0);
	va_end(ap);
	return r;
}

int notify_try_send(const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = send_formatted(fmt, ap, MSG_DONTWAIT);
	va_end(ap);
	return r;
}

/* True when the variable is unset, or names this process. */
static int is_for_us(const char *variable)
{
	const char *text = getenv(variable);
	int64_t pid;

	return !text || (parse_int(text, 1, INT32_MAX, &pid) == 0 && pid == getpid());
}

uint64_t notify_watchdog_usec(void)
{
	const char *text = getenv("WATCHDOG_USEC");
	int64_t usec;

	if (!text || !is_for_us("WATCHDOG_PID") || parse_int(text, 1, INT64_MAX, &usec) < 0)
		return 0;
	return usec;
}

static void take_names(int count)
{
	const char *names = getenv("LISTEN_FDNAMES");

	for (int i = 0; i < count && names; i++) {
		size_t length = strcspn(names, ":");

		free(fd_names[i]);
		fd_names[i] = strndup(names, length);
		names = names[length] ? names + length + 1 : NULL;
	}
}

int listen_fds(void)
{
	const char *text = getenv("LISTEN_FDS");
	int64_t count;

	if (!text || !getenv("LISTEN_PID") || !is_for_us("LISTEN_PID"))
		return 0;
	if (parse_int(text, 0, LISTEN_FDS_MAX, &count) < 0)
		return -EINVAL;
	for (int i = 0; i < count; i++) {
		int fd = LISTEN_FDS_FIRST + i, r;

		r = fd_set_cloexec(fd, true);
		if (r == 0)
			r = fd_set_nonblock(fd, true);
		if (r < 0)
			return r;
	}
	take_names(count);
	return count;
}

const char *listen_fd_name(int i)
{
	return i >= 0 && i < LISTEN_FDS_MAX && fd_names[i] && *fd_names[i] ? fd_names[i]
									   : "unknown";
}

void notify_unset_environment(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
					     "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES" };

	for (size_t i = 0; i < ELEMENTSOF(names); i++)
		unsetenv(names[i]);
}
