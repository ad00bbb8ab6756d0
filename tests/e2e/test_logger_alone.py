"""foster-log on its own, with a channel that the test holds: how one logger hands over to the next."""

import fcntl
import json
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

from foster import until

OPEN, SET, RUN, CLOSE, QUIT, LEAVE, REOPEN, SYNC, COUNT, SYNCED, CLOSED = range(1, 12)


def message(kind, number=0, value=0, pid=0, settings=b"", texts=()):
    """As base/logger.h has it."""
    body = settings + b"".join(text.encode() + b"\0" for text in texts)
    body += b"\0" * (-(24 + len(body)) % 8)
    return struct.pack("=IIIIQ", kind, 24 + len(body), number, pid, value) + body


JSON, UTC, DROP = 1 << 0, 1 << 1, 1 << 4


FILE, JOURNAL, SYSLOG = range(3)


def settings(flags=0, size=0, buffer=0, rate=(0, 0), keep=10, sink=FILE):
    return struct.pack("=IIQQQQQQIIII", sink, flags, size, 0, 0, *rate, buffer, keep, 0o640, 2**32 - 1,
                       2**32 - 1)


class Logger:
    def __init__(self, builddir, directory, **arguments):
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(10)
        self.directory = directory
        self.errors = tempfile.TemporaryFile()  # no pipe: it may be more than one holds
        self.process = subprocess.Popen([str(builddir / "foster-log")], stdin=theirs,
                                        stderr=self.errors, **arguments)
        theirs.close()

    def send(self, *arguments, fd=None, **named):
        data = message(*arguments, **named)
        if fd is None:
            self.ours.send(data)
        else:
            socket.send_fds(self.ours, [data], [fd])

    def open(self, fd, number=7, name="a", prefix="", socket="", **named):
        self.send(OPEN, number, fd=fd, settings=settings(**named),
                  texts=(name, str(self.directory), prefix, socket))

    def sync(self, number=7):
        """Returns when what it was told before is done."""
        self.send(SYNC, number, value=number)
        assert struct.unpack("=IIIIQ", self.ours.recv(100)) == (SYNCED, 24, number, 0, number)

    def wait(self):
        code = self.process.wait(10)
        self.ours.close()
        self.errors.seek(0)
        errors = self.errors.read().decode()
        self.errors.close()
        return code, errors


@pytest.fixture
def pipe():
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def read_log(directory, name="a.log"):
    path = directory / name
    return path.read_bytes() if path.exists() else b""


def test_leave(builddir, directory, pipe):
    """The next logger goes on where the last one was; what comes in between waits."""
    reader, writer = pipe
    for i in range(5):
        logger = Logger(builddir, directory)
        logger.open(reader)
        os.write(writer, b"seen by %d\n" % i)
        logger.sync()
        assert read_log(directory).endswith(b"seen by %d\n" % i)
        logger.send(LEAVE)
        assert logger.wait() == (0, "")
        os.write(writer, b"after %d\n" % i)
    logger = Logger(builddir, directory)
    logger.open(reader)
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    assert read_log(directory) == b"".join(b"seen by %d\nafter %d\n" % (i, i) for i in range(5))


def test_quit_writes_all(builddir, directory, pipe):
    reader, writer = pipe
    logger = Logger(builddir, directory)
    os.write(writer, b"x" * 65536)
    logger.open(reader)
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    assert read_log(directory) == b"x" * 65536


def next_log(builddir, directory, reader, **named):
    """What the file has when the next logger, which knows nothing, has written what the pipe holds."""
    logger = Logger(builddir, directory)
    logger.open(reader, **named)
    logger.send(QUIT)
    logger.wait()
    return read_log(directory)


# Where nothing is noted of a pipe nothing is judged by the bytes: programs say the same again.

@pytest.mark.parametrize("ends, goes_on", [
    (b"one more ok\n", b"ok\n\nok\n"), (b"x\n" + b"=" * 100 + b"\n", b"=" * 80 + b"\nhello\n"),
    (b"trace:\n ", b"    at com.foo\n"), (b"in all: 0", b"05388\n"),
    (b"test 1 " + b"." * 70, b"." * 70 + b" ok\n"),
    (b"heartbeat ok\n" * 300 + b"hea", b"rtbeat ok\n" * 300), (b"00 " * 2730 + b"00", b" 00" * 1400 + b"\n"),
    (b"-" * 4096, b"-" * 4096), (b"GET /\n" * 1000, b"GET /\n" * 1000),
])
def test_what_is_said_again_goes_on(builddir, directory, pipe, ends, goes_on):
    reader, writer = pipe
    (directory / "a.log").write_bytes(b"begun\n" + ends)
    os.write(writer, goes_on)
    logger = Logger(builddir, directory)
    logger.open(reader)
    logger.send(QUIT)
    logger.wait()
    assert read_log(directory) == b"begun\n" + ends + goes_on


