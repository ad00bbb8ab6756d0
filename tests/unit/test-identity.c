/* SPDX-License-Identifier: MIT */
/*
 * How a process ended, told by its pidfd to one that is not its parent: as a zombie, after its
 * parent has reaped it, and while it is being reaped.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/pidfd-info.h"
#include "supervisor/identity.h"

/*
 * Linked with --wrap=ioctl, for the kernels that there are: any, one on which a pidfd tells no
 * exit status, and one that is asked while the process loses its pid. Then its parent reaps it.
 */
static enum {
	KERNEL_AS_IT_IS,
	KERNEL_OLD,
	KERNEL_BUSY
} kernel;
static pid_t zombie;
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (kernel == KERNEL_BUSY) {
		assert_int_equal(waitpid(zombie, NULL, 0), zombie);
		kernel = KERNEL_AS_IT_IS;
		errno = ESRCH;
		return -1;
	}
	if (kernel == KERNEL_OLD) {
		errno = ENOTTY;
		return -1;
	}
	return __real_ioctl(fd, request, arg);
}

/* A child that has ended with 7 or, for a signal, by that, and is not reaped. Its pidfd. */
static int ended(int signo)
{
	siginfo_t info;
	int fd;

	zombie = fork();
	assert_true(zombie >= 0);
	if (zombie == 0) {
		if (signo)
			raise(signo);
		_exit(7);
	}
	fd = identity_pidfd_open(zombie);
	assert_true(fd >= 0);
	assert_int_equal(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
	return fd;
}

static bool kernel_tells(void)
{
	int status, fd = ended(0), r;

	assert_int_equal(waitpid(zombie, NULL, 0), zombie);
	r = pidfd_info_exit(fd, &status);
	close(fd);
	return r == 0;
}

static void test_zombie(void **state)
{
	const int signals[] = { 0, SIGKILL };

	for (int i = 0; i < 4; i++) {
		int fd = ended(signals[i % 2]), status = -1, reaped;

		kernel = i < 2 ? KERNEL_AS_IT_IS : KERNEL_OLD;
		assert_int_equal(identity_exit_status(fd, zombie, &status), 0);
		assert_int_equal(waitpid(zombie, &reaped, 0), zombie);
		assert_int_equal(status, reaped);
		close(fd);
	}
	kernel = KERNEL_AS_IT_IS;
}

/* Where the kernel does not tell, nobody can. */
static void test_reaped(void **state)
{
	const bool tells = kernel_tells();

	for (int i = 0; i < 2; i++) {
		int fd = ended(SIGTERM), status = -1, reaped;

		assert_int_equal(waitpid(zombie, &reaped, 0), zombie);
		kernel = i == 0 ? KERNEL_AS_IT_IS : KERNEL_OLD;
		if (tells && kernel == KERNEL_AS_IT_IS) {
			assert_int_equal(identity_exit_status(fd, zombie, &status), 0);
			assert_int_equal(status, reaped);
		} else {
			assert_int_equal(identity_exit_status(fd, zombie, &status), -ENODATA);
		}
		close(fd);
	}
	kernel = KERNEL_AS_IT_IS;
}

static void test_being_reaped(void **state)
{
	const bool tells = kernel_tells();
	int fd = ended(0), status = -1;

	kernel = KERNEL_BUSY;
	assert_int_equal(identity_exit_status(fd, zombie, &status), tells ? 0 : -ENODATA);
	assert_int_equal(kernel, KERNEL_AS_IT_IS);
	assert_int_equal(status, tells ? 7 << 8 : -1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zombie),
		cmocka_unit_test(test_reaped),
		cmocka_unit_test(test_being_reaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
