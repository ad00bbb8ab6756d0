/* SPDX-License-Identifier: MIT */
/* The service's side of sd_notify and of socket passing: base/notify.h. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "base/notify.h"

#define HEARS_NOTHING "(nothing)"

struct listener {
	char directory[64], path[108];
	int fd;
};

static int make_socket(const struct sockaddr_un *address, socklen_t length)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)address, length), 0);
	return fd;
}

static int setup(void **state)
{
	static struct listener l;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	notify_unset_environment();
	snprintf(l.directory, sizeof(l.directory), "/tmp/test-notify-XXXXXX");
	assert_non_null(mkdtemp(l.directory));
	snprintf(l.path, sizeof(l.path), "%s/notify", l.directory);
	memcpy(address.sun_path, l.path, sizeof(l.path));
	l.fd = make_socket(&address, sizeof(address));
	*state = &l;
	return 0;
}

static int teardown(void **state)
{
	struct listener *l = *state;

	fd_close(l->fd);
	unlink(l->path);
	rmdir(l->directory);
	notify_unset_environment();
	return 0;
}

/* A datagram is there when sendto() has returned: nothing to wait for. */
static const char *heard(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return n < 0 ? HEARS_NOTHING : text;
}

static void test_send(void **state)
{
	struct listener *l = *state;

	assert_int_equal(notify_send("READY=1"), 0); /* nobody asked */
	assert_string_equal(heard(l->fd), HEARS_NOTHING);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", l->path, 1);
	assert_int_equal(notify_send("READY=1\nSTATUS=%d users", 3), 1);
	assert_string_equal(heard(l->fd), "READY=1\nSTATUS=3 users");
	assert_string_equal(heard(l->fd), HEARS_NOTHING);
}

static void test_send_to_an_abstract_socket(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	char name[64];

	snprintf(name, sizeof(name), "@foster-test-%d", getpid());
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	fd = make_socket(&address, offsetof(struct sockaddr_un, sun_path) + strlen(name));
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_send("WATCHDOG=1"), 1);
	assert_string_equal(heard(fd), "WATCHDOG=1");
}

static void test_send_errors(void **state)
{
	struct listener *l = *state;
	char path[256], text[4096];

	memset(path, 'p', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	assert_int_equal(notify_send("READY=1"), -ENAMETOOLONG);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_send("READY=1"), -EAFNOSUPPORT);
	setenv("NOTIFY_SOCKET", "/", 1);
	assert_int_equal(notify_send("READY=1"), -EAFNOSUPPORT);
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	assert_int_equal(notify_send("READY=1"), -ENOENT);
	setenv("NOTIFY_SOCKET", l->path, 1);
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(notify_send("%s", text), -EMSGSIZE);
	assert_string_equal(heard(l->fd), HEARS_NOTHING);
}

static void set_pid(const char *variable, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	setenv(variable, text, 1);
}

static void test_watchdog(void **state)
{
	assert_int_equal(notify_watchdog_usec(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_watchdog_usec(), 30000000);
	set_pid("WATCHDOG_PID", getpid());
	assert_int_equal(notify_watchdog_usec(), 30000000);
	set_pid("WATCHDOG_PID", getppid());
	assert_int_equal(notify_watchdog_usec(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(notify_watchdog_usec(), 0);
	setenv("WATCHDOG_USEC", "0", 1);
	assert_int_equal(notify_watchdog_usec(), 0);
}

/* --- passed descriptors: in a child, which may do with 3 and 4 what it likes ----------------- */

static bool is_prepared(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static int check_listen_fds(void)
{
	static char one_name[] = "LISTEN_FDNAMES=irc\0beyond"; /* not to be read so far */
	int ends[2];

	if (pipe(ends) < 0)
		return 1;
	for (int fd = 3; fd <= 5; fd++) {
		if (dup2(ends[0] == fd ? ends[1] : ends[0], fd) != fd)
			return 2;
	}
	if (is_prepared(3))
		return 3;
	setenv("LISTEN_FDS", "3", 1);
	putenv(one_name);
	if (listen_fds() != 0) /* without LISTEN_PID they are nobody's */
		return 4;
	set_pid("LISTEN_PID", getppid());
	if (listen_fds() != 0 || is_prepared(3))
		return 5;
	set_pid("LISTEN_PID", getpid());
	if (listen_fds() != 3 || !is_prepared(3) || !is_prepared(4) || !is_prepared(5))
		return 6;
	if (strcmp(listen_fd_name(0), "irc") != 0 || strcmp(listen_fd_name(1), "unknown") != 0)
		return 13; /* fewer names than descriptors */
	setenv("LISTEN_FDNAMES", "irc::course", 1);
	if (listen_fds() != 3 || strcmp(listen_fd_name(0), "irc") != 0 ||
	    strcmp(listen_fd_name(1), "unknown") != 0 || strcmp(listen_fd_name(2), "course") != 0)
		return 7;
	if (strcmp(listen_fd_name(3), "unknown") != 0 || strcmp(listen_fd_name(-1), "unknown") != 0)
		return 8;
	close(5);
	if (listen_fds() != -EBADF)
		return 9;
	setenv("LISTEN_FDS", "many", 1);
	if (listen_fds() != -EINVAL)
		return 10;
	setenv("LISTEN_FDS", "1025", 1);
	if (listen_fds() != -EINVAL)
		return 11;
	notify_unset_environment();
	return listen_fds() == 0 && !getenv("LISTEN_FDNAMES") ? 0 : 12;
}

static void test_listen_fds(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(check_listen_fds());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_to_an_abstract_socket, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listen_fds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