def test_an_unfinished_line_goes_on(builddir, directory, pipe):
    """The service had said a part of it."""
    reader, writer = pipe
    (directory / "a.log").write_bytes(b"name? ")
    os.write(writer, b"web\n")
    logger = Logger(builddir, directory)
    logger.open(reader)
    logger.send(QUIT)
    logger.wait()
    assert read_log(directory) == b"name? web\n"


def test_another_pipe_for_a_number(builddir, directory, pipe):
    """What the first one holds is written before."""
    reader, writer = pipe
    logger = Logger(builddir, directory)
    logger.open(reader)
    os.write(writer, b"first\n")
    again, other = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    os.write(other, b"second\n")
    logger.open(again, name="b")
    logger.sync()
    os.close(again)
    os.close(other)
    assert read_log(directory) == b"first\n" and read_log(directory, "b.log") == b"second\n"
    logger.send(QUIT)
    assert logger.wait() == (0, "")


def closed(logger):
    kind, _, number, _, value = struct.unpack("=IIIIQ", logger.ours.recv(100))
    assert kind == CLOSED
    return number, value


def test_closing_is_answered_when_all_is_written(builddir, directory, pipe):
    """But not of a number that there is not, which the last logger did not come to. A pipe that is opened
    again meanwhile is read once."""
    reader, writer = pipe
    place = directory / "log"
    place.write_text("no directory")
    logger = Logger(builddir, place)
    logger.open(reader)
    logger.send(CLOSE, 8, value=99)
    os.write(writer, b"waits\n")
    logger.send(CLOSE, 7, value=5)
    logger.sync(9)
    logger.open(reader)
    logger.send(CLOSE, 7, value=6)
    logger.sync(9)
    place.unlink()
    assert closed(logger) == (7, 6)
    logger.send(QUIT)
    assert logger.wait()[0] == 0 and read_log(place) == b"waits\n"


