/* SPDX-License-Identifier: MIT */
/*
 * PIDFD_GET_INFO, ioctl(2) on a pidfd, written down here because linux/pidfd.h of many build
 * machines lacks it: the first version of its structure (Linux 6.13; the kernel takes any size
 * from this one up), and the exit status in it (Linux 6.15).
 */
#ifndef FOSTER_BASE_PIDFD_INFO_H
#define FOSTER_BASE_PIDFD_INFO_H

#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

struct pidfd_info_v0 {
	uint64_t mask;
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_v0) == 64, "the kernel's PIDFD_INFO_SIZE_VER0");

#define PIDFD_INFO_V0_CALL  _IOWR(0xFF, 11, struct pidfd_info_v0)
#define PIDFD_INFO_EXIT_BIT (UINT64_C(1) << 3)

/*
 * The exit status, in waitpid(2)'s form, of a process that somebody has reaped. 0; -EAGAIN: none
 * yet, as it is not reaped or is just being reaped (POLLHUP of the pidfd comes after that; on
 * Linux 6.13 and 6.14 it stays so); or -ENODATA: this kernel never tells. Does not block.
 */
static inline int pidfd_info_exit(int pidfd, int *ret_status)
{
	struct pidfd_info_v0 info = { .mask = PIDFD_INFO_EXIT_BIT };

	/*
	 * ESRCH is told also when the process loses its pid while the kernel fills the rest in:
	 * then the status has been filed, and was not yet when the kernel looked for it.
	 */
	if (ioctl(pidfd, PIDFD_INFO_V0_CALL, &info) < 0)
		return errno == ESRCH ? -EAGAIN : -ENODATA;
	if (!(info.mask & PIDFD_INFO_EXIT_BIT))
		return -EAGAIN;
	*ret_status = info.exit_code;
	return 0;
}

#endif
