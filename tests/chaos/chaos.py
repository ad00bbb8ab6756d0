"""Random injuries to a running foster, and after each round a look at what must hold.

What a round does follows from the seed and its number alone; when it happens does not: a failure
may need several runs with its seed to come back. As root it runs in a PID namespace of its own,
where nobody else's processes are, and where --pid-max makes pids recycle.

    chaos.py --builddir BUILD [--seed N] [--rounds N] [--seconds N] [--cgroup auto|no] [--user]
             [--pid-max N] [--actions NAME,...] [--patience SECONDS]
"""

import argparse
import ctypes
import os
import pathlib
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import sandbox  # noqa: E402
from children import Children  # noqa: E402
from foster import CGROUPS, Connection, Foster, until, zombies_of  # noqa: E402
from injuries import Injuries, Violation, name_of  # noqa: E402
from invariants import Invariants  # noqa: E402
from processes import Processes, of_services, tree_text  # noqa: E402
from services import config_text, make_services  # noqa: E402
from squeeze import Pids  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
USER = 61000  # nobody else's number: the limit of processes counts all of a user
START_HURT = 0.1  # of the starts after an end
OUTPUT_SHOWN = 60  # lines
INSIDE = "FOSTER_CHAOS_INSIDE"


class World:
    """What is injured, and what is known of it."""

    def __init__(self, options, mark):
        self.options, self.version = options, 0
        self.services = make_services()
        self.processes = Processes(mark, bool(options.pid_max))
        self.pids = Pids(mark[:8])
        self.f = Foster(options.builddir, options.directory, "", start=False)
        self.f.before_exec = self.before_exec
        self.children = Children(options.builddir, self.f.run)
        self.gone_after = []  # seconds until the daemons of a killed fosterd were gone
        self.write_config()

    def before_exec(self):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self.pids.enter()

    def start(self):
        """When there is room for it: a bomb may be going off."""
        deadline = time.monotonic() + self.options.patience
        while True:
            try:
                return self.f.start()
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                self.reap()  # the dead hold their pids
                time.sleep(0.01)

    def write_config(self):
        """Whole at any moment: a reload may be under way."""
        self.version += 1
        text = config_text(self.f, self.services, self.version, self.options.cgroup)
        self.f.write(text, "next.conf").rename(self.f.config_path)

    def living(self):
        return of_services(self.processes.look())

    def loggers(self):
        return [p.pid for p in self.processes.look().values()
                if p.comm == "foster-log" and p.state not in "ZX"]

    def connect(self):
        connection = Connection(self.f.run / "control", timeout=1)
        connection.connect()
        return connection

    def needed_by(self, name):
        found = list(self.services[name].requires)
        for other in found:
            found += [n for n in self.services[other].requires if n not in found]
        return set(found)

    def dependents_of(self, name):
        return {s.name for s in self.services.values() if name in self.needed_by(s.name)}

    def hit(self, name):
        """It, and whoever needs it, may end."""
        for other in {name} | self.dependents_of(name):
            self.services[other].hit = True

    def wait_gone(self, moment, what):
        while left := self.or_again(what):
            if time.monotonic() - moment > self.options.patience:
                raise Violation(f"daemons outlive their fosterd: {left}")
            time.sleep(0.002)
        self.gone_after.append(time.monotonic() - moment)

    @staticmethod
    def or_again(look):
        """What a look finds; one in whose middle somebody ended is none."""
        try:
            return look()
        except OSError:
            return "a look in vain"

    def reap(self):
        """What foster's deaths have made children of ours."""
        for pid in zombies_of(os.getpid()):
            if pid != self.f.pid and name_of(pid) != "fosterctl":
                os.waitpid(pid, os.WNOHANG)


