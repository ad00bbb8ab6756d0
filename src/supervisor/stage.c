/* SPDX-License-Identifier: MIT */
/* Descriptors of children on their way: see stage.h. */
#include "supervisor/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

#define RESERVE_FIRST 4096 /* numbers; the kernel keeps 8 bytes for each */

static int take_own_table(unsigned first)
{
	return syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_UNSHARE) < 0 ? -errno : 0;
}

bool stage_supported(void)
{
	return take_own_table(~0U) == 0; /* no descriptor has that number, and nobody shares */
}

void stage_reserve(int fd)
{
	static int reserved;
	int wanted = reserved ? reserved : RESERVE_FIRST, top;

	while (wanted / 4 * 3 <= fd)
		wanted *= 2;
	if (wanted == reserved)
		return;
	/* Above the limit of open descriptors there is nothing to reserve. */
	top = fcntl(fd, F_DUPFD_CLOEXEC, wanted - 1);
	fd_close(top);
	reserved = wanted;
}

int stage_take(struct stage *stage, int fd)
{
	if (fd < 0 || fd >= FD_BASE)
		return -EMFILE;
	stage->numbers[fd / 64] |= UINT64_C(1) << fd % 64;
	return 0;
}

int stage_copy(struct stage *stage, int fd, int first)
{
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, first);

	if (copy < 0)
		return fd < 0 ? -EBADF : -errno;
	if (stage_take(stage, copy) < 0) {
		fd_close(copy);
		return -EMFILE;
	}
	return copy;
}

void stage_clear(struct stage *stage)
{
	for (unsigned i = 0; i < FD_BASE / 64; i++) {
		for (; stage->numbers[i]; stage->numbers[i] &= stage->numbers[i] - 1)
			fd_close(i * 64 + __builtin_ctzll(stage->numbers[i]));
	}
}

int stage_leave(void)
{
	return take_own_table(FD_BASE);
}
