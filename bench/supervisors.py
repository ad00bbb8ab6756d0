# SPDX-License-Identifier: MIT
"""
The supervisors that are measured: how each is given N services with a log each, how it is
started, and how it is asked for their status. A supervisor's files lie in a private directory.
"""

import os
import pathlib
import shutil


class Supervisor:
    name = ""
    needs = ()  # programs that must be there
    restarts_late = False  # waits a second before it restarts: measured fewer times
    maximum = None  # services it can have
    baseline = "limit"  # what it is compared with

    def __init__(self, builddir, directory, count):
        self.builddir = builddir
        self.directory = pathlib.Path(directory)
        self.count = count
        self.service = str(builddir / "bench-service")
        self.record = str(self.directory / "record")
        self.output = self.directory / "output"
        self.configure()

    @classmethod
    def missing(cls, builddir):
        return [need for need in cls.needs if not shutil.which(need)]

    def configure(self):
        """Writes what the supervisor reads."""

    def command(self):
        raise NotImplementedError

    def status(self):
        """The command that shows the state of all services; None: it has none."""
        return None

    def add_run_script(self, path, text):
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)

    def clean_up(self):
        """All of its processes are gone."""

    def is_service(self, executable):
        return executable == self.service


def cgroup_of_ours():
    """The cgroup v2 that we run in, as a directory; None: there is none."""
    own = [line[3:].rstrip("\n") for line in open("/proc/self/cgroup") if line.startswith("0::")]
    points = [line.split()[4] for line in open("/proc/self/mountinfo") if " - cgroup2 " in line]
    return pathlib.Path(points[0] + own[0]) if own and points else None


class Limit(Supervisor):
    name = "limit"

    def command(self):
        return [str(self.builddir / "bench-limit"), str(self.count), self.service, self.record]

    def status(self):
        return [str(self.builddir / "bench-limit"), "0"]


class LimitWithCgroups(Limit):
    name = "limit+cgroups"

    @classmethod
    def missing(cls, builddir):
        group = cgroup_of_ours()
        return [] if group and os.access(group, os.W_OK) else ["cgroup v2 that we may write to"]

    def configure(self):
        self.cgroup = cgroup_of_ours() / f"bench-{os.getpid()}"
        self.cgroup.mkdir()

    def command(self):
        return [*super().command(), str(self.cgroup)]

    def clean_up(self):
        for path in [*self.cgroup.glob("*/"), self.cgroup]:
            path.rmdir()


class Foster(Supervisor):
    name = "foster"
    cgroup = "no"

    def configure(self):
        services = "".join(f'service s{i} {{ command = {{"{self.service}", "{self.record}"}} }}\n'
                           for i in range(self.count))
        (self.directory / "foster.conf").write_text(
            f"cgroup = {self.cgroup}\ndefaults {{ daemon = true restart = always }}\n" + services)

    def command(self):
        return [str(self.builddir / "fosterd"), "-c", str(self.directory / "foster.conf"),
                "--run-directory", str(self.directory / "run")]

    def status(self):
        return [str(self.builddir / "fosterctl"), "--run-directory",
                str(self.directory / "run"), "status"]


class FosterWithCgroups(Foster):
    name = "foster+cgroups"
    baseline = "limit+cgroups"
    cgroup = "auto"
    missing = LimitWithCgroups.missing

    def clean_up(self):
        # It was killed, not ended: they are the next one's.
        for path in cgroup_of_ours().glob("foster-*[0-9a-f]"):
            if (self.directory / "run" / "cgroup").read_text() == str(path):
                for below in [*path.glob("*/"), path]:
                    below.rmdir()


class S6(Supervisor):
    name = "s6"
    needs = ("s6-svscan", "s6-log", "s6-svstat")
    restarts_late = True

    def configure(self):
        for i in range(self.count):
            directory = self.directory / "scan" / f"s{i}"
            self.add_run_script(directory / "run", f"#!{self.service} {self.record}\n")
            self.add_run_script(directory / "log" / "run",
                                "#!/bin/sh\nexec s6-log n10 s50000000 ./main\n")

    def command(self):
        return ["s6-svscan", "-c", str(3 * self.count + 10), str(self.directory / "scan")]

    def status(self):
        return ["/bin/sh", "-c", f'for d in {self.directory}/scan/*; do s6-svstat "$d"; done']


class Runit(Supervisor):
    name = "runit"
    needs = ("runsvdir", "svlogd", "sv")
    maximum = 1000  # runsvdir's own

    def configure(self):
        for i in range(self.count):
            directory = self.directory / "scan" / f"s{i}"
            self.add_run_script(directory / "run", f"#!{self.service} {self.record}\n")
            self.add_run_script(directory / "log" / "run",
                                "#!/bin/sh\nmkdir -p main\nexec svlogd ./main\n")

    def command(self):
        return ["runsvdir", str(self.directory / "scan")]

    def status(self):
        return ["/bin/sh", "-c", f"sv status {self.directory}/scan/*"]


class Supervisord(Supervisor):
    name = "supervisor"
    needs = ("supervisord", "supervisorctl")
    restarts_late = True

    def configure(self):
        head = (f"[unix_http_server]\nfile={self.directory}/socket\n"
                "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory="
                "supervisor.rpcinterface:make_main_rpcinterface\n"
                f"[supervisorctl]\nserverurl=unix://{self.directory}/socket\n"
                f"[supervisord]\nnodaemon=true\nminfds={4 * self.count + 100}\n"
                f"logfile={self.directory}/supervisord.log\n"
                f"pidfile={self.directory}/supervisord.pid\nchildlogdir={self.directory}\n")
        programs = "".join(
            f"[program:s{i}]\ncommand={self.service} {self.record}\nstartsecs=0\n"
            f"autorestart=true\nstdout_logfile={self.directory}/s{i}.log\n"
            "redirect_stderr=true\n"
            for i in range(self.count))
        (self.directory / "supervisord.conf").write_text(head + programs)

    def command(self):
        return ["supervisord", "-c", str(self.directory / "supervisord.conf")]

    def status(self):
        return ["supervisorctl", "-c", str(self.directory / "supervisord.conf"), "status"]


ALL = (Limit, LimitWithCgroups, Foster, FosterWithCgroups, S6, Runit, Supervisord)


def environment(builddir):
    """What a supervisor and its services are given: little, so that all copy the same."""
    return {"PATH": f"{builddir}:{os.environ.get('PATH', '/usr/bin:/bin')}", "LANG": "C.UTF-8"}
