# SPDX-License-Identifier: MIT
"""What /proc tells of processes, and how to end a whole tree of them."""

import ctypes
import os
import signal
import time

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """Whatever is orphaned below becomes our child: so nothing can be left behind unseen."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(child) for child in f.read().split()]
    except OSError:
        return []


def descendants_of(pid):
    found, todo = [], [pid]
    while todo:
        children = children_of(todo.pop())
        found += children
        todo += children
    return found


def executable(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def pss_kb(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return next((int(line.split()[1]) for line in f if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def activity(pid):
    """(context switches, CPU in ns) of all threads of pid so far."""
    switches = nsec = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as f:
                switches += sum(int(line.split()[1]) for line in f if "ctxt_switches:" in line)
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                nsec += int(f.read().split()[0])
    except OSError:
        pass
    return switches, nsec


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def end_all(seconds=30):
    """
    Ends all that descends from this process: supervisors before services, or they would be
    started again. True when nothing is left.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # The order is that of the tree: parents first. Stopped first, so that none starts
        # another while its siblings are being ended.
        left = [pid for pid in descendants_of(os.getpid()) if not is_zombie(pid)]
        parents = [pid for pid in left if children_of(pid)]
        for signo, pids in ((signal.SIGSTOP, parents), (signal.SIGKILL, left)):
            for pid in pids:
                try:
                    os.kill(pid, signo)
                except ProcessLookupError:
                    pass
        reap()
        if not children_of(os.getpid()):
            return True
        time.sleep(0.01)
    return False