def test_without_a_manager(builddir, directory, pipe):
    """It goes on as long as somebody may write."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    logger = Logger(builddir, directory)
    logger.open(reader)
    logger.sync()
    os.close(reader)
    logger.ours.close()
    os.write(writer, b"still there\n")
    until(lambda: read_log(directory) == b"still there\n", "it is written")
    os.write(writer, b"the end")
    os.close(writer)
    assert logger.wait() == (0, "")
    assert read_log(directory) == b"still there\nthe end"


def test_rubbish(builddir, directory):
    logger = Logger(builddir, directory)
    for data in (b"x", b"\0" * 24, message(99), message(OPEN, 7, settings=settings()),
                 message(SET, 7, settings=settings()), message(CLOSE, 2**31), message(RUN, 5),
                 message(OPEN, 7, settings=settings())[:-8], message(SYNC, 9)):
        logger.ours.send(data)
    logger.send(QUIT)
    code, errors = logger.wait()
    assert code == 0 and "are no message" in errors and "has no meaning here" in errors
    assert "its pipe did not come" in errors


def test_many_pipes(builddir, directory):
    """More than there may be open files of; each has its own."""
    logger = Logger(builddir, directory)
    pipes = [os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) for _ in range(600)]
    for turn in range(2):
        for i, (reader, writer) in enumerate(pipes):
            os.write(writer, b"turn %d of %d\n" % (turn, i))
            if turn == 0:
                logger.open(reader, number=i, name=f"s{i}")
        logger.sync(0)
        until(lambda: all(read_log(directory, f"s{i}.log") == b"".join(
            b"turn %d of %d\n" % (t, i) for t in range(turn + 1)) for i in (0, 1, 299, 598, 599)))
    assert len(list(pathlib.Path(f"/proc/{logger.process.pid}/fd").iterdir())) < 600 + 512 + 16
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    for reader, writer in pipes:
        os.close(reader)
        os.close(writer)
    assert all(read_log(directory, f"s{i}.log").count(b"\n") == 2 for i in range(600))


def capacity(pipe):
    return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)


def test_buffer(builddir, directory, pipe):
    """As large as it is said, rounded up; what it holds is never cut off."""
    reader, writer = pipe
    logger = Logger(builddir, directory)
    logger.open(reader, buffer=4096)
    logger.sync()
    assert capacity(reader) == 4096
    logger.send(SET, 7, settings=settings(buffer=300000), texts=("a", str(directory), "", ""))
    logger.sync()
    assert capacity(reader) == 1 << 19
    logger.send(SET, 7, settings=settings(), texts=("a", str(directory), "", ""))
    logger.sync()
    assert capacity(reader) == 1 << 16
    (directory / "a.log").mkdir()  # it cannot be written
    os.write(writer, b"x" * 60000)
    until(lambda: naps(logger.process.pid) > 0)
    logger.send(SET, 7, settings=settings(buffer=4096), texts=("a", str(directory), "", ""))
    logger.sync()
    assert capacity(reader) == 1 << 16
    (directory / "a.log").rmdir()
    logger.send(QUIT)
    code, errors = logger.wait()
    assert code == 0 and read_log(directory) == b"x" * 60000
    assert "its pipe stays at 65536 bytes, for log-buffer = 4096 cannot be had" in errors


HEAD = struct.pack("=QII48x", 0x666f737465726c, 4, 208)  # struct logger_memory_head
# struct logger_count: pipe, its device, lines, bytes, lost (full, rate), blocked; stage, two records; told.
COUNT_SIZE = 208
NUMBERS = 2 * 12288


def make_memory(head=HEAD):
    fd = os.memfd_create("counts")
    os.ftruncate(fd, len(HEAD) + NUMBERS * COUNT_SIZE)
    os.pwrite(fd, head, 0)
    return fd


def place_in_memory(number):
    return len(HEAD) + number * COUNT_SIZE


def counts_of(memory, number):
    inode, _, *counts = struct.unpack("=7Q", os.pread(memory, 56, place_in_memory(number)))
    return (inode, *counts)


def test_counts(builddir, directory, pipe):
    """They go on with the next logger, and begin anew with another pipe."""
    reader, writer = pipe
    memory = make_memory()
    inode = os.fstat(reader).st_ino
    for turn in (1, 2):
        logger = Logger(builddir, directory)
        logger.send(COUNT, fd=memory)
        logger.open(reader)
        os.write(writer, b"one\ntwo\n")
        logger.sync()
        assert counts_of(memory, 7) == (inode, 2 * turn, 8 * turn, 0, 0, 0)
        logger.send(LEAVE)
        assert logger.wait() == (0, "")
    logger = Logger(builddir, directory)
    again, other = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    logger.open(again)
    logger.sync()
    logger.send(COUNT, fd=memory)  # told later, of what is open already
    os.write(other, b"three\n")
    logger.sync()
    assert counts_of(memory, 7) == (os.fstat(again).st_ino, 1, 6, 0, 0, 0)
    assert counts_of(memory, 6) == (0,) * 6
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    for fd in (again, other, memory):
        os.close(fd)


def test_counts_from_the_first_line(builddir, directory, pipe):
    """The memory is there before the first message is read: a pipe may be what that is about."""
    reader, writer = pipe
    memory = make_memory()
    logger = Logger(builddir, directory, env=dict(os.environ, LISTEN_FDS="1"), pass_fds=(3,),
                    preexec_fn=lambda: os.dup2(memory, 3))
    os.write(writer, b"one\n")
    logger.open(reader)
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    assert counts_of(memory, 7)[1:3] == (1, 4)
    os.close(memory)


OTHER_HEADS = {"of no kind": b"", "of another version": HEAD[:8] + b"\x02" + HEAD[9:],
               "of another size": HEAD[:12] + b"\x68" + HEAD[13:]}


@pytest.mark.parametrize("other", ["too small", *OTHER_HEADS])
def test_memory_of_another_layout_is_not_counted_in(builddir, directory, pipe, other):
    reader, writer = pipe
    memory = make_memory(OTHER_HEADS.get(other, HEAD))
    if other == "too small":
        os.ftruncate(memory, COUNT_SIZE)
    logger = Logger(builddir, directory)
    logger.send(COUNT, fd=memory)
    logger.open(reader)
    os.write(writer, b"one\n")
    logger.send(QUIT)
    code, errors = logger.wait()
    assert code == 0 and "cannot be counted" in errors
    assert read_log(directory) == b"one\n"
    assert counts_of(memory, 7) == (0,) * 6 if other != "too small" else os.fstat(memory).st_size == COUNT_SIZE
    os.close(memory)


def test_memory_that_is_cut_off_is_no_end(builddir, directory, pipe, memory):
    """Of a file in the run directory somebody may think that it can be emptied."""
    reader, writer = pipe
    logger = Logger(builddir, directory)
    logger.send(COUNT, fd=memory)
    logger.open(reader)
    os.write(writer, b"one\n")
    logger.sync()
    os.ftruncate(memory, 0)
    os.write(writer, b"two\n")
    logger.sync()
    logger.open(reader, number=9000, name="b")
    os.write(writer, b"three\n")
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    assert read_log(directory).startswith(b"one\ntwo\n")


@pytest.mark.parametrize("field", ["pipe", "device", "record"])
def test_what_is_noted_of_another_pipe_is_not_believed(builddir, directory, pipe, memory, field):
    """Not of one that had the number before: its file is not cut, and nothing taken out for it."""
    reader, writer = pipe
    os.write(writer, b"first\nsecond\n")
    killed(builddir, directory, reader, memory, "", "no-readv", "", 1)
    for offset in {"pipe": [0], "device": [8], "record": [64, 128]}[field]:
        os.pwrite(memory, struct.pack("=Q", 12345), place_in_memory(7) + offset)
    log_once(builddir, directory, reader, memory)
    assert read_log(directory) == b"first\nsecond\n" * 2


def killed(builddir, directory, reader, memory, prefix, moment, text, count, unfinished=False,
           **named):
    """A logger that is killed at this moment, when it comes to this text."""
    logger = Logger(builddir, directory, env=dict(
        os.environ, LD_PRELOAD=str(builddir / ".libs/test-kill-at-call.so"),
        KILL_AT=moment, KILL_AT_TEXT=text, KILL_AT_COUNT=str(count),
        ASAN_OPTIONS="verify_asan_link_order=0"))
    logger.send(COUNT, fd=memory)
    logger.open(reader, prefix=prefix, **named)
    if unfinished:
        logger.send(SYNC, 7)
    assert logger.wait()[0] == -signal.SIGKILL


# What the pipe brings after "ab" was written, where the logger is killed, and what it brings then.
KILLS = {
    "within the rest of a line": (b"cdef\ngh", "write-part", "cd", 1, b"i\n"),
    "within a later line": (b"cdef\ngh", "write-part", "g", 1, b"i\n"),
    "after a part of a line": (b"cd", "write", "cd", 1, b"ef\nghi\n"),
    "after several": (b"cdef\ngh", "write", "gh", 1, b"i\n"),
    "before a part is taken out": (b"cd", "no-readv", "", 1, b"ef\nghi\n"),
    "before all is": (b"cdef\ngh", "no-readv", "", 1, b"i\n"),
    "before whole lines are": (b"cdef\n", "no-readv", "", 1, b"ghi\n"),
    "after a part is taken out": (b"cd", "readv", "", 1, b"ef\nghi\n"),
    "after all is": (b"cdef\ngh", "readv", "", 1, b"i\n"),
    "after whole lines are": (b"cdef\n", "readv", "", 1, b"ghi\n"),
    "before it, and the same is said": (b"cdef\nghi\n", "no-readv", "", 1, b""),
}


@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize("prefix", ["", "web: "], ids=["plain", "prefixed"])
def test_lines_are_whole_whenever_it_is_killed(builddir, directory, pipe, memory, kill, prefix):
    """Also those of which the pipe brings a part now and a part then. Nothing is repeated."""
    reader, writer = pipe
    more, moment, text, count, rest = KILLS[kill]
    os.write(writer, b"ab")
    log_once(builddir, directory, reader, memory, prefix=prefix)
    os.write(writer, more)
    killed(builddir, directory, reader, memory, prefix, moment, text, count)
    os.write(writer, rest)
    log_once(builddir, directory, reader, memory, prefix=prefix)
    assert read_log(directory).decode().splitlines() == [prefix + "abcdef", prefix + "ghi"]


SAME = b"the same again and again " * 4


@pytest.mark.parametrize("moment", ["write", "no-readv", "readv"])
@pytest.mark.parametrize("cut", [0, 7, 4096 - len(SAME)])
def test_what_is_said_again_does_not_look_like_what_was_taken(builddir, directory, pipe, memory,
                                                              moment, cut):
    """It is the same, byte for byte, and ends within a line."""
    reader, writer = pipe
    block = (SAME * 50 + b"\n" + SAME)[:4096 - cut]
    os.write(writer, block)
    killed(builddir, directory, reader, memory, "", moment, "", 1)
    os.write(writer, block)
    log_once(builddir, directory, reader, memory)
    assert read_log(directory) == block * 2


SAID = b"".join(b"line %05d\n" % i for i in range(200))


def all_of_log(directory):
    return b"".join(path.read_bytes() for path in sorted(directory.glob("a.log.*"))) + read_log(directory)


@pytest.mark.parametrize("moment", ["write-part", "write", "no-rename", "rename", "no-readv", "readv"])
@pytest.mark.parametrize("flags", [0, JSON], ids=["text", "json"])
def test_nothing_is_cut_or_repeated_by_a_kill_about_a_rotation(builddir, directory, pipe, memory, moment,
                                                               flags):
    """Each call in its turn is the last one of a logger; a line goes on from one look to the next."""
    reader, writer = pipe
    size, said, at = (1500 if flags else 100), SAID, 0
    for count in (1, 2, 3, 1, 3, 2) if "readv" not in moment else [1] * 6:
        os.write(writer, said[at:at + 355])
        at += 355
        killed(builddir, directory, reader, memory, "", moment, "", count, size=size, keep=1000,
               flags=flags)
    os.write(writer, said[at:])
    log_once(builddir, directory, reader, memory, size=size, keep=1000, flags=flags)
    text = all_of_log(directory)
    if flags & JSON:
        text = b"".join(json.loads(line)["text"].encode() + b"\n" for line in text.splitlines())
    assert len(list(directory.glob("a.log.*"))) > 10 and text == said


def receive_all(sock):
    messages = []
    try:
        while True:
            messages.append(sock.recv(65536).rsplit(b" - ", 1)[1])
    except BlockingIOError:
        return messages


def test_messages_are_sent_once_or_twice(builddir, directory, pipe, memory):
    """Twice is the one alone at which the logger was killed."""
    reader, writer = pipe
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(str(directory / "socket"))
        os.write(writer, b"one\ntwo\nthree\nfour\nfi")
        arguments = dict(sink=SYSLOG, socket=str(directory / "socket"))
        killed(builddir, directory, reader, memory, "", "send", " - three", 1, **arguments)
        os.write(writer, b"ve\n")
        log_once(builddir, directory, reader, memory, **arguments)
        assert receive_all(sock) == [b"one", b"two", b"three", b"three", b"four", b"five"]


@pytest.fixture
def memory():
    fd = make_memory()
    yield fd
    os.close(fd)


@pytest.fixture
def pipes():
    made = []

    def make(n):
        made.extend(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) for _ in range(n))
        return made

    yield make
    for ends in made:
        for fd in ends:
            os.close(fd)


@pytest.fixture
def daemon(directory):
    """The socket of one who takes messages, with a short queue, as it is by default."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(directory / "socket"))
        sock.settimeout(10)
        yield sock


