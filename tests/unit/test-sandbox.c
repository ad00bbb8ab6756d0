/* SPDX-License-Identifier: MIT */
/*
 * The sandbox, from inside: what whoever has taken the process over would try. Each try is in a
 * child of its own, whose exit code tells how it went.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/macro.h"
#include "chat/privilege.h"
#include "chat/sandbox.h"

static char directory[] = "/tmp/foster-sandbox-XXXXXX";
static char state[64], config[64], secret[64], control[64];
static int listener = -1, stream = -1, door = -1;              /* made before; the last is of TCP */
static struct sockaddr_in discard = { .sin_family = AF_INET }; /* 127.0.0.1, port 9 */

static void write_file(const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **ignored)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!mkdtemp(directory))
		return -1;
	snprintf(state, sizeof(state), "%s/state", directory);
	snprintf(config, sizeof(config), "%s/etc", directory);
	snprintf(secret, sizeof(secret), "%s/secret", directory);
	snprintf(control, sizeof(control), "%s/control", directory);
	write_file(secret);
	if (mkdir(config, 0700) < 0)
		return -1;
	strcat(config, "/chat.conf");
	write_file(config);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	discard.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	discard.sin_port = htons(9);
	strcpy(address.sun_path, control);
	return listen(door, 8) < 0 ||
			       bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
			       listen(listener, 8) < 0
		       ? -1
		       : 0;
}

static int tear_down(void **ignored)
{
	char command[128];

	close(listener);
	close(stream);
	close(door);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

static int enter(void)
{
	const struct sandbox_settings settings = { .mode = SANDBOX_REQUIRED,
						   .files = { config },
						   .directory = state };
	struct error e;

	if (sandbox_enter(&settings, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	return 0;
}

/* What attempt() returns in the sandbox: 0, or a negative errno. */
static int in_sandbox(int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(enter() < 0 ? 200 : -attempt());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 200);
	return -WEXITSTATUS(status);
}

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

/* --- what it may ----------------------------------------------------------------------------- */

static int work_in_its_directory(void)
{
	char path[96], other[96];
	int fd;

	snprintf(path, sizeof(path), "%s/history.db", state);
	snprintf(other, sizeof(other), "%s/history.db.damaged-1", state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) < 0 || rename(path, other) < 0)
		return -errno;
	return result(unlink(other));
}

static int read_its_config(void)
{
	return result(open(config, O_RDONLY | O_CLOEXEC));
}

static void *be_thread(void *arg)
{
	prctl(PR_SET_NAME, "worker");
	return arg;
}

static int start_a_thread(void)
{
	pthread_t thread;
	void *got = NULL;
	int r = pthread_create(&thread, NULL, be_thread, state);

	if (r == 0)
		r = pthread_join(thread, &got);
	return r == 0 && got != state ? -EIO : -r;
}

static int send_a_datagram(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, control);
	/* To a socket of streams, which takes none: but it was not the sandbox that refused. */
	if (sendto(stream, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == ENOSYS || errno == EPERM ? -errno : 0;
	return -EIO;
}

static void test_its_work_goes_on(void **ignored)
{
	assert_int_equal(in_sandbox(work_in_its_directory), 0);
	assert_int_equal(in_sandbox(read_its_config), 0);
	assert_int_equal(in_sandbox(start_a_thread), 0);
	assert_int_equal(in_sandbox(send_a_datagram), 0);
}

/* --- what it may not ------------------------------------------------------------------------- */

static int connect_to_control(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, control);
	return result(connect(stream, (struct sockaddr *)&address, sizeof(address)));
}

/* A connection that no connect(2) makes: what has been a door is a socket like another. */
static int connect_by_sending(void)
{
	shutdown(door, SHUT_RDWR);
	return result(sendto(door, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&discard,
			     sizeof(discard)));
}

static int connect_by_a_message(void)
{
	struct iovec data = { (char *)"x", 1 };
	struct msghdr m = { .msg_name = &discard,
			    .msg_namelen = sizeof(discard),
			    .msg_iov = &data,
			    .msg_iovlen = 1 };

	shutdown(door, SHUT_RDWR);
	return result(sendmsg(door, &m, MSG_FASTOPEN | MSG_NOSIGNAL));
}

static int connect_by_messages(void)
{
	struct iovec data = { (char *)"x", 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_name = &discard,
					  .msg_namelen = sizeof(discard),
					  .msg_iov = &data,
					  .msg_iovlen = 1 } };

	shutdown(door, SHUT_RDWR);
	return result(sendmmsg(door, &m, 1, MSG_FASTOPEN | MSG_NOSIGNAL));
}

/* Landlock does not keep an owner from that. */
static int give_its_secret_away(void)
{
	return result(chmod(secret, 0666));
}

static int open_a_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int listen_elsewhere(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "\0foster-sandbox" };

	return result(bind(stream, (struct sockaddr *)&address, sizeof(address)));
}

static int execute(void)
{
	char *argv[] = { (char *)"true", NULL };

	return result(execv("/bin/true", argv));
}

static int signal_its_parent(void)
{
	return result(kill(getppid(), 0));
}

/* By the kernel, which sends what a descriptor's owner is to get in the name of who has set it. */
static int have_its_parent_signalled(void)
{
	return result(fcntl(stream, F_SETOWN, getppid()));
}

static int choose_the_signal(void)
{
	return result(fcntl(stream, F_SETSIG, SIGKILL));
}

