"""Where in its log a service's output goes on when fosterd, manager and logger are replaced, in order or
not: each byte of it is there once, whatever it says. And the memory of that, in the run directory."""

import json
import os
import select
import signal
import stat
import struct
import sys

import pytest

from conftest import ordinary_user
from foster import descriptors_of, logger_of, until

sys.path.insert(0, __file__.rsplit("/e2e/", 1)[0] + "/chaos")

from logs import processes_named, size_of  # noqa: E402

MEMORY = "log-counts"
HEAD = 64  # struct logger_memory_head: magic, version, size, boot id

# Says a block whenever it is told to.
TALKER = """
import os
blocks = eval(open('DIRECTORY/blocks').read())
with open('DIRECTORY/orders', 'rb', 0) as orders:
    while orders.read(1):
        block = blocks.pop(0)
        os.write(1, block)
        if TWICE:
            os.write(2, block)
"""


class Talker:
    """A service that is no daemon, and says the blocks one by one."""

    def __init__(self, foster, directory, blocks, options="", twice=False, **arguments):
        self.said, self.blocks = b"", list(blocks)
        (directory / "blocks").write_text(repr(self.blocks))
        os.mkfifo(directory / "orders")
        script = directory / "talker.py"
        script.write_text(TALKER.replace("DIRECTORY", str(directory)).replace("TWICE", str(twice)))
        self.orders = os.open(directory / "orders", os.O_RDWR)
        self.script = script
        self.foster = foster(self.section(options), **arguments)
        if not arguments.get("start", True):
            return
        self.pid = self.foster.wait_state("s", "running")["pid"]

    def section(self, options=""):
        return (f'service s {{ command = {{"/usr/bin/python3", "{self.script}"}} restart = no '
                f"daemon = false stop-timeout = 1s {options} }}\n")

    def say(self):
        """Not waiting until it is written."""
        self.said += self.blocks.pop(0)
        os.write(self.orders, b"x")

    def log(self):
        path = self.foster.run / "log/s.log"
        return path.read_bytes() if path.exists() else b""

    def check(self):
        until(lambda: len(self.log()) >= len(self.said), "what it said is written")
        assert self.log() == self.said

    def kill_all(self):
        mark = f"FOSTER_TEST={os.environ['FOSTER_TEST']}".encode()
        self.foster.kill_both()
        for pid in processes_named("foster-log", mark):
            os.kill(pid, signal.SIGKILL)

    def shut_down(self):
        self.foster.ctl("shutdown", check=0)
        self.foster.wait_end()

    def end(self):
        os.close(self.orders)


HOWS = {"order": Talker.shut_down, "fosterd": lambda t: t.foster.kill_supervisor(),
        "all": Talker.kill_all}


@pytest.fixture
def talker(foster, directory):
    made = []

    def make(*arguments, **named):
        made.append(Talker(foster, directory, *arguments, **named))
        return made[-1]
    yield make
    for one in made:
        one.end()


def cut(text, size=4096):
    return [text[i:i + size] for i in range(0, len(text), size)]


