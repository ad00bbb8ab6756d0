"""fosterctl log and reopen: lines over all files of a log, of several services, and as they come."""

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import time

import pytest

from foster import logger_of, until
from test_logs import STAMP, log_bytes, numbered, numbers, rotated, service, shell


def printed(f, *arguments, check=0):
    return f.ctl("log", *arguments, check=check).stdout


def test_last_lines(foster):
    f = foster(service("a", numbered(None, 3000), "log-size = 4K log-keep = 1000"))
    until(lambda: log_bytes(f, "a.log").endswith(b"line 2999\n"))
    assert rotated(f, "a.log")
    assert numbers(printed(f, "a")) == list(range(2990, 3000))
    assert numbers(printed(f, "a", "-n", "700")) == list(range(2300, 3000))
    assert numbers(printed(f, "a", "-n", "all")) == list(range(3000))
    assert numbers(printed(f, "a", "--grep", "^line [12]?7$")) == [7, 17, 27]
    assert numbers(printed(f, "a", "--grep", "7$", "-n2")) == [2987, 2997]
    assert printed(f, "a", "-n", "0") == ""


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_compressed_files(foster, kind):
    f = foster(service("a", numbered(None, 3000), f"log-size = 4K log-keep = 1000 log-compress = {kind}"))
    until(lambda: log_bytes(f, "a.log").endswith(b"line 2999\n"))
    until(lambda: all(p.suffix in (".gz", ".zst") for p in rotated(f, "a.log")), "all are compressed")
    assert numbers(printed(f, "a", "-n", "all")) == list(range(3000))
    assert numbers(printed(f, "a", "-n", "1000")) == list(range(2000, 3000))


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


def lines_from(first, n):
    return b"".join(b"line %d\n" % i for i in range(first, first + n))


def test_files_of_all_kinds_together(foster):
    """log-compress was changed, and one is in the middle of being compressed."""
    f = foster(service("a", numbered(None, 0)), start=False)
    log = f.run / "log"
    log.mkdir(parents=True)
    for i, name in enumerate(("Z.gz", "Z.zst", "Z")):
        data = lines_from(1000 * i, 1000)
        pack = {"Z.gz": gzip.compress, "Z.zst": zstd, "Z": bytes}[name]
        (log / f"a.log.2026112{i}T134000.123456{name}").write_bytes(pack(data))
    (log / "a.log.20261122T134000.123456Z.zst").write_bytes(zstd(lines_from(2000, 1000)))
    (log / "a.log.20261122T134000.123456Z.gz").write_bytes(gzip.compress(lines_from(2000, 1000)))
    f.start().wait_up()
    assert numbers(printed(f, "a", "-n", "all")) == list(range(3000))