def write_more(fd, data):
    try:
        return data[os.write(fd, data):]
    except BlockingIOError:
        return data


@pytest.mark.parametrize("sink", [JOURNAL, SYSLOG], ids=["journal", "syslog"])
@pytest.mark.parametrize("flags", [0, DROP], ids=["block", "drop"])
def test_the_daemon_sets_the_pace(builddir, directory, pipes, memory, daemon, flags, sink):
    """Two services say more than pipes and queue hold. Nothing is dropped, and none waits for a timer."""
    logger = Logger(builddir, directory)
    logger.send(COUNT, fd=memory)
    rest, heard = {}, {}
    for number, (reader, writer) in enumerate(pipes(2)):
        logger.open(reader, number=number, name=f"s{number}", sink=sink, flags=flags,
                    socket=str(directory / "socket"))
        rest[writer] = b"".join(b"said by s%d: %d\n" % (number, i) for i in range(8000))
        heard[number] = 0
    for _ in range(16000):
        for writer, data in rest.items():
            rest[writer] = write_more(writer, data)
        number, i = map(int, re.search(rb"said by s(\d): (\d+)", daemon.recv(65536)).groups())
        assert i == heard[number]
        heard[number] += 1
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    assert [counts_of(memory, number)[3:] for number in range(2)] == [(0, 0, 0)] * 2


