"""Logs: what is written, how files are rotated, what happens when they cannot be written."""

import contextlib
import fcntl
import gzip
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

import pytest

from conftest import ordinary_user
from foster import children_of, comm_of, descriptors_of, logger_of, state, until

sys.path.insert(0, __file__.rsplit("/e2e/", 1)[0] + "/chaos")

from logs import ROTATED  # noqa: E402

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"


def shell(script):
    return '{"/bin/sh", "-c", "' + script.replace("\\", "\\\\").replace('"', '\\"') + '"}'


def python(script):
    return '{"/usr/bin/python3", "-c", "' + script.replace("\\", "\\\\").replace('"', '\\"') + '"}'


def service(name, command, options=""):
    return f"service {name} {{ command = {command} restart = no {options} }}\n"


def log_bytes(f, name):
    """Nothing, too, in the moment in which it is rotated."""
    try:
        return (f.run / "log" / name).read_bytes()
    except FileNotFoundError:
        return b""


def rotated(f, name):
    """Without those that are only being compressed."""
    return sorted(p for p in (f.run / "log").glob(f"{name}.*") if ROTATED.search(p.name))


def unpacked(path):
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-qdc", path], capture_output=True, check=True).stdout
    return path.read_bytes()


def whole_log(f, name):
    """All of its files, the oldest first."""
    return b"".join(unpacked(p) for p in rotated(f, name)) + log_bytes(f, name)


# --- what is kept as it is --------------------------------------------------------------------

ODD = (b"plain\n" b"\n" b"nul \0 inside\n" b"not utf-8: \xff\xfe \xc3\n" b"\x1b[31mred\x1b[0m\n"
       + "日本 ü\n".encode() + b"x" * 300000 + b"\n" + b"y" * 70000 + b"\n" b"the end")


def test_bytes_are_kept(foster):
    """Long lines, NUL bytes, what is no UTF-8, a last line without a newline."""
    f = foster("", start=False)
    (f.directory / "odd").write_bytes(ODD)
    f.write(service("a", f'{{"/bin/cat", "{f.directory}/odd"}}'))
    f.start().wait_up()
    until(lambda: log_bytes(f, "a.log") == ODD, "all of it is there")
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    assert log_bytes(f, "a.log") == ODD


def test_a_prompt_is_not_held_back(foster):
    f = foster(service("a", shell("printf 'name? '; sleep 1000")))
    until(lambda: log_bytes(f, "a.log") == b"name? ", "it is there without its newline")


# --- formats ----------------------------------------------------------------------------------

@pytest.mark.parametrize("stamps, zone", [("true", "Z"), ("utc", "Z"), ("local", r"[+-]\d\d:\d\d")])
def test_timestamps(foster, stamps, zone):
    script = shell("echo one; printf tw; sleep 0.1; echo o; echo; printf three; sleep 1000")
    f = foster(service("a", script, f'log-timestamps = {stamps} log-prefix = "[a] "'),
               environment={"TZ": "Asia/Kolkata"})
    until(lambda: log_bytes(f, "a.log").endswith(b"three"), "all of it is there")
    lines = log_bytes(f, "a.log").decode().split("\n")
    assert len(lines) == 4
    for line, text in zip(lines, ("one", "two", "", "three")):
        assert re.fullmatch(rf"{STAMP}{zone} \[a\] {text}", line), line
    if stamps == "local":
        assert "+05:30 " in lines[0]


def objects(data):
    return [json.loads(line) for line in data.decode().splitlines()]


def test_a_default_prefix_is_taken_back(foster):
    f = foster('defaults { log-prefix = "[x] " }' + service("a", shell("echo one; sleep 1000"))
               + service("b", shell("echo two; sleep 1000"), 'log-prefix = ""'))
    until(lambda: log_bytes(f, "a.log") == b"[x] one\n" and log_bytes(f, "b.log") == b"two\n")


def test_json(foster):
    script = python("import os, sys; os.write(1, b'plain\\n' + b'q\\\"\\\\\\t\\0\\n' + b'\\xff\\n' "
                    "+ 'ü'.encode() * 20000 + b'\\n' + b'end'); os.write(2, b'oops\\n')")
    f = foster(service("a", script, "log-format = json log-stderr = apart"))
    pid = f.wait_state("a", "exited") and None
    until(lambda: b"oops" in log_bytes(f, "a.stderr.log"), "standard error is there")
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    out = objects(log_bytes(f, "a.log"))
    assert [o["text"] for o in out[:3]] == ["plain", 'q"\\\t\0', "\ufffd"]
    assert out[2]["base64"] == "/w=="
    assert all(o["service"] == "a" and o["stream"] == "stdout" and o["pid"] > 0 for o in out)
    assert all(re.fullmatch(STAMP + "Z", o["time"]) for o in out)
    assert re.fullmatch(r"[0-9a-f]{16}\.\d+", out[0]["instance"])
    long = [o for o in out[3:-1]]
    assert "".join(o["text"] for o in long) == "ü" * 20000
    assert [o.get("partial", False) for o in long] == [True] * (len(long) - 1) + [False]
    assert out[-1]["text"] == "end" and out[-1]["partial"] is True
    err = objects(log_bytes(f, "a.stderr.log"))
    assert [(o["text"], o["stream"]) for o in err] == [("oops", "stderr")]


