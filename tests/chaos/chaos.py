"""Random injuries to a running foster, and after each round a look at what must hold.

What is done follows from the seed alone; when it happens does not: a failure may need several
runs with its seed to come back.
"""

import argparse
import ctypes
import http.client
import os
import pathlib
import random
import signal
import sys
import tempfile
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from foster import Foster, alive, start_time, until, zombies_of  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
MANAGER_KILLS = 3     # of one fosterd, in ten seconds: more, and it makes ever longer pauses
GONE_SECONDS = 1.0    # 0.1 is promised; the machine may be busy
SETTLED_SECONDS = 12  # a manager that hangs is replaced after 5
UNARMED = ("daemon-changed", "daemon-away")  # the kernel has no death signal for these
ASKING = (OSError, http.client.HTTPException, ValueError)


class Violation(Exception):
    pass


class Service:
    def __init__(self, name, command, daemon, options="", requires=()):
        self.name, self.command, self.daemon = name, command, daemon
        self.options, self.requires = options, requires
        self.file = None
        self.up = True       # wanted; None: a request was cut off, the status tells
        self.pid = self.born = None
        self.members = {}    # {pid: start time} of all that it told of
        self.hit = False     # in this round: its pid may change

    def text(self, f, description):
        command = self.command
        if command[0] == "test-tree":
            self.file = f.directory / f"tree-{self.name}"
            command = [str(f.builddir / "test-tree"), *command[1:], str(self.file)]
        words = ", ".join(f'"{word}"' for word in command)
        needs = "".join(f' requires = {{"{r}"}} after = {{"{r}"}}' for r in self.requires)
        return (f'service {self.name} {{ description = "{description}" command = {{{words}}} '
                f"daemon = {'true' if self.daemon else 'false'} restart = always "
                'restart-delay = "5ms" restart-delay-max = "20ms" restart-limit = 0 '
                f'stop-timeout = "50ms" {self.options}{needs} }}\n')


def make_services():
    sleep = ["/bin/sleep", "100000"]
    short = ["/bin/sh", "-c", "sleep 0.3; exit 1"]
    made = []
    for kind, daemon in (("keep", False), ("daemon", True)):
        made += [
            Service(f"{kind}-plain", sleep, daemon),
            Service(f"{kind}-tree", ["test-tree"], daemon),
            Service(f"{kind}-ready", ["test-tree", "--ready"], daemon, "ready = notify"),
            Service(f"{kind}-away", ["test-tree", "--fork-away"], daemon, "ready = forking"),
            Service(f"{kind}-needs", sleep, daemon, requires=[f"{kind}-ready"]),
            Service(f"{kind}-needs-more", ["test-tree"], daemon, requires=[f"{kind}-needs"]),
        ]
    made.append(Service("daemon-restarting", short, True))
    if os.geteuid() == 0:
        made.append(Service("daemon-changed", ["test-tree", "--change-user"], True))
    return {s.name: s for s in made}


