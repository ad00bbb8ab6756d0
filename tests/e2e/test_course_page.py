"""doc/COURSE.md: the commands in its blocks are typed as a reader would, in order, and must show what it
shows; its table of the course protocol is played, datagram by datagram."""

import os
import re
import shutil
import subprocess

import pytest

from chat_clients import Chatd, CourseClient, IrcClient, MockControl, free_ports
from conftest import CGROUPS, SANITIZER_WORDS
from walkthrough import Lie, Walk, steps_of

PROGRAMS = ("fosterd", "fosterctl", "foster-manager", "foster-log", "foster-chatd", "foster-chat",
            "example-workers", "example-custom-class", "example-attributes", "example-sharing")


@pytest.fixture
def tree(builddir, srcdir, directory):
    """What a reader has: the sources, and the programs in build. Only the ports are others."""
    irc, course = free_ports()
    top = directory / "foster"
    (top / "build").mkdir(parents=True)
    for name in PROGRAMS:
        assert (builddir / name).exists(), f"{name} is not built: make -C {builddir} check-programs"
        (top / "build" / name).symlink_to(builddir / name)
    shutil.copytree(srcdir / "doc", top / "doc")
    for path in (top / "doc/COURSE.md", top / "doc/examples/course.conf"):
        path.write_text(path.read_text().replace("6667", str(irc)).replace("8888", str(course)))
    yield top
    run = top / "build/run"
    if (run / "cgroup").exists():
        CGROUPS.append(type(run)((run / "cgroup").read_text()))
    if (run / "control").exists():
        subprocess.run([builddir / "fosterctl", "--run-directory", run, "shutdown", "--all"])


@pytest.fixture
def walk(tree):
    made = Walk(tree)
    yield made
    made.end()


def as_identity(identity):
    if not identity:
        return []
    return ["setpriv", f"--reuid={identity[0]}", f"--regid={identity[1]}", "--clear-groups"]


def test_the_walk_through(tree, identity):
    for path in [tree, *tree.rglob("*")]:
        os.chown(path, *(identity or (-1, -1)), follow_symlinks=False)
    walk = Walk(tree, as_identity(identity))
    try:
        steps = steps_of((tree / "doc/COURSE.md").read_text(), "doc/COURSE.md")
        assert len([step for step in steps if step.typed is not None]) > 70
        walk.go(steps)
    finally:
        walk.end()
    seen = "".join(shell.bytes.decode() for shell in walk.shells.values())
    assert not any(word in seen for word in SANITIZER_WORDS), seen


def test_its_links(srcdir):
    """Files that it leads to are there, and sections of its own."""
    text = (srcdir / "doc/COURSE.md").read_text()
    sections = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
                for title in re.findall("^#+ (.*)$", text, re.M)]
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 10
    for link in links:
        assert link[1:] in sections if link[0] == "#" else (srcdir / "doc" / link).exists(), link


# --- that a lie is found ------------------------------------------------------------------------

def page(*lines, terminal="Terminal 1:"):
    return "\n".join(["## A section", "", terminal, "", "```", *lines, "```"])


@pytest.mark.parametrize("lines", [
    ["$ echo one; echo two", "one", "two"],
    ["$ echo one; echo two; echo three", "...", "three"],
    ["$ echo one; echo two", "one", "...", "$ echo three", "three"],
    ["$ echo pid $$, $$", "pid {shell}, {shell}", "$ test {shell} = $$ && echo 'a  b'", "a b"],
    ["$ read -p 'name: ' name; echo $name", "name: > lily", "lily"],
    ["$ cat | head -n 1", "> hello", "hello", "> again"],
])
def test_what_is_true(walk, lines):
    walk.go(steps_of(page(*lines)))