def test_a_daemon_that_takes_nothing_is_trouble(builddir, directory, pipe, memory, daemon):
    """Then, and not before, lines are dropped; it goes on when the daemon does."""
    reader, writer = pipe
    logger = Logger(builddir, directory)
    logger.send(COUNT, fd=memory)
    logger.open(reader, sink=SYSLOG, flags=DROP, socket=str(directory / "socket"))
    rest = b"".join(b"line %05d\n" % i for i in range(20000))
    begin = time.monotonic()
    while rest:
        rest = write_more(writer, rest)
        assert time.monotonic() < begin + 20
    assert time.monotonic() > begin + 0.9
    until(lambda: counts_of(memory, 7)[3] > 0)
    texts = [b""]
    while b"were dropped" not in texts[-1]:
        texts.append(daemon.recv(65536))
    os.write(writer, b"the end\n")
    while b"the end" not in texts[-1]:
        texts.append(daemon.recv(65536))
    logger.send(QUIT)
    code, errors = logger.wait()
    assert code == 0 and "cannot be written to syslog" in errors and "is written again" in errors


def test_what_waits_for_a_slow_daemon_is_sent_at_the_end(builddir, directory, pipe, daemon):
    reader, writer = pipe
    os.write(writer, b"".join(b"line %d\n" % i for i in range(1000)))
    logger = Logger(builddir, directory)
    logger.open(reader, sink=SYSLOG, socket=str(directory / "socket"))
    logger.send(QUIT)
    for i in range(1000):
        assert daemon.recv(65536).endswith(b" - line %d" % i)
    assert logger.wait() == (0, "")