SAYINGS = {
    "a line in two": [b"test 1 " + b"." * 70, b"." * 70 + b" ok\n", b"more\n"],
    "rulers": cut(b"".join(b"row %06d\n" % i + b"-" * 200 + b"\n" for i in range(200))),
    "dots": cut(b"".join(b"test %06d " % i + b"." * 120 + b" ok\n" for i in range(250))),
    "zeros": cut(b"".join(b"%08x: " % (i * 256) + b"00 " * 85 + b"\n" for i in range(140))),
    "the same": cut(b"GET /health HTTP/1.1 200\n" * 1500),
    "no lines": [b"=" * 4096] * 9,
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("saying", SAYINGS)
def test_it_goes_on_where_it_was(talker, saying, how):
    t = talker(SAYINGS[saying])
    while t.blocks:
        t.say()
        t.check()
        HOWS[how](t)
        if len(t.blocks) > 1:
            t.say()  # to nobody, or to the logger that is still there
        t.foster.start().wait_up()
    t.check()
    assert t.foster.service_pid("s") == t.pid


@pytest.mark.parametrize("moment", ["write-part", "write", "no-readv", "readv"])
def test_all_are_killed_over_a_write(talker, moment):
    """The next logger is of the next fosterd."""
    block = b"the same, " * 10
    t = talker([block] * 4)
    for _ in range(2):
        t.say()
        t.check()
        t.foster.preload("test-kill-at-call.so", KILL_AT=moment,
                         KILL_AT_TEXT="" if "readv" in moment else "the same")
        t.shut_down()
        t.foster.start().wait_up()
        t.foster.environment.clear()
        t.say()
        until(lambda: metric(t.foster, "foster_logger_restarts_total") > 0, "it was killed")
        t.kill_all()
        t.foster.start().wait_up()
        t.check()


# The options that a service was started with, and those of the next fosterd; None: it is not named.
EDITS = {"apart, together": ("log-stderr = apart", ""), "together, apart": ("", "log-stderr = apart"),
         "together, none": ("", "log = none"), "apart, none": ("log-stderr = apart", "log = none"),
         "apart, inherit": ("log-stderr = apart", "log = inherit"),
         "together, removed": ("", None), "apart, removed": ("log-stderr = apart", None)}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("edit", EDITS)
def test_it_is_read_as_it_was_started(talker, edit, how):
    """More than a pipe holds, so the service would hang. The next manager reads it so, too."""
    before, after = EDITS[edit]
    t = talker([b"%d " % i + b"x" * 30000 + b"\n" for i in range(12)], before, twice=True)
    apart = "apart" in before
    t.say()
    HOWS[how](t)
    t.foster.write(t.section(after) if after is not None else "")
    t.foster.start().wait_up()
    for _ in range(5):
        t.say()
    t.foster.kill_manager()
    while t.blocks:
        t.say()
    path, errors = t.foster.run / "log/s.log", t.foster.run / "log/s.stderr.log"
    size = len(t.said)
    until(lambda: size_of(path) == size * (1 if apart else 2), "all is written", 20)
    if apart:
        until(lambda: size_of(errors) == size, "all of standard error is")
        assert path.read_bytes() == errors.read_bytes() == t.said
    else:
        assert path.read_bytes() == b"".join(line * 2 for line in t.said.splitlines(keepends=True))
        assert not errors.exists()
    service = t.foster.service("s")
    assert service["pid"] == t.pid and service["log_file"] == str(path)
    assert service["log_stderr_file"] == (str(errors) if apart else None)


def pipes_of(f):
    return sum(to.startswith("pipe:") for to in descriptors_of(f.pid).values())


OTHER = 'service other { command = {"/bin/sleep", "1000"} }\n'


@pytest.mark.parametrize("twice", [False, True], ids=["together", "apart"])
@pytest.mark.parametrize("killed", ["logger", "manager and logger", "logger and manager"])
def test_what_waits_for_a_removed_service_is_not_lost(talker, killed, twice):
    """The logger cannot write it, is killed, and so is the manager. Then nothing of it is kept."""
    t = talker([b"one\n", b"two\nth", b"ree\n"], "log-format = json" + " log-stderr = apart" * twice, twice)
    f = t.foster
    t.foster.write(t.section("log-format = json" + " log-stderr = apart" * twice) + OTHER)
    t.foster.ctl("reload", check=0)
    t.foster.wait_state("other", "running")
    before = pipes_of(f)
    t.say()
    paths = [f.run / "log/s.log"] + [f.run / "log/s.stderr.log"] * twice
    for path in paths:
        until(lambda: size_of(path))
        path.rename(path.with_suffix(".aside"))
        path.mkdir()
    f.ctl("reopen", check=0)
    t.say()
    t.say()
    until(lambda: metric(f, 'foster_service_log_blocked{service="s"') == 1, "it cannot be written")
    f.write(OTHER)
    f.ctl("reload", check=0)
    until(lambda: "s" not in f.services())
    for what in killed.split(" and "):
        if what == "manager":
            f.kill_manager()
            f.wait_up()
        else:
            logger = logger_of(f)
            os.kill(logger, signal.SIGKILL)
            logger_of(f, other_than=logger)
    f.write(OTHER + OTHER.replace("other", "third"))  # it is not to have the slot, and so the place
    f.ctl("reload", check=0)
    f.wait_state("third", "running")
    for path in paths:
        path.rmdir()
        path.with_suffix(".aside").rename(path)

    def texts(path):
        text = path.read_bytes() if path.exists() else b""
        return [json.loads(line)["text"] for line in text.splitlines() if line.endswith(b"}")]
    for path in paths:
        until(lambda: texts(path) == ["one", "two", "three"], lambda: texts(path))
    until(lambda: pipes_of(f) == before - len(paths) + 1, "their pipes are dropped")


@pytest.mark.parametrize("time", range(3))
def test_a_removed_service_whose_logger_was_stopped(talker, time):
    """What it was told is told to the next one, by the same channel: it must not take it for its own."""
    t = talker([b"one\n", b"two\n" * 100])
    t.say()
    t.check()
    t.foster.write(t.section() + OTHER)
    t.foster.ctl("reload", check=0)
    logger = logger_of(t.foster)
    os.kill(logger, signal.SIGSTOP)
    t.say()
    t.foster.write(OTHER)
    t.foster.ctl("reload", check=0)
    os.kill(logger, signal.SIGKILL)
    t.check()


@pytest.fixture
def above(directory):
    os.mkfifo(directory / "above")
    fd = os.open(directory / "above", os.O_RDWR | os.O_NONBLOCK)
    yield fd
    os.close(fd)


def test_what_it_inherited_is_not_taken_for_its_pipe(talker, above):
    """It is somebody else's pipe, as that of a fosterd above this one would be, and read by him."""
    t = talker([b"one\n", b"two\n"], "log = inherit", start=False)
    t.foster.before_exec = lambda: os.dup2(above, 1)
    t.foster.start().wait_up()
    t.foster.wait_state("s", "running")
    t.say()
    until(lambda: select.select([above], [], [], 0)[0])
    t.shut_down()
    t.foster.write(t.section())
    t.foster.start().wait_up()
    t.say()
    text = b""
    while text.count(b"\n") < 2:
        assert select.select([above], [], [], 10)[0]
        text += os.read(above, 4096)
    assert text == t.said and t.log() == b""
    assert "is no pipe of ours" in t.foster.output()


def metric(f, name):
    """The first of that name."""
    lines = f.get("/metrics", parse=False).body.splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), None)


