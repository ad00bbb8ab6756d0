/* SPDX-License-Identifier: MIT */
/*
 * The service of the benchmark: bench-service FILE [...]. The first thing it does is to append
 * one record to FILE, so that the moment of its exec is known exactly whoever started it; then
 * it waits to be killed. Appending is atomic, and so the records need no lock.
 *
 * FILE is an argument and not in the environment: "#!bench-service FILE" is then a run script
 * for those supervisors that want one, with no shell between.
 *
 * It does without the C library where it can: on x86, glibc asks the processor about itself
 * before main, by CPUID, which every virtual machine traps. That took more time than all that
 * a supervisor does for a start, and would have hidden it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct record { /* bench.py reads it: "=IIQ" */
	uint32_t pid, reserved;
	uint64_t nsec; /* CLOCK_MONOTONIC */
};

#ifdef BENCH_BARE
static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}
#define PAUSE() call(SYS_pause, 0, 0, 0)
#else
#define PAUSE()               pause()
#define call(number, a, b, c) syscall(number, a, b, c)
#endif

static int serve(const char *path)
{
	struct record record = { 0 };
	struct timespec now;
	long fd;

	call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0);
	record.pid = call(SYS_getpid, 0, 0, 0);
	record.nsec = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	fd = call(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || call(SYS_write, fd, (long)&record, sizeof(record)) != sizeof(record))
		return 1;
	call(SYS_close, fd, 0, 0);
	for (;;)
		PAUSE();
}

#ifdef BENCH_BARE
/* The stack at entry: argc, then the pointers of argv (System V ABI, x86-64). */
__attribute__((used)) void bare_main(long *stack);
void bare_main(long *stack)
{
	call(SYS_exit_group, stack[0] > 1 ? serve((const char *)stack[2]) : 1, 0, 0);
	__builtin_unreachable();
}

__asm__(".globl _start\n"
	"_start:\n"
	"\tmov %rsp, %rdi\n"
	"\tand $-16, %rsp\n"
	"\tcall bare_main\n");
#else
int main(int argc, char **argv)
{
	return argc > 1 ? serve(argv[1]) : 1;
}
#endif
