#!/usr/bin/env python3
"""What becomes of children: zombies, orphans, signals; step by step, as doc/COURSE.md shows it.

Usage: children.py zombie | ignore | orphan | many | signals
"""

import os
import signal
import sys


def say(who, text):
    os.write(1, f"{who} {os.getpid()}: {text}\n".encode())  # at once, and once after a fork, too


def name_of(pid):
    with open(f"/proc/{pid}/comm") as f:
        return f.read().strip()


def fork_and_end(code):
    """A child that ends at once."""
    child = os.fork()
    if child == 0:
        os._exit(code)
    return child


def zombie():
    child = fork_and_end(7)
    say("parent", f"forked {child}")
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # looks, and leaves it a zombie
    say("parent", "the child has ended, and I have not waited for it")
    input("Press Enter: ")
    pid, status = os.wait()
    say("parent", f"wait() gave {pid}, exit code {os.waitstatus_to_exitcode(status)}")


def ignore():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    say("parent", f"forked {fork_and_end(7)}")
    try:
        os.wait()
    except ChildProcessError as error:
        say("parent", f"wait() gave no child: {error.strerror}")


def fork_twice(grandchild):
    """The child forks, too, and ends at once. Returns it, when it has been waited for, and what the
    grandchild waits for: it begins when that is closed."""
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        if os.fork() == 0:
            os.read(wait, 1)  # until nobody has the other end any more
            grandchild()
        os._exit(0)
    os.close(wait)
    os.waitpid(child, 0)
    return child, go


def orphan():
    told, tell = os.pipe()

    def tell_parents():
        parent = os.getppid()
        say("grandchild", f"my parent is now {parent}, {name_of(parent)}")
        os._exit(0)  # which closes tell, too

    child, go = fork_twice(tell_parents)
    say("parent", f"wait() gave {child}, and of the grandchild I know nothing")
    os.close(tell)
    os.close(go)
    os.read(told, 1)


def many():
    """A hundred orphans that end: who waits for them?"""
    for _ in range(100):
        os.close(fork_twice(lambda: os._exit(0))[1])
    parent = os.getppid()
    path = f"/proc/{parent}/task/{parent}/children"
    while open(path).read().split() != [str(os.getpid())]:
        pass
    say("parent", f"100 orphans have ended; {name_of(parent)} has one child, me, and no zombie")


def signals():
    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    parent = os.getppid()
    say("command", f"I wait for a signal; my parent is {parent}, {name_of(parent)}")
    number = signal.sigwait(wanted)
    say("command", f"{signal.Signals(number).name} came, I end with 5")
    sys.exit(5)


if __name__ == "__main__":
    verbs = {verb.__name__: verb for verb in (zombie, ignore, orphan, many, signals)}
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]]()
