"""Those who misbehave, few and many: what they do is theirs, and the others do not notice."""

import contextlib
import functools
import json
import os
import resource
import select
import signal
import socket
import subprocess

import pytest

from chat_clients import DEADLINE, IrcClient
from foster import state, until
from test_chat_tls import TlsRoom

MIB = 1024 * 1024


@pytest.fixture
def rooms(any_room):
    return functools.partial(any_room, TlsRoom)


def is_sanitized(builddir):
    return b"__asan_init" in (builddir / "foster-chatd").read_bytes()


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


@contextlib.contextmanager
def stopped(process):
    """Meanwhile what is sent waits in the kernel, so that the server gets it all at once."""
    process.send_signal(signal.SIGSTOP)
    until(lambda: state(process.pid) == "T", "the server stands still")
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


# --- one of them ------------------------------------------------------------------------------

def test_one_who_floods_does_not_take_a_whole_turn(rooms):
    """What another says meanwhile is answered before the last of his lines."""
    room = rooms("flood-rate = 0\n")
    with contextlib.ExitStack() as stack:
        for i in range(50):
            stack.enter_context(IrcClient(room.irc, f"some{i}"))
        flood = stack.enter_context(IrcClient(room.irc, "flood", "#x"))
        good = stack.enter_context(IrcClient(room.irc, "good", "#x"))
        good.sync()
        with stopped(room.process):
            # All of it in one read of the server's.
            flood.send(*["WHO x*"] * 1800, "PRIVMSG #x :it is over")
            good.send("PING early")
        good.expect("PONG .*early")
        good.expect("PRIVMSG #x :it is over")


def taken(s, most, patience):
    """How much of most bytes is sent before nothing more is taken for some seconds."""
    n = 0
    s.setblocking(False)
    while n < most and select.select([], [s], [], patience)[1]:
        try:
            n += s.send(b"y" * 65536)
        except ConnectionError:
            break
    return n


def test_a_line_without_an_end_is_throttled(rooms):
    room = rooms("flood-burst = 10\nflood-rate = 1\n")
    with IrcClient(room.irc, "a") as a, IrcClient(room.irc, "b") as b:
        a.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        assert taken(a.socket, 64 * MIB, 2) < 32 * MIB
        b.sync()


def test_who_has_quit_is_not_listened_to(rooms):
    """Some is thrown away, so that he sees why; not all that he has."""
    room = rooms()
    with IrcClient(room.irc, "a") as a, IrcClient(room.irc, "b") as b:
        a.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        a.send("QUIT")
        a.expect("^ERROR ")
        assert taken(a.socket, 64 * MIB, DEADLINE) < 32 * MIB
        b.sync()


def test_the_kernel_does_not_queue_for_who_reads_nothing(rooms):
    """Its buffers would be megabytes for each, beside the queue that is bounded."""
    room = rooms('flood-rate = 0\nsend-queue = "16K"\n')
    with IrcClient(room.irc) as slow, IrcClient(room.irc, "a", "#x") as a:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.send("NICK slow", "USER slow 0 * :slow", "JOIN #x")
        a.expect("^:slow!.* JOIN #x")
        a.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(1000):
            a.send("PRIVMSG #x :" + "x" * 400)
            if any(" QUIT " in line for line in a.sync()):
                return
        pytest.fail("400 KB wait for it, and it is still there")


@pytest.mark.parametrize("lines", [10, 20, 30, 40, 50])
def test_who_reads_nothing_is_ended_whatever_waits_for_it(rooms, lines):
    """The end stands behind what the kernel was given, and would never come."""
    room = rooms('flood-rate = 0\nping-interval = "1s"\nping-timeout = "1s"\n')
    with IrcClient(room.irc) as slow, IrcClient(room.irc, "a", "#x") as a:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.send("NICK slow", "USER slow 0 * :slow", "JOIN #x")
        a.expect("^:slow!.* JOIN #x")
        a.send(*["PRIVMSG #x :" + "x" * 400] * lines)
        a.sync()
        ended = select.poll()
        ended.register(slow.socket, select.POLLRDHUP)
        until(lambda: a.sync() is None or ended.poll(0), "it sees its end, or that it was reset")


def test_many_who_are_dropped_at_once(rooms):
    """They go one after the other, and each is told of."""
    room = rooms('flood-rate = 0\nsend-queue = "16K"\n')
    n = 100
    with IrcClient(room.irc, "a", "#x") as a, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(IrcClient(room.irc)) for _ in range(n)]
        for i, s in enumerate(slow):
            s.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.send(f"NICK slow{i}", f"USER slow{i} 0 * :slow", "JOIN #x")
        for _ in range(n):
            a.expect("^:slow.* JOIN #x")
        left = n
        for _ in range(20):
            a.send(*["PRIVMSG #x :" + "x" * 400] * 50)
            left -= sum(" QUIT :Send queue exceeded" in line for line in a.sync())
        while left > 0:
            a.expect(" QUIT :Send queue exceeded")
            left -= 1
        a.send("NAMES #x")
        assert a.expect(" 353 .* #x :(.*)").group(1).split() == ["@a"]