def memory_of(f):
    return f.run / MEMORY


@pytest.mark.parametrize("who", ["ourselves", "an ordinary user"])
def test_the_memory_is_ours_alone_and_goes_when_nothing_is_left(foster, who):
    identity = ordinary_user() if who == "an ordinary user" else None
    if who == "an ordinary user" and not identity:
        pytest.skip("there is no other user to become")
    f = foster('service s { command = {"/bin/sleep", "1000"} daemon = false }\n', identity=identity)
    f.wait_state("s", "running")
    st = memory_of(f).stat()
    assert stat.S_IMODE(st.st_mode) == 0o600 and st.st_nlink == 1
    assert st.st_uid == (identity[0] if identity else os.geteuid())
    assert st.st_blocks * 512 < st.st_size / 10  # it is sparse
    f.ctl("shutdown", check=0)
    f.wait_end()
    assert memory_of(f).stat().st_ino == st.st_ino  # the service goes on
    f.start().wait_up()
    assert memory_of(f).stat().st_ino == st.st_ino
    f.ctl("shutdown", "--all", check=0)
    f.wait_end()
    assert not memory_of(f).exists()


def other_version(path):
    with path.open("r+b") as file:
        file.seek(8)
        file.write(struct.pack("=I", 99))


def other_boot(path):
    with path.open("r+b") as file:
        file.seek(16)
        file.write(b"another")


def shorter(path):
    os.truncate(path, HEAD + 208)


def writable_for_others(path):
    path.chmod(0o666)


def of_two_names(path):
    os.link(path, path.with_name("second"))


def symbolic(path):
    path.rename(path.with_name("second"))
    path.symlink_to("second")


def a_fifo(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [other_version, other_boot, shorter, writable_for_others, of_two_names,
                                    symbolic, a_fifo])
def test_a_memory_that_cannot_be_believed_is_made_anew(talker, change):
    """Nothing is lost or repaired by it."""
    t = talker([b"line\nbegun ", b"and begun ", b"and ended\n"])
    t.say()
    t.check()
    old = memory_of(t.foster).read_bytes()
    t.kill_all()
    change(memory_of(t.foster))
    t.say()
    t.foster.start().wait_up()
    t.say()
    t.check()
    path = memory_of(t.foster)
    assert path.is_file() and not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes()[:HEAD] == old[:HEAD]


def test_a_memory_that_cannot_be_made(talker):
    """What is at its place cannot be replaced: logs go on, and the memory lives as long as fosterd."""
    t = talker([b"one\ntw", b"o\nthr", b"ee\n"])
    t.say()
    t.check()
    t.kill_all()
    memory_of(t.foster).unlink()
    (memory_of(t.foster) / "in the way").mkdir(parents=True)
    t.say()
    t.foster.start().wait_up()
    t.say()
    t.check()
    assert "as long as fosterd lives" in t.foster.output()
    logger = logger_of(t.foster)
    os.kill(logger, signal.SIGKILL)
    logger_of(t.foster, other_than=logger)
    until(lambda: metric(t.foster, "foster_service_log_lines_total") == 2, "it counts on")


def test_counts_outlive_all(talker):
    t = talker([b"one\n", b"two\n"])
    t.say()
    t.check()
    t.kill_all()
    t.foster.start().wait_up()
    t.say()
    t.check()
    until(lambda: metric(t.foster, "foster_service_log_lines_total") == 2)
