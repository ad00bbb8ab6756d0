"""The chat room under test, and clients for both its doors written from the protocols."""

import json
import os
import pathlib
import re
import resource
import select
import signal
import socket
import subprocess
import time

import sandbox
from foster import alive, children_of, until

DEADLINE = 10.0


def free_port(kind, host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def free_ports():
    """A port that is free for TCP on both loopback addresses, and one for UDP."""
    def both(kind):
        while True:
            port = free_port(kind)
            with socket.socket(socket.AF_INET6, kind) as s:
                try:
                    s.bind(("::1", port))
                    return port
                except OSError:
                    continue
    return both(socket.SOCK_STREAM), both(socket.SOCK_DGRAM)


class IrcClient:
    """An IRC client. What comes is kept in lines, without CR LF, until it is asked for."""

    def __init__(self, address, nick=None, channel=None, tls=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE)
        try:
            self.socket.connect(address)
            if tls:
                self.socket = tls.wrap_socket(self.socket)
        except OSError:
            self.socket.close()
            raise
        self.nick = nick
        self.lines = []
        self.rest = b""
        self.ended = False
        self.reset = False
        if nick:
            self.send(f"NICK {nick}", f"USER {nick} 0 * :{nick}")
            self.expect(" 001 ")
        if channel:
            self.join(channel)

    def send(self, *lines):
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())

    def join(self, channel):
        self.send(f"JOIN {channel}")
        self.expect(rf" 366 \S+ {re.escape(channel)} ")

    def receive(self, seconds=DEADLINE):
        """Reads once; False when nothing came in time or the connection has ended."""
        if self.ended or not select.select([self.socket], [], [], seconds)[0]:
            return False
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
            self.reset = True
        if not data:
            self.ended = True
            return False
        *whole, self.rest = (self.rest + data).split(b"\r\n")
        for line in whole:
            text = line.decode()  # strictly: the server must never send what is not UTF-8
            if text.startswith("PING "):
                self.send("PONG " + text[5:])
            self.lines.append(text)
        return True

    def expect(self, pattern, seconds=DEADLINE):
        """Takes lines up to one that the pattern is found in; returns the match."""
        deadline = time.monotonic() + seconds
        seen = []
        while True:
            while self.lines:
                line = self.lines.pop(0)
                seen.append(line)
                match = re.search(pattern, line)
                if match:
                    return match
            left = deadline - time.monotonic()
            if left <= 0 or not self.receive(left):
                raise AssertionError(f"no line with {pattern!r} in {seen[-20:]}"
                                     f"{', the connection has ended' if self.ended else ''}")

    def sync(self):
        """Waits for a PONG; returns the lines before it. What was sent before has been done."""
        token = f"sync{time.monotonic_ns()}"
        self.send(f"PING {token}")
        before = []
        while True:
            while self.lines:
                line = self.lines.pop(0)
                if line.endswith(token):
                    return before
                before.append(line)
            assert self.receive(), f"no answer to PING; {before[-5:]}"

    def expect_end(self):
        while self.receive():
            pass
        assert self.ended, "the connection has not ended"
        return self.lines

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class CourseClient:
    """A client of the course: one unbound UDP socket for everything."""

    def __init__(self, address, name=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE)
        self.address = address
        self.name = name
        if name:
            assert self.login(name) == "OK"

    def send(self, data):
        self.socket.sendto(data.encode() if isinstance(data, str) else data, self.address)

    def receive(self):
        """The next datagram, as the course's clients read and decode it."""
        return self.socket.recvfrom(1024)[0].decode()

    def login(self, name):
        self.send(f"L {name}")
        return self.socket.recvfrom(128)[0].decode()

    def say(self, text):
        self.send(f"C {self.name} {text}")

    def quit(self):
        self.send(f"Q {self.name}")

    def nothing_came(self):
        """To be asked after something that is handled later than what might have come."""
        return not select.select([self.socket], [], [], 0)[0]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Chatd:
    """foster-chatd, started by the test itself, with a socket for its notifications."""

    def __init__(self, builddir, directory, options="", environment=None, user=None,
                 descriptors=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.builddir = builddir
        self.user = user
        self.descriptors = descriptors
        self.environment = environment or {}
        self.refused = []  # system calls that the kernel is to refuse it
        self.irc_port, self.course_port = free_ports()
        self.irc = ("127.0.0.1", self.irc_port)
        self.irc6 = ("::1", self.irc_port)
        self.course = ("127.0.0.1", self.course_port)
        self.course6 = ("::1", self.course_port)
        self.config = self.directory / "chat.conf"
        self.write_config(options)
        self.log = self.directory / "chatd.log"
        self.log_file = None
        self.process = None
        self.messages = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.directory / "notify"))
        if user:
            os.chmod(self.directory / "notify", 0o666)
            os.chmod(self.directory, 0o755)

    def write_config(self, options):
        text = ""
        if "irc-listen" not in options:
            text += f'irc-listen = {{"127.0.0.1:{self.irc_port}", "[::1]:{self.irc_port}"}}\n'
        if "course-listen" not in options:
            text += ('course-listen = '
                     f'{{"127.0.0.1:{self.course_port}", "[::1]:{self.course_port}"}}\n')
        options = options.replace("@irc@", str(self.irc_port))
        options = options.replace("@course@", str(self.course_port))
        self.config.write_text(text + options)

    def prepare(self):
        """In the child: what a supervisor does before it executes."""
        if self.descriptors:
            for i, fd in enumerate(self.descriptors):
                os.dup2(fd, 100 + i)
            for i in range(len(self.descriptors)):
                os.dup2(100 + i, 3 + i)
        if self.environment.get("NOFILE"):
            limit = int(self.environment["NOFILE"])
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        if self.refused:
            sandbox.refuse(self.refused)

    def start(self, wait=True):
        environment = dict(os.environ, NOTIFY_SOCKET=str(self.directory / "notify"),
                           **self.environment)
        command = [str(self.builddir / "foster-chatd"), "--config", str(self.config)]
        if self.descriptors:
            environment["LISTEN_FDS"] = str(len(self.descriptors))
            command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"] + command
        self.log_file = open(self.log, "ab")
        self.process = subprocess.Popen(
            command, stderr=self.log_file, stdin=subprocess.DEVNULL, env=environment,
            preexec_fn=self.prepare, close_fds=not self.descriptors,
            **({"user": self.user[0], "group": self.user[1], "extra_groups": []}
               if self.user else {}))
        if wait:
            self.wait_ready()
        return self

    @property
    def pid(self):
        return self.process.pid

    def expect_message(self, pattern, seconds=DEADLINE):
        """Takes notifications up to one that the pattern is found in."""
        deadline = time.monotonic() + seconds
        while True:
            while self.messages:
                message = self.messages.pop(0)
                if re.search(pattern, message, re.M):
                    return message
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.notify], [], [], left)[0]:
                raise AssertionError(f"not notified of {pattern!r}; {self.output()}")
            self.messages.append(self.notify.recv(4096).decode())

    def wait_ready(self):
        until(lambda: self.process.poll() is not None or
              select.select([self.notify], [], [], 0)[0], "readiness")
        assert self.process.poll() is None, self.output()
        self.expect_message("^READY=1$")

    def admin(self):
        """
        The pid of the admin child: the other one is its stand-in, and younger. Waits for that one,
        for without it the room ends with the admin child.
        """
        def both():
            found = list(filter(alive, children_of(self.pid)))
            return found if len(found) == 2 else None
        return until(both, "the admin child and its stand-in")[0]

    def output(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_output(self, pattern):
        return until(lambda: re.search(pattern, self.output()), f"{pattern!r} in the log")

    def stop(self, signo=signal.SIGTERM):
        """Ends it and returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signo)
        return self.process.wait(DEADLINE)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.log_file:
            self.log_file.close()
        self.notify.close()


class MockControl:
    """The supervisor's control socket, as far as the admin child asks for it."""

    def __init__(self, path, status="200 OK"):
        self.path = str(path)
        self.status = status
        self.requests = []
        self.listener = None
        self.follower = None
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.listener.settimeout(DEADLINE)

    def accept(self):
        """Waits for the admin child and answers the head of its request."""
        self.follower, _ = self.listener.accept()
        self.follower.settimeout(DEADLINE)
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.follower.recv(4096)
            assert more, "the admin child has gone while it asked"
            data += more
        self.requests.append(data.decode())
        self.follower.sendall(f"HTTP/1.1 {self.status}\r\nContent-Type: application/x-ndjson\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n".encode())
        return self

    def send_event(self, **event):
        data = json.dumps(event).encode() + b"\n"
        self.follower.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def announce(self, text, seq):
        self.send_event(seq=seq, type="announce", text=text, by="root")

    def hang_up(self):
        self.follower.close()
        self.follower = None

    def close(self):
        if self.follower:
            self.follower.close()
        self.listener.close()
        if os.path.exists(self.path):
            os.unlink(self.path)
