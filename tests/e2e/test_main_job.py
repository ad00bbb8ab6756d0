"""The main job: the supervisor hosts the chat room; what dies, and who notices.

The clients here are the plainest there are: a socket that speaks IRC lines, and a course client
that sends and receives datagrams.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from foster import alive, children_of, until


def free_ports():
    with socket.socket() as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        a.bind(("127.0.0.1", 0))
        b.bind(("127.0.0.1", 0))
        return a.getsockname()[1], b.getsockname()[1]


class Irc:
    def __init__(self, port, nick, channel="#chat"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.seen = ""
        self.send(f"NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\nJOIN {channel}")
        self.wait("366")

    def send(self, line):
        self.socket.sendall(line.encode() + b"\r\n")

    def wait(self, text, seconds=10):
        """Reads until the text has come; pings are answered."""
        self.socket.settimeout(seconds)
        while text not in self.seen:
            data = self.socket.recv(65536)
            assert data, f"closed; seen {self.seen}"
            if data.startswith(b"PING"):
                self.send("PONG" + data.decode()[4:].strip())
            self.seen += data.decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def close(self):
        self.socket.close()


class Course:
    """The course's client: one unbound socket, L, then C, then Q."""

    def __init__(self, port, name):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))
        self.name = name
        assert self.ask(f"L {name}") == "OK"

    def send(self, text):
        self.socket.send(text.encode())

    def receive(self):
        return self.socket.recv(1024).decode()

    def ask(self, text):
        self.send(text)
        return self.receive()

    def close(self):
        self.socket.close()


@pytest.fixture
def room(foster, identity):
    irc, course = free_ports()
    f = foster(f"""
        socket irc    {{ listen   = {{"127.0.0.1:{irc}"}} }}
        socket course {{ datagram = {{"127.0.0.1:{course}"}} }}
        service chat {{
            command = {{"foster-chatd"}}
            daemon = true  ready = notify  watchdog = "10s"  restart = always
            sockets = {{irc, course}}
        }}
    """, identity=identity)
    f.wait_state("chat", "running")
    f.irc, f.course, f.clients = irc, course, []
    yield f
    for client in f.clients:
        client.close()


def join(f, kind, name):
    client = kind(f.irc if kind is Irc else f.course, name)
    f.clients.append(client)
    return client


def admin_of(chat_pid):
    return until(lambda: children_of(chat_pid), "the admin child is there")


def test_both_doors_and_the_admin(room):
    anna, lisi = join(room, Irc, "anna"), join(room, Course, "李四")
    anna.wait("JOIN #chat")
    lisi.send("C 李四 大家好  all")
    anna.wait("PRIVMSG #chat :大家好  all")
    anna.send("PRIVMSG #chat :hello 李四")
    assert lisi.receive() == "\nanna : hello 李四"
    # the admin child was forked before any of these users came: it speaks to those of now
    until(lambda: room.ctl("chat", "say", "welcome").returncode == 0)
    anna.wait("welcome")
    assert lisi.receive() == "\n管理员 : welcome"
    status = until(lambda: (s := room.service("chat")["status"]) and "2" in s and s)
    assert "user" in status
    assert lisi.ask("Q 李四") == "EXIT"
    anna.wait("QUIT")


def test_nobody_in_the_room_notices_a_killed_manager(room):
    anna, bert = join(room, Irc, "anna"), join(room, Irc, "bert")
    lisi = join(room, Course, "lisi")
    before = room.service("chat")
    for i in range(3):
        room.kill_manager()
        anna.send(f"PRIVMSG #chat :message {i}")
        bert.wait(f"PRIVMSG #chat :message {i}")
        while lisi.receive() != f"\nanna : message {i}":
            pass
    after = room.service("chat")
    assert after["pid"] == before["pid"]
    assert after["uptime_us"] > before["uptime_us"]
    # the admin child finds the next manager
    until(lambda: room.ctl("chat", "say", "still here").returncode == 0, "the admin is back", 20)
    bert.wait("still here")


