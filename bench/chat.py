#!/usr/bin/env python3
"""What the chat room costs: CPU per delivery, bytes a connection, connects a second, latency.

    bench/chat.py BUILDDIR [N ...]      (default: 100 1000)

CPU is the server's own (user and system, from /proc), so that the driver's does not count; its
ratios hold from machine to machine, its absolute values do not.
"""

import os
import pathlib
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


class Server:
    def __init__(self, builddir):
        self.directory = tempfile.TemporaryDirectory(prefix="foster-bench-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = s.getsockname()
        config = pathlib.Path(self.directory.name) / "chat.conf"
        config.write_text(f'irc-listen = {{"127.0.0.1:{self.address[1]}"}}\ncourse-listen = {{}}\n'
                          'flood-rate = 0\nsend-queue = "64M"\n')
        self.process = subprocess.Popen([builddir / "foster-chatd", "--config", config])
        while True:
            try:
                socket.create_connection(self.address).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.01)
        self.pid = self.process.pid

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.directory.cleanup()


def connect(server, n):
    """n sockets, 256 of them under way at a time."""
    done = []
    while len(done) < n:
        batch = []
        for _ in range(min(256, n - len(done))):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(server.address)
            batch.append(s)
        for i, s in enumerate(batch):
            wait = select.poll()
            wait.register(s, select.POLLOUT)
            wait.poll()
            number = len(done) + i
            s.sendall(b"NICK n%d\r\nUSER n%d 0 * :n\r\n" % (number, number))
        done += batch
    return done


class Readers:
    """Reads all sockets and counts a mark in what comes."""

    def __init__(self, sockets):
        self.epoll = select.epoll()
        self.sockets = {s.fileno(): s for s in sockets}
        for fd in self.sockets:
            self.epoll.register(fd, select.EPOLLIN)

    def count(self, mark, wanted, rest=None):
        got = 0
        rest = {} if rest is None else rest
        while got < wanted:
            for fd, _ in self.epoll.poll(10):
                data = rest.pop(fd, b"") + self.sockets[fd].recv(1 << 20)
                cut = data.rfind(b"\n") + 1
                if cut < len(data):
                    rest[fd] = data[cut:]
                got += data.count(mark, 0, cut)
        return got


def measure(builddir, n):
    server = Server(builddir)
    try:
        start_rss = rss(server.pid)
        start = time.monotonic()
        sockets = connect(server, n)
        readers = Readers(sockets)
        readers.count(b" 422 ", n)
        registered = time.monotonic() - start
        registered_rss = rss(server.pid)
        start = time.monotonic()
        for s in sockets:
            s.sendall(b"JOIN #bench\r\n")
        readers.count(b" JOIN ", n * (n + 1) // 2)
        joined = time.monotonic() - start
        select.select([], [], [], 2.5)  # memory is given back a second after a burst
        joined_rss = rss(server.pid)
        print(f"N={n}: start {start_rss / 1e6:.1f} MB, {n / registered:.0f} registrations/s, "
              f"all joined in {joined:.2f} s, {(registered_rss - start_rss) / n:.0f} B a connection, "
              f"{(joined_rss - start_rss) / n:.0f} B joined")
        deliveries(server, sockets, readers, n)
        latency(server, sockets, n)
        select.select([], [], [], 2.5)
        print(f"N={n}: RSS afterwards {rss(server.pid) / 1e6:.1f} MB "
              f"({(rss(server.pid) - start_rss) / n:.0f} B a connection)")
        for s in sockets:
            s.close()
    finally:
        server.end()


def deliveries(server, sockets, readers, n):
    """As fast as possible: ten say ten lines each, until all have come, again and again."""
    senders, lines = sockets[:10], 10
    text = b"PRIVMSG #bench :" + b"x" * 60 + b"\r\n"
    rounds = max(1, 2_000_000 // (len(senders) * lines * n))
    before, start = cpu(server.pid), time.monotonic()
    rest = {}
    for _ in range(rounds):
        for s in senders:
            s.sendall(text * lines)
        readers.count(b" PRIVMSG ", len(senders) * lines * (n - 1), rest)
    total = rounds * len(senders) * lines * (n - 1)
    took = time.monotonic() - start
    print(f"N={n}: {(cpu(server.pid) - before) / total * 1e6:.2f} us CPU a delivery, "
          f"{total / took / 1e3:.0f} k deliveries/s ({total} deliveries)")


def latency(server, sockets, n, rate=100, seconds=3):
    """One line every 10 ms from changing senders; the time until the last of all has it."""
    watch = sockets[-1]
    times = []
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    start = time.monotonic()
    drained = Readers(sockets[:-1])
    for i in range(rate * seconds):
        while time.monotonic() < start + i / rate:
            drained.epoll.poll(0)
            for fd, _ in drained.epoll.poll(0.001):
                drained.sockets[fd].recv(1 << 20)
        sent = time.monotonic()
        sockets[i % (n - 1)].sendall(b"PRIVMSG #bench :%d\r\n" % i)
        data = b""
        while b":%d\r\n" % i not in data:
            poll.poll(5000)
            data += watch.recv(65536)
        times.append(time.monotonic() - sent)
    times.sort()
    print(f"N={n}: latency p50 {times[len(times) // 2] * 1e3:.2f} ms, "
          f"p99 {times[len(times) * 99 // 100] * 1e3:.2f} ms at {rate} lines/s")


def connects(builddir, seconds=2):
    """Connections accepted and registered a second, each closed again."""
    server = Server(builddir)
    try:
        before, start, n = cpu(server.pid), time.monotonic(), 0
        while time.monotonic() - start < seconds:
            batch = connect(server, 256)
            for s in batch:
                s.setblocking(True)
                while b" 422 " not in s.recv(4096):
                    pass
                s.close()
            n += len(batch)
        took = time.monotonic() - start
        used = cpu(server.pid) - before
        print(f"connects: {n / took:.0f}/s with this driver; the server used {used / n * 1e6:.0f} us "
              f"CPU each, so could do {n / used:.0f}/s")
    finally:
        server.end()


def main():
    builddir = pathlib.Path(sys.argv[1])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for n in [int(a) for a in sys.argv[2:]] or [100, 1000]:
        measure(builddir, n)
    connects(builddir)


if __name__ == "__main__":
    main()
