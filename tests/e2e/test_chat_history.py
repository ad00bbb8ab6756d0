"""The chat room's history, from outside: restarts, kills under load, full disks, damaged files."""

import contextlib
import functools
import os
import random
import re
import resource
import signal
import sqlite3
import threading
import time

import pytest

from chat_clients import Chatd, CourseClient, IrcClient
from foster import until

CAPS = "batch server-time message-tags echo-message"


class HistoryRoom(Chatd):
    def __init__(self, builddir, directory, options, **arguments):
        self.state = directory / "state"
        super().__init__(builddir, directory, options, **arguments)
        self.state.mkdir()
        if self.user:
            os.chown(self.state, *self.user)
        self.database = self.state / "history.db"

    def write_config(self, options):
        super().write_config(f'history = on\nstate-directory = "{self.state}"\nflood-rate = 0\n'
                             f'{options}')

    def rows(self, condition="1"):
        """What the database has, looked at as an admin would."""
        query = f"SELECT line FROM message WHERE {condition} ORDER BY time, id"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True,
                                                    timeout=10)) as db:
                return [row[0] for row in db.execute(query)]
        except sqlite3.OperationalError:
            return []  # it is being made

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def rooms(any_room):
    return functools.partial(any_room, HistoryRoom)


def enter(room, nick, channel="#x", caps=CAPS):
    """A client that knows what history is."""
    client = IrcClient(room.irc, nick)
    client.send(f"CAP REQ :{caps} draft/chathistory")
    client.expect(" ACK ")
    client.join(channel)
    return client


def ask(client, question):
    """The lines of the batch that answers."""
    client.send(f"CHATHISTORY {question}")
    name = client.expect(r" BATCH \+(\S+) ").group(1)
    lines = []
    while True:
        line = client.expect("").string
        if line.endswith(f" BATCH -{name}"):
            return lines
        if f"batch={name};" in line:
            lines.append(line)


def texts(lines):
    return [re.search(r" PRIVMSG \S+ :(.*)$", line).group(1) for line in lines]


def everything(client, channel="#x"):
    """All messages of the channel, a page at a time."""
    found, lines = [], ask(client, f"AFTER {channel} timestamp=1970-01-01T00:00:00.000Z 500")
    while lines:
        found += texts(lines)
        last = re.search("msgid=([0-9a-f-]+)", lines[-1]).group(1)
        lines = ask(client, f"AFTER {channel} msgid={last} 500")
    return found


def test_history_outlives_a_restart(rooms):
    room = rooms()
    with enter(room, "a") as a, CourseClient(room.course, "lily") as lily:
        a.join("#chat")
        a.send("PRIVMSG #x :one", "@+draft/reply=1 PRIVMSG #X :二")
        lily.say("from the course")
        a.expect("PRIVMSG #chat :from the course")
        a.sync()
        assert texts(ask(a, "LATEST #x * 10")) == ["one", "二"]  # at once
    assert room.stop() == 0
    assert os.path.getsize(f"{room.database}.journal-0") == 0
    assert os.path.getsize(f"{room.database}.journal-1") == 0
    assert not os.path.exists(f"{room.database}-wal")
    room.start()
    with enter(room, "b") as b:
        b.send("PRIVMSG #x :three")
        lines = ask(b, "LATEST #x * 10")
        assert texts(lines) == ["one", "二", "three"]
        assert ";+draft/reply=1 :a!~a@127.0.0.1 PRIVMSG #X :二" in lines[1] or \
            ";+draft/reply=1 :a!~a@127.0.0.1 PRIVMSG #x :二" in lines[1]
        number = re.search("msgid=([0-9a-f-]+)", lines[1]).group(1)
        assert texts(ask(b, f"BEFORE #x msgid={number} 10")) == ["one"]
        assert texts(ask(b, f"AROUND #x msgid={number} 2")) == ["one", "二"]
        b.join("#chat")
        assert texts(ask(b, "LATEST #chat * 10")) == ["from the course"]