def test_json_waits_for_the_end_of_a_line(foster):
    script = shell("printf begin; read x < $FIFO; echo end; sleep 1000")
    f = foster(service("a", script, "log-format = json"), start=False)
    fifo = f.directory / "fifo"
    os.mkfifo(fifo)
    f.environment["FIFO"] = str(fifo)
    f.start().wait_up()
    f.wait_state("a", "running")
    os.kill(logger_of(f), signal.SIGKILL)  # what waits is not lost with the logger
    fifo.write_text("go\n")
    until(lambda: [o["text"] for o in objects(log_bytes(f, "a.log"))] == ["beginend"],
          "the line is there as one")


def test_a_part_of_a_line_is_not_held_for_ever(foster):
    """Pieces that the kernel does not put together fill a pipe with a few bytes."""
    script = python("import os, time; r, w = os.pipe(); "
                    "[(os.write(w, b'x'), os.splice(r, 1, 1)) for i in range(20)]; time.sleep(1000)")
    if not hasattr(os, "splice"):
        script = python("import os, time; os.write(1, b'x' * 20); time.sleep(1000)")
    f = foster(service("a", script, "log-format = json"))
    until(lambda: "".join(o["text"] for o in objects(log_bytes(f, "a.log"))) == "x" * 20,
          "all of it is there", 20)
    assert all(o["partial"] for o in objects(log_bytes(f, "a.log")))


def whole_lines(data):
    """Without what is just being written."""
    return data[:data.rfind(b"\n") + 1]


def test_a_line_longer_than_a_pipe_as_json(foster):
    script = python("import os, time; os.write(1, b'x' * 500000); time.sleep(1000)")
    f = foster(service("a", script, "log-format = json"))
    until(lambda: sum(len(o["text"]) for o in objects(whole_lines(log_bytes(f, "a.log")))) > 450000,
          "its beginning does not wait for its end")


def last_lines(f, name="a"):
    return f.service(name)["log"]


@pytest.mark.parametrize("options", ["", "log-format = json"])
def test_last_lines_of_any_bytes(foster, options):
    """A NUL byte hides nothing, neither here nor in the event of the crash."""
    script = shell(r"echo one; printf 'nul\000in\n'; printf 'bad\377\n'; echo last; exit 1")
    f = foster(service("a", script, options))
    wanted = ["one", "nul?in", "bad\ufffd" if options else "bad?", "last"]
    until(lambda: last_lines(f) == wanted, "they are the last lines")
    until(lambda: [c["lines"] for c in crashes(f)] == [wanted], "and those of its end")


def test_last_lines_over_a_rotation(foster):
    """A crash soon after one is told with what was said before it."""
    script = shell("i=0; while [ $i -lt 130 ]; do echo line $i; i=$((i+1)); done; sleep 1000")
    f = foster(service("a", script, "log-size = 1K log-keep = 100"))
    until(lambda: b"line 129\n" in log_bytes(f, "a.log"))
    assert log_bytes(f, "a.log").count(b"\n") < 10 and rotated(f, "a.log")
    assert last_lines(f) == [f"line {i}" for i in range(120, 130)]


def test_last_line_that_is_long(foster):
    f = foster(service("a", python("import os, time; os.write(1, b'x' * 10000); time.sleep(1000)")))
    until(lambda: len(log_bytes(f, "a.log")) == 10000)
    assert last_lines(f) == ["(a line of more than 8192 bytes)"]


def test_stderr_apart(foster):
    script = shell("echo out; echo err >&2; sleep 1000")
    f = foster(service("a", script, "log-stderr = apart") + service("b", script))
    until(lambda: log_bytes(f, "a.log") == b"out\n" and log_bytes(f, "a.stderr.log") == b"err\n")
    until(lambda: log_bytes(f, "b.log") == b"out\nerr\n")
    assert not (f.run / "log" / "b.stderr.log").exists()
    shown = f.service("a")
    assert shown["log"] == ["out"] and shown["log_stderr"] == ["err"]
    assert shown["log_stderr_file"] == str(f.run / "log" / "a.stderr.log")
    text = f.ctl("status", "a", check=0).stdout
    assert text.endswith("\nout\n\nstandard error:\nerr\n") and "a.stderr.log" in text


def test_stderr_apart_survives(foster):
    """Both pipes are taken over by the next logger, and by the next fosterd."""
    script = shell("i=0; while :; do echo $i; echo $i >&2; i=$((i+1)); sleep 0.005; done")
    f = foster(service("a", script, "log-stderr = apart"))
    names = ("a.log", "a.stderr.log")

    def goes_on(what):
        before = [log_bytes(f, n).count(b"\n") for n in names]
        until(lambda: all(log_bytes(f, n).count(b"\n") > b for n, b in zip(names, before)), what)

    goes_on("it writes")
    os.kill(logger_of(f), signal.SIGKILL)
    goes_on("the next logger")
    f.kill_manager()
    goes_on("the next manager")
    f.kill_supervisor()
    f.start().wait_up()
    goes_on("the next fosterd")
    for name in names:
        numbers = [int(n) for n in log_bytes(f, name).split(b"\n")[:-1]]
        assert sorted(set(numbers)) == list(range(max(numbers) + 1))


# --- rotation ---------------------------------------------------------------------------------

def numbered(f, count, pause=0):
    return shell(f"i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); "
                 f"{f'sleep {pause};' if pause else ''} done; sleep 1000")


def numbers(data):
    return [int(line.split()[-1]) for line in data.splitlines()]


