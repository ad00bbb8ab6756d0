/* SPDX-License-Identifier: MIT */
/*
 * For LD_PRELOAD: the process that reads a message of sd_notify with the text of KILL_AT_TEXT is
 * killed: KILL_AT=read, at once, before it can do anything about it; handled, when it has done all
 * but to take it from the socket; consumed, after that. KILL_AT=bind: the process that makes a
 * socket whose path has that text in it, at once. Once: it makes the file KILL_AT_MARK.
 * KILL_AT_SIGNAL is the number of another signal than SIGKILL.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int is_it; /* what recv() takes next from its socket */

/* A datagram: fosterd's link, of another kind, carries our environment, and that text with it. */
static int is_wanted(int fd, const struct msghdr *msg, ssize_t n)
{
	const char *text = getenv("KILL_AT_TEXT");
	int type = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_DGRAM)
		return 0;
	return text && n > 0 && memmem(msg->msg_iov->iov_base, n, text, strlen(text)) != NULL;
}

static void die(void)
{
	const char *mark = getenv("KILL_AT_MARK");
	const char *signo = getenv("KILL_AT_SIGNAL");
	int fd = mark ? open(mark, O_CREAT | O_EXCL | O_WRONLY, 0600) : -1;

	if (fd < 0)
		return; /* it is the next one, which is to live */
	close(fd);
	kill(getpid(), signo ? atoi(signo) : SIGKILL);
}

static int is_at(const char *moment)
{
	const char *wanted = getenv("KILL_AT");

	return wanted && strcmp(wanted, moment) == 0;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t (*real)(int, struct msghdr *, int) = dlsym(RTLD_NEXT, "recvmsg");
	ssize_t n = real(fd, msg, flags);

	if (is_wanted(fd, msg, n)) {
		is_it = 1;
		if (is_at("read"))
			die();
	}
	return n;
}

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
	const char *text = getenv("KILL_AT_TEXT");
	int r = real(fd, address, size);

	if (is_at("bind") && address->sa_family == AF_UNIX &&
	    strstr(((const struct sockaddr_un *)address)->sun_path, text))
		die();
	return r;
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	ssize_t (*real)(int, void *, size_t, int) = dlsym(RTLD_NEXT, "recv");
	ssize_t n;

	if (is_it && is_at("handled"))
		die();
	n = real(fd, data, size, flags);
	if (is_it && is_at("consumed"))
		die();
	is_it = 0;
	return n;
}
