"""Too few pids, too few descriptors: limits that are drawn tight around what is in use."""

import os
import pathlib
import resource


def pids_controller():
    """Where cgroups of the pids controller can be made, apart from those of foster; None: nowhere."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        point = fields.split()[4]
        if kind == "cgroup" and "pids" in options.split(",") and os.access(point, os.W_OK):
            return pathlib.Path(point)
    return None


class Pids:
    """For root a cgroup of its own; for another user the limit of his processes."""

    def __init__(self, mark):
        self.unprivileged = os.geteuid() != 0
        point = None if self.unprivileged else pids_controller()
        self.directory = point / f"foster-chaos-{mark}" if point else None
        if self.directory:
            self.directory.mkdir()

    def lacks(self):
        """What it would need, in words; None: nothing."""
        if self.unprivileged or self.directory:
            return None
        return "the pids controller of cgroup v1, or another user than root"

    def enter(self):
        """For preexec_fn."""
        if self.directory:
            (self.directory / "cgroup.procs").write_text("0")

    def squeeze(self, more, victims):
        if self.directory:
            used = int((self.directory / "pids.current").read_text())
            (self.directory / "pids.max").write_text(str(used + more))
        else:
            for pid in victims:
                set_limit(pid, resource.RLIMIT_NPROC, 1)

    def release(self, victims):
        if self.directory:
            (self.directory / "pids.max").write_text("max")
        else:
            for pid in victims:
                set_limit(pid, resource.RLIMIT_NPROC, None)

    def remove(self):
        if self.directory:
            self.directory.rmdir()


def set_limit(pid, which, soft):
    """The soft limit of a process; None: as much as the hard one allows."""
    try:
        hard = resource.prlimit(pid, which)[1]
        if soft is None:
            soft = hard
        elif hard != resource.RLIM_INFINITY:
            soft = min(soft, hard)
        resource.prlimit(pid, which, (soft, hard))
    except (ProcessLookupError, PermissionError):
        pass


def squeeze_descriptors(pid, more):
    """Numbers beyond the highest one in use: so many, and what holes there are below."""
    try:
        highest = max(map(int, os.listdir(f"/proc/{pid}/fd")))
    except (OSError, ValueError):
        return
    set_limit(pid, resource.RLIMIT_NOFILE, highest + 1 + more)


def release_descriptors(pid):
    set_limit(pid, resource.RLIMIT_NOFILE, None)
