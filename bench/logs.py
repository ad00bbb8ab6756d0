#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Measures loggers: how many MB of 100-byte lines a second they take from a writer that has nothing
else to do, and whether all lines are there at the end. All in turns within one run: README.md says
how to read it.
"""

import argparse
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import processes

LINE = 100


class Logger:
    name = ""
    needs = ()

    def __init__(self, options, directory, stamps):
        self.options, self.directory, self.stamps = options, directory, stamps
        self.result = directory / "result"
        self.writer = [str(options.builddir / "bench-lines"), "write", str(options.bytes),
                       str(self.result)]

    def run(self):
        """Until the writer has ended and all that it wrote is in files."""
        raise NotImplementedError

    def files(self):
        raise NotImplementedError

    def lines(self):
        total = 0
        for path in self.files():
            with open(path, "rb") as f:
                while block := f.read(1 << 20):
                    total += block.count(b"\n")
        return total

    def seconds(self):
        return int(self.result.read_text()) / 1e9


class Piped(Logger):
    """Its standard input is the pipe."""

    def command(self):
        raise NotImplementedError

    def run(self):
        writer = subprocess.Popen(self.writer, stdout=subprocess.PIPE)
        logger = subprocess.Popen(self.command(), stdin=writer.stdout, cwd=self.directory)
        writer.stdout.close()
        if writer.wait() != 0 or logger.wait() != 0:
            raise RuntimeError(f"{self.name} failed")

    def files(self):
        return [p for p in (self.directory / "log").iterdir()
                if p.is_file() and p.name not in ("config", "lock", "state")]


class Limit(Piped):
    name = "limit"

    def command(self):
        (self.directory / "log").mkdir()
        return [str(self.options.builddir / "bench-lines"), "stamp" if self.stamps else "copy",
                str(self.directory / "log")]


class S6(Piped):
    name = "s6"
    needs = ("s6-log",)

    def command(self):
        return ["s6-log", "-b", "n10", "s50000000", *(["T"] if self.stamps else []), "./log"]


class Runit(Piped):
    name = "runit"
    needs = ("svlogd",)

    def command(self):
        (self.directory / "log").mkdir()
        (self.directory / "log" / "config").write_text("s50000000\nn10\n")
        return ["svlogd", *(["-ttt"] if self.stamps else []), "./log"]


class Daemontools(Piped):
    name = "daemontools"
    needs = ("multilog",)

    def command(self):
        size = ["s16777215", "n40"]  # larger is refused
        return ["multilog", *(["t"] if self.stamps else []), *size, "./log"]


class Supervised(Logger):
    """The supervisor starts the writer itself, and is told to end when that has."""

    def run(self):
        with open(self.directory / "output", "wb") as out:
            supervisor = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, cwd=self.directory)
        deadline = time.monotonic() + self.options.deadline
        while not (self.result.exists() and self.result.read_text().endswith("\n")):
            if time.monotonic() > deadline or supervisor.poll() is not None:
                break
            time.sleep(0.01)
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(self.options.deadline)
        if not self.result.exists():
            raise RuntimeError(f"{self.name} is not done:\n"
                               + (self.directory / "output").read_text())


class Foster(Supervised):
    name = "foster"
    needs = ()

    def command(self):
        words = ", ".join(f'"{word}"' for word in self.writer)
        (self.directory / "foster.conf").write_text(
            f'log-directory = "{self.directory}/log"\n'
            f"service w {{ command = {{{words}}} restart = no log-size = 50000000 log-keep = 10 "
            f"log-timestamps = {'utc' if self.stamps else 'no'} }}\n")
        return [str(self.options.builddir / "fosterd"), "-c", str(self.directory / "foster.conf"),
                "--run-directory", str(self.directory / "run")]

    def files(self):
        return list((self.directory / "log").iterdir())


class Supervisord(Supervised):
    name = "supervisor"
    needs = ("supervisord",)

    def command(self):
        (self.directory / "supervisord.conf").write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={self.directory}/supervisord.log\n"
            f"pidfile={self.directory}/pid\n"
            f"[program:w]\ncommand={' '.join(self.writer)}\nstartsecs=0\nautorestart=false\n"
            f"stdout_logfile={self.directory}/w.log\nstdout_logfile_maxbytes=50MB\n"
            "stdout_logfile_backups=10\n")
        return ["supervisord", "-c", str(self.directory / "supervisord.conf")]

    def files(self):
        return list(self.directory.glob("w.log*"))


PLAIN = (Limit, Foster, Supervisord, S6, Runit, Daemontools)
STAMPED = (Limit, Foster, S6, Daemontools, Runit)  # supervisord writes no times


def measure(kind, options, stamps):
    """MB a second, and how many lines are missing."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="foster-bench-", dir=options.directory))
    try:
        logger = kind(options, directory, stamps)
        logger.run()
        return options.bytes / 1e6 / logger.seconds(), options.bytes // LINE - logger.lines()
    finally:
        processes.end_all()
        shutil.rmtree(directory, ignore_errors=True)


def table(title, kinds, values):
    print(f"| {title} | MB/s | of the limit | lines missing |\n|---|---|---|---|")
    limit = statistics.median(speed for speed, _ in values[Limit])
    for kind in kinds:
        speed = statistics.median(speed for speed, _ in values[kind])
        missing = max(missing for _, missing in values[kind])
        print(f"| {kind.name} | {speed:.0f} | {speed / limit:.2f} | {missing} |")
    print()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--builddir", type=pathlib.Path, default=pathlib.Path.cwd())
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--bytes", type=int, default=400_000_000)
    p.add_argument("--deadline", type=float, default=120)
    p.add_argument("--only", help="names with commas; the limit is always measured")
    p.add_argument("--directory", type=pathlib.Path,
                   default="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    options = p.parse_args()
    options.builddir = options.builddir.resolve()
    options.bytes -= options.bytes % LINE
    wanted = options.only.split(",") if options.only else None
    processes.become_subreaper()
    for title, kinds, stamps in (("plain", PLAIN, False), ("with times", STAMPED, True)):
        kinds = [k for k in kinds if all(shutil.which(need) for need in k.needs)
                 and (not wanted or k is Limit or k.name in wanted)]
        values = {kind: [] for kind in kinds}
        for turn in range(options.rounds):
            for kind in kinds:
                print(f"{title}, round {turn + 1}: {kind.name}", file=sys.stderr, flush=True)
                values[kind].append(measure(kind, options, stamps))
        table(title, kinds, values)


if __name__ == "__main__":
    main()
