"""The table of children, read from its file as it lies in the run directory."""

import os
import subprocess

STATES = ("none", "forked", "running", "exited")
FLAGS = {"daemon": 1 << 0, "adopted": 1 << 1, "cgroup": 1 << 4}


class Children:
    def __init__(self, builddir, run_directory):
        self.path = run_directory / "children"
        self.layout = {}
        shown = subprocess.run([builddir / "test-table-layout"], capture_output=True, text=True,
                               check=True)
        for line in shown.stdout.splitlines():
            name, offset, size = line.split()
            self.layout[name] = int(offset), int(size)

    def number(self, data, name):
        offset, size = self.layout[name]
        return int.from_bytes(data[offset:offset + size], "little")

    def slot(self, data):
        offset, size = self.layout["slot.child.name"]
        name = data[offset:offset + size].split(b"\0")[0].decode()
        flags = self.number(data, "slot.child.flags")
        return name, {
            "state": STATES[self.number(data, "slot.child.state")],
            "pid": self.number(data, "slot.child.pid"),
            "instance": self.number(data, "slot.child.instance"),
            "inode": self.number(data, "slot.pidfs_inode"),
            "ticks": self.number(data, "slot.start_ticks"),
            **{flag: bool(flags & bit) for flag, bit in FLAGS.items()},
        }

    def read(self):
        """{name: slot} of all that are in use."""
        start, size = self.layout["slots"][0], self.layout["slot"][1]
        with open(self.path, "rb") as file:
            head = file.read(start)
            used = self.number(head, "used_slots")
            slots = (self.slot(file.read(size)) for _ in range(used))
            return {name: slot for name, slot in slots if name}

    def forget_identity(self, name):
        """As if fosterd had been killed before it took it down; while none runs."""
        start, size = self.layout["slots"][0], self.layout["slot"][1]
        with open(self.path, "r+b") as file:
            for i in range(self.number(file.read(start), "used_slots")):
                file.seek(start + i * size)
                if self.slot(file.read(size))[0] == name:
                    for field in ("slot.pidfs_inode", "slot.start_ticks"):
                        file.seek(start + i * size + self.layout[field][0])
                        file.write(bytes(self.layout[field][1]))


def is_of(slot, pid, ticks):
    """Whether the identity in the slot is that process's own."""
    if not slot["inode"]:
        return slot["ticks"] == ticks
    fd = os.pidfd_open(pid)
    try:
        return os.fstat(fd).st_ino == slot["inode"]
    finally:
        os.close(fd)