def test_killed_room_is_there_again_with_a_new_admin(room):
    pid = room.service_pid("chat")
    admin = admin_of(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not any(alive(child) for child in admin), "its admin child is gone with it")
    s = until(lambda: (s := room.service("chat"))["state"] == "running" and s["pid"] != pid and s)
    assert not set(admin_of(s["pid"])) & set(admin)
    anna = join(room, Irc, "anna")
    until(lambda: room.ctl("chat", "say", "new room").returncode == 0, "the new admin speaks", 20)
    anna.wait("new room")


def test_admin_child_killed_is_replaced(room):
    pid = room.service_pid("chat")
    admin = admin_of(pid)
    os.kill(admin[0], signal.SIGKILL)
    until(lambda: children_of(pid) and children_of(pid) != admin, "another admin is there")
    anna = join(room, Irc, "anna")
    until(lambda: room.ctl("chat", "say", "again").returncode == 0, "it speaks", 20)
    anna.wait("again")
    assert room.service_pid("chat") == pid


def test_killed_supervisor_takes_the_room_along(room):
    pid = room.service_pid("chat")
    everyone = [pid, room.manager_pid(), *admin_of(pid)]
    room.kill_supervisor()
    until(lambda: not any(map(alive, everyone)), "room, admin and manager are gone")


def test_restart_refuses_nobody(room):
    """Clients that connect while the room is restarted wait, and are served."""
    refused, served = [], []
    stop = threading.Event()

    def connect():
        i = 0
        while not stop.is_set():
            i += 1
            try:
                client = socket.create_connection(("127.0.0.1", room.irc), timeout=10)
            except ConnectionError as error:
                refused.append(error)
                continue
            try:
                client.sendall(f"NICK n{i}\r\nUSER n 0 * :n\r\n".encode())
                if b" 001 " in client.recv(4096):
                    served.append(i)
            except ConnectionError:
                pass  # the room that had accepted it ended
            finally:
                client.close()

    pid = room.service_pid("chat")
    thread = threading.Thread(target=connect)
    thread.start()
    try:
        for _ in range(3):
            room.ctl("restart", "chat", check=0)
        count = len(served)
        until(lambda: len(served) > count, "clients are served afterwards")
    finally:
        stop.set()
        thread.join()
    assert not refused and room.service_pid("chat") != pid


def test_quickstart_runs_and_ctrl_c_ends_it_all(builddir, srcdir, directory):
    """What the README's first command starts, as it starts it, on other ports."""
    irc, course = free_ports()
    config = directory / "quickstart.conf"
    text = (srcdir / "etc/quickstart.conf").read_text()
    config.write_text(text.replace("6667", str(irc)).replace("8888", str(course)))
    run = directory / "run"
    with open(directory / "output", "wb") as out:
        process = subprocess.Popen([builddir / "fosterd", "--config", config, "--run-directory", run],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        def up():
            done = subprocess.run([builddir / "fosterctl", "--run-directory", run, "status", "chat"],
                                  capture_output=True, text=True, timeout=10)
            return done.returncode == 0
        until(up, "the room is up", 20)
        client = Irc(irc, "anna")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        client.close()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert os.listdir(run) == ["log"]


def test_course_client_of_the_examples(room, srcdir):
    """doc/examples/course-client.py: the prompts of the course, on a terminal's three lines."""
    anna = join(room, Irc, "anna")
    client = subprocess.Popen([sys.executable, srcdir / "doc/examples/course-client.py", "127.0.0.1",
                               str(room.course)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    try:
        client.stdin.write("王五\n".encode())
        client.stdin.flush()
        anna.wait("JOIN #chat")
        client.stdin.write("你好\n".encode())
        client.stdin.flush()
        anna.wait("PRIVMSG #chat :你好")
        anna.send("PRIVMSG #chat :answer")
        seen = b""
        while b"anna : answer" not in seen:
            seen += os.read(client.stdout.fileno(), 4096)
        client.stdin.write(b"quit\n")
        client.stdin.flush()
        anna.wait("QUIT")
        assert client.wait(10) == 0
    finally:
        if client.poll() is None:
            client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()
