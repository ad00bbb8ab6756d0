#!/usr/bin/env python3
"""What the chat room costs: CPU per delivery, bytes a connection, connects a second, latency.

    bench/chat.py [--peers] BUILDDIR [N ...]      (default: 100 1000)

With --peers ngIRCd and InspIRCd are measured beside it, each in turn, in the same run.

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
    """foster-chatd; those of the peers differ in their config and command."""
    name = "foster-chatd"
    under_way = 256  # connections at a time

    def command(self, config, port):
        config.write_text(f'irc-listen = {{"127.0.0.1:{port}"}}\ncourse-listen = {{}}\n'
                          'flood-rate = 0\nsend-queue = "64M"\n')
        return [self.builddir / "foster-chatd", "--config", config]

    def __init__(self, builddir):
        self.builddir = builddir
        self.directory = tempfile.TemporaryDirectory(prefix="foster-bench-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = s.getsockname()
        os.chmod(self.directory.name, 0o755)
        config = pathlib.Path(self.directory.name) / "chat.conf"
        self.process = subprocess.Popen(self.command(config, self.address[1]),
                                        cwd=self.directory.name, stdout=subprocess.DEVNULL)
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


class Ngircd(Server):
    name = "ngIRCd"
    under_way = 8  # it resets some of more, as its backlog is 10

    def command(self, config, port):
        config.write_text(f"""[Global]
Name = bench.example
Info = bench
Listen = 127.0.0.1
Ports = {port}
MotdFile = /nonexistent
MotdPhrase = hello
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
[Options]
DNS = no
Ident = no
PAM = no
SyslogFacility = local1
""")
        return ["ngircd", "--nodaemon", "--config", config]


class Inspircd(Server):
    name = "InspIRCd"

    def command(self, config, port):
        config.write_text(f"""<server name="bench.example" description="bench" network="bench" id="001">
<admin name="bench" nick="bench" email="bench@bench.example">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect name="main" allow="*" timeout="60" localmax="30000" globalmax="30000" recvq="65536"
 softsendq="64000000" hardsendq="67108864" fakelag="off" commandrate="100000000" threshold="1000000"
 resolvehostnames="no" maxchans="20" useident="no">
<performance softlimit="30000" somaxconn="4096" netbuffersize="10240">
<options hidemodes="eI" moronbanner="">
<pid file="{config.parent}/pid">
""")
        return ["inspircd", "--nofork", "--runasroot", "--config", config]


def connect(server, n):
    """n sockets, so many of them under way at a time as the server takes."""
    done = []
    while len(done) < n:
        batch = []
        for _ in range(min(server.under_way, n - len(done))):
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
            if server.under_way < 256:
                wait = select.poll()
                wait.register(s, select.POLLIN)
                wait.poll()
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


def measure(server, n):
    try:
        start_rss = rss(server.pid)
        start = time.monotonic()
        sockets = connect(server, n)
        readers = Readers(sockets)
        readers.count(b" 255 ", n)
        registered = time.monotonic() - start
        registered_rss = rss(server.pid)
        start = time.monotonic()
        for s in sockets:
            s.sendall(b"JOIN #bench\r\n")
        readers.count(b" JOIN ", n * (n + 1) // 2)
        joined = time.monotonic() - start
        select.select([], [], [], 2.5)  # memory is given back a second after a burst
        joined_rss = rss(server.pid)
        print(f"{server.name}, N={n}: start {start_rss / 1e6:.1f} MB, {n / registered:.0f} registrations/s, "
              f"all joined in {joined:.2f} s, {(registered_rss - start_rss) / n:.0f} B a connection, "
              f"{(joined_rss - start_rss) / n:.0f} B joined")
        deliveries(server, sockets, readers, n)
        latency(server, sockets, n)
        select.select([], [], [], 2.5)
        print(f"{server.name}, N={n}: RSS afterwards {rss(server.pid) / 1e6:.1f} MB "
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
    print(f"{server.name}, N={n}: {(cpu(server.pid) - before) / total * 1e6:.2f} us CPU a delivery, "
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
    print(f"{server.name}, N={n}: latency p50 {times[len(times) // 2] * 1e3:.2f} ms, "
          f"p99 {times[len(times) * 99 // 100] * 1e3:.2f} ms at {rate} lines/s")


def connects(server, seconds=2):
    """Connections accepted and registered a second, each closed again."""
    try:
        before, start, n, lost = cpu(server.pid), time.monotonic(), 0, 0
        while time.monotonic() - start < seconds:
            for s in connect(server, 256):
                s.setblocking(True)
                try:
                    while b" 255 " not in s.recv(4096):
                        pass
                    n += 1
                except ConnectionResetError:
                    lost += 1
                s.close()
        took = time.monotonic() - start
        used = cpu(server.pid) - before
        print(f"{server.name}, connects: {n / took:.0f}/s with this driver, {lost} were reset; the "
              f"server used {used / n * 1e6:.0f} us CPU each, so could do {n / used:.0f}/s")
    finally:
        server.end()


def main():
    arguments = sys.argv[1:]
    servers = [Server]
    if arguments[0] == "--peers":
        arguments.pop(0)
        servers += [Ngircd, Inspircd]
    builddir = pathlib.Path(arguments[0]).resolve()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for n in [int(a) for a in arguments[1:]] or [100, 1000]:
        for server in servers:
            measure(server(builddir), n)
    for server in servers:
        connects(server(builddir))


if __name__ == "__main__":
    main()