/* A limit of CPU time ends it, too. */
static int limit_its_parent(void)
{
	struct rlimit limit;

	return result(prlimit(getppid(), RLIMIT_CPU, NULL, &limit));
}

static int watch_its_parent(void)
{
	return result(syscall(SYS_pidfd_open, getppid(), 0));
}

static int be_another(void)
{
	return result(setresuid(getuid(), getuid(), getuid()));
}

static int hide(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static void test_no_way_out(void **ignored)
{
	assert_int_equal(in_sandbox(connect_to_control), -EPERM);
	assert_int_equal(in_sandbox(connect_by_sending), -EPERM);
	assert_int_equal(in_sandbox(connect_by_a_message), -EPERM);
	assert_int_equal(in_sandbox(connect_by_messages), -EPERM);
	assert_int_equal(in_sandbox(give_its_secret_away), -EPERM);
	assert_int_equal(in_sandbox(open_a_socket), -EPERM);
	assert_int_equal(in_sandbox(listen_elsewhere), -EPERM);
	assert_int_equal(in_sandbox(execute), -EPERM);
	assert_int_equal(in_sandbox(signal_its_parent), -EPERM);
	assert_int_equal(in_sandbox(have_its_parent_signalled), -EPERM);
	assert_int_equal(in_sandbox(choose_the_signal), -EPERM);
	assert_int_equal(in_sandbox(limit_its_parent), -EPERM);
	assert_int_equal(in_sandbox(watch_its_parent), -EPERM);
	assert_int_equal(in_sandbox(be_another), -EPERM);
	assert_int_equal(in_sandbox(hide), -EPERM);
}

#ifndef INSTRUMENTED

static int start_a_process(void)
{
	return result(fork());
}

static int start_one_by_clone3(void)
{
	uint64_t arguments[8] = { 0 };

	return result(syscall(SYS_clone3, arguments, sizeof(arguments)));
}

static int trace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 0;
	return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int read_a_secret(void)
{
	return result(open(secret, O_RDONLY | O_CLOEXEC));
}

static int read_passwords(void)
{
	return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int write_beside_its_config(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/etc/more.conf", directory);
	return result(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int write_its_config(void)
{
	return result(open(config, O_WRONLY | O_CLOEXEC));
}

static int use_what_is_new(void)
{
	return result(syscall(SYS_io_uring_enter, 0, 0, 0, 0, NULL, 0));
}

/* In a build that is watched from inside, what watches needs these. */
static void test_no_process_and_no_file(void **ignored)
{
	assert_int_equal(in_sandbox(start_a_process), -ENOSYS);
	assert_int_equal(in_sandbox(start_one_by_clone3), -ENOSYS);
	assert_int_equal(in_sandbox(trace), -EPERM);
	assert_int_equal(in_sandbox(make_code), -ENOSYS);
	assert_int_equal(in_sandbox(read_a_secret), -EACCES);
	assert_int_equal(in_sandbox(read_passwords), -EACCES);
	assert_int_equal(in_sandbox(write_beside_its_config), -EACCES);
	assert_int_equal(in_sandbox(write_its_config), -EACCES);
	assert_int_equal(in_sandbox(use_what_is_new), -ENOSYS);
}

#endif

/* --- what it is ------------------------------------------------------------------------------ */

static int look_at_itself(void)
{
	char line[256];
	int found = 0;
	FILE *f = fopen("/proc/self/status", "r");

	/* Opened before, or there would be nothing to see. */
	if (!f || enter() < 0)
		return -EIO;
	while (fgets(line, sizeof(line), f)) {
		unsigned long long value;

		if (sscanf(line, "CapEff: %llx", &value) == 1)
			found += (value & ~(1ULL << 1)) == 0; /* CAP_DAC_OVERRIDE */
		else if (sscanf(line, "CapBnd: %llx", &value) == 1)
			found += geteuid() != 0 || value == 0;
		else if (sscanf(line, "NoNewPrivs: %llx", &value) == 1)
			found += value == 1;
		else if (sscanf(line, "Seccomp: %llx", &value) == 1)
			found += value == 2;
	}
	return found == 4 ? 0 : -EINVAL;
}

static void test_no_privilege_is_left(void **ignored)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(-look_at_itself());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_a_user_that_is_not_there(void **ignored)
{
	const struct sandbox_settings settings = { .mode = SANDBOX_AUTO, .user = "no-such-user" };
	struct error e;

	assert_int_equal(sandbox_enter(&settings, &e), -EINVAL);
	assert_non_null(strstr(e.text, "no-such-user"));
}

static int become_nobody(void)
{
	struct identity identity;
	struct error e;
	int signo = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || identity_find("nobody", &identity, &e) < 0 ||
	    identity_become(&identity, &e) < 0)
		return -EIO;
	if (geteuid() == 0 || getegid() == 0 || getuid() != geteuid() || setuid(0) == 0)
		return -EINVAL;
	/* The kernel clears it with a change of user. */
	return prctl(PR_GET_PDEATHSIG, &signo) == 0 && signo == SIGKILL ? 0 : -ESRCH;
}

static void test_another_user(void **ignored)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(-become_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_its_work_goes_on),
		cmocka_unit_test(test_no_way_out),
#ifndef INSTRUMENTED
		cmocka_unit_test(test_no_process_and_no_file),
#endif
		cmocka_unit_test(test_no_privilege_is_left),
		cmocka_unit_test(test_a_user_that_is_not_there),
		cmocka_unit_test(test_another_user),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