def test_a_closed_channel_tells_nothing_after_a_restart(rooms):
    room = rooms()
    with enter(room, "a") as a:
        a.send("PRIVMSG #x :open", "MODE #x +k key", "PRIVMSG #x :closed")
        assert texts(ask(a, "LATEST #x * 10")) == ["open", "closed"]
        with IrcClient(room.irc, "b") as b:
            b.send("JOIN #x key", f"CAP REQ :{CAPS}", "CHATHISTORY LATEST #none * 5")
            b.expect("FAIL CHATHISTORY INVALID_TARGET LATEST #none ")
            assert texts(ask(b, "LATEST #x * 10")) == ["open"]
    room.kill()
    room.start()
    with enter(room, "a") as a:
        assert texts(ask(a, "LATEST #x * 10")) == ["open"]
        until(lambda: any("closed" in row for row in room.rows()), "it was kept")


def test_who_asks_for_long_tags_is_not_dropped(rooms):
    """The whole answer may be longer than what others may leave in his queue."""
    room = rooms('send-queue = "64K"\n')
    with enter(room, "a") as a:
        for i in range(100):
            a.send(f"@+tag={'t' * 4000} PRIVMSG #x :{i}")
            a.expect(f"PRIVMSG #x :{i}$")
    with enter(room, "b") as b:
        assert texts(ask(b, "LATEST #x * 100")) == [str(i) for i in range(100)]


def test_event_playback_and_targets(rooms):
    room = rooms()
    with enter(room, "a", caps=CAPS + " draft/event-playback") as a:
        with enter(room, "b") as b:
            b.send("TOPIC #x :no", "NICK c", "PART #x :bye")
            b.sync()
        a.send("TOPIC #x :yes")
        verbs = [re.search(r" :\S+ (\S+) ", " " + line).group(1)
                 for line in ask(a, "LATEST #x * 50")]
        assert verbs == ["JOIN", "JOIN", "NICK", "PART", "TOPIC"]
        a.send("CHATHISTORY TARGETS timestamp=2000-01-01T00:00:00.000Z "
               "timestamp=2100-01-01T00:00:00.000Z 10")
        a.expect(r" BATCH \+\S+ draft/chathistory-targets$")
        a.expect(r" CHATHISTORY TARGETS #x 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ$")
        a.expect(" BATCH -")


def test_shown_on_join(rooms):
    room = rooms("history-on-join = 2\n")
    with enter(room, "a") as a:
        for i in range(4):
            a.send(f"PRIVMSG #x :{i}")
        a.sync()
        with IrcClient(room.irc, "old", "#x") as old:
            old.expect(r"NOTICE #x :What is said here is kept for 30d, .*\(\+H\)$")
            old.expect(r"^:a!~a@127.0.0.1 PRIVMSG #x :\[20\d\d-\d\d-\d\d \d\d:\d\d\] 2$")
            old.expect(r"PRIVMSG #x :\[.*\] 3$")
            a.send("PRIVMSG #x :now")
            old.expect("PRIVMSG #x :now$")


def test_retention(rooms):
    room = rooms("history-messages = 5\n")
    with enter(room, "a") as a:
        for i in range(9):
            a.send(f"PRIVMSG #x :{i}")
        assert len(everything(a)) == 9
        room.process.send_signal(signal.SIGHUP)  # it is looked at anew then
        until(lambda: len(room.rows()) == 5, "the number is kept")
        room.write_config('history-age = "1s"\n')
        room.process.send_signal(signal.SIGHUP)
        until(lambda: room.rows() == [], "what is old is removed")
        a.send("PRIVMSG #x :again")
        a.expect("PRIVMSG #x :again")
        until(lambda: ask(a, "LATEST #x * 10") == [], "what is old is not shown")
        # It goes by itself, with nobody saying anything.
        until(lambda: room.rows() == [], "what is old is removed")


# --- kills ------------------------------------------------------------------------------------