@pytest.mark.parametrize("lines, complaint", [
    (["$ echo one; echo two", "one"], "more than the page: .'two'"),
    (["$ echo one", "$ echo two", "two"], "more than the page: .'one'"),
    (["$ echo one", "two"], "the page shows 'two', the terminal 'one'"),
    (["$ echo $$ $PPID", "{shell} {shell}"], "the page shows"),
    (["$ echo $$ $$", "{shell} {shell}", "$ echo $PPID", "{shell}"], "the page shows"),
    (["$ kill {unseen}"], "was not seen before"),
])
def test_what_is_not(walk, lines, complaint):
    with pytest.raises(Lie, match=complaint):
        walk.go(steps_of(page(*lines)))


def test_what_never_comes(walk, monkeypatch):
    monkeypatch.setattr("walkthrough.DEADLINE", 0.2)
    for lines in ["$ true", "one"], ["$ true", "name: > lily"], ["$ read line"]:
        with pytest.raises(Lie, match="does not come|no 'name: '|no '. '"):
            walk.go(steps_of(page(*lines)))


def test_a_block_of_no_terminal():
    with pytest.raises(Lie, match="page:5: the line above does not say"):
        steps_of(page("$ true", terminal="A block:"))


# --- the table of the protocol ------------------------------------------------------------------

def rows_of(text):
    """Who, what he sends, the answers to him, what the others get."""
    rows = []
    for line in text.partition("## The protocol\n")[2].splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[0] != "who" and not cells[0].startswith("---"):
            rows.append((cells[0], *([datagram.replace(r"\n", "\n") for datagram in
                                      re.findall("`([^`]+)`", cell)] for cell in cells[1:4]), cells[1]))
    return rows


class Conversation:
    """Rows are played. Whoever is not to get anything gets nothing: else his next line is a lie."""

    def __init__(self, room, control):
        self.room = room
        self.control = control
        self.inside = {}  # name: client of the course's protocol
        self.outside = {}
        self.irc = {}

    def play(self, who, sent, answers, others, cell):
        heard_by = {name: client for name, client in self.inside.items() if name != who}
        if who == "the admin":
            self.control.announce(sent[0], seq=1)
        elif who == "the server":
            assert (cell, self.room.stop()) == ("SIGTERM", 0)
        elif who.endswith(", by IRC"):
            heard_by = self.by_irc(who.split(",")[0], sent[0], heard_by)
        else:
            self.by_datagram(who, sent[0], answers)
            answers = []
        assert not answers, f"{who} is not answered by a datagram"
        assert not others or heard_by, f"nobody is there to hear {who}"
        for name, client in heard_by.items():
            for text in others:
                assert client.receive() == text, (name, sent)

    def by_irc(self, nick, line, heard_by):
        if nick not in self.irc:
            self.irc[nick] = IrcClient(self.room.irc, nick)
        self.irc[nick].send(re.sub(r":/me (.*)$", ":\1ACTION \\1\1", line))
        target = line.split()[1]
        return heard_by if target.startswith("#") else {target: heard_by[target]}

    def by_datagram(self, who, datagram, answers):
        if who not in self.inside and who not in self.outside:
            self.outside[who] = CourseClient(self.room.course)
        client = self.inside.get(who) or self.outside[who]
        client.send(datagram)
        for text in answers:
            assert client.receive() == text, (who, datagram)
        if answers == ["OK"]:
            name = datagram[2:]
            self.inside.pop(who, None)
            self.outside.pop(who, None)
            self.inside[name] = client
        elif answers == ["EXIT"] and who in self.inside:
            self.outside[who] = self.inside.pop(who)

    def end(self):
        for client in (*self.inside.values(), *self.outside.values(), *self.irc.values()):
            client.close()


def test_the_protocol_s_table(builddir, srcdir, directory, any_room):
    rows = rows_of((srcdir / "doc/COURSE.md").read_text())
    assert len(rows) > 20
    control = MockControl(directory / "control")
    room = any_room(Chatd, environment={"FOSTER_CONTROL": control.path})
    conversation = Conversation(room, control)
    try:
        control.accept()
        for row in rows:
            conversation.play(*row)
        for client in (*conversation.inside.values(), *conversation.outside.values()):
            assert client.nothing_came()
    finally:
        conversation.end()
        control.close()