# How a file is spoilt: what is left of its 1000 lines at most, and at least.
@pytest.mark.parametrize("kind", [".gz", ".zst"])
@pytest.mark.parametrize("spoil, least, most", [
    (lambda data: data[:-3], 0, 1000),  # cut off: only its sum is missing
    (lambda data: data[:len(data) // 2], 0, 999),
    (lambda data: data[:1], 0, 0),
    (lambda data: b"", 0, 0),
    (lambda data: b"no such format\n" * 100, 0, 0),
    (lambda data: data[:100] + bytes(50) + data[150:], 0, 1000),
    (lambda data: data[:-1] + bytes([data[-1] ^ 1]), 0, 1000),
])
def test_a_damaged_file_is_said(foster, kind, spoil, least, most):
    """What can be read of it is shown, and all of the others."""
    f = foster(service("a", shell("echo line 3000; echo line 3001")), start=False)
    log = f.run / "log"
    log.mkdir(parents=True)
    pack = gzip.compress if kind == ".gz" else zstd
    names = [f"a.log.2026112{i}T134000.123456Z{kind}" for i in range(3)]
    for i, name in enumerate(names):
        data = pack(lines_from(1000 * i, 1000))
        (log / name).write_bytes(spoil(data) if i == 1 else data)
    f.start().wait_up()
    until(lambda: log_bytes(f, "a.log").endswith(b"line 3001\n"))
    done = f.ctl("log", "a", "-n", "all", check=1)
    assert done.stderr.count("\n") == 1
    assert f"{names[1]}: it is damaged, and can be read only up to here" in done.stderr
    shown = done.stdout.splitlines()
    whole = [f"line {i}" for i in range(3002)]
    assert shown[:1000] == whole[:1000] and shown[-1002:] == whole[-1002:]
    middle = shown[1000:-1002]
    assert least <= len(middle) <= most
    if "bytes(50)" not in spoil.__code__.co_names and middle[:-1]:
        assert middle[:-1] == whole[1000:1000 + len(middle) - 1]
    assert printed(f, "a", "-n", "2").splitlines() == whole[-2:]  # for which it is not needed
    done = f.ctl("log", "a", "-n", "2500", check=1)
    assert done.stdout.splitlines()[-1002:] == whole[-1002:]


def test_several_services_by_time(foster):
    """One after the other, by what each line says, whatever format it has."""
    script = 'read x < "$FIFO"; for i in 1 2 3; do echo {0} $i; sleep 0.02; done; sleep 1000'
    stamps = "log-timestamps = true"
    f = foster(service("one", shell(script.format("one")), stamps)
               + service("two", shell("sleep 0.01; " + script.format("two")), "log-format = json"),
               start=False)
    fifo = f.directory / "fifo"
    os.mkfifo(fifo)
    f.environment["FIFO"] = str(fifo)
    f.start().wait_up()
    for name in ("one", "two"):
        f.wait_state(name, "running")
    writer = os.open(fifo, os.O_RDWR)
    os.write(writer, b"go\ngo\n")
    until(lambda: b"one 3" in log_bytes(f, "one.log") and b"two 3" in log_bytes(f, "two.log"))
    os.close(writer)
    lines = printed(f, "one", "two").splitlines()
    assert len(lines) == 6
    assert all(re.fullmatch(rf"(one|two) \| {STAMP}Z \1 \d", line) for line in lines), lines
    times = [line.split(" ")[2] for line in lines]
    assert times == sorted(times)
    assert printed(f, "*").splitlines() == lines
    objects = [json.loads(line) for line in printed(f, "--json", "one", "two").splitlines()]
    assert [o["service"] for o in objects] == [line.split()[0] for line in lines]
    assert all(o["time_us"] > 0 and o["line"] for o in objects)


def test_since(foster):
    f = foster(service("a", shell("sleep 1000"), "log-timestamps = true"), start=False)
    log = f.run / "log"
    log.mkdir(parents=True)
    (log / "a.log.20261124T000000.000000Z").write_text(
        "2026-11-23T10:00:00.000000Z old\n2026-11-23T12:00:00.000000Z older than that\n")
    (log / "a.log").write_text(
        "2026-11-24T10:00:00.000000Z first\n    which goes on\n2026-11-24T23:59:59.500000+01:00 last\n")
    f.environment["TZ"] = "UTC"
    f.start().wait_up()
    assert "old" in printed(f, "a", "--since", "2026-11-23")
    assert printed(f, "a", "--since", "2026-11-23T12:00:00Z").splitlines()[0].endswith("than that")
    assert printed(f, "a", "--since", "2026-11-24T10:00:00Z").count("\n") == 3
    assert printed(f, "a", "--since=2026-11-24T10:00:00.000001Z").endswith("last\n")
    assert printed(f, "a", "--since=2026-11-24T10:00:00.000001Z").count("\n") == 1
    assert printed(f, "a", "--since", "0", check=0) == ""


def test_streams(foster):
    script = shell("echo out; echo err >&2; sleep 1000")
    f = foster(service("a", script, "log-stderr = apart") + service("b", script)
               + service("c", script, "log = none"))
    until(lambda: log_bytes(f, "a.stderr.log") and log_bytes(f, "a.log"))
    assert printed(f, "a", "--stream", "stderr") == "err\n"
    assert printed(f, "a", "--stream", "stdout") == "out\n"
    assert sorted(printed(f, "a").split()) == ["err", "out"]
    assert "log-stderr = apart" in f.ctl("log", "b", "--stream=stderr", check=1).stderr
    assert "log = none" in f.ctl("log", "c", check=1).stderr


@pytest.mark.parametrize("arguments, code, text", [
    (["nobody"], 4, "no service"),
    ([], 2, "usage: fosterctl log NAME..."),
    (["a", "--since", "tomorrow"], 2, "this takes a time"),
    (["a", "--stream", "both"], 2, "this takes stdout or stderr"),
    (["a", "--grep", "("], 2, "an extended regular expression"),
    (["a", "-n", "some"], 2, "this takes a number of lines, or all"),
    (["x*"], 4, "no service matches"),
])
def test_errors(foster, arguments, code, text):
    f = foster(service("a", shell("echo x; sleep 1000")))
    assert text in f.ctl("log", *arguments, check=code).stderr


def test_nothing_was_said_yet(foster):
    f = foster(service("a", shell("sleep 1000")))
    assert printed(f, "a") == ""


class Follower:
    def __init__(self, f, *arguments):
        self.process = subprocess.Popen(
            [str(f.builddir / "fosterctl"), "--run-directory", str(f.run), "log", "-f", *arguments],
            stdout=subprocess.PIPE, text=True)

    def until(self, text):
        lines = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if line.rstrip("\n").endswith(text):
                return lines
        raise AssertionError(f"it ended with {self.process.wait()} after {lines[-3:]}")

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.parametrize("options", ["", "log-compress = gzip", "log-compress = zstd"])
def test_follow(foster, options):
    """Over rotations, compressions, a new logger, and a supervisor that was killed."""
    script = shell("i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); "
                   "[ $((i % 50)) -ne 0 ] || sleep 0.01; done; sleep 1000")
    f = foster(service("a", script, f"log-size = 2K log-keep = 1000 {options}"))
    until(lambda: log_bytes(f, "a.log"))
    follower = Follower(f, "a", "-n", "all")
    try:
        os.kill(logger_of(f), signal.SIGUSR1)
        seen = follower.until("line 1000")
        f.kill_supervisor()
        f.start().wait_up()
        seen += follower.until("line 3999")
        assert [int(line.split()[1]) for line in seen] == list(range(4000))
    finally:
        follower.end()


def test_follow_begins_before_the_first_line(foster):
    f = foster(service("a", shell('read x < "$FIFO"; echo hello; sleep 1000')), start=False)
    fifo = f.directory / "fifo"
    os.mkfifo(fifo)
    f.environment["FIFO"] = str(fifo)
    f.start().wait_up()
    f.wait_state("a", "running")
    follower = Follower(f, "a")
    try:
        fifo.write_text("go\n")
        assert follower.until("hello") == ["hello"]
    finally:
        follower.end()


def on_a_terminal(f, *arguments):
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(f.builddir / "fosterctl", ["fosterctl", "--run-directory", str(f.run), "log",
                                            *arguments])
    data = b""
    while True:
        try:
            more = os.read(terminal, 4096)
        except OSError:
            break
        if not more:
            break
        data += more
    os.close(terminal)
    os.waitpid(pid, 0)
    return data.decode()


def test_colours_on_a_terminal_alone(foster):
    """And what a service says does nothing to the terminal."""
    script = shell(r"printf '\033[2Jboo\n'; sleep 1000")
    f = foster(service("a", script, "log-timestamps = true")
               + service("b", shell("echo x; sleep 1000"), "log-timestamps = true"))
    until(lambda: log_bytes(f, "a.log") and log_bytes(f, "b.log"))
    shown = on_a_terminal(f, "a", "b")
    assert "\033[32ma\033[0m" in shown and "?[2Jboo" in shown and "\033[2J" not in shown
    assert "\033[2Jboo" in printed(f, "a")
    assert "\033[3" not in printed(f, "a", "b") and "\033[" not in on_a_terminal(f, "--no-color", "a")


def test_reopen(foster):
    f = foster(service("a", numbered(None, 100000, 0.002)))
    path = f.run / "log" / "a.log"
    until(path.exists)
    path.rename(f.run / "log" / "moved")
    f.ctl("reopen", check=0)
    until(path.exists, "there is a new file")
    moved = (f.run / "log" / "moved").read_bytes()
    until(lambda: log_bytes(f, "a.log").count(b"\n") > 3)
    together = numbers(moved + log_bytes(f, "a.log").rpartition(b"\n")[0])
    assert together == list(range(len(together)))