def log_once(builddir, directory, reader, memory, during=None, env=None, **named):
    """A logger that writes what the pipe holds; its messages."""
    logger = Logger(builddir, directory, env=env)
    if memory is not None:
        logger.send(COUNT, fd=memory)
    logger.open(reader, **named)
    if during:
        during(logger)
    logger.send(QUIT)
    code, errors = logger.wait()
    assert code == 0
    return errors


def no_cut(builddir):
    return dict(os.environ, LD_PRELOAD=str(builddir / ".libs/test-kill-at-call.so"), KILL_AT="no-cut",
                ASAN_OPTIONS="verify_asan_link_order=0")


def kill_within_a_line(builddir, directory, pipe, memory):
    """Its file ends with "abcd", and the pipe holds "cdef\\ngh"."""
    reader, writer = pipe
    os.write(writer, b"ab")
    log_once(builddir, directory, reader, memory)
    os.write(writer, b"cdef\ngh")
    killed(builddir, directory, reader, memory, "", "write-part", "cd", 1)
    assert read_log(directory) == b"abcd"


def test_a_file_that_cannot_be_opened_for_a_while(builddir, directory, pipe, memory):
    """What the killed one was at is known until the file is seen."""
    reader, writer = pipe
    logs, aside = directory / "logs", directory / "aside"
    logs.mkdir()
    kill_within_a_line(builddir, logs, pipe, memory)
    logs.rename(aside)
    logs.touch()

    def come_back(logger):
        until(lambda: b"cannot be written" in os.pread(logger.errors.fileno(), 4096, 0), "trouble")
        logs.unlink()
        aside.rename(logs)

    os.write(writer, b"i\n")
    log_once(builddir, logs, reader, memory, come_back)
    assert read_log(logs) == b"abcdef\nghi\n"


def test_a_long_line_begins_again_as_a_whole(builddir, directory, pipe, memory):
    """Where the file cannot be cut: its beginning, which is not in the pipe any more, is written once
    more, however long it is."""
    reader, writer = pipe
    line = b"".join(b"%07d " % i for i in range(5000))
    os.write(writer, line[:20000])
    log_once(builddir, directory, reader, memory)
    os.write(writer, line[20000:30000])
    killed(builddir, directory, reader, memory, "", "write", "", 1)
    os.write(writer, line[30000:] + b"\n")
    log_once(builddir, directory, reader, memory, env=no_cut(builddir))
    assert read_log(directory) == line[:30000] + b"\n" + line + b"\n"


def test_a_file_that_may_not_be_cut(builddir, directory, pipe, memory):
    """Of the attribute that lets it be appended to, and no more."""
    reader, writer = pipe
    kill_within_a_line(builddir, directory, pipe, memory)
    os.write(writer, b"i\n")
    log_once(builddir, directory, reader, memory, env=no_cut(builddir))
    assert read_log(directory) == b"abcd\nabcdef\nghi\n"