class Chaos:
    def __init__(self, options):
        self.random = random.Random(options.seed)
        self.history = []
        self.round = 0
        self.counts = {}
        self.services = make_services()
        self.extra = Service("extra", ["/bin/sleep", "100000"], False)
        self.mark = uuid.uuid4().hex
        os.environ["FOSTER_TEST"] = self.mark
        self.version, self.cgroup = 0, options.cgroup
        self.f = Foster(options.builddir, options.directory, "", start=False)
        self.write_config()
        self.kills = []
        self.manager = None
        self.manager_hurt = self.supervisor_killed = False

    # --- what is there -------------------------------------------------------------------

    def write_config(self):
        self.version += 1
        some = list(self.services.values())
        if self.version % 2 == 0:
            some.append(self.extra)
        self.f.write(f"cgroup = {self.cgroup}\n" +
                     "".join(s.text(self.f, f"version {self.version}") for s in some))

    def processes(self):
        """All that live, as {service: {instance: [pid]}}; foster's own are under None."""
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    variables = dict(v.split(b"=", 1) for v in file.read().split(b"\0") if b"=" in v)
                if variables.get(b"FOSTER_TEST", b"").decode() != self.mark or \
                        int(entry) == os.getpid() or not alive(entry):
                    continue
                with open(f"/proc/{entry}/comm") as file:
                    if file.read().startswith(("foster", "setpriv")):
                        continue
            except OSError:
                continue
            name = variables.get(b"FOSTER_SERVICE", b"?").decode()
            instance = variables.get(b"FOSTER_INSTANCE", b"?").decode()
            found.setdefault(name, {}).setdefault(instance, []).append(int(entry))
        return found

    def loggers(self):
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/comm") as file:
                    if file.read() != "foster-log\n":
                        continue
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if f"FOSTER_TEST={self.mark}".encode() in file.read().split(b"\0"):
                        found.append(int(entry))
            except OSError:
                pass
        return found

    def hit(self, name):
        """It, and whoever needs it, may end."""
        self.services[name].hit = True
        for s in self.services.values():
            if name in s.requires and not s.hit:
                self.hit(s.name)

    # --- injuries ------------------------------------------------------------------------

    def send(self, pid, signo, born=None):
        try:
            if pid and (born is None or start_time(pid) == born):
                os.kill(pid, signo)
        except (ProcessLookupError, FileNotFoundError):
            pass

    def kill_service(self):
        s = self.random.choice(list(self.services.values()))
        signo = self.random.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
        self.hit(s.name)
        self.send(s.pid, signo, s.born)
        return s.name, signo.name

    def stop_and_go_service(self):
        s = self.random.choice(list(self.services.values()))
        for signo in (signal.SIGSTOP, signal.SIGCONT):
            self.send(s.pid, signo, s.born)
        return (s.name,)

    def kill_descendant(self):
        s = self.random.choice([s for s in self.services.values() if s.file])
        others = sorted(pid for pid in s.members if pid != s.pid)
        choice = self.random.random()
        if others:
            pid = others[int(choice * len(others))]
            self.send(pid, signal.SIGKILL, s.members.pop(pid))
        return s.name, choice

    def kill_logger(self):
        for pid in self.loggers():
            self.send(pid, signal.SIGKILL)
        return ()

    def may_hurt_manager(self):
        now = time.monotonic()
        self.kills = [moment for moment in self.kills if now - moment < 10]
        return len(self.kills) < MANAGER_KILLS and not self.supervisor_killed

    def kill_manager(self):
        if not self.may_hurt_manager():
            return ("not so often",)
        self.kills.append(time.monotonic())
        self.manager_hurt = True
        self.send(self.manager, self.random.choice([signal.SIGKILL, signal.SIGSEGV]))
        return ()

    def stop_manager(self):
        """It is killed for it when it is asked for something."""
        if not self.may_hurt_manager() or self.random.random() > 0.05:
            return ("not so often",)
        self.kills.append(time.monotonic())
        self.manager_hurt = True
        self.send(self.manager, signal.SIGSTOP)
        return ()

    def stop_and_go_manager(self):
        for signo in (signal.SIGSTOP, signal.SIGCONT):
            self.send(self.manager, signo)
        return ()

    def stop_and_go_supervisor(self):
        for signo in (signal.SIGSTOP, signal.SIGCONT):
            self.send(None if self.supervisor_killed else self.f.pid, signo)
        return ()

    def kill_supervisor(self, *others):
        if self.supervisor_killed:
            return ("again",)
        for pid in others:
            self.send(pid, signal.SIGSTOP)
        self.f.process.kill()
        self.f.process.wait(10)
        self.supervisor_killed = True
        moment = time.monotonic()
        for pid in others:
            self.send(pid, signal.SIGKILL)
        daemons = [s for s in self.services.values() if s.daemon]
        for s in daemons:
            self.hit(s.name)
        # A manager that was hurt before, or is killed with it, leaves the trees to the next fosterd.
        if others or self.manager_hurt:
            self.wait_gone(moment, lambda: [s.name for s in daemons if s.name not in UNARMED and
                                            s.pid and alive(s.pid) and start_time(s.pid) == s.born])
        else:
            self.wait_gone(moment, lambda: {name: p for name, p in self.processes().items()
                                            if name in self.services and self.services[name].daemon})
        return others

    def wait_gone(self, moment, what):
        while True:
            try:
                left = what()
            except OSError:
                continue
            if not left:
                return
            if time.monotonic() - moment > GONE_SECONDS:
                raise Violation(f"daemons outlive their fosterd: {left}")
            time.sleep(0.005)

    def kill_both(self):
        self.kill_supervisor(*[self.manager] * (self.manager is not None))
        return ()

    def kill_all(self):
        self.kill_supervisor(*[self.manager] * (self.manager is not None), *self.loggers())
        return ()

    def end_orderly(self):
        if self.supervisor_killed:
            return ("again",)
        self.f.process.terminate()
        self.supervisor_killed = True
        for s in self.services.values():
            if s.daemon:
                self.hit(s.name)
        self.f.wait_end(20)
        if any(s.daemon and s.name in (p := self.processes()) for s in self.services.values()):
            raise Violation(f"daemons are left by an orderly end: {p}")
        return ()

    def ask(self):
        s = self.random.choice(list(self.services.values()))
        verb = self.random.choice(["start", "stop", "restart", "start"])
        if self.supervisor_killed:
            return ("nobody to ask",)
        if verb != "start" or s.up is not True:
            self.hit(s.name)
        needed = [s.name]
        for name in needed:  # what is started starts what it needs; what is stopped, those that need it
            needed += [n for n in self.services[name].requires if n not in needed]
        dependents = [o.name for o in self.services.values() if o.hit] if verb != "start" else []
        try:
            status = self.f.post(f"/v1/services/{s.name}/{verb}").status
        except ASKING as error:
            status = type(error).__name__
        for name in {*needed, *dependents}:
            self.services[name].up = None
        return s.name, verb, status

    def reload(self):
        self.write_config()
        try:
            status = None if self.supervisor_killed else self.f.post("/v1/reload").status
        except ASKING as error:
            status = type(error).__name__
        return self.version, status

    # --- the look afterwards -------------------------------------------------------------

    def settled(self):
        """None when all is as it must be, else what is not, yet."""
        try:
            status = self.f.services()
            self.manager = self.f.manager_pid()
        except ASKING as error:
            return f"no answer: {error!r}"
        processes = self.processes()
        for name, s in self.services.items():
            if name not in status:
                return f"{name} is unknown"
            has = status[name]
            if s.up is not None and (has["desired"] == "up") != s.up:
                return f"{name} is wanted {has['desired']}, and should not be"
            instances = processes.get(name, {})
            if len(instances) > 1:
                return f"{name} is there more than once: {instances}"
            if has["desired"] == "down":
                if has["state"] not in ("stopped", "exited", "failed") or instances or has["pid"]:
                    return f"{name} is to be down: {has['state']}, {has['pid']}, {instances}"
                continue
            if name == "daemon-restarting":
                continue
            if has["state"] != "running":
                return f"{name} is {has['state']}: {has['reason']}"
            if [has["pid"] in pids for pids in instances.values()] != [True]:
                return f"{name} is {has['pid']} and has {instances}"
        unknown = set(processes) - set(self.services) - {"extra"}
        if unknown:
            return f"whose are these? {unknown}, {processes}"
        if zombies_of(self.f.pid):
            return f"zombies: {zombies_of(self.f.pid)}"
        if len(self.loggers()) > 1:
            return f"loggers: {self.loggers()}"
        return self.unfinished(status)

    def unfinished(self, status):
        for name, s in self.services.items():
            if name == "daemon-restarting":
                continue
            if s.file and status[name]["pid"]:
                told = [line.split() for line in s.file.read_text().splitlines()]
                if ["main", str(status[name]["pid"])] not in told:
                    return f"{name} has not made its tree yet"
        return None

    def take_stock(self):
        status, processes = self.f.services(), self.processes()
        for name, s in self.services.items():
            pid = status[name]["pid"] or None
            if name == "daemon-restarting":
                s.pid = None  # it ends by itself all the time
                continue
            if not s.hit and s.pid and not (pid == s.pid and start_time(pid) == s.born):
                raise Violation(f"{name} was hurt or doubled: {s.pid} is {pid} now")
            living = {p for pids in processes.get(name, {}).values() for p in pids}
            lost = set(s.members) - living
            if not s.hit and lost:
                raise Violation(f"{name} lost of its tree: {lost}")
            s.pid = s.born = None
            s.members = {}
            if pid:
                s.pid, s.born = pid, start_time(pid)
            if s.file:
                told = {int(line.split()[1]) for line in s.file.read_text().splitlines()}
                s.members = {p: start_time(p) for p in living & told}
            s.up = status[name]["desired"] == "up"
            s.hit = False

    def reap(self):
        """What foster's deaths have made children of ours."""
        for pid in zombies_of(os.getpid()):
            if pid != self.f.pid:
                os.waitpid(pid, os.WNOHANG)

    def look(self):
        if self.supervisor_killed:
            for s in self.services.values():
                s.up = None
            self.f.start()
            self.kills = []
        elif self.f.process.poll() is not None:
            raise Violation(f"fosterd ended by itself with {self.f.process.returncode}")
        deadline = time.monotonic() + SETTLED_SECONDS
        while problem := self.settled():
            self.reap()
            if time.monotonic() > deadline:
                raise Violation(problem)
            if self.f.process.poll() is not None:
                raise Violation(f"fosterd ended by itself with {self.f.process.returncode}")
            time.sleep(0.01)
        self.take_stock()
        self.manager_hurt = self.supervisor_killed = False
        self.reap()

    def one_round(self):
        actions = [(self.kill_service, 6), (self.stop_and_go_service, 2), (self.kill_descendant, 4),
                   (self.kill_logger, 2), (self.kill_manager, 3), (self.stop_manager, 1),
                   (self.stop_and_go_manager, 1), (self.stop_and_go_supervisor, 1),
                   (self.kill_supervisor, 2), (self.kill_both, 2), (self.kill_all, 1),
                   (self.end_orderly, 1), (self.ask, 5), (self.reload, 2)]
        for _ in range(self.random.randint(1, 4)):
            action, = self.random.choices([a for a, _ in actions], [w for _, w in actions])
            self.history.append((self.round, action.__name__))
            self.history[-1] += (action(),)
            self.counts[action.__name__] = self.counts.get(action.__name__, 0) + 1
        self.look()

    def run(self, rounds):
        self.f.start().wait_up()
        for s in self.services.values():
            s.hit = True
        self.look()
        for self.round in range(1, rounds + 1):
            self.one_round()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--directory", type=pathlib.Path, help="a short path; made when not given")
    parser.add_argument("--builddir", type=pathlib.Path, required=True)
    parser.add_argument("--cgroup", choices=["auto", "no"], default="auto")
    options = parser.parse_args()
    options.builddir = options.builddir.resolve()
    if options.seed is None:
        options.seed = int.from_bytes(os.urandom(4), "big")
    options.directory = (options.directory or pathlib.Path(tempfile.mkdtemp(prefix="foster-"))).resolve()
    print(f"seed {options.seed}, {options.rounds} rounds, {options.directory}", flush=True)
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    chaos, begin, failed = Chaos(options), time.monotonic(), False
    try:
        chaos.run(options.rounds)
    except (Violation, AssertionError) as problem:
        failed = True
        history = "\n".join(map(str, chaos.history[-40:]))
        print(f"{history}\n--- foster's output\n{chaos.f.output()[-6000:]}\n---\n"
              f"seed {options.seed}, round {chaos.round}: {problem}")
    finally:
        chaos.f.end()
        for pids in chaos.processes().values():
            for pid in (p for some in pids.values() for p in some):
                chaos.send(pid, signal.SIGKILL)
                failed or print(f"left by the end: {pid}")
                failed = True
        until(lambda: not chaos.processes(), "all are gone")
        chaos.reap()
    took = time.monotonic() - begin
    print(f"seed {options.seed}: {chaos.round} rounds in {took:.1f} s: {chaos.counts}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