class Load:
    """Somebody says numbers as fast as it goes; all who hear them note what they heard."""

    def __init__(self, room, number):
        self.talker, self.listener = enter(room, f"t{number}"), enter(room, f"l{number}")
        self.course = CourseClient(room.course, f"c{number}")
        self.talker.join("#chat")
        self.number = number
        self.thread = threading.Thread(target=self.talk)
        self.thread.start()

    def talk(self):
        try:
            for i in range(100000):
                self.talker.send(*[f"PRIVMSG #{'chat' if k % 10 == 0 else 'x'} :"
                                   f"{self.number}.{i}.{k}" for k in range(20)])
        except OSError:
            pass

    def heard(self):
        """What was delivered to anybody, once the server is dead."""
        self.thread.join()
        delivered = set()
        for client in (self.talker, self.listener):
            while client.receive(0.1):
                pass
            for line in client.lines:
                match = re.search(r"PRIVMSG #(\S+) :(\d+\.\d+\.\d+)$", line)
                if match:
                    delivered.add(match.groups())
            client.close()
        while not self.course.nothing_came():
            match = re.search(r" : (\d+\.\d+\.\d+)$", self.course.receive())
            if match:
                delivered.add(("chat", match.group(1)))
        self.course.close()
        return delivered


def test_sigkill_under_load_loses_and_doubles_nothing(rooms):
    room = rooms('history-messages = 0\nsend-queue = "64M"\ncourse-rate = 0\n')
    chance = random.Random(5)
    delivered = set()
    for number in range(6):
        loads = [Load(room, f"{number}{i}") for i in range(2)]
        time.sleep(chance.uniform(0.02, 0.4))
        room.kill()
        for load in loads:
            delivered |= load.heard()
        room.start()
    assert len(delivered) > 1000
    with enter(room, "reader", caps=CAPS) as reader:
        reader.join("#chat")
        for channel in ("x", "chat"):
            kept = everything(reader, f"#{channel}")
            assert len(kept) == len(set(kept)), "kept twice"
            missing = {text for where, text in delivered if where == channel} - set(kept)
            assert not missing, f"{len(missing)} were delivered and not kept"


@pytest.mark.parametrize("moment, before", [
    ("write", False), ("send", True), ("sendmsg", True), ("ftruncate", True)])
def test_sigkill_at_the_worst_moment(rooms, moment, before):
    """Written and not sent; sent to one of many and nothing else done; in the database, and still
    in the journal. What kills it here is in the process itself, which in its sandbox kills nobody."""
    room = rooms("sandbox = off\n", start=False)
    plain = dict(room.environment)
    room.environment |= {
        "LD_PRELOAD": str(room.builddir / ".libs" / "test-kill-at-call.so"),
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0",
        "KILL_AT": moment, "KILL_AT_TEXT": "deadly"}
    room.start()
    # Where the course is, its datagrams go out first.
    channel = "#chat" if moment == "sendmsg" else "#x"
    with IrcClient(room.irc, "a", channel) as a, IrcClient(room.irc, "b", channel) as b, \
            CourseClient(room.course, "lily") as lily:
        a.send(f"PRIVMSG {channel} :before")
        b.expect(f"PRIVMSG {channel} :before")
        if moment == "sendmsg":
            assert lily.receive() == "\na : before"
        a.send(f"PRIVMSG {channel} :deadly")
        assert room.process.wait(10) == -signal.SIGKILL
        b.expect_end()
        delivered = any("deadly" in line for line in b.lines) or not lily.nothing_came()
        assert delivered == before
    room.environment = plain
    room.start()
    with enter(room, "a", channel) as a:
        assert texts(ask(a, f"LATEST {channel} * 10")) == ["before", "deadly"]


# --- trouble ----------------------------------------------------------------------------------

def test_a_full_disk(rooms):
    """A limit of file sizes is met as a full disk is. The room goes on, says so once, resumes."""
    room = rooms()
    long = "x" * 350
    with enter(room, "a") as a:
        a.send("PRIVMSG #x :before")
        assert texts(ask(a, "LATEST #x * 10")) == ["before"]
        until(lambda: os.path.getsize(f"{room.database}.journal-0") +
              os.path.getsize(f"{room.database}.journal-1") == 0, "all is in the database")
        hard = resource.prlimit(room.pid, resource.RLIMIT_FSIZE)[1]
        # Room for the log's line, and for a part of a record, which must not stay.
        resource.prlimit(room.pid, resource.RLIMIT_FSIZE, (400, hard))
        for i in range(5):
            a.send(f"PRIVMSG #x :during {i} {long}")
            a.expect(f"PRIVMSG #x :during {i}")
        room.expect_message("^STATUS=1 user in 1 channel; history: .*: (No space left on device"
                            "|File too large)$")
        resource.prlimit(room.pid, resource.RLIMIT_FSIZE, (hard, hard))
        room.expect_message("^STATUS=1 user in 1 channel$", 40)
        a.send("PRIVMSG #x :after")
        # It lay in memory meanwhile.
        assert texts(ask(a, "LATEST #x * 10")) == \
            ["before", *[f"during {i} {long}" for i in range(5)], "after"]
    assert room.output().count("the room goes on, and tries again") == 1
    assert room.output().count("history: goes on; nothing was lost") == 1


