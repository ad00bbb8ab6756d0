"""What lives, as /proc tells."""

import os


class Process:
    def __init__(self, pid, fields, comm):
        self.pid, self.comm = pid, comm
        self.state, self.parent = fields[0], int(fields[1])
        self.group, self.session = int(fields[2]), int(fields[3])
        self.born = int(fields[19])
        self.service = self.instance = None

    def __str__(self):
        return (f"{self.pid} {self.comm} {self.state} parent {self.parent} group {self.group} "
                f"session {self.session} {self.service or '-'} {self.instance or ''}")


class Processes:
    """One look at all processes that bear the mark, and at the zombies among their children."""

    def __init__(self, mark, recycled):
        self.mark = f"FOSTER_TEST={mark}".encode()
        self.recycled = recycled  # pids may come again within one tick of the start time
        self.known = {}  # {(pid, born): (service, instance)}: an environment is read once

    def stat(self, pid):
        with open(f"/proc/{pid}/stat") as file:
            head, tail = file.read().rsplit(")", 1)
        return Process(pid, tail.split(), head.split("(", 1)[1])

    def find_name(self, p):
        """False for one that is not ours."""
        key = (p.pid, p.born)
        if key not in self.known:
            with open(f"/proc/{p.pid}/environ", "rb") as file:
                variables = file.read().split(b"\0")
            if self.mark not in variables:
                return False
            named = dict(v.split(b"=", 1) for v in variables if b"=" in v)
            name = named.get(b"FOSTER_SERVICE", b"").decode() or None
            instance = named.get(b"FOSTER_INSTANCE", b"").decode() or None
            if name and instance and p.comm != "fosterd" and not self.recycled:
                self.known[key] = name, instance
        else:
            name, instance = self.known[key]
        p.service, p.instance = name, instance
        return True

    def look(self):
        """{pid: Process} of those that live; zombies have no environment, and are all there."""
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                p = self.stat(int(entry))
                if p.pid != os.getpid() and (p.state in "ZX" or self.find_name(p)):
                    found[p.pid] = p
            except OSError:
                pass
        if len(self.known) > 5000:
            self.known.clear()
        return found


def of_services(found):
    """{service: {instance: [pid]}} of a look."""
    services = {}
    for p in found.values():
        if p.service and p.state not in "ZX" and not p.comm.startswith("foster"):
            services.setdefault(p.service, {}).setdefault(p.instance, []).append(p.pid)
    return services


def tree_text(found):
    below = {}
    for p in found.values():
        below.setdefault(p.parent if p.parent in found else 0, []).append(p)

    def lines(parent, depth):
        for p in sorted(below.get(parent, []), key=lambda p: p.pid):
            yield "  " * depth + str(p)
            yield from lines(p.pid, depth + 1)

    return "\n".join(lines(0, 0))