@pytest.mark.parametrize("options", ["", "log-timestamps = utc"])
def test_rotation_by_size(foster, options):
    f = foster(service("a", numbered(None, 3000), f"log-size = 4K log-keep = 1000 {options}"))
    until(lambda: log_bytes(f, "a.log").endswith(b"line 2999\n"), "all is written")
    files = rotated(f, "a.log")
    assert len(files) >= 3000 * 9 // 4096
    assert all(p.stat().st_size <= 4096 and p.read_bytes().endswith(b"\n") for p in files)
    assert numbers(whole_log(f, "a.log")) == list(range(3000))


def test_rotation_keeps_a_number(foster):
    f = foster(service("a", numbered(None, 3000), "log-size = 4K log-keep = 2"))
    until(lambda: log_bytes(f, "a.log").endswith(b"line 2999\n"), "all is written")
    assert len(rotated(f, "a.log")) == 2
    left = numbers(whole_log(f, "a.log"))
    assert left == list(range(left[0], 3000))


def test_rotation_keeps_a_size(foster):
    f = foster(service("a", numbered(None, 3000), "log-size = 2K log-keep-size = 7K"))
    until(lambda: log_bytes(f, "a.log").endswith(b"line 2999\n"), "all is written")
    assert 1 <= len(rotated(f, "a.log")) <= 3
    assert len(whole_log(f, "a.log")) <= 7168


def test_rotation_by_time(foster):
    begin = time.monotonic()
    f = foster(service("a", numbered(None, 250, 0.01), "log-time = 1s log-keep = 100"))
    until(lambda: log_bytes(f, "a.log").endswith(b"line 249\n"), "all is written", 60)
    files = rotated(f, "a.log")
    assert 2 <= len(files) <= time.monotonic() - begin + 1
    assert numbers(whole_log(f, "a.log")) == list(range(250))


KINDS = pytest.mark.parametrize("kind, suffix", [("gzip", ".gz"), ("zstd", ".zst")])


@KINDS
def test_compression(foster, kind, suffix):
    f = foster(service("a", numbered(None, 3000),
                       f"log-size = 4K log-keep = 100 log-compress = {kind}"))
    until(lambda: log_bytes(f, "a.log").endswith(b"line 2999\n"), "all is written")
    until(lambda: rotated(f, "a.log") and all(p.suffix == suffix for p in rotated(f, "a.log")),
          "all are compressed")
    assert numbers(whole_log(f, "a.log")) == list(range(3000))
    assert not list((f.run / "log").glob("*.part"))
    original = rotated(f, "a.log")[0].stat()
    assert original.st_mode & 0o777 == 0o640


@KINDS
def test_compression_is_finished_by_the_next_logger(foster, kind, suffix):
    """A crash in the middle leaves the file as it was, one at the end a whole one."""
    f = foster(service("a", numbered(None, 10), f"log-compress = {kind}"), start=False)
    log = f.run / "log"
    log.mkdir(parents=True)
    if f.identity:
        os.chown(log, *f.identity)
    left, whole = (log / f"a.log.20261125T134{n}00.123456Z" for n in (0, 1))
    left.write_bytes(b"old\n" * 1000)
    for half in (".gz.part", ".zst.part"):
        (log / (left.name + half)).write_bytes(b"half of it")
    whole.write_bytes(b"older\n")
    (log / f"{whole.name}.gz").write_bytes(gzip.compress(b"older\n"))
    f.start().wait_up()
    done = log / (left.name + suffix)
    until(lambda: done.exists() and not left.exists(), "it is compressed")
    assert unpacked(done) == b"old\n" * 1000
    until(lambda: not whole.exists(), "what is whole is not done again")
    assert not (log / f"{whole.name}.zst").exists()
    assert not list(log.glob("*.part"))


def test_compression_holds_nobody_up(foster):
    """It goes on in a child, which is told apart; the logger writes meanwhile."""
    f = foster(service("a", numbered(None, 10), "log-compress = zstd"), start=False)
    log = f.run / "log"
    log.mkdir(parents=True)
    big = log / "a.log.20261125T134000.123456Z"
    with big.open("wb") as out:
        for i in range(64):
            out.write(os.urandom(1 << 20))
    f.start().wait_up()
    child = until(lambda: [pid for pid in children_of(logger_of(f))
                           if comm_of(pid) == "foster-log:zstd"], "it compresses")[0]
    os.kill(child, signal.SIGSTOP)
    until(lambda: log_bytes(f, "a.log").endswith(b"line 9\n"), "all is written")
    assert big.exists()
    os.kill(child, signal.SIGCONT)
    until(lambda: not big.exists(), "it is compressed", 60)


def test_a_rotation_that_failed_is_tried_again(foster):
    """An ordinary user's: the directory could not be written for a moment."""
    f = foster(service("a", shell("while :; do echo line; sleep 0.001; done"), "log-size = 1K"),
               identity=ordinary_user())
    until(lambda: rotated(f, "a.log"))
    log = f.run / "log"
    log.chmod(0o500)
    until(lambda: "cannot be rotated, and grows" in f.output())
    log.chmod(0o700)
    before = rotated(f, "a.log")
    until(lambda: rotated(f, "a.log") != before, "it is rotated again", 20)
    assert f.output().count("cannot be rotated") == 1


