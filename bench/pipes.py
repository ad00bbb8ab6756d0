#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
Measures foster-log alone with few pipes and with many: what it costs at rest, what a line costs that
comes from one of them, and what a pipe takes in memory. What must not grow with the number of pipes
does not: README.md says how to read it.
"""

import argparse
import fcntl
import os
import pathlib
import resource
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time

import processes

OPEN, QUIT, SYNC, SYNCED = 1, 5, 8, 10  # base/logger.h
PACKET_MESSAGES = 32


class Logger:
    """It reads n pipes; the other ends are ours."""

    def __init__(self, options, directory, n):
        self.directory = directory
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen([str(options.builddir / "foster-log")], stdin=theirs,
                                        cwd=directory)
        theirs.close()
        self.writers = []
        for begin in range(0, n, PACKET_MESSAGES):
            self.open(range(begin, min(begin + PACKET_MESSAGES, n)))
        self.sync()

    def open(self, numbers):
        packet, readers = b"", []
        for number in numbers:
            reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            readers.append(reader)
            self.writers.append(writer)
            settings = struct.pack("=IIQQQQQQIIII", 0, 0, 50_000_000, 0, 0, 0, 0, 0, 10, 0o640,
                                   2**32 - 1, 2**32 - 1)
            texts = b"".join(text.encode() + b"\0" for text in
                             (f"service-{number}", str(self.directory), "", ""))
            body = settings + texts + b"\0" * (-(24 + len(settings) + len(texts)) % 8)
            packet += struct.pack("=IIIIQ", OPEN, 24 + len(body), number, 0, 0) + body
        socket.send_fds(self.ours, [packet], readers)
        for reader in readers:
            os.close(reader)

    def sync(self):
        """Until all that it was told is done."""
        self.ours.send(struct.pack("=IIIIQ", SYNC, 24, len(self.writers) - 1, 0, 0))
        if struct.unpack("=IIIIQ", self.ours.recv(100))[0] != SYNCED:
            raise RuntimeError("foster-log answers something else")

    def cpu(self):
        """Nanoseconds on a processor."""
        return processes.activity(self.process.pid)[1]

    def end(self):
        self.ours.send(struct.pack("=IIIIQ", QUIT, 24, 0, 0, 0))
        self.process.wait()
        self.ours.close()
        for writer in self.writers:
            os.close(writer)


def one_line(logger, turns):
    """CPU of one line from one pipe, waited for until it is in its file; us."""
    path = logger.directory / "service-0.log"
    before = logger.cpu()
    for turn in range(turns):
        os.write(logger.writers[0], b"x" * 99 + b"\n")
        while not path.exists() or path.stat().st_size < 100 * (turn + 1):
            pass
    return (logger.cpu() - before) / turns / 1000


def held(pipe):
    """Bytes that are in it."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def burst(logger):
    """A line from each pipe at once; us of CPU for each of them."""
    before = logger.cpu()
    for writer in logger.writers:
        os.write(writer, b"x" * 99 + b"\n")
    while any(map(held, logger.writers)):
        time.sleep(0.01)
    return (logger.cpu() - before) / len(logger.writers) / 1000


def measure(options, n):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="foster-bench-", dir=options.directory))
    logger = Logger(options, directory, n)
    try:
        pid = logger.process.pid
        result = {"pss": processes.pss_kb(pid), "line": one_line(logger, options.turns)}
        switches, cpu = processes.activity(pid)
        time.sleep(options.idle)
        result["switches"], result["idle"] = (
            now - then for now, then in zip(processes.activity(pid), (switches, cpu)))
        result["burst"] = burst(logger)
        return result
    finally:
        logger.end()
        shutil.rmtree(directory, ignore_errors=True)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--builddir", type=pathlib.Path, default=pathlib.Path.cwd())
    p.add_argument("--pipes", default="10,1000,10000", help="numbers with commas")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--turns", type=int, default=2000, help="lines from one pipe")
    p.add_argument("--idle", type=float, default=20, help="seconds")
    p.add_argument("--directory", type=pathlib.Path,
                   default="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    options = p.parse_args()
    options.builddir = options.builddir.resolve()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    numbers = [int(n) for n in options.pipes.split(",")]
    values = {n: [] for n in numbers}
    for turn in range(options.rounds):
        for n in numbers:
            print(f"round {turn + 1}: {n} pipes", file=sys.stderr, flush=True)
            values[n].append(measure(options, n))
    print(f"| pipes | switches, CPU in {options.idle:g} s at rest | a line from one, us | "
          "a line from each, us | PSS, kB |\n|---|---|---|---|---|")
    for n in numbers:
        median = {key: statistics.median(v[key] for v in values[n]) for key in values[n][0]}
        print(f"| {n} | {median['switches']:.0f}, {median['idle']:.0f} | {median['line']:.1f} | "
              f"{median['burst']:.1f} | {median['pss']:.0f} |")


if __name__ == "__main__":
    main()
