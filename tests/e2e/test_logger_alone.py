"""foster-log on its own, with a channel that the test holds: how one logger hands over to the next."""

import os
import pathlib
import socket
import struct
import subprocess

import pytest

from foster import until

OPEN, SET, RUN, CLOSE, QUIT, LEAVE, REOPEN, SYNC, DROPPED, SYNCED = range(1, 11)


def message(kind, number=0, value=0, pid=0, settings=b"", texts=()):
    """As base/logger.h has it."""
    body = settings + b"".join(text.encode() + b"\0" for text in texts)
    body += b"\0" * (-(24 + len(body)) % 8)
    return struct.pack("=IIIIQ", kind, 24 + len(body), number, pid, value) + body


def settings(flags=0, size=0):
    return struct.pack("=IIQQQQQIIII", 0, flags, size, 0, 0, 0, 0, 10, 0o640, 2**32 - 1, 2**32 - 1)


class Logger:
    def __init__(self, builddir, directory):
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.settimeout(10)
        self.directory = directory
        self.process = subprocess.Popen([str(builddir / "foster-log")], stdin=theirs,
                                        stderr=subprocess.PIPE)
        theirs.close()

    def send(self, *arguments, fd=None, **named):
        data = message(*arguments, **named)
        if fd is None:
            self.ours.send(data)
        else:
            socket.send_fds(self.ours, [data], [fd])

    def open(self, fd, number=7, name="a", **named):
        self.send(OPEN, number, fd=fd, settings=settings(**named),
                  texts=(name, str(self.directory), "", ""))

    def sync(self, number=7):
        """Returns when what it was told before is done."""
        self.send(SYNC, number, value=number)
        assert struct.unpack("=IIIIQ", self.ours.recv(100)) == (SYNCED, 24, number, 0, number)

    def wait(self):
        code = self.process.wait(10)
        self.ours.close()
        errors = self.process.stderr.read().decode()
        self.process.stderr.close()
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


def test_a_torn_line_ends(builddir, directory, pipe):
    """The last logger was killed within a write: all of it comes again."""
    reader, writer = pipe
    (directory / "a.log").write_bytes(b"whole\nhal")
    os.write(writer, b"half\nmore\n")
    logger = Logger(builddir, directory)
    logger.open(reader)
    logger.send(QUIT)
    logger.wait()
    assert read_log(directory) == b"whole\nhal\nhalf\nmore\n"


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
