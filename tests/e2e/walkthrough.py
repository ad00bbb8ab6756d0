"""Does what a page of Markdown shows, in terminals of its own, and compares what comes with what the
page shows. The notation is told in doc/COURSE.md, "How to read this page"."""

import fcntl
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import termios

from foster import until

PROMPT = "$ "
DEADLINE = 30


class Lie(AssertionError):
    """The page shows what is not so."""


class Step:
    """One line of a block: typed at a shell's prompt, typed to a program, or shown."""

    def __init__(self, where, section, terminal, text):
        self.where = where
        self.section = section
        self.terminal = terminal
        typed = re.fullmatch(r"(.*[:?] )?>(?: (.*))?", text)
        if text.startswith(PROMPT):
            self.prompt, self.typed = PROMPT, text[len(PROMPT):]
        elif typed:
            self.prompt, self.typed = typed[1] or "", typed[2] or ""
        else:
            self.prompt = self.typed = None
        self.text = text
        self.is_gap = text.strip() == "..."


def steps_of(page, name="page"):
    """All lines of all blocks, in order. The line of text above a block names its terminal."""
    steps, above, section, inside = [], "", "", False
    for number, line in enumerate(page.splitlines(), 1):
        where = f"{name}:{number}"
        if line.startswith("```"):
            inside = not inside
            terminal = re.search(r"[Tt]erminal (\d+)\b.*:$", above)
            if not terminal:
                raise Lie(f"{where}: the line above does not say in which terminal this is")
        elif inside:
            if line.strip():
                steps.append(Step(where, section, int(terminal[1]), line))
        else:
            if line.startswith("#"):
                section = line
            above = line.strip() or above
    return steps


class Words:
    """What the words in braces stand for."""

    def __init__(self):
        self.known = {}

    def filled_in(self, text):
        """For a command; blanks stay."""
        return re.sub(r"\{([a-z][a-z-]*)\}", lambda m: self.known.get(m[1], m[0]), text)

    def fit(self, shown, line):
        """Whether the line is as shown; then the words that are new have a meaning."""
        pattern, new = "", set()
        for piece in re.split(r"(\{[a-z][a-z-]*\}|\.\.\.)", squeezed(shown)):
            word = re.fullmatch(r"\{([a-z][a-z-]*)\}", piece)
            if piece == "...":
                pattern += ".*"
            elif not word:
                pattern += re.escape(piece)
            elif word[1] in self.known:
                pattern += re.escape(self.known[word[1]])
            elif word[1] in new:
                pattern += f"(?P={word[1].replace('-', '_')})"
            else:
                new.add(word[1])
                pattern += rf"(?P<{word[1].replace('-', '_')}>[^\s,:\]]+)"
        match = re.fullmatch(pattern, squeezed(line))
        if match:
            self.known.update((word, match[word.replace("-", "_")]) for word in new)
        return match is not None


def squeezed(text):
    return re.sub(r"[ \t]+", " ", text).strip()


class Shell:
    """bash on a terminal. Lines are read as they stand on the screen in the end."""

    def __init__(self, directory, environment, before):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self.process = subprocess.Popen(
            [*before, "bash", "--norc", "--noprofile", "--noediting"], cwd=directory, env=environment,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.bytes = b""
        self.taken = 0

    def rows(self):
        """All but the first `taken` lines that are not empty, and the last, where one types."""
        while select.select([self.master], [], [], 0)[0]:
            self.bytes += os.read(self.master, 65536)
        text = re.sub(r"\033\[[\d;]*m", "", self.bytes.decode(errors="replace"))
        *lines, last = [row.split("\r\033[K")[-1] for row in text.split("\r\n")]
        return [line for line in lines if line.strip()][self.taken:], last

    def type(self, text):
        os.write(self.master, text.encode() + b"\n")

    def end(self):
        os.close(self.master)
        self.process.kill()
        self.process.wait()


class Walk:
    """One walk through a page, in a directory. before: words in front of each shell's command."""

    def __init__(self, directory, before=()):
        self.directory = pathlib.Path(directory)
        self.before = before
        self.environment = {**os.environ, "PS1": PROMPT, "PS2": "", "TERM": "xterm",
                            "HOME": str(directory), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        self.shells = {}
        self.words = Words()
        self.section = None
        self.gaps = set()  # terminals where lines follow that the page leaves out

    def go(self, steps):
        for step in steps:
            if step.section != self.section:
                self.section, self.words = step.section, Words()
            if step.terminal not in self.shells:
                self.shells[step.terminal] = Shell(self.directory, self.environment,
                                                   self.before)
            if step.is_gap:
                self.gaps.add(step.terminal)
            elif step.typed is None:
                self.see(step)
            else:
                self.type(step)
        for terminal, shell in self.shells.items():
            self.await_prompt(shell, PROMPT, f"at the end, terminal {terminal}")
            self.nothing_more(terminal, "at the end")

    def type(self, step):
        shell = self.shells[step.terminal]
        self.await_prompt(shell, step.prompt, f"{step.where}: {step.text}")
        self.nothing_more(step.terminal, step.where)
        text = self.words.filled_in(step.typed)
        unknown = re.search(r"\{[a-z][a-z-]*\}", text)
        if unknown and step.prompt == PROMPT:
            raise Lie(f"{step.where}: {unknown[0]} was not seen before")
        shell.type(text)
        echo = self.next_line(shell, step)
        if squeezed(echo) != squeezed(step.prompt + text):
            raise Lie(f"{step.where}: typed {text!r}, the terminal shows {echo!r}")

    def see(self, step):
        while True:
            line = self.next_line(self.shells[step.terminal], step)
            if self.words.fit(step.text, line):
                self.gaps.discard(step.terminal)
                return
            if step.terminal not in self.gaps:
                raise Lie(f"{step.where}: the page shows {step.text!r}, the terminal {line!r}")

    def next_line(self, shell, step):
        def arrived():
            reap_strangers(self.shells.values())
            return shell.rows()[0]
        line = self.wait(arrived, lambda: f"{step.where}: {step.text!r} does not come; the terminal "
                         f"shows {shell.rows()}")[0]
        shell.taken += 1
        return line

    def await_prompt(self, shell, prompt, what):
        def asked():
            reap_strangers(self.shells.values())
            lines, last = shell.rows()
            if prompt == PROMPT and not last and lines and lines[-1].startswith(PROMPT):
                shell.type("")  # a program in the background has spoken behind the prompt
                self.wait(lambda: shell.rows()[1], lambda: f"{what}: no prompt after Enter")
            return last == prompt
        self.wait(asked, lambda: f"{what}: no {prompt!r}; the terminal shows {shell.rows()}")

    def nothing_more(self, terminal, where):
        shell = self.shells[terminal]
        more = shell.rows()[0]
        if more and terminal not in self.gaps:
            raise Lie(f"{where}: the terminal shows more than the page: {more}")
        self.gaps.discard(terminal)
        shell.taken += len(more)

    @staticmethod
    def wait(condition, what):
        try:
            return until(condition, seconds=DEADLINE)
        except AssertionError:
            raise Lie(what()) from None

    def end(self):
        for shell in self.shells.values():
            shell.end()


def reap_strangers(shells):
    """Orphans come to the test runner; where a reader sits, the system takes them."""
    own = [shell.process.pid for shell in shells]
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if not ended or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, 0)