def append_more(directory, memory):
    with open(directory / "a.log", "ab") as f:
        f.write(b", and more by another\n")
    return b"abcd, and more by another\n"


def replace_by_more(directory, memory):
    (directory / "a.log").write_bytes(b"from a copy\n" * 3)
    return b"from a copy\n" * 3


def be_on_another_device(directory, memory):
    """As far as the record goes: the inodes of two file systems have the same numbers."""
    for record in range(2):
        at = place_in_memory(7) + 64 + record * 64 + 4 * 8
        os.pwrite(memory, struct.pack("=Q", struct.unpack("=Q", os.pread(memory, 8, at))[0] + 1), at)
    return b"abcdc"


@pytest.mark.parametrize("change", [append_more, replace_by_more, be_on_another_device])
def test_what_another_wrote_is_not_cut_off(builddir, directory, pipe, memory, change):
    """Only what the pipe holds again may go."""
    reader, writer = pipe
    kill_within_a_line(builddir, directory, pipe, memory)
    kept = change(directory, memory)
    os.write(writer, b"i\n")
    log_once(builddir, directory, reader, memory)
    assert read_log(directory).startswith(kept)
    assert read_log(directory).endswith(b"cdef\nghi\n")


def test_who_did_not_count_leaves_no_old_record(builddir, directory, pipe, memory):
    """One that is told where to count after it has written, and killed before it writes again."""
    reader, writer = pipe
    kill_within_a_line(builddir, directory, pipe, memory)
    os.write(writer, b"i\n")
    log_once(builddir, directory, reader, None, lambda logger: (
        logger.sync(), logger.send(COUNT, fd=memory), logger.sync()))
    written = read_log(directory)
    os.write(writer, b"more\n")
    log_once(builddir, directory, reader, memory)
    assert read_log(directory) == written + b"more\n"


def test_a_rate_that_lets_less_through_than_was_taken(builddir, directory, pipe, memory):
    """What the killed one was at is found in all that the pipe holds, not in what may pass."""
    reader, writer = pipe
    rate = (2, 3600 * 10**6)
    os.write(writer, b"ab\ncd")
    killed(builddir, directory, reader, memory, "", "no-readv", "", 1, rate=rate)
    assert read_log(directory) == b"ab\ncd"
    os.write(writer, b"ef\nghi\njkl\nmno\n")
    log_once(builddir, directory, reader, memory, rate=rate)
    assert read_log(directory) == b"ab\ncdef\nghi\njkl\nfoster-log: 1 line was dropped: more than log-rate\n"


def test_a_file_that_has_the_inode_of_the_one_before(builddir, directory, pipe, memory):
    """As where no old file is kept; it ended elsewhere than the new one does."""
    reader, writer = pipe
    os.write(writer, b"1234\n")
    log_once(builddir, directory, reader, memory)
    os.write(writer, b"aaaa\nbbbbbbbbb\n")
    killed(builddir, directory, reader, memory, "", "write-part", "bbbbbbb", 1, size=10, keep=0)
    assert read_log(directory) == b"bbbbbbb"
    log_once(builddir, directory, reader, memory)
    assert read_log(directory) == b"bbbbbbbbb\n"  # what was before that is not to be kept


def test_a_part_of_an_object(builddir, directory, pipe, memory):
    """It is cut off also when the line that it is of is not whole yet."""
    reader, writer = pipe
    os.write(writer, b"gh")
    killed(builddir, directory, reader, memory, "", "write-part", "gh", 1, unfinished=True, flags=JSON)
    assert read_log(directory).endswith(b"gh")

    def end_the_line(logger):
        until(lambda: not read_log(directory), "the cut")
        os.write(writer, b"i\n")

    log_once(builddir, directory, reader, memory, end_the_line, flags=JSON)
    assert [json.loads(line)["text"] for line in read_log(directory).splitlines()] == ["ghi"]


def test_the_end_of_each_line_is_waited_for(builddir, directory, pipe):
    """Of each by itself, not of the first one alone: in steady output, each line is whole in time."""
    reader, writer = pipe
    logger = Logger(builddir, directory)
    logger.open(reader, flags=JSON)
    lines, longest, begin = 0, 0, time.monotonic()
    os.write(writer, b"line ")
    while time.monotonic() < begin + 2.5:
        last = time.monotonic()
        os.write(writer, b"%d\nline " % lines)
        lines += 1
        until(lambda: read_log(directory).count(b"\n") >= lines, "it is written")
        longest = max(longest, time.monotonic() - last)
    os.write(writer, b"%d\n" % lines)
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    objects = [json.loads(line) for line in read_log(directory).splitlines()]
    assert longest > 1 or [o["text"] for o in objects] == [f"line {n}" for n in range(lines + 1)]


