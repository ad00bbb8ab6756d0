"""System calls that the kernel refuses, as an old one, or a container's filter, would."""

import ctypes
import errno
import os
import platform
import struct

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06

# Of these the numbers are the same on every architecture: all are newer than the common table.
CALLS = {"pidfd_send_signal": 424, "pidfd_open": 434, "clone3": 435, "close_range": 436,
         "landlock_create_ruleset": 444}
OLD_CALLS = {"x86_64": {"fstatfs": 138, "ioctl": 16, "prctl": 157, "seccomp": 317},
             "aarch64": {"fstatfs": 44, "ioctl": 29, "prctl": 167, "seccomp": 277}}
FIRST_ARGUMENT, SECOND_ARGUMENT = 16, 24  # in struct seccomp_data, the lower half on a little-endian machine
PIDFD_GET_INFO = 0xC040FF0B
# One request of a call: where in its arguments it stands.
REQUESTS = {"PIDFD_GET_INFO": ("ioctl", SECOND_ARGUMENT, PIDFD_GET_INFO),
            "PR_SET_SECCOMP": ("prctl", FIRST_ARGUMENT, PR_SET_SECCOMP)}

# Linux before 6.9: all pidfds share one inode, and tell nothing of an end.
PIDFS = ["fstatfs", "PIDFD_GET_INFO"]
SECCOMP = ["seccomp", "PR_SET_SECCOMP"]


def number_of(call):
    return CALLS.get(call) or OLD_CALLS[platform.machine()][call]


def has_own_pid_max():
    """Whether /proc/sys/kernel/pid_max is the PID namespace's own: else it is everybody's."""
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    return os.geteuid() == 0 and release >= (6, 14)


def refuse(calls, code=errno.ENOSYS):
    """For preexec_fn: from now on these calls fail so, here and in all that descends from us."""
    refusal = (RETURN, 0, 0, SECCOMP_RET_ERRNO | code)
    program = [(LOAD_WORD, 0, 0, 0)]
    for call in calls:
        if call in REQUESTS:
            whole_call, argument, request = REQUESTS[call]
            program += [(JUMP_EQUAL, 0, 4, number_of(whole_call)), (LOAD_WORD, 0, 0, argument),
                        (JUMP_EQUAL, 0, 1, request), refusal, (LOAD_WORD, 0, 0, 0)]
        else:
            program += [(JUMP_EQUAL, 0, 1, number_of(call)), refusal]
    program.append((RETURN, 0, 0, SECCOMP_RET_ALLOW))
    packed = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(packed)
    fprog = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    # Without privileges a filter needs this; with them the test should keep set-user-ID.
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0)):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


CLONE_NEWUSER = 0x10000000


def own_user_namespace():
    """For preexec_fn: a user namespace of its own, in which root stays root."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for file, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
        with open(f"/proc/self/{file}", "w") as f:
            f.write(text)