class Chaos:
    def __init__(self, options, world):
        self.options, self.w, self.round = options, world, 0
        self.injuries, self.invariants = Injuries(world), Invariants(world)
        self.history, self.counts, self.took = [], {}, []

    # --- the look afterwards -------------------------------------------------------------

    def start(self, draw):
        """The next fosterd, and sometimes an injury in the middle of its start."""
        self.w.start()
        self.injuries.kills = []
        if draw.random() >= START_HURT:
            return
        victim, delay = draw.choice(["fosterd", "manager", "logger"]), 0.03 * draw.random()
        time.sleep(delay)
        self.history.append((self.round, "hurt in its start", victim, f"{delay * 1000:.0f} ms"))
        if victim == "fosterd":
            self.w.f.process.kill()
        for pid in self.injuries.managers() if victim == "manager" else []:
            self.injuries.send(pid, signal.SIGKILL)
            self.injuries.kills.append(time.monotonic())
        for pid in self.w.loggers() if victim == "logger" else []:
            self.injuries.send(pid, signal.SIGKILL)
        if victim != "logger":
            self.w.f.process.poll() is None or self.w.start()

    def check_running(self):
        """One whose first manager was killed before it was up may end, and is started again."""
        code = self.w.f.process.poll()
        if code is None:
            return
        if not self.injuries.supervisor_killed:
            raise Violation(f"fosterd ended by itself with {code}")
        self.history.append((self.round, "started once more after", code))
        self.w.start()

    def wait_settled(self):
        deadline = time.monotonic() + self.options.patience
        while problem := self.injuries.dying() or self.asked() or self.invariants.settled():
            self.w.reap()
            self.check_running()
            if time.monotonic() > deadline:
                raise Violation(problem)
            time.sleep(0.005)

    def asked(self):
        left = [c for c in self.injuries.commands if c.poll() is None]
        return f"fosterctl still waits: {left[0].args}" if left else None

    def look(self, draw):
        late = draw.random() < 0.5  # who was stopped goes on before the next fosterd, or after
        self.injuries.release()
        if not late:
            self.injuries.resume()
        if self.injuries.supervisor_killed:
            for s in self.w.services.values():
                s.up = None
            self.start(draw)
        self.injuries.resume()
        self.wait_settled()
        self.invariants.check_unhurt()
        self.invariants.check_fosterctl(draw)
        self.invariants.take_stock()
        self.injuries.commands = []
        self.injuries.begin_round()
        self.w.reap()

    # --- rounds --------------------------------------------------------------------------

    def draw(self, *what):
        return random.Random("/".join(map(str, (self.options.seed, self.round, *what))))

    def injure(self, i):
        draw = self.draw(i)
        name, = draw.choices(self.options.actions,
                             [Injuries.WEIGHTS[n] for n in self.options.actions])
        if draw.random() < 0.5:
            time.sleep(draw.random() * 0.02)
        self.history.append((self.round, name))
        self.history[-1] += (getattr(self.injuries, name)(draw),)
        self.counts[name] = self.counts.get(name, 0) + 1

    def one_round(self):
        begin = time.monotonic()
        for i in range(self.draw("number").randint(1, 5)):
            self.injure(i)
        self.look(self.draw("look"))
        self.took.append(time.monotonic() - begin)

    def run(self):
        end = time.monotonic() + self.options.seconds
        self.w.f.start().wait_up()
        for s in self.w.services.values():
            s.hit = True
        self.look(self.draw("look"))
        for self.round in range(1, self.options.rounds + 1):
            if time.monotonic() > end:
                self.round -= 1
                return
            self.one_round()

    # --- what is told --------------------------------------------------------------------

    def tell_failure(self, problem):
        output = [line for line in self.w.f.output().splitlines() if "-restarting" not in line]
        print("\n".join(map(str, self.history[-40:])))
        print("--- foster's output", *output[-OUTPUT_SHOWN:], sep="\n")
        print("--- processes", tree_text(self.w.processes.look()), sep="\n")
        print(f"--- seed {self.options.seed}, round {self.round}: {problem}", flush=True)

    def tell(self, seconds):
        counts = ", ".join(f"{name} {n}" for name, n in sorted(self.counts.items()))
        print(f"seed {self.options.seed}: {self.round} rounds in {seconds:.1f} s; {counts}")
        for name, values in (("a round", self.took), ("daemons gone after", self.w.gone_after)):
            if values:
                print(f"{name}: median {statistics.median(values) * 1000:.0f} ms, "
                      f"longest {max(values) * 1000:.0f} ms", flush=True)

    def clean_up(self, failed):
        """Whatever became of it, nothing is left; an end of all leaves nothing by itself."""
        self.injuries.release()
        self.injuries.resume()
        if failed:
            self.w.f.process.kill()
        self.w.f.end()
        left = {p for pids in self.w.living().values() for some in pids.values() for p in some}
        for pid in left:
            self.injuries.send(pid, signal.SIGKILL)
        for command in self.injuries.commands:
            command.wait(60)
        until(lambda: not any(p.state not in "ZX" for p in self.w.processes.look().values()),
              "all are gone")
        self.w.reap()
        self.w.pids.remove()
        for path in filter(pathlib.Path.exists, set(CGROUPS)):  # of a fosterd that was killed last
            for below in sorted(path.rglob("*"), reverse=True):
                below.is_dir() and below.rmdir()
            path.rmdir()
        if left and not failed:
            print(f"left by the end of all: {left}")
        return bool(left)