def test_a_note_does_not_end_a_line(builddir, directory, pipe):
    """It is told between two lines of JSON; the one that waits for its end goes on waiting."""
    reader, writer = pipe
    logger = Logger(builddir, directory)
    logger.open(reader, flags=JSON, rate=(2, 3600 * 10**6))
    os.write(writer, b"1\n2\n3\n4\n")
    until(lambda: b'"2"' in read_log(directory), "two are written")
    begin = time.monotonic()
    os.write(writer, b"five ")
    until(lambda: b"were dropped" in read_log(directory), "it is told")
    os.write(writer, b"six\n")
    logger.sync()
    end = time.monotonic()
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    assert end > begin + 1.9 or b'"five ' not in read_log(directory)


def test_objects_after_text(builddir, directory, pipe, memory):
    """The settings change before the next logger begins: no object goes on a line of text."""
    reader, writer = pipe
    os.write(writer, b"ab")
    log_once(builddir, directory, reader, memory)
    os.write(writer, b"cd")
    killed(builddir, directory, reader, memory, "", "no-readv", "", 1)
    os.write(writer, b"ef\n")
    log_once(builddir, directory, reader, memory, flags=JSON)
    text, line = read_log(directory).splitlines()
    assert text == b"abcd" and json.loads(line)["text"] == "ef"


def test_a_manager_that_does_not_listen_hears_of_each_end(builddir, directory, pipes):
    """More than the channel takes: none is lost, and the rest comes as it is read."""
    logger = Logger(builddir, directory)
    for number, (reader, _) in enumerate(pipes(700)):
        logger.open(reader, number=number, name=f"s{number}")
    for number in range(700):
        logger.send(CLOSE, number, value=number + 1)
    assert [closed(logger) for _ in range(700)] == [(n, n + 1) for n in range(700)]
    logger.send(QUIT)
    assert logger.wait() == (0, "")


def naps(pid):
    """How often it has waited."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])


def test_many_that_cannot_be_written(builddir, directory, pipes):
    """More than are tried at a time: all of them are written when they can be."""
    place = directory / "log"
    place.write_text("no directory")
    logger = Logger(builddir, place)
    made = pipes(700)
    for i, (reader, writer) in enumerate(made):
        os.write(writer, b"waits in %d\n" % i)
        logger.open(reader, number=i, name=f"s{i}")
    logger.sync(0)
    # Let all of them be due in the same turn, and fail.
    pid, begin = logger.process.pid, time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    until(lambda: time.monotonic() > begin + 0.3)
    before = naps(pid)
    os.kill(pid, signal.SIGCONT)
    until(lambda: naps(pid) > before, "it has tried, and waits again")
    place.unlink()
    until(lambda: place.is_dir() and len(list(place.iterdir())) == 700, "all are written")
    logger.send(QUIT)
    code, errors = logger.wait()
    assert code == 0
    assert all(read_log(place, f"s{i}.log") == b"waits in %d\n" % i for i in range(700))


def limited(soft):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))


def test_pipes_go_before_files(builddir, directory, pipes):
    """Few descriptors are allowed: files are closed and opened in turns, no pipe is refused."""
    logger = Logger(builddir, directory, preexec_fn=limited(400))
    made = pipes(300)
    for turn in range(3):
        for i, (reader, writer) in enumerate(made):
            os.write(writer, b"turn %d\n" % turn)
            if turn == 0:
                logger.open(reader, number=i, name=f"s{i}")
        for i in range(300):
            logger.sync(i)
    logger.send(QUIT)
    assert logger.wait() == (0, "")
    assert all(read_log(directory, f"s{i}.log") == b"turn 0\nturn 1\nturn 2\n" for i in range(300))


def test_too_many_pipes_are_told_of(builddir, directory, pipes):
    logger = Logger(builddir, directory, preexec_fn=limited(100))
    for i, (reader, _) in enumerate(pipes(150)):
        logger.open(reader, number=i, name=f"s{i}")
    logger.send(QUIT)
    code, errors = logger.wait()
    assert code == 0 and "s149: its pipe did not come" in errors
    assert "is the limit of open files, 100, too low?" in errors
