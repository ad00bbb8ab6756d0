"""What must hold when all has come to rest: status, table and /proc agree, and nothing that was
left alone has changed."""

import json
import subprocess

from children import is_of
from foster import start_time
from injuries import ASKING, Violation
from processes import of_services

AT_REST = ("stopped", "exited", "failed")


class Unsettled(Exception):
    """Not as it must be, yet."""


class Invariants:
    def __init__(self, world):
        self.w = world

    def settled(self):
        """None when all is as it must be, else what is not, yet."""
        try:
            status = self.w.f.services()
        except ASKING as error:
            return f"no answer: {error!r}"
        found = self.w.processes.look()
        try:
            self.check_services(status, of_services(found))
            self.check_own(found)
            self.check_table(status)
        except Unsettled as problem:
            return str(problem)
        except OSError as error:  # somebody ended in the middle of the look
            return repr(error)
        self.status, self.found = status, found
        return None

    # --- status and /proc ----------------------------------------------------------------

    def check_services(self, status, living):
        for name, s in self.w.services.items():
            if name not in status:
                raise Unsettled(f"{name} is unknown")
            self.check_service(s, status[name], living.get(name, {}))
        unknown = set(living) - set(self.w.services) - {"extra"}
        if unknown:
            raise Unsettled(f"whose are these? {unknown}, {living}")
        if len(living.get("extra", {})) > 1:
            raise Unsettled(f"extra is there more than once: {living['extra']}")

    def check_service(self, s, has, instances):
        if s.up is not None and (has["desired"] == "up") != s.up:
            raise Unsettled(f"{s.name} is wanted {has['desired']}, and should not be")
        if len(instances) > 1:
            raise Unsettled(f"{s.name} is there more than once: {instances}")
        if has["desired"] == "down" or s.name == "daemon-bomb":
            if has["state"] not in AT_REST or instances or has["pid"]:
                raise Unsettled(f"{s.name} is to be down: {has}, {instances}")
            return
        if s.restless:
            return
        if has["state"] != "running":
            raise Unsettled(f"{s.name} is {has['state']}: {has['reason']}, next {has['next']}")
        if [has["pid"] in pids for pids in instances.values()] != [True]:
            raise Unsettled(f"{s.name} is {has['pid']} and has {instances}")
        if s.file and has["pid"] != s.pid and ["main", str(has["pid"])] not in s.told():
            raise Unsettled(f"{s.name} has not made its tree yet")

    def check_own(self, found):
        own = [p for p in found.values() if p.comm.startswith("foster-")]
        managers = [p.pid for p in own if p.comm == "foster-manager" and p.state not in "ZX"]
        loggers = [p.pid for p in own if p.comm == "foster-log" and p.state not in "ZX"]
        if len(managers) != 1 or len(loggers) != 1:
            raise Unsettled(f"managers {managers}, loggers {loggers}")
        parents = {self.w.f.pid, *managers, *loggers}
        zombies = [str(p) for p in found.values() if p.state in "ZX" and p.parent in parents]
        if zombies:
            raise Unsettled(f"zombies: {zombies}")

    # --- the table -----------------------------------------------------------------------

    def check_table(self, status):
        slots = self.w.children.read()
        for name, slot in slots.items():
            if name.startswith("."):
                continue
            if slot["state"] in ("forked", "running") and name not in status:
                raise Unsettled(f"{name} is in the table, {slot}, and has no status")
        for name, has in status.items():
            s = self.w.services.get(name)
            if s and s.restless:
                continue
            slot = slots.get(name, {"state": "none"})
            if (slot["state"] == "running") != bool(has["pid"]):
                raise Unsettled(f"{name}: the table says {slot}, the status {has}")
            if has["pid"]:
                self.check_slot(name, slot, has)

    def check_slot(self, name, slot, has):
        pid = has["pid"]
        if slot["pid"] != pid or slot["daemon"] != has["daemon"]:
            raise Unsettled(f"{name}: the table says {slot}, the status {has}")
        if not is_of(slot, pid, start_time(pid)):
            raise Unsettled(f"{name}: the identity in the table is not that of {pid}: {slot}")

    # --- against what was before ---------------------------------------------------------

    def check_unhurt(self):
        living = of_services(self.found)
        for name, s in self.w.services.items():
            if s.restless or s.hit:
                continue
            pid = self.status[name]["pid"]
            if s.pid and not (pid == s.pid and start_time(pid) == s.born):
                raise Violation(f"{name} was hurt or doubled: {s.pid} is {pid} now")
            tree = {p for pids in living.get(name, {}).values() for p in pids}
            lost = {p for p, born in s.members.items()
                    if p not in tree or self.found[p].born != born}
            if lost:
                raise Violation(f"{name} lost of its tree: {lost}")

    def check_fosterctl(self, draw):
        """It says the same, of all and of one in full."""
        name = draw.choice([s.name for s in self.w.services.values() if not s.restless])
        told = self.fosterctl()
        for s in self.w.services.values():
            if not s.restless and told[s.name]["pid"] != self.status[s.name]["pid"]:
                raise Violation(f"{s.name}: fosterctl says {told[s.name]}, {self.status[s.name]}")
        one, slot = self.w.f.service(name), self.w.children.read().get(name)
        if one["pid"] and (one["adopted"] != slot["adopted"] or
                           bool(one["cgroup"]) != slot["cgroup"]):
            raise Violation(f"{name}: the table says {slot}, the status {one}")

    def fosterctl(self):
        done = subprocess.run([self.w.f.builddir / "fosterctl", "--run-directory", self.w.f.run,
                               "--json", "status"], capture_output=True, text=True, timeout=60)
        if done.returncode not in (0, 3):
            raise Violation(f"fosterctl status: {done.returncode}, {done.stderr}")
        return {s["name"]: s for s in json.loads(done.stdout)["services"]}

    def take_stock(self):
        """From here on these are the ones that must not change."""
        living = of_services(self.found)
        for name, s in self.w.services.items():
            has = self.status[name]
            pid = None if s.restless else has["pid"]
            before, s.hit = s.pid, False
            s.pid = s.born = None
            s.up = has["desired"] == "up"
            s.daemon = has["daemon"] if name == "turncoat" else s.daemon
            if pid:
                s.pid, s.born = pid, start_time(pid)
            tree = {p for pids in living.get(name, {}).values() for p in pids}
            told = set(s.members) if pid == before else s.told_pids()
            s.members = {p: self.found[p].born for p in tree & told}
            s.forget_told()