def possible_actions(options, world):
    """Names, and of those that are not possible here why."""
    lacking = {}
    if why := world.pids.lacks():
        lacking["fill_pids"] = f"it needs {why}"
    verbs = subprocess.run([options.builddir / "fosterctl", "--help"], capture_output=True,
                           text=True, check=True).stdout
    if "\n  upgrade" not in verbs:
        lacking["upgrade"] = "this fosterctl has no such verb"
    return lacking


def choose_actions(parser, options, world):
    lacking = possible_actions(options, world)
    if options.actions is None:
        options.actions = [n for n in Injuries.WEIGHTS if n not in lacking]
        for name, why in lacking.items():
            print(f"without {name}: {why}")
    else:
        options.actions = options.actions.split(",")
    for name in options.actions:
        if name not in Injuries.WEIGHTS:
            parser.error(f"--actions: {name}: there are " + ", ".join(Injuries.WEIGHTS))
        if name in lacking:
            parser.error(f"--actions: {name}: {lacking[name]}")
    print("actions:", ", ".join(options.actions), flush=True)


def make_parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1e9, help="no new round after so many")
    parser.add_argument("--builddir", type=pathlib.Path, required=True)
    parser.add_argument("--cgroup", choices=["auto", "no"], default="auto")
    parser.add_argument("--user", action="store_true", help="as a user who is not root")
    parser.add_argument("--pid-max", type=int, help="of the namespace: at least 301")
    parser.add_argument("--actions", help="of all: these only, with commas between")
    parser.add_argument("--patience", type=float, default=30, help="seconds, until all is at rest")
    return parser


def enter_namespace(options):
    """This program again, with processes of its own to see. As root only."""
    if os.geteuid() != 0 or INSIDE in os.environ:
        return
    os.environ[INSIDE] = "1"
    sys.stdout.flush()
    os.execvp("unshare", ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                          sys.executable, *sys.argv])


def prepare(options):
    options.builddir = options.builddir.resolve()
    if options.pid_max and not sandbox.has_own_pid_max():
        sys.exit("--pid-max: only root can have it, and Linux 6.14 or later: before, it is the "
                 "whole machine's")
    if options.pid_max:
        pathlib.Path("/proc/sys/kernel/pid_max").write_text(str(options.pid_max))
    options.directory = pathlib.Path(tempfile.mkdtemp(prefix="foster-"))
    if options.user:
        os.chown(options.directory, USER, USER)
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # SIGSEGV is sent on purpose: a sanitizer is not to take it for a finding.
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"


def sanitizer_findings(output):
    """Not among them: that leaks could not be looked for, as it takes a process more, and the
    table of processes was full (fill_pids)."""
    words = ("AddressSanitizer", "LeakSanitizer", "runtime error:")
    not_looked = ("LeakSanitizer has encountered a fatal error", "LeakSanitizer does not work under")
    return [line for line in output.splitlines()
            if any(word in line for word in words) and not any(no in line for no in not_looked)]


def main():
    parser = make_parser()
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
        sys.argv += ["--seed", str(options.seed)]
    enter_namespace(options)
    prepare(options)
    print(f"seed {options.seed}, {options.rounds} rounds, {options.directory}", flush=True)
    mark = os.environ["FOSTER_TEST"] = os.environ.get("FOSTER_TEST", uuid.uuid4().hex)
    world = World(options, mark)
    choose_actions(parser, options, world)
    chaos, begin, failed = Chaos(options, world), time.monotonic(), False
    try:
        chaos.run()
    except (Violation, AssertionError, subprocess.TimeoutExpired) as problem:
        failed = True
        chaos.tell_failure(problem)
    finally:
        failed = chaos.clean_up(failed) or failed
    chaos.tell(time.monotonic() - begin)
    for line in sanitizer_findings(world.f.output()):
        failed = True
        print(line)
    if not failed:
        shutil.rmtree(options.directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