def test_a_database_that_cannot_be_opened(rooms):
    room = rooms(start=False)
    room.database.mkdir()
    room.start()
    room.expect_message("; history: .*history.db: Is a directory$")
    with enter(room, "a") as a:
        a.send("PRIVMSG #x :hello")
        a.expect("PRIVMSG #x :hello")
        a.send("CHATHISTORY LATEST #x * 10")
        a.expect("FAIL CHATHISTORY MESSAGE_ERROR LATEST #x :The history cannot be read now")
        room.kill()
        room.start()  # it waits in the journal over this, too
        room.expect_message("; history: .*history.db: Is a directory$")
        room.database.rmdir()
        room.wait_output("history: goes on; nothing was lost")
    with enter(room, "b") as b:
        assert texts(ask(b, "LATEST #x * 10")) == ["hello"]


def test_a_damaged_database(rooms):
    room = rooms()
    with enter(room, "a") as a:
        a.send("PRIVMSG #x :old")
        assert texts(ask(a, "LATEST #x * 10")) == ["old"]
    assert room.stop() == 0
    room.database.write_bytes(b"\xff" * 8192)
    room.start()
    room.wait_output("the database was damaged; a new one is begun, the old one is now "
                     ".*history.db.damaged-")
    with enter(room, "a") as a:
        a.send("PRIVMSG #x :new")
        assert texts(ask(a, "LATEST #x * 10")) == ["new"]


def test_the_state_directory_is_made(rooms):
    room = rooms(start=False)
    room.state.rmdir()
    room.start()
    assert room.state.stat().st_mode & 0o777 == 0o700
    with enter(room, "a") as a:
        a.send("PRIVMSG #x :hello")
        assert texts(ask(a, "LATEST #x * 10")) == ["hello"]


def test_no_state_directory(rooms):
    """Without the sandbox, which has the directory that is there at the start and no other."""
    room = rooms("sandbox = off\n", start=False)
    room.state.rmdir()
    room.state.write_text("no directory")
    room.start()
    room.wait_output("history.db.journal-0: Not a directory; the room goes on")
    with enter(room, "a") as a:
        a.send("PRIVMSG #x :in memory")
        a.expect("PRIVMSG #x :in memory")
        room.state.unlink()
        room.wait_output("history: goes on; nothing was lost")
        until(lambda: texts(ask(a, "LATEST #x * 10")) == ["in memory"], "it is kept")


def test_two_servers_and_one_history(rooms):
    room = rooms()
    other = rooms(start=False)
    other.state = room.state
    other.write_config("")
    other.start()
    other.wait_output("history.db.journal-0: another process has it; the room goes on")
    with enter(other, "a") as a:
        a.send("PRIVMSG #x :hello")
        a.expect("PRIVMSG #x :hello")
        assert room.stop() == 0
        other.wait_output("history: goes on; nothing was lost")
        until(lambda: texts(ask(a, "LATEST #x * 10")) == ["hello"], "it is kept")


def test_idle_costs_nothing(rooms):
    room = rooms()

    def switches():
        found = 0
        for task in os.listdir(f"/proc/{room.pid}/task"):
            with open(f"/proc/{room.pid}/task/{task}/status") as f:
                found += sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", f.read()))
        return found

    with enter(room, "a") as a:
        a.send("PRIVMSG #x :hello")
        until(lambda: any("hello" in row for row in room.rows()), "it is in the database")

        def is_quiet():
            before = switches()
            time.sleep(1.5)
            return switches() == before

        until(is_quiet, "nothing wakes it up", 20)
