"""The services that are injured: of both kinds, with trees, with needs, restarting, bombing."""

import os

SLEEP = ["/bin/sleep", "100000"]
SHORT = ["/bin/sh", "-c", "sleep 0.3; exit 1"]

UNARMED = ("daemon-changed", "daemon-away")  # the kernel has no death signal for these
BOMB = ["test-bomb", "150", "150"]  # processes, milliseconds


class Service:
    def __init__(self, name, command, daemon, options="", requires=()):
        self.name, self.command, self.daemon = name, command, daemon
        self.options, self.requires = options, requires
        self.restless = command is SHORT or command is BOMB  # it ends by itself
        self.file = None
        self.up = command is not BOMB  # wanted; None: a request was cut off, the status tells
        self.pid = self.born = None
        self.members = {}    # {pid: start time} of all that it told of
        self.hit = False     # in this round: its pid may change

    def text(self, f, description, daemon):
        command = self.command
        if command[0] == "test-tree":
            self.file = f.directory / f"tree-{self.name}"
            command = [*command, str(self.file)]
        if command[0].startswith("test-"):
            command = [str(f.builddir / command[0]), *command[1:]]
        words = ", ".join(f'"{word}"' for word in command)
        needs = "".join(f' requires = {{"{r}"}} after = {{"{r}"}}' for r in self.requires)
        return (f'service {self.name} {{ description = "{description}" command = {{{words}}} '
                f"daemon = {'true' if daemon else 'false'} {self.options or 'restart = always'} "
                'restart-delay = "5ms" restart-delay-max = "20ms" restart-limit = 0 '
                f'stop-timeout = "50ms"{needs} }}\n')

    def told(self):
        """What trees have written since the last look: [kind, pid] of each process."""
        lines = self.file.read_text().splitlines() if self.file and self.file.exists() else []
        return [line.split() for line in lines]

    def told_pids(self):
        return {int(pid) for _, pid in self.told()}

    def forget_told(self):
        """Else a process that is made in passing is taken for one that had its pid before."""
        if self.file:
            os.truncate(self.file, 0)


def make_services():
    made = []
    for kind, daemon in (("keep", False), ("daemon", True)):
        made += [
            Service(f"{kind}-plain", SLEEP, daemon),
            Service(f"{kind}-tree", ["test-tree"], daemon),
            Service(f"{kind}-ready", ["test-tree", "--ready"], daemon,
                    "restart = always ready = notify start-timeout = 5s"),
            Service(f"{kind}-away", ["test-tree", "--fork-away"], daemon,
                    "restart = always ready = forking start-timeout = 5s"),
            Service(f"{kind}-needs", SLEEP, daemon, requires=[f"{kind}-ready"]),
            Service(f"{kind}-needs-more", ["test-tree"], daemon, requires=[f"{kind}-needs"]),
        ]
    made.append(Service("turncoat", ["test-tree"], False))  # its kind changes with each reload
    made.append(Service("daemon-restarting", SHORT, True))
    made.append(Service("daemon-bomb", BOMB, True, "restart = no autostart = false"))
    if os.geteuid() == 0:
        made.append(Service("daemon-changed", ["test-tree", "--change-user"], True))
    return {s.name: s for s in made}


def config_text(f, services, version, cgroup):
    """Of that version: descriptions, a service that comes and goes, and a kind change with it."""
    some = list(services.values())
    if version % 2 == 0:
        some.append(Service("extra", SLEEP, False))
    return f"cgroup = {cgroup}\n" + "".join(
        s.text(f, f"version {version}", version % 3 == 0 if s.name == "turncoat" else s.daemon)
        for s in some)
