"""fosterctl log and reopen: lines over all files of a log, of several services, and as they come."""

import base64
import gzip
import json
import os
import pty
import re
import select
import shutil
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


OWN_JSON = r'{"time":"\u001b]0;evil\u0007T","level":"error","text":"disk broken","code":5}'


@pytest.mark.parametrize("options", ["", "log-timestamps = true", "log-format = json"])
def test_a_service_s_own_json(foster, options):
    """It is what the service says, and whole, whatever it looks like."""
    f = foster(service("a", shell(f"echo '{OWN_JSON}'; sleep 1000"), options))
    until(lambda: b"disk" in log_bytes(f, "a.log"))
    assert printed(f, "a").endswith(OWN_JSON + "\n")
    assert "\033]" not in on_a_terminal(f, "a")
    assert f.service("a")["log"][0].endswith(OWN_JSON)
    [line] = printed(f, "--json", "a").splitlines()
    assert json.loads(line)["line"] == OWN_JSON


@pytest.mark.parametrize("options", ["", "log-timestamps = true", "log-format = json"])
def test_grep_is_for_what_is_said(foster, options):
    """Not for what stands around it in the file."""
    f = foster(service("a", shell("""echo 'say "hi"'; echo other; sleep 1000"""), options))
    until(lambda: b"other" in log_bytes(f, "a.log"))
    assert printed(f, "a", "--grep", '^say "hi"$').endswith('say "hi"\n')
    assert printed(f, "a", "--grep", "^other").count("\n") == 1
    assert printed(f, "a", "--grep", "service") == ""


@pytest.mark.parametrize("options", ["", "log-format = json"])
def test_bytes_that_are_no_text(foster, options):
    f = foster(service("a", shell(r"printf 'a\000b\377c\n'; sleep 1000"), options))
    until(lambda: log_bytes(f, "a.log"))
    line = json.loads(printed(f, "--json", "a"))
    assert line["line"] == "a\0b\ufffdc" and base64.b64decode(line["base64"]) == b"a\0b\xffc"


def test_several_services_without_times(foster):
    """Nobody knows which lines are the last of all: so the last ones of each are printed."""
    f = foster(service("a", numbered(None, 15)) + service("b", numbered(None, 3)))
    until(lambda: b"line 14\n" in log_bytes(f, "a.log") and b"line 2\n" in log_bytes(f, "b.log"))
    assert printed(f, "b", "a").splitlines() == [f"b | line {i}" for i in range(3)] + \
        [f"a | line {i}" for i in range(5, 15)]
    assert len(printed(f, "b", "a", "-n", "2").splitlines()) == 4


def test_a_file_that_cannot_be_read_hides_no_other(foster):
    f = foster(service("a", shell("sleep 1000")) + service("b", numbered(None, 3)), start=False)
    (f.run / "log" / "a.log").mkdir(parents=True)
    f.start().wait_up()
    until(lambda: b"line 2\n" in log_bytes(f, "b.log"))
    for options in [], ["-n", "2"], ["--since", "1h"], ["--grep", "."]:
        result = f.ctl("log", "a", "b", *options, check=1)
        assert "b | line 2\n" in result.stdout and "a.log: " in result.stderr


def test_files_without_a_manager(builddir, directory):
    """By their paths; who may not read the oldest sees the rest."""
    directory.chmod(0o755)
    log = directory / "a.log"
    log.write_text("line 2\n")
    for i in range(2):
        (directory / f"a.log.2026112{i}T134000.123456Z").write_text(f"line {i}\n")
    (directory / "a.log.20261120T134000.123456Z").chmod(0o600)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", builddir / "fosterctl",
               "--run-directory", directory / "none", "log", log]
    for options in [], ["-n", "all"], ["--grep", "line"]:
        result = subprocess.run([*command, *options], capture_output=True, text=True)
        assert result.stdout == "line 1\nline 2\n" and result.returncode == 1
        assert "20261120T134000.123456Z: Permission denied; its owner" in result.stderr
    result = subprocess.run([*command, "-n", "2"], capture_output=True, text=True)
    assert (result.stdout, result.stderr, result.returncode) == ("line 1\nline 2\n", "", 0)
    missing = subprocess.run([*command[:-1], directory / "b.log"], capture_output=True, text=True)
    assert missing.returncode == 1 and "b.log: No such file" in missing.stderr


