"""What is done to a running foster. Each injury draws from its own source of random numbers, so
that what a round does follows from the seed and the round's number alone; where a victim is not
there, that is what happens."""

import http.client
import os
import signal
import subprocess
import time

from foster import alive, children_of, start_time
from services import UNARMED
from squeeze import release_descriptors, squeeze_descriptors

MANAGER_KILLS = 3  # of one fosterd, in ten seconds: more, and it makes ever longer pauses
LETHAL = [signal.SIGKILL, signal.SIGSEGV]
ASKING = (OSError, http.client.HTTPException, ValueError)


class Violation(Exception):
    pass


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


class Injuries:
    """WEIGHTS says how often each is drawn."""

    WEIGHTS = {
        "kill_service": 6, "kill_descendant": 4, "stop_service": 3, "stop_descendant": 2,
        "kill_manager": 3, "hang_manager": 0.1, "stop_manager": 2, "kill_logger": 2,
        "stop_logger": 2, "stop_supervisor": 2, "kill_supervisor": 2, "kill_both": 2,
        "kill_all": 2, "kill_several": 4, "end_orderly": 1, "end_all": 0.3, "ask": 5, "reload": 3,
        "delete_control": 1, "fill_fds": 2, "fill_connections": 1, "fill_pids": 2, "bomb": 0.7,
        "upgrade": 2,
    }

    def __init__(self, world):
        self.w = world
        self.kills = []     # moments at which a manager of this fosterd was hurt
        self.stopped = []   # (pid, start time)
        self.struck = []    # the same, of those that must die of what they were sent
        self.commands = []  # fosterctl, under way
        self.connections = []
        self.begin_round()

    def begin_round(self):
        self.manager_hurt = self.supervisor_killed = self.squeezed = False

    # --- who is there --------------------------------------------------------------------

    def named_children(self, name):
        return [pid for pid in children_of(self.w.f.pid) if name_of(pid) == name]

    def managers(self):
        return self.named_children("foster-manager")

    def send(self, pid, signo, born=None):
        try:
            if pid and born in (None, now := start_time(pid)):
                os.kill(pid, signo)
                if signo not in (signal.SIGSTOP, signal.SIGCONT):
                    self.struck.append((pid, now))
                return True
        except (ProcessLookupError, FileNotFoundError):
            pass
        return False

    def dying(self):
        """Who was struck and lives still: what is told until then is of no use."""
        self.struck = [(pid, born) for pid, born in self.struck if self.lives(pid, born)]
        return f"not dead yet: {self.struck}" if self.struck else None

    @staticmethod
    def lives(pid, born):
        try:
            return alive(pid) and start_time(pid) == born
        except OSError:
            return False

    def stop(self, pid, born=None):
        if self.send(pid, signal.SIGSTOP, born):
            self.stopped.append((pid, born if born is not None else start_time(pid)))

    def resume(self):
        for pid, born in self.stopped:
            self.send(pid, signal.SIGCONT, born)
        self.stopped = []

    def draw_service(self, draw):
        return draw.choice([s for s in self.w.services.values() if not s.restless])

    def draw_descendant(self, draw):
        s = draw.choice([s for s in self.w.services.values() if s.file])
        fraction = draw.random()
        others = sorted(pid for pid in s.members if pid != s.pid)
        return s, others[int(fraction * len(others))] if others else None

    # --- services ------------------------------------------------------------------------

    def kill_service(self, draw):
        s = draw.choice(list(self.w.services.values()))
        signo = draw.choice([*LETHAL, signal.SIGTERM])
        self.w.hit(s.name)
        self.send(s.pid, signo, s.born)
        return s.name, signo.name

    def stop_service(self, draw):
        s = self.draw_service(draw)
        self.stop(s.pid, s.born)
        return (s.name,)

    def kill_descendant(self, draw):
        s, pid = self.draw_descendant(draw)
        signo = draw.choice(LETHAL)
        if pid:
            self.send(pid, signo, s.members.pop(pid))
        return s.name, pid, signo.name

    def stop_descendant(self, draw):
        s, pid = self.draw_descendant(draw)
        if pid:
            self.stop(pid, s.members[pid])
        return s.name, pid

    def bomb(self, draw):
        self.w.hit("daemon-bomb")
        self.w.services["daemon-bomb"].up = None
        return self.run_fosterctl("start", "--no-wait", "daemon-bomb")

    # --- manager and logger --------------------------------------------------------------

    def may_hurt_manager(self):
        now = time.monotonic()
        self.kills = [moment for moment in self.kills if now - moment < 10]
        return len(self.kills) < MANAGER_KILLS and not self.supervisor_killed

    def kill_manager(self, draw):
        signo = draw.choice(LETHAL)
        if not self.may_hurt_manager():
            return ("not so often",)
        self.kills.append(time.monotonic())
        self.manager_hurt = True
        for pid in self.managers():
            self.send(pid, signo)
        return (signo.name,)

    def hang_manager(self, draw):
        """It is killed for it when it is asked for something; one that is not up yet, in a minute."""
        if self.manager_hurt or not self.may_hurt_manager():
            return ("not so often",)
        self.kills.append(time.monotonic())
        self.manager_hurt = True
        for pid in self.managers():
            self.send(pid, signal.SIGSTOP)
        return ()

    def stop_manager(self, draw):
        self.manager_hurt = True
        for pid in self.managers():
            self.stop(pid)
        return ()

    def kill_logger(self, draw):
        signo = draw.choice(LETHAL)
        for pid in self.w.loggers():
            self.send(pid, signo)
        return (signo.name,)

    def stop_logger(self, draw):
        for pid in self.w.loggers():
            self.stop(pid)
        return ()

    # --- fosterd -------------------------------------------------------------------------

    def stop_supervisor(self, draw):
        if not self.supervisor_killed:
            self.stop(self.w.f.pid)
        return ()

    def end_supervisor(self, signo, others=()):
        """It, and the others at the same moment."""
        if self.supervisor_killed:
            return False
        for pid in others:
            self.send(pid, signal.SIGSTOP)
        self.send(self.w.f.pid, signo)
        self.send(self.w.f.pid, signal.SIGCONT)  # if it was stopped: SIGKILL alone ends such a one
        self.w.f.process.wait(20)
        moment = time.monotonic()
        self.supervisor_killed = True
        for pid in others:
            self.send(pid, signal.SIGKILL)
        self.check_daemons_gone(moment, whole=not others and not self.manager_hurt and
                                not self.squeezed)
        return True

    def check_daemons_gone(self, moment, whole):
        """Whose manager was hurt before, or is killed with fosterd, leaves trees to the next one."""
        daemons = [s for s in self.w.services.values()
                   if s.daemon and not (s.name == "turncoat" and s.hit)]
        for s in daemons:
            self.w.hit(s.name)
        if whole:
            names = {s.name for s in daemons}
            self.w.wait_gone(moment, lambda: {name: p for name, p in self.w.living().items()
                                              if name in names})
        else:
            self.w.wait_gone(moment, lambda: [
                s.name for s in daemons if s.name not in UNARMED and s.pid and
                self.lives(s.pid, s.born)])

    def kill_supervisor(self, draw):
        signo = draw.choice(LETHAL)
        return signo.name, self.end_supervisor(signo)

    def kill_both(self, draw):
        return (self.end_supervisor(signal.SIGKILL, self.managers()),)

    def kill_all(self, draw):
        return (self.end_supervisor(signal.SIGKILL, self.managers() + self.w.loggers()),)

    def kill_several(self, draw):
        """Some of foster's own and some services, in one breath."""
        own = draw.sample(["manager", "logger", "supervisor"], draw.randint(0, 2))
        some = draw.sample(list(self.w.services.values()), draw.randint(1, 6))
        signo = draw.choice(LETHAL)
        victims = []
        if "manager" in own and (self.may_hurt_manager() or "supervisor" in own):
            self.kills.append(time.monotonic())
            self.manager_hurt = True
            victims += [(pid, None) for pid in self.managers()]
        if "logger" in own:
            victims += [(pid, None) for pid in self.w.loggers()]
        for s in some:
            self.w.hit(s.name)
            victims.append((s.pid, s.born))
        draw.shuffle(victims)
        for pid, born in victims:
            self.send(pid, signo, born)
        if "supervisor" in own:
            self.end_supervisor(signo)
        return sorted(own), [s.name for s in some], signo.name

    def end_orderly(self, draw):
        signo = draw.choice([signal.SIGTERM, signal.SIGINT])
        if self.supervisor_killed:
            return ("again",)
        self.resume()
        if self.manager_hurt:
            return ("its manager is hurt",)
        self.release()
        self.send(self.w.f.pid, signo)
        self.w.f.wait_end(30)
        self.supervisor_killed = True
        self.check_daemons_gone(time.monotonic(), whole=True)
        return (signo.name,)

    def end_all(self, draw):
        if self.supervisor_killed or self.manager_hurt:
            return ("nobody to ask",)
        self.resume()
        self.release()
        for name in self.w.services:
            self.w.hit(name)
        try:
            self.w.f.post("/v1/shutdown?all=1", timeout=30)
        except ASKING as error:
            return (type(error).__name__,)
        self.w.f.wait_end(30)
        self.supervisor_killed = True
        if left := self.w.living():
            raise Violation(f"left by the end of all: {left}")
        return ()

    # --- what is asked for ---------------------------------------------------------------

    def run_fosterctl(self, *words):
        """Not waited for: the next injury may come in its middle."""
        if self.supervisor_killed:
            return ("nobody to ask",)
        try:
            self.commands.append(subprocess.Popen(
                [self.w.f.builddir / "fosterctl", "--run-directory", self.w.f.run, *words],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        except BlockingIOError:
            return ("no room for it", *words)
        return words

    def ask(self, draw):
        s = self.draw_service(draw)
        verb = draw.choice(["start", "stop", "restart", "start"])
        whole = self.w.needed_by(s.name)
        if verb == "stop":
            whole = set()
        for name in {s.name} | whole:
            other = self.w.services[name]
            if (verb != "start" and name == s.name) or other.up is not True:
                self.w.hit(name)
            other.up = None
        if verb != "start":
            for name in self.w.dependents_of(s.name):
                self.w.services[name].up = None
        return self.run_fosterctl(verb, s.name)

    def reload(self, draw):
        self.w.write_config()
        return (self.w.version, *self.run_fosterctl("reload"))

    def upgrade(self, draw):
        self.manager_hurt = True
        return self.run_fosterctl("upgrade")

    def delete_control(self, draw):
        (self.w.f.run / "control").unlink(missing_ok=True)
        return ()

    # --- too little room -----------------------------------------------------------------

    def fill_fds(self, draw):
        victims = draw.choice([["supervisor"], ["manager"], ["supervisor", "manager"]])
        more = draw.randint(0, 4)
        self.squeezed = True
        if "supervisor" in victims and not self.supervisor_killed:
            squeeze_descriptors(self.w.f.pid, more)
        for pid in self.managers() if "manager" in victims else []:
            squeeze_descriptors(pid, more)
        return victims, more

    def fill_connections(self, draw):
        n = draw.randint(1, 100)
        for _ in range(n):
            try:
                self.connections.append(self.w.connect())
            except OSError as error:
                return n, type(error).__name__
        return (n,)

    def fill_pids(self, draw):
        more = draw.randint(0, 4)
        self.squeezed = True
        self.w.pids.squeeze(more, [] if self.supervisor_killed else [self.w.f.pid])
        return (more,)

    def release(self):
        """What was drawn tight is let go, before the look at what has become of it."""
        alive_now = [] if self.supervisor_killed else [self.w.f.pid, *self.managers()]
        self.w.pids.release(alive_now)
        for pid in alive_now:
            release_descriptors(pid)
        for connection in self.connections:
            connection.close()
        self.connections = []