def test_rotation_after_the_clock_was_ahead(foster):
    """The newest remain, whatever time stands in the names of those before."""
    f = foster(service("a", numbered(None, 3000), "log-size = 4K log-keep = 3"), start=False)
    log = f.run / "log"
    log.mkdir(parents=True)
    for i in range(3):
        (log / f"a.log.2099010{i + 1}T000000.999999Z").write_text(f"old {i}\n")
    f.start().wait_up()
    until(lambda: log_bytes(f, "a.log").endswith(b"line 2999\n"), "all is written")
    assert len(rotated(f, "a.log")) == 3
    left = numbers(whole_log(f, "a.log"))
    assert left == list(range(left[0], 3000)) and len(left) > 1000
    assert numbers(f.ctl("log", "a", "-n", "all", check=0).stdout) == left


def test_half_a_compressed_file_is_removed(foster):
    """Where nothing is compressed any more, too; what is not foster's is left."""
    f = foster(service("a", numbered(None, 3000), "log-size = 4K log-keep = 3"), start=False)
    log = f.run / "log"
    log.mkdir(parents=True)
    halves = [log / f"a.log.20261125T134000.000001Z{end}.part" for end in (".gz", ".zst")]
    others = [log / name for name in ("a.log.gz.part", "b.log.20261125T134000.000001Z.gz.part")]
    for path in halves + others:
        path.write_text("x")
    f.start().wait_up()
    until(lambda: not any(path.exists() for path in halves), "they are gone")
    assert all(path.exists() for path in others)


def test_owner_and_mode(foster):
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    f = foster(service("a", shell("echo x; sleep 1000"), 'log-owner = "1:2" log-mode = 0604'))
    until(lambda: log_bytes(f, "a.log"))
    st = (f.run / "log" / "a.log").stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (1, 2, 0o604)


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo", "directory"])
def test_what_is_no_file_is_not_written(foster, kind):
    """And when it is gone, all that was said is in a file."""
    f = foster(service("a", shell("echo secret; sleep 1000")), start=False)
    victim = f.directory / "victim"
    victim.write_text("untouched")
    path = f.run / "log" / "a.log"
    path.parent.mkdir(parents=True)
    {"symlink": lambda: path.symlink_to(victim), "hard link": lambda: path.hardlink_to(victim),
     "fifo": lambda: os.mkfifo(path), "directory": path.mkdir}[kind]()
    f.start().wait_up()
    until(lambda: "cannot be written" in f.output(), "it says so")
    assert victim.read_text() == "untouched"
    path.rmdir() if kind == "directory" else path.unlink()
    until(lambda: log_bytes(f, "a.log") == b"secret\n", "it is written then")
    assert "a: is written again" in f.output()


def test_reopen(foster):
    """As logrotate does: move, then signal, or fosterctl reopen."""
    f = foster(service("a", numbered(None, 500, 0.002)))
    path = f.run / "log" / "a.log"
    until(lambda: log_bytes(f, "a.log"))
    for i in range(2):
        path.rename(f.run / "log" / f"moved.{i}")
        os.kill(logger_of(f), signal.SIGHUP)
        until(path.exists, "there is a new file")
    until(lambda: log_bytes(f, "a.log").endswith(b"line 499\n"), "all is written", 60)
    moved = b"".join((f.run / "log" / f"moved.{i}").read_bytes() for i in range(2))
    assert numbers(moved + log_bytes(f, "a.log")) == list(range(500))


def test_deleted_file_is_made_again(foster):
    f = foster(service("a", numbered(None, 100000, 0.002)))
    for _ in range(3):
        until(lambda: log_bytes(f, "a.log"), "it is written")
        (f.run / "log" / "a.log").unlink()
        (f.run / "log").rmdir()
    until(lambda: log_bytes(f, "a.log"), "it is there again")


# --- what cannot be written -------------------------------------------------------------------

@pytest.fixture
def small_disk(directory):
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    path = directory / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "foster-test", str(path)], check=True)
    yield path
    until(lambda: subprocess.run(["umount", str(path)], capture_output=True).returncode == 0,
          "nobody uses it any more")


def fill(disk):
    """Leaves no byte."""
    with (disk / "filler").open("ab") as f:
        try:
            while f.write(b"x" * 4096):
                f.flush()
        except OSError:
            pass


def free(disk):
    (disk / "filler").unlink()


