#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Measures foster beside a bare C loop and the supervisors that are installed; README.md says
what each row means. All are measured in turns within one run: only ratios to the limit of the
same run mean anything, on a machine that does other work, too.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import time

import processes
import supervisors

RECORD = struct.Struct("=IIQ")
NSEC = 10**9


class NotDone(Exception):
    """A row that did not end before its deadline."""


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Run:
    """One supervisor with its services, from its start to the end of the last process."""

    def __init__(self, kind, options, count):
        self.options = options
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="foster-bench-", dir=options.directory))
        self.directory.chmod(0o755)
        self.supervisor = kind(options.builddir, self.directory, count)
        self.count = count
        self.pid = None
        self.environment = supervisors.environment(options.builddir)
        pathlib.Path(self.supervisor.record).touch()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        ended = processes.end_all()
        if ended:
            self.supervisor.clean_up()
        shutil.rmtree(self.directory, ignore_errors=True)
        if not ended:
            sys.exit(f"{self.supervisor.name}: processes are left that do not end")

    def spawn(self, command, output):
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                   (os.POSIX_SPAWN_DUP2, 1, 2)]
        return os.posix_spawnp(command[0], command, self.environment, file_actions=actions)

    # --- the services' records -------------------------------------------------------------

    def started(self):
        return os.stat(self.supervisor.record).st_size // RECORD.size

    def records(self):
        data = pathlib.Path(self.supervisor.record).read_bytes()
        data = data[:len(data) - len(data) % RECORD.size]
        return [(pid, nsec) for pid, _, nsec in RECORD.iter_unpack(data)]

    def wait_started(self, count, every=0.0005):
        """Waits until so many services have exec'd in all. The looks themselves must not cost
        much: the machine has few cores."""
        deadline = time.monotonic() + self.options.deadline
        while self.started() < count:
            if time.monotonic() > deadline:
                raise NotDone
            time.sleep(every)
        return self.records()

    def living(self):
        """The services' pids that live, oldest first."""
        return [pid for pid, _ in self.records()
                if self.supervisor.is_service(processes.executable(pid))]

    def own(self):
        """The processes that the supervisor needs: all but the services."""
        return [pid for pid in [self.pid, *processes.descendants_of(self.pid)]
                if not self.supervisor.is_service(processes.executable(pid))]

    # --- the rows --------------------------------------------------------------------------

    def cold_start(self):
        """ms from the supervisor's exec until the last service has exec'd."""
        begin = now()
        self.pid = self.spawn(self.supervisor.command(), str(self.supervisor.output))
        records = self.wait_started(self.count, every=0.01)
        return (max(nsec for _, nsec in records) - begin) / 1e6

    def settle(self):
        """Until it has nothing to do any more: two looks without any activity."""
        deadline = time.monotonic() + self.options.deadline
        before = None
        while True:
            after = self.total_activity()
            if after == before or time.monotonic() > deadline:
                return
            before = after
            time.sleep(0.5)

    def total_activity(self):
        each = [processes.activity(pid) for pid in self.own()]
        return sum(a for a, _ in each), sum(b for _, b in each)

    def memory(self):
        """kB of PSS."""
        return sum(processes.pss_kb(pid) for pid in self.own())

    def idle(self):
        """(context switches, ms of CPU) in the time given."""
        before = self.total_activity()
        time.sleep(self.options.idle_seconds)
        after = self.total_activity()
        return after[0] - before[0], (after[1] - before[1]) / 1e6

    def status(self):
        """ms of the whole command, median."""
        command, times = self.supervisor.status(), []
        if not command:
            return None
        for _ in range(self.options.repeat):
            begin = now()
            pid = self.spawn(command, "/dev/null")
            _, status = os.waitpid(pid, 0)
            times.append((now() - begin) / 1e6)
            if status != 0:
                raise NotDone
            if sum(times) > 5000:
                break
        return statistics.median(times)

    def restart(self):
        """ms from SIGKILL until the successor has exec'd, median."""
        times = []
        repeat = 5 if self.supervisor.restarts_late else self.options.repeat * 2
        for pid in self.living()[:repeat]:
            before = self.started()
            begin = now()
            os.kill(pid, signal.SIGKILL)
            records = self.wait_started(before + 1)
            times.append((records[before][1] - begin) / 1e6)
        return statistics.median(times)

    def burst(self):
        """ms from the first of many SIGKILLs until all successors have exec'd."""
        # The oldest: those of the last row have just been restarted, and may have to wait.
        victims = self.living()[:self.count // 5]
        before = self.started()
        begin = now()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        records = self.wait_started(before + len(victims), every=0.005)
        return (max(nsec for _, nsec in records[before:]) - begin) / 1e6


ROWS = ("cold start", "restart", "burst", "memory", "memory/service", "status", "idle switches",
        "idle CPU")
BASELINES = {kind.name: kind.baseline for kind in supervisors.ALL}
UNITS = {"memory": "kB", "memory/service": "kB", "idle switches": "", "idle CPU": "ms"}


class Results:
    def __init__(self):
        self.values = {}

    def add(self, row, name, value):
        if value is not None:
            self.values.setdefault(row, {}).setdefault(name, []).append(value)

    def median(self, row, name):
        values = [v for v in self.values.get(row, {}).get(name, []) if v != "not done"]
        return statistics.median(values) if values else None

    def cell(self, row, name):
        value, limit = self.median(row, name), self.median(row, BASELINES[name])
        if value is None:
            return "not done" if self.values.get(row, {}).get(name) else "-"
        text = f"{value:.{0 if value >= 1000 else 1 if value >= 100 else 2}f}"
        with_ratio = limit and not row.startswith(("memory", "idle", "status"))
        return f"{text} ({value / limit:.2f})" if with_ratio and name not in BASELINES.values() else text

    def table(self, names):
        lines = ["| what | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
        for row in self.values:
            unit = UNITS.get(row, "ms")
            lines.append(f"| {row}{', ' + unit if unit else ''} | " +
                         " | ".join(self.cell(row, name) for name in names) + " |")
        return "\n".join(lines)

    def to_json(self):
        return {row: {name: {"median": self.median(row, name), "values": values}
                      for name, values in cells.items()} for row, cells in self.values.items()}


def measured(results, row, name, measure):
    """Adds what measure() gives; a row that is not done ends this supervisor's turn."""
    try:
        value = measure()
    except NotDone:
        results.add(row, name, "not done")
        raise
    if row != "idle":
        results.add(row, name, value)
        return value
    results.add("idle switches", name, value[0])
    results.add("idle CPU", name, value[1])
    return value


def one_turn(kind, options, results, first):
    with Run(kind, options, options.services) as run:
        measured(results, "cold start", kind.name, run.cold_start)
        run.settle()
        memory = measured(results, "memory", kind.name, run.memory)
        if first and options.idle_seconds > 0:
            measured(results, "idle", kind.name, run.idle)
        measured(results, "status", kind.name, run.status)
        measured(results, "restart", kind.name, run.restart)
        measured(results, "burst", kind.name, run.burst)
    return memory


def memory_per_service(kind, options, results, memory):
    few = max(options.services // 10, 1)
    with Run(kind, options, few) as run:
        run.cold_start()
        run.settle()
        results.add("memory/service", kind.name, (memory - run.memory()) / (options.services - few))


def all_rows(kinds, options, results):
    for turn in range(options.rounds):
        for kind in kinds:
            say(f"round {turn + 1} of {options.rounds}: {kind.name}")
            try:
                memory = one_turn(kind, options, results, turn == 0)
                if turn == 0:
                    memory_per_service(kind, options, results, memory)
            except NotDone:
                say(f"{kind.name}: not done in {options.deadline} s")


def growth(options, results):
    for count in options.growth:
        for turn in range(options.rounds):
            for kind in (supervisors.Limit, supervisors.Foster):
                say(f"growth, {count} services, round {turn + 1}: {kind.name}")
                try:
                    with Run(kind, options, count) as run:
                        measured(results, f"cold start of {count}", kind.name, run.cold_start)
                except NotDone:
                    say(f"{kind.name}: not done in {options.deadline} s")


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_options():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--builddir", type=pathlib.Path, default=pathlib.Path.cwd(),
                   help="where fosterd and bench-service are")
    p.add_argument("-n", "--services", type=int, default=1000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--repeat", type=int, default=10, help="of status; twice that of restart")
    p.add_argument("--only", help="names with commas; the limit is always measured")
    p.add_argument("--growth", default="2000,5000,10000", help="numbers with commas; '' for none")
    p.add_argument("--idle-seconds", type=float, default=20)
    p.add_argument("--deadline", type=float, default=60, help="seconds for each row")
    p.add_argument("--directory", type=pathlib.Path,
                   default="/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
                   help="where the private directories are made; in memory, as /run is")
    p.add_argument("--json", type=pathlib.Path, help="also write all values there")
    o = p.parse_args()
    o.builddir = o.builddir.resolve()
    o.growth = [int(n) for n in o.growth.split(",") if n]
    return o


def choose(options):
    wanted = options.only.split(",") if options.only else [k.name for k in supervisors.ALL]
    kinds = []
    for kind in supervisors.ALL:
        missing = kind.missing(options.builddir)
        if kind.name not in wanted and kind.name not in {BASELINES.get(name) for name in wanted}:
            continue
        if missing or (kind.maximum and options.services > kind.maximum):
            say(f"{kind.name} is left out: "
                + (f"no {', '.join(missing)}" if missing else f"at most {kind.maximum} services"))
            continue
        kinds.append(kind)
    return kinds


def main():
    options = parse_options()
    kinds = choose(options)
    results = Results()
    processes.become_subreaper()
    try:
        all_rows(kinds, options, results)
        growth(options, results)
    finally:
        # An interrupted run shows what it has.
        processes.end_all()
        print(results.table([kind.name for kind in kinds]))
        if options.json:
            options.json.write_text(json.dumps(results.to_json(), indent=1) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
