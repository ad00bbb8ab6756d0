"""Kills logger, manager and supervisor at random while a service writes numbered lines as fast as
it can, and looks whether each number is in its log, once and as a whole line.

What is done follows from the seed alone; when it happens does not.
"""

import argparse
import ctypes
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from foster import Foster, alive, until  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
ASKING = (OSError, http.client.HTTPException, ValueError)
ROTATED = re.compile(r"\.\d{8}T\d{6}\.\d{6}Z(\.gz|\.zst)?$")


def processes_named(name, mark):
    """Those of this run only."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if pathlib.Path(f"/proc/{entry}/comm").read_text() == f"{name}\n" and \
                    mark in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                found.append(int(entry))
        except OSError:
            continue
    return found


def size_of(path):
    """0 for one that has been rotated away meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Checker:
    """Reads the log's files in their order; those that were rotated away are removed when read."""

    def __init__(self, builddir, directory, name):
        self.command = [str(builddir / "test-lines"), "check"]
        self.directory, self.name = directory, f"{name}.log"
        self.next = self.repeated = self.torn = self.size = 0

    def rotated(self):
        return sorted(p for p in self.directory.glob(f"{self.name}.*") if ROTATED.search(p.name))

    def check(self, path):
        with path.open("rb") as f:
            done = subprocess.run([*self.command, str(self.next)], stdin=f, capture_output=True,
                                  text=True)
        assert done.returncode == 0, f"{path}: {done.stderr}{self.around(path, done.stderr)}"
        self.next, repeated, torn = map(int, done.stdout.split())
        self.repeated, self.torn = self.repeated + repeated, self.torn + torn
        self.size += path.stat().st_size

    def around(self, path, complaint):
        """The lines before and behind the one that should not be there."""
        follows = complaint.split()[-2].encode().rjust(12, b"0")
        data = path.read_bytes()
        at = data.find(b"N" + follows)
        return f"...{data[max(at - 80, 0):at]!r} {data[at:at + 40]!r}..."

    def check_rotated(self):
        for path in self.rotated():
            self.check(path)
            path.unlink()

    def check_all(self):
        self.check_rotated()
        self.check(self.directory / self.name)


class LogChaos:
    """kinds: what may be done in a round."""

    KINDS = ("logger", "logger", "manager", "supervisor", "all", "leave", "reopen")

    def __init__(self, builddir, directory, seed, options=""):
        self.random = random.Random(seed)
        self.mark = f"FOSTER_TEST={os.environ['FOSTER_TEST']}".encode()
        self.result = directory / "result"
        self.foster = Foster(builddir, directory / "f", (
            f'service writer {{ command = {{"{builddir}/test-lines", "write", "{self.result}", '
            f'"{seed}"}} restart = no stop-timeout = "20s" log-size = "8M" log-keep = 10000 '
            f"{options} }}\n"))
        self.foster.wait_up()
        self.checker = Checker(builddir, self.foster.run / "log", "writer")
        self.pid = self.foster.wait_state("writer", "running")["pid"]
        self.counts = {}

    def loggers(self):
        return processes_named("foster-log", self.mark)

    def kill(self, pids):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def managers(self):
        return processes_named("foster-manager", self.mark)

    def restart_supervisor(self):
        self.foster.process.wait(10)
        self.foster.start().wait_up()

    def do(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == "logger":
            self.kill(self.loggers())
        elif kind == "manager":
            self.kill(self.managers())
        elif kind == "supervisor":
            self.kill([self.foster.pid])
            self.restart_supervisor()
        elif kind == "all":
            self.kill([self.foster.pid, *self.managers(), *self.loggers()])
            self.restart_supervisor()
        else:
            for pid in self.loggers():
                os.kill(pid, signal.SIGUSR1 if kind == "leave" else signal.SIGHUP)

    def goes_on(self):
        """Something new is written since the round began."""
        return self.total() > self.before

    def total(self):
        log = self.checker.directory / self.checker.name
        files = [*self.checker.rotated(), log]
        return sum(map(size_of, files)) + self.checker.size

    def round(self):
        os.kill(self.pid, signal.SIGCONT)
        time.sleep(self.random.uniform(0, 0.05))  # when it hits, not what is waited for
        kind = self.random.choice(self.KINDS)
        self.do(kind)
        self.before = self.total()
        until(self.goes_on, f"after {kind} the log goes on", 20)
        assert alive(self.pid), f"after {kind} the service is gone"
        os.kill(self.pid, signal.SIGSTOP)  # it writes faster than can be checked
        self.checker.check_rotated()

    def finish(self):
        """Ends the writer; every number it wrote must be there."""
        os.kill(self.pid, signal.SIGCONT)
        until(self.answers, "it answers", 20)
        assert self.foster.service_pid("writer") == self.pid
        self.foster.ctl("stop", "writer", check=0)
        written = int(self.result.read_text())
        self.foster.post("/v1/shutdown?all=1")
        self.foster.wait_end()
        self.checker.check_all()
        assert self.checker.next == written, f"{written - self.checker.next} lines are missing"
        assert (self.checker.repeated, self.checker.torn) == (0, 0), "lines are repeated or torn"
        return written

    def answers(self):
        try:
            return self.foster.answers()
        except ASKING:
            return False


def parse_options():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--builddir", type=pathlib.Path, default=pathlib.Path.cwd())
    p.add_argument("--rounds", type=int, default=1000)
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    p.add_argument("--directory", type=pathlib.Path, help="where its files are made")
    p.add_argument("--options", default="", help="of the service, as in its section")
    return p.parse_args()


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # and all that it made
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ["FOSTER_TEST"] = uuid.uuid4().hex
    begin = time.monotonic()
    print(f"seed {options.seed}, {options.rounds} rounds", flush=True)
    directory = tempfile.mkdtemp(prefix="foster-", dir=options.directory)  # kept when it fails
    os.chmod(directory, 0o755)
    chaos = LogChaos(options.builddir.resolve(), pathlib.Path(directory), options.seed,
                     options.options)
    c = chaos.checker
    try:
        for i in range(options.rounds):
            chaos.round()
            if (i + 1) % 100 == 0:
                print(f"{i + 1}: {c.next} lines, {c.repeated} repeated, {c.torn} torn", flush=True)
        written = chaos.finish()
    finally:
        chaos.foster.end()
        chaos.kill([chaos.pid, *chaos.loggers(), *chaos.managers()])
    shutil.rmtree(directory)
    print(f"{written} lines, {c.size >> 20} MiB; missing 0, repeated {c.repeated}, torn {c.torn}; "
          f"{time.monotonic() - begin:.0f} s; {chaos.counts}")


if __name__ == "__main__":
    main()