class Writer:
    """Numbered lines as fast as they are taken, to a small disk; and a neighbour on another."""

    def __init__(self, foster, builddir, disk, options, arguments=""):
        self.disk, self.log = disk, disk / "w.log"
        self.f = foster("", start=False)
        self.result = self.f.directory / "result"
        self.builddir = builddir
        self.f.write(f'log-directory = "{disk}"\n' + service(
            "w", f'{{"{builddir}/test-lines", "write", "{self.result}", "1"{arguments}}}',
            f'stop-timeout = "20s" {options}'))
        self.f.start().wait_up()

    def written(self):
        """How many lines it wrote, with a newline; empty until it has ended."""
        text = self.result.read_text() if self.result.exists() else ""
        return text if text.endswith("\n") else ""

    def check(self, data, first=0):
        done = subprocess.run([str(self.builddir / "test-lines"), "check", str(first)], input=data,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        return [int(n) for n in done.stdout.split()]


def has_open(pid, path):
    return str(path) in descriptors_of(pid).values()


class Taker:
    """Takes the log's file away, again and again, and checks that it goes on where the last ended."""

    def __init__(self, w):
        self.w, self.next, self.rest = w, 0, b""

    def take(self):
        taken = self.w.log.rename(self.w.disk / "taken")
        logger = logger_of(self.w.f)
        os.kill(logger, signal.SIGHUP)
        until(lambda: not has_open(logger, taken), "it has let go of the file")
        whole, newline, self.rest = (self.rest + taken.read_bytes()).rpartition(b"\n")
        self.next, repeated, torn = self.w.check(whole + newline, self.next)
        assert (repeated, torn) == (0, 0)
        taken.unlink()


def test_disk_full_a_hundred_times(foster, builddir, small_disk):
    """With log-full = block nothing is lost, and nothing comes twice."""
    w = Writer(foster, builddir, small_disk, "log-size = 0")
    taker = Taker(w)

    def is_full():
        return w.log.exists() and os.statvfs(small_disk).f_bavail == 0

    for _ in range(100):
        until(is_full, "it is full")
        taker.take()
    os.kill(w.f.service_pid("w"), signal.SIGTERM)
    until(lambda: is_full() and taker.take() or w.written(), "its last line", 20)
    until(lambda: (w.log.exists() and taker.take()) or taker.next == int(w.written()),
          "all of it is there", 20)


def test_disk_full_holds_nobody_else_up(foster, builddir, small_disk):
    f = foster("", start=False)
    listener = Listener(f.directory / "journal")
    beat = shell("i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done")
    f.write(f'log-directory = "{small_disk}"\n'
            + service("w", f'{{"{builddir}/test-lines", "write", "{f.directory}/result"}}',
                      'log-size = 0 stop-timeout = "100ms"')
            + service("b", beat, f'log = journal log-socket = "{listener.path}"'))
    f.start().wait_up()
    until(lambda: "w: cannot be written" in f.output(), "it is full")
    beats = [int(fields(m)["MESSAGE"]) for m in listener.receive(50)]
    assert beats == list(range(beats[0], beats[0] + 50))
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    listener.close()


def test_a_buffer_for_a_full_disk(foster):
    """The service goes on meanwhile, and a logger that is killed has nothing to lose."""
    f = foster("", start=False)
    done = f.directory / "done"
    f.write(service("a", python("import os; [os.write(1, b'%99d\\n' % i) for i in range(4000)]; "
                                f"open('{done}', 'w')"), "log-buffer = 512K"))
    log = f.run / "log"
    f.run.mkdir()
    log.write_text("no directory")
    f.start()
    until(done.exists, "it was not held up")
    f.wait_up()
    for _ in range(2):
        old = logger_of(f)
        os.kill(old, signal.SIGKILL)
        logger_of(f, other_than=old)
    assert log.is_file()
    log.unlink()
    until(lambda: log_bytes(f, "a.log") == b"".join(b"%99d\n" % i for i in range(4000)),
          "all of it is there, once")


def test_a_buffer_that_is_too_large(foster, directory):
    """What an ordinary user may not have is told, by --check, too; the service is logged all the same."""
    user = ordinary_user()
    if user is None:
        user = os.getuid(), os.getgid()
    f = foster(service("a", shell("echo one; exec sleep 1000"), "log-buffer = 512M"), identity=user)
    until(lambda: log_bytes(f, "a.log") == b"one\n", "it is written")
    assert re.search("a: its pipe stays at [0-9]+ bytes, for log-buffer = 536870912 cannot be had "
                     ".see /proc/sys/fs/pipe-max-size", f.output())
    done = subprocess.run(f.as_identity([f.builddir / "fosterd", "--check", "-c", f.config_path]),
                          capture_output=True, text=True)
    assert done.returncode == 0 and "service a: log-buffer is more than the" in done.stderr


def test_dropping_is_counted(foster, builddir, small_disk):
    w = Writer(foster, builddir, small_disk, "log-size = 0 log-full = drop", ', "20000000"')
    written = int(until(w.written, "it was never held up", 60))
    taken = w.log.rename(small_disk / "before")
    logger = logger_of(w.f)
    os.kill(logger, signal.SIGHUP)
    until(lambda: not has_open(logger, taken), "it has let go of the file")
    before = taken.read_bytes()
    taken.unlink()
    until(lambda: w.log.exists() and b"dropped" in w.log.read_bytes(), "it says what is missing")
    w.f.post("/v1/shutdown?all=1")
    w.f.wait_end()
    lines = (before + w.log.read_bytes()).split(b"\n")
    kept = sum(bool(re.fullmatch(rb"N\d{12}", line)) for line in lines)
    dropped = sum(int(line.split()[1]) for line in lines if line.startswith(b"foster-log: "))
    notes = [line for line in lines if line.startswith(b"foster-log: ")]
    assert all(re.fullmatch(rb"foster-log: \d+ lines? (was|were) dropped: No space left on device",
                            note) for note in notes), notes
    torn = [line for line in lines[:-1] if not re.fullmatch(rb"N\d{12}|foster-log: .*", line)]
    # A line of which a part was written already is cut off there, and counts as dropped, even when
    # its newline alone was missing.
    assert 0 <= kept + dropped - written <= len(notes) and len(torn) <= len(notes), (torn, notes)
    assert dropped > 0


def test_dropped_lines_are_in_the_status(foster):
    f = foster(service("a", numbered(None, 1000), 'log-rate = "100/h"'))
    until(lambda: f.service("a")["log_dropped"] == 900, "it is told", 20)
    assert "log dropped: 900 lines\n" in f.ctl("status", "a", check=0).stdout
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    assert log_bytes(f, "a.log").decode().splitlines() == [
        *(f"line {i}" for i in range(100)), "foster-log: 900 lines were dropped: more than log-rate"]


def test_rate_lets_whole_lines_pass(foster):
    """A line counts when it begins: of one that may not pass there is nothing."""
    script = python("""
import os, time
for i in range(4):
    for part in b"line", b" %d" % i, b" ends\\n":
        os.write(1, part)
        time.sleep(0.1)
time.sleep(1000)
""")
    f = foster(service("a", script, 'log-rate = "2/h"'))
    until(lambda: b"dropped" in log_bytes(f, "a.log"), "it is told", 20)
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    lines = log_bytes(f, "a.log").decode().splitlines()
    assert lines[:2] == ["line 0 ends", "line 1 ends"]
    told = [re.fullmatch(r"foster-log: (\d) lines? w\w+ dropped: more than log-rate", s) for s in lines[2:]]
    assert all(told) and sum(int(m[1]) for m in told) == 2


class Speaker:
    """A service that says what it is told to, at once."""
    SCRIPT = python("""
import os
for line in open(os.environ['FIFO']):
    os.write(1, eval(line))
""")

    def __init__(self, foster, options, more=""):
        self.foster = foster(more + service("a", self.SCRIPT, options), start=False)
        fifo = self.foster.directory / "fifo"
        os.mkfifo(fifo)
        self.foster.environment["FIFO"] = str(fifo)
        self.foster.start().wait_up()
        # For reading, too: then nobody else need read it at the moment.
        self.pipe = open(os.open(fifo, os.O_RDWR), "w", buffering=1)

    def say(self, data):
        print(repr(data), file=self.pipe)

    def taken(self):
        """Whether it has read all that it was told, and waits for more."""
        left = struct.unpack("i", fcntl.ioctl(self.pipe, termios.FIONREAD, b"\0" * 4))[0]
        return left == 0 and state(self.foster.service_pid("a")) == "S"


@contextlib.contextmanager
def in_the_way(f, name="a.log"):
    """A directory stands where the file is to be."""
    path = f.run / "log" / name
    path.unlink(missing_ok=True)
    path.mkdir()
    yield
    path.rmdir()


def test_the_rest_of_a_dropped_line_while_nothing_can_be_written(foster):
    """It goes, and what is to be written is tried again."""
    a = Speaker(foster, 'log-rate = "1/h"')
    f = a.foster
    with a.pipe:
        a.say(b"first\n" + b"x" * 1000)
        until(lambda: b"first\n" in log_bytes(f, "a.log") and f.service("a")["log_dropped"] == 1)
        with in_the_way(f):
            until(lambda: "cannot be written" in f.output(), "the note cannot be written", 20)
            a.say(b"y" * 30000)
            a.say(b"z" * 30000)
        until(lambda: b"1 line was dropped" in log_bytes(f, "a.log"), "the note is written", 20)


@pytest.mark.parametrize("options", ["", "log-format = json"])
def test_a_line_that_may_begin_may_end(foster, options):
    """However long it is, and however many objects it takes."""
    a = Speaker(foster, f'log-rate = "1/h" {options}')
    f = a.foster
    with a.pipe:
        a.say(b"x" * 30000)
        until(lambda: log_bytes(f, "a.log"), "it begins", 20)
        a.say(b"x" * 30000 + b"END\n")
        a.say(b"too much\n")
        until(lambda: b"dropped" in log_bytes(f, "a.log"), "that is told", 20)
    lines = log_bytes(f, "a.log")
    said = "".join(o["text"] for o in objects(lines)) if options else lines.decode()
    assert said.startswith("x" * 60000 + "END") and "too much" not in said


def test_waiting_lines_are_written_as_whole_objects(foster, small_disk):
    """Those that are longer than what is tried at first when a disk was full, too."""
    a = Speaker(foster, "log-format = json", f'log-directory = "{small_disk}"\n')
    f = a.foster
    lines = [b"%d" % i + b"x" * 6000 for i in range(8)]
    with a.pipe:
        subprocess.run(["dd", "if=/dev/zero", f"of={small_disk}/filler", "bs=4096"], capture_output=True)
        for line in lines:
            a.say(line + b"\n")
        until(lambda: "cannot be written" in f.output(), "it cannot be written", 20)
        free(small_disk)
        path = small_disk / "a.log"
        until(lambda: path.exists() and b"7xx" in path.read_bytes(), "it is written again", 20)
    assert [o["text"].encode() for o in objects(path.read_bytes())] == lines
    f.post("/v1/shutdown?all=1")
    f.wait_end()


def test_a_killed_logger_s_note_is_written_by_the_next(foster):
    """What it dropped is told in the log, once."""
    f = foster(service("a", numbered(None, 1000), 'log-rate = "100/h"'))
    until(lambda: f.service("a")["log_dropped"] == 900, "it is dropped", 20)
    os.kill(logger_of(f), signal.SIGKILL)
    until(lambda: b"dropped" in log_bytes(f, "a.log"), "the next one tells of it", 20)
    os.kill(logger_of(f), signal.SIGKILL)
    f.post("/v1/shutdown?all=1")
    f.wait_end()
    notes = [line for line in log_bytes(f, "a.log").decode().splitlines() if "dropped" in line]
    assert notes in (["foster-log: 900 lines were dropped: more than log-rate"],
                     ["foster-log: 900 lines were dropped: they could not be written"])


def test_rotated_json_is_as_large_as_it_may_be(foster):
    """What an object would take at the most is not what it takes."""
    f = foster(service("a", numbered(None, 300), "log-format = json log-size = 2K log-keep = 100"))
    until(lambda: b"line 299" in log_bytes(f, "a.log"))
    sizes = [p.stat().st_size for p in rotated(f, "a.log")]
    object_size = len(log_bytes(f, "a.log").split(b"\n")[0]) + 1
    assert sizes and all(2048 - object_size - 10 < size <= 2048 for size in sizes)


def test_rate_lets_the_usual_pass(foster):
    f = foster(service("a", numbered(None, 100, 0.005), 'log-rate = "1000/s"'))
    until(lambda: log_bytes(f, "a.log").endswith(b"line 99\n"))
    assert numbers(log_bytes(f, "a.log")) == list(range(100))


def test_file_on_a_read_only_directory(foster):
    """An ordinary user's; root may write everywhere."""
    from conftest import ordinary_user
    identity = ordinary_user()
    f = foster(service("a", numbered(None, 300, 0.005)), identity=identity, start=False)
    log = f.run / "log"
    log.mkdir(parents=True)
    for path in (f.run, log):
        if identity:
            os.chown(path, *identity)
    log.chmod(0o500)
    f.start().wait_up()
    until(lambda: "cannot be written" in f.output(), "it says so")
    log.chmod(0o700)
    until(lambda: log_bytes(f, "a.log").endswith(b"line 299\n"), "all of it is there", 20)
    assert numbers(log_bytes(f, "a.log")) == list(range(300))


def fill_channel(f):
    """The logger is stopped; what it is told from now on waits with the manager."""
    os.kill(logger_of(f), signal.SIGSTOP)
    for _ in range(1000):
        f.post("/v1/reopen")


def test_the_manager_dies_before_it_has_told_of_a_pipe(foster):
    """The pipe is with fosterd and its service runs; the next manager gives it to the logger."""
    f = foster(service("a", shell("exec sleep 1000")))
    f.wait_state("a", "running")
    logger = logger_of(f)
    fill_channel(f)
    f.write(f.config_path.read_text() + service("b", shell("echo one; exec sleep 1000")))
    assert f.post("/v1/reload").status == 200
    f.wait_state("b", "running")
    old = f.kill_manager()
    until(lambda: f.manager_pid() != old, "there is another manager")
    os.kill(logger, signal.SIGCONT)
    until(lambda: log_bytes(f, "b.log") == b"one\n", "its line is written")
    assert logger_of(f) == logger


def test_the_manager_dies_before_it_has_told_of_settings(foster):
    f = foster(service("a", shell("while sleep 0.05; do echo line; done")))
    f.wait_state("a", "running")
    logger = logger_of(f)
    fill_channel(f)
    f.write(f.config_path.read_text().replace("restart = no", 'restart = no log-prefix = "new "'))
    assert f.post("/v1/reload").status == 200
    old = f.kill_manager()
    until(lambda: f.manager_pid() != old, "there is another manager")
    os.kill(logger, signal.SIGCONT)
    until(lambda: log_bytes(f, "a.log").endswith(b"\nnew line\n"), "the prefix is there")


# --- journal and syslog -----------------------------------------------------------------------

class Listener:
    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def receive(self, n):
        return [self.socket.recv(1 << 18) for _ in range(n)]

    def close(self):
        self.socket.close()
        self.path.unlink()


def fields(message):
    """Of systemd's native protocol."""
    found = {}
    while message:
        line, _, message = message.partition(b"\n")
        name, sign, value = line.partition(b"=")
        if not sign:
            size = int.from_bytes(message[:8], "little")
            value, message = message[8:8 + size], message[8 + size + 1:]
        found[name.decode()] = value
    return found


def test_journal(foster):
    script = python("import os, time; os.write(1, b'one\\nnul \\0\\n' + b'x' * 30000 + b'\\n'); "
                    "time.sleep(1000)")
    f = foster("", start=False)
    listener = Listener(f.directory / "journal")
    f.write(service("a", script, f'log = journal log-socket = "{listener.path}"'))
    f.start().wait_up()
    got = [fields(m) for m in listener.receive(4)]
    listener.close()
    assert [g["MESSAGE"] for g in got[:2]] == [b"one", b"nul \0"]
    assert b"".join(g["MESSAGE"] for g in got[2:]) == b"x" * 30000
    assert [g.get("FOSTER_PARTIAL") for g in got] == [None, None, b"1", None]
    first = got[0]
    assert (first["FOSTER_SERVICE"], first["SYSLOG_IDENTIFIER"]) == (b"a", b"a")
    assert first["PRIORITY"] == b"6" and first["FOSTER_STREAM"] == b"output"
    assert int(first["OBJECT_PID"]) == f.service_pid("a") and first["FOSTER_INSTANCE"]
    assert f.service("a")["log_file"] is None


def test_syslog_waits_for_its_daemon(foster):
    """Nothing is lost while nobody listens."""
    script = shell("echo one; echo two >&2; sleep 1000")
    f = foster("", start=False)
    path = f.directory / "log-socket"
    f.write(service("a", script, f'log = syslog log-stderr = apart log-socket = "{path}"'))
    f.start().wait_up()
    until(lambda: f.output().count("cannot be written to syslog") == 2, "it says so")
    listener = Listener(path)
    got = sorted(listener.receive(2))
    listener.close()
    host = socket.gethostname()
    pid = f.service_pid("a")
    assert re.fullmatch(rf"<28>1 {STAMP}Z {host} a {pid} stderr - two", got[0].decode())
    assert re.fullmatch(rf"<30>1 {STAMP}Z {host} a {pid} stdout - one", got[1].decode())


# --- a new configuration, and the end -----------------------------------------------------------

def test_reload_changes_the_log_at_once(foster):
    f = foster(service("a", numbered(None, 100000, 0.005)))
    pid = f.wait_state("a", "running")["pid"]
    until(lambda: log_bytes(f, "a.log"))
    f.write(service("a", numbered(None, 100000, 0.005), "log-timestamps = true"))
    f.ctl("reload", check=0)
    until(lambda: re.search(STAMP + r"Z line \d+\n", log_bytes(f, "a.log").decode()), "it has a time")
    assert f.service_pid("a") == pid
    f.write(service("a", numbered(None, 100000, 0.005), "log = none"))
    f.ctl("reload", check=0)
    until(lambda: f.service_pid("a") not in (0, pid), "that needs a restart")


def test_reload_moves_the_logs(foster):
    """To another directory, without a restart; what the manager is replaced by finds them there."""
    script = numbered(None, 100000, 0.005)
    f = foster(service("a", script))
    pid = f.wait_state("a", "running")["pid"]
    until(lambda: log_bytes(f, "a.log"))
    elsewhere = f.directory / "else" / "where"
    f.write(f'log-directory = "{elsewhere}"\n' + service("a", script))
    f.ctl("reload", check=0)
    until(lambda: (elsewhere / "a.log").exists(), "it goes on there")
    assert f.service("a")["log_file"] == str(elsewhere / "a.log") and f.service_pid("a") == pid
    (f.directory / "file").write_text("")
    f.write(f'log-directory = "{f.directory}/file/x"\n' + service("a", script))
    assert "log-directory: Not a directory; nothing was changed" in f.ctl("reload", check=1).stderr
    f.kill_manager()
    f.wait_state("a", "running")
    assert f.service("a")["log_file"] == str(elsewhere / "a.log")


def test_what_cannot_be_written_at_the_end_is_said(foster):
    f = foster(service("a", shell("echo x; sleep 1000")), start=False)
    path = f.run / "log" / "a.log"
    path.mkdir(parents=True)
    f.start().wait_up()
    until(lambda: "cannot be written" in f.output(), "it says so")
    f.post("/v1/shutdown?all=1")
    f.wait_end(20)
    assert "the output of 1 service could not be written, and is lost" in f.output()
    path.rmdir()


# --- crashes ----------------------------------------------------------------------------------

def crashes(f):
    return [e for e in map(json.loads, f.get("/v1/events?type=crash").body.splitlines())]


@pytest.mark.parametrize("options", ["", "log-stderr = apart", "log-format = json"])
def test_a_crash_has_its_last_lines(foster, options):
    script = shell("for i in $(seq 20); do echo out $i; echo err $i >&2; done; printf last >&2; exit 3")
    f = foster(service("a", script, options) + service("good", shell("echo x; exit 0")))
    crash, = until(lambda: crashes(f), "the event comes")
    if options == "log-stderr = apart":
        assert crash["lines"] == [*(f"err {i}" for i in range(12, 21)), "last"]
    else:
        assert crash["lines"][-3:] == ["out 20", "err 20", "last"] and len(crash["lines"]) == 10
    assert (crash["service"], crash["reason"], crash["type"]) == ("a", "exit 3", "crash")
    assert crash["pid"] > 0
    shown = f.ctl("events", check=0).stdout
    assert f"crash a, pid {crash['pid']}: exit 3\n" in shown and "\n    err 20\n" in shown


def test_a_crash_while_the_logger_dies_has_its_last_lines(foster):
    """What it was asked is asked of the next one, when that has the pipe."""
    a = Speaker(foster, "")
    f = a.foster
    with a.pipe:
        for i in range(3):
            a.say(b"%d\n" % i)
            until(lambda: log_bytes(f, "a.log").endswith(b"%d\n" % i))
            logger = logger_of(f)
            os.kill(logger, signal.SIGSTOP)
            until(lambda: state(logger) == "T")
            a.say(b"last words %d\n" % i)
            until(a.taken, "it has said them")
            os.kill(f.service_pid("a"), signal.SIGKILL)
            f.wait_state("a", "failed")
            os.kill(logger, signal.SIGKILL)
            until(lambda: len(crashes(f)) == i + 1, "the crash is told", 20)
            assert crashes(f)[-1]["lines"][-1] == f"last words {i}"
            f.ctl("start", "a", check=0)


def test_a_stop_is_no_crash(foster):
    f = foster(service("a", shell("echo x; sleep 1000")) + service("b", shell("exit 1")))
    f.wait_state("a", "running")
    f.ctl("stop", "a", check=0)
    until(lambda: crashes(f), "the other's event comes")
    assert [c["service"] for c in crashes(f)] == ["b"]


def test_last_lines_of_json_are_text(foster):
    f = foster(service("a", shell("echo hello; sleep 1000"), "log-format = json"))
    until(lambda: f.service("a")["log"] == ["hello"], "its status shows what it said")
