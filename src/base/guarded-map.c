/* SPDX-License-Identifier: MIT */
/* See guarded-map.h. */
#include "base/guarded-map.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t begin, end; /* of the map; 0: there is none */
static size_t page_size;

/* mmap() is a system call, and nothing else: a handler may make it. */
static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr & ~(uintptr_t)(page_size - 1);

	if (at < begin || at >= end ||
	    mmap((void *)at, page_size, PROT_READ | PROT_WRITE, // NOLINT: it came as a number
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		signal(SIGBUS, SIG_DFL); /* and it comes again */
}

void *guarded_map(int fd, size_t size)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return NULL;
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	begin = (uintptr_t)map;
	end = begin + size;
	sigaction(SIGBUS, &action, NULL);
	return map;
}

void guarded_unmap(void)
{
	if (end > begin)
		munmap((void *)begin, end - begin); // NOLINT: as above
	begin = end = 0;
}
