#!/usr/bin/env python3
"""What the chat room costs: CPU per delivery, bytes a connection, connects a second, latency.

    bench/chat.py [--peers] [--crowd ROUNDS] BUILDDIR [N ...]      (default: 100 1000)

With --peers ngIRCd and InspIRCd are measured beside it, each in turn, in the same run. With --crowd
only the latency is, so many times: of 100 members alone, and beside 10,000 clients that misbehave.
Latencies are those of bench-crowd: `make bench-programs`.

CPU is the server's own (user and system, from /proc), so that the driver's does not count; its
ratios hold from machine to machine, its absolute values do not.
"""

import json
import os
import pathlib
import resource
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CROWD_UNDER_WAY = 256
CROWD_SECONDS = 40  # for them to come
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_certificate(directory):
    path = directory / "server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", "/CN=localhost", "-keyout", path, "-out", directory / "c"],
                   check=True, capture_output=True)
    with open(path, "ab") as f:
        f.write((directory / "c").read_bytes())
    return path


class Server:
    """foster-chatd; those of the peers differ in their config and command."""
    name = "foster-chatd"
    under_way = 256  # connections at a time
    doors = ()  # what bench-crowd is told of others than IRC's

    def command(self, config, port):
        text = f'irc-listen = {{"127.0.0.1:{port}"}}\n'
        if self.limits:
            tls, course = free_port(), free_port(socket.SOCK_DGRAM)
            self.doors = ("-t", str(tls), "-d", str(course))
            text += (f'tls-listen = {{"127.0.0.1:{tls}"}}\ncourse-listen = {{"127.0.0.1:{course}"}}\n'
                     f'tls-certificate = "{make_certificate(config.parent)}"\n')
        else:
            text += 'course-listen = {}\nflood-rate = 0\nsend-queue = "64M"\n'
        config.write_text(text)
        return [self.builddir / "foster-chatd", "--config", config]

    def __init__(self, builddir, limits=False):
        """limits: its own, as it comes; else none that the measurement would run into."""
        self.builddir = builddir
        self.limits = limits
        self.directory = tempfile.TemporaryDirectory(prefix="foster-bench-")
        self.address = ("127.0.0.1", free_port())
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
{"" if self.limits else "MaxPenaltyTime = 0"}
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
        fakelag = "" if self.limits else 'fakelag="off" commandrate="100000000" threshold="1000000"'
        queue = "" if self.limits else 'recvq="65536" softsendq="64000000" hardsendq="67108864"'
        config.write_text(f"""<server name="bench.example" description="bench" network="bench" id="001">
<admin name="bench" nick="bench" email="bench@bench.example">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect name="main" allow="*" timeout="60" localmax="30000" globalmax="30000" {queue} {fakelag}
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


def members(server, n, seconds):
    """Each of n members hears all the others, who say 100 lines a second together."""
    result = subprocess.run(
        [server.builddir / "bench-crowd", "members", "-n", str(n), "-r", "100", "-s", str(seconds),
         "-u", str(server.under_way), str(server.address[1])],
        stdout=subprocess.PIPE)
    return json.loads(result.stdout) if result.stdout else None


def latency(server, n):
    try:
        r = members(server, n, 5)
        print(f"{server.name}, N={n}: latency p50 {r['p50_ms']:.2f} ms, p99 {r['p99_ms']:.2f} ms, "
              f"max {r['max_ms']:.1f} ms at 100 lines/s, {r['lost']} lost")
    finally:
        server.end()


class Crowd:
    """Clients that misbehave; those who are thrown out come again."""

    def __init__(self, server, n):
        self.process = subprocess.Popen(
            [server.builddir / "bench-crowd", "misbehave", "-a", "-n", str(n), "-u",
             str(CROWD_UNDER_WAY), *server.doors, str(server.address[1])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # "all have come"; with a server that does not let them in so fast, as many as have.
        select.select([self.process.stdout], [], [], CROWD_SECONDS)

    def end(self):
        self.process.stdin.close()
        lines = self.process.stdout.readlines()
        self.process.wait()
        self.process.stdout.close()
        return json.loads(lines[-1])


def round_beside_crowd(server, n=100, crowd=10_000):
    """p99 alone, p50 and p99 beside the crowd, MB with it; None: the members did not get through."""
    try:
        alone = members(server, n, 5)
        rowdies = Crowd(server, crowd)
        beside = members(server, n, 5)
        memory = rss(server.pid) / 1e6
        there = rowdies.end()["there"]
        return alone and beside and {
            "alone_p50": alone["p50_ms"], "alone_p99": alone["p99_ms"], "p50": beside["p50_ms"],
            "p99": beside["p99_ms"], "lost": beside["lost"] + beside["disconnected"], "mb": memory,
            "there": there}
    finally:
        server.end()


def beside_crowd(servers, builddir, rounds):
    results = {server: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            results[server].append(round_beside_crowd(server(builddir, limits=True)))
    for server, those in results.items():
        done = [r for r in those if r]
        if not done:
            print(f"{server.name}: the members did not get through the crowd")
            continue
        m = {key: statistics.median(r[key] for r in done) for key in done[0]}
        print(f"{server.name}: latency p99 with 10,000 misbehaving {m['p99']:.2f} ms, p50 {m['p50']:.2f} ms "
              f"(without them {m['alone_p99']:.2f} and {m['alone_p50']:.2f} ms), {m['mb']:.0f} MB, "
              f"{m['there']:.0f} of them there at the end, {m['lost']:.0f} messages or members lost; "
              f"medians of {len(done)} of {rounds} rounds")


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
    servers, rounds = [Server], 0
    if arguments[0] == "--peers":
        arguments.pop(0)
        servers += [Ngircd, Inspircd]
    if arguments[0] == "--crowd":
        rounds = int(arguments[1])
        del arguments[:2]
    builddir = pathlib.Path(arguments[0]).resolve()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for n in [] if rounds else [int(a) for a in arguments[1:]] or [100, 1000]:
        for server in servers:
            measure(server(builddir), n)
            latency(server(builddir), n)
    if not rounds:
        for server in servers:
            connects(server(builddir))
    beside_crowd(servers, builddir, rounds or 1)


if __name__ == "__main__":
    main()