def test_nothing_is_missing_beside_a_rotation(foster):
    """Between the renaming and the making of the next file there is none of that name."""
    f = foster(service("a", numbered(None, 1000000), "log-size = 2K log-keep = 10000"))
    until(lambda: rotated(f, "a.log"))
    before = -1
    for _ in range(100):
        seen = numbers(printed(f, "a", "-n", "50"))
        assert len(seen) == 50 and seen == list(range(seen[0], seen[0] + 50))
        assert seen[-1] >= before
        before = seen[-1]


def test_nothing_was_said_yet(foster):
    f = foster(service("a", shell("sleep 1000")))
    assert printed(f, "a") == ""


class Follower:
    def __init__(self, f, *arguments):
        self.process = subprocess.Popen(
            [str(f.builddir / "fosterctl"), "--run-directory", str(f.run), "log", "-f", *arguments],
            stdout=subprocess.PIPE)
        self.data = b""

    def until(self, text):
        """The lines up to the one that ends so."""
        lines, deadline = [], time.monotonic() + 20
        while True:
            *whole, self.data = self.data.split(b"\n")
            for i, line in enumerate(whole):
                lines.append(line.decode())
                if lines[-1].endswith(text):
                    self.data = b"\n".join([*whole[i + 1:], self.data])
                    return lines
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.process.stdout], [], [], left)[0]
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert more, f"no {text!r}; it came to {lines[-3:]}, {self.process.poll()}"
            self.data += more

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


SLOWLY = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.002; done"


def lines_of(f, name="a.log"):
    return log_bytes(f, name).count(b"\n")


def test_follow_while_others_rotate(foster):
    """The logger writes to the file that was moved away, until it is told to reopen its files."""
    script = "i=0; while :; do echo line $i; i=$((i+1)); [ $((i % 100)) -ne 0 ] || sleep 0.01; done"
    f = foster(service("a", shell(script)))
    until(lambda: lines_of(f))
    follower = Follower(f, "a", "-n", "all")
    try:
        seen = follower.until("line 5")
        for i in range(3):
            moved = f.run / "log" / f"moved{i}"
            (f.run / "log" / "a.log").rename(moved)
            n = moved.read_bytes().count(b"\n")
            until(lambda: moved.read_bytes().count(b"\n") > n + 20, "it goes on in that file")
            f.ctl("reopen", check=0)
            until(lambda: lines_of(f) > 20, "it goes on in the new one")
            last = log_bytes(f, "a.log").split(b"\n")[-2].decode()
            seen += follower.until(last)
        assert [int(line.split()[1]) for line in seen] == list(range(len(seen)))
    finally:
        follower.end()


def test_follow_a_file_that_is_emptied(foster):
    """By who copies it away: what comes after that is shown."""
    f = foster(service("a", shell(SLOWLY)))
    until(lambda: lines_of(f) > 50)
    follower = Follower(f, "a")
    try:
        for _ in range(3):
            os.truncate(f.run / "log" / "a.log", 0)
            until(lambda: lines_of(f) > 20)
            follower.until(log_bytes(f, "a.log").split(b"\n")[-2].decode())
    finally:
        follower.end()


def test_follow_a_directory_that_is_made_again(foster):
    f = foster(service("a", shell(SLOWLY)))
    until(lambda: lines_of(f))
    follower = Follower(f, "a", "-n", "all")
    log = f.run / "log"
    try:
        follower.until("line 0")
        for remove in (lambda: shutil.rmtree(log, ignore_errors=True)), (lambda: log.rename(f.run / "elsewhere")):
            remove()
            log.mkdir(exist_ok=True)
            f.ctl("reopen", check=0)
            until(lambda: lines_of(f) > 20)
            follower.until(log_bytes(f, "a.log").split(b"\n")[-2].decode())
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