def test_who_asks_for_much_is_not_dropped(rooms):
    """All of an answer waits before the first of it is written."""
    room = rooms('flood-rate = 0\nsend-queue = "16K"\n')
    with contextlib.ExitStack() as stack:
        for i in range(4):
            maker = stack.enter_context(IrcClient(room.irc, f"maker{i}"))
            for n in range(45):
                maker.send(f"JOIN #room-{i}-{n}", f"TOPIC #room-{i}-{n} :{'t' * 300}")
            maker.sync()
        asker = stack.enter_context(IrcClient(room.irc, "asker"))
        asker.join("#room-3-0")
        asker.send("LIST")
        assert sum(" 322 " in line for line in asker.sync()) == 180
        # But there is a limit.
        asker.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with stopped(room.process):
            asker.send(*["LIST"] * 100)
        maker.expect("^:asker!.* QUIT :Send queue exceeded")


# --- memory -----------------------------------------------------------------------------------

def test_what_was_needed_for_the_start_is_not_kept(rooms, builddir, directory):
    """Of the libraries' code; a sanitizer's own pages are as many again."""
    room = rooms(f'accounts = on\nhistory = on\nstate-directory = "{directory}/state"\n')
    if not is_sanitized(builddir):
        assert memory(room.pid) < 6 * MIB
    with IrcClient(room.irc, "a", "#x") as a:
        a.send("PRIVMSG #x :it is read again when it is used")
        a.sync()


# --- ten thousand -----------------------------------------------------------------------------

MOST, MOST_SANITIZED = 10_000, 1_000  # a sanitizer's server takes some ten times as long
SPARE = 1_000  # descriptors for all else


def how_many(builddir):
    """As many as descriptors may be had for; the server's limit is ours."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    n = min(MOST_SANITIZED if is_sanitized(builddir) else MOST, hard - SPARE)
    print(f"{n} connections that misbehave (RLIMIT_NOFILE is {hard})")
    return n


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def check_ends(tally, n):
    """Each kind was ended by the server as it should be."""
    def ended_by(name, *reasons):
        kind = tally[name]
        assert kind["ended"] == kind["opened"] > 0, (name, kind)
        assert set(kind["reasons"]) <= set(reasons), (name, kind)

    assert tally["connections"] == n and tally["not_possible"] == 0
    for name in ("silent", "half-tag", "flood-unregistered"):
        ended_by(name, "Registration timed out")
    # On a machine with other work some of a crowd are not heard before their time is over.
    ended_by("half-line", "Ping timeout: 2 seconds", "Registration timed out")
    assert tally["half-line"]["reasons"]["Ping timeout: 2 seconds"] > 0
    # It has not read what was written before, and so sees the end, or that it was thrown away.
    ended_by("reads-nothing", "end", "Registration timed out", "Ping timeout: 2 seconds", "Connection reset by peer")
    for name in ("tls-hello", "tls-half-hello"):
        ended_by(name, "end")  # what could be said would have to be said in TLS
    ended_by("tls-garbage", "end", "Connection reset by peer", "This port speaks TLS alone; switch it on, or take "
             "the port for plain text")
    assert tally["tls-garbage"]["reasons"]["This port speaks TLS alone; switch it on, or take the "
                                           "port for plain text"] > 0
    # Who floods with lines is slowed down; only a line without an end is no sign of life.
    assert set(tally["flood"]["reasons"]) <= {"Ping timeout: 2 seconds", "Registration timed out"}
    assert 0 < tally["flood"]["ended"] < tally["flood"]["opened"]


def test_ten_thousand_who_misbehave(rooms, builddir):
    n = how_many(builddir)
    room = rooms('registration-timeout = "4s"\nping-interval = "2s"\nping-timeout = "2s"\n')
    before, descriptors_before = memory(room.pid), descriptors(room.pid)
    command = [builddir / "bench-crowd", "misbehave", "-n", str(n), "-t", str(room.tls_port), "-d",
               str(room.course_port), str(room.irc_port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
        assert select.select([crowd.stdout], [], [], 60)[0], "the crowd has not come"
        assert crowd.stdout.readline() == "all have come\n"
        good = subprocess.run([builddir / "bench-crowd", "members", "-n", "10", "-r", "50", "-s", "6",
                               str(room.irc_port)], stdout=subprocess.PIPE, text=True)
        crowd.stdin.close()
        tally = json.loads(crowd.stdout.readline())
    result = json.loads(good.stdout)
    assert (result["sent"], result["received"]) == (300, 300 * 9)
    assert (result["lost"], result["disordered"], result["disconnected"]) == (0, 0, 0)
    assert good.returncode == 0
    check_ends(tally, n)
    until(lambda: descriptors(room.pid) == descriptors_before, "the descriptors of before")
    # Given back a second later; what is left are tables that have grown, and holes. A sanitizer
    # keeps on purpose what was freed.
    if not is_sanitized(builddir):
        until(lambda: memory(room.pid) < 3 * before + 16 * MIB, "the memory of before")
    assert room.stop() == 0
