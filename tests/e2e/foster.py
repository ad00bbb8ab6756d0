"""A supervisor under test, and what is asked of it."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time


def until(condition, what="", seconds=10.0, every=0.005):
    """Polls until condition() is true and returns what it gave; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(every)


def state(pid):
    """The letter of proc(5): "T" for one that is stopped, "Z" for a zombie; "X" when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return "X"


def alive(pid):
    """True for a process that exists and is no zombie."""
    return state(pid) not in "ZX"


def children_of(pid):
    """Where one is reaped while the list is read, the kernel may leave out the next: so it is read until
    it comes out the same twice."""
    before = None
    try:
        while True:
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                text = f.read()
            if text == before:
                return [int(child) for child in text.split()]
            before = text
    except OSError:
        return []


def comm_of(pid):
    """The name of a process; "" when it has gone meanwhile."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def descriptors_of(pid):
    """{number: what it leads to}; one that is closed meanwhile is left out."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            pass
    return found


def logger_of(f, other_than=None):
    """Its pid, once there is one, and no other."""
    def find():
        found = [pid for pid in children_of(f.pid) if comm_of(pid) == "foster-log"]
        return found if len(found) == 1 and found[0] != other_than else None
    return until(find, "there is one logger")[0]


def zombies_of(pid):
    return [child for child in children_of(pid) if state(child) == "Z"]


def start_time(pid):
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[19])


def end_of(pid):
    """A function that tells whether who has this pid now has ended; it may be another's then."""
    born = start_time(pid)

    def has_ended():
        try:
            return not alive(pid) or start_time(pid) != born
        except OSError:
            return True
    return has_ended


def cgroup_of_ours():
    """The cgroup v2 that the tests run in, as a directory; None: there is none."""
    own = [line[3:] for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()
           if line.startswith("0::")]
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text()
              .splitlines() if " - cgroup2 " in line]
    return pathlib.Path(points[0] + own[0]) if own and points else None


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=20):
        super().__init__("foster", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


CGROUPS = []  # directories of cgroups that supervisors of this test had


class Reply:
    def __init__(self, status, body, parse=True):
        self.status = status
        self.body = body
        self.json = json.loads(body.splitlines()[-1]) if parse and body.strip() else None

    def __repr__(self):
        return f"{self.status} {self.body!r}"


class Foster:
    def __init__(self, builddir, directory, config, start=True, identity=None, arguments=(),
                 environment=None, run_directory=None, pass_fds=()):
        self.builddir = pathlib.Path(builddir)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.identity = identity
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.pass_fds = pass_fds
        self.before_exec = None
        self.run = pathlib.Path(run_directory or self.directory / "run")
        self.config_path = self.directory / "foster.conf"
        self.process = None
        self.supervisors = []
        if identity:
            os.chown(self.directory, *identity)
        self.write(config)
        if start:
            self.start()

    # --- the process -----------------------------------------------------------------------

    def as_identity(self, command):
        if not self.identity:
            return command
        uid, gid = self.identity
        return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *command]

    def write(self, config, name=None):
        path = self.directory / name if name else self.config_path
        path.parent.mkdir(exist_ok=True)
        path.write_text(config)
        path.chmod(0o644)
        return path

    def preload(self, name, **more):
        """For starts from now on: a library, which a sanitizer is to load behind, and what it
        reads in the environment."""
        self.environment |= more | {
            "LD_PRELOAD": str(self.builddir / ".libs" / name),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def start(self):
        command = self.as_identity([str(self.builddir / "fosterd"), "-c", str(self.config_path),
                                    "--run-directory", str(self.run), *self.arguments])
        environment = dict(os.environ, **self.environment)
        environment["PATH"] = f"{self.builddir}:{environment['PATH']}"
        with open(self.directory / "output", "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, cwd="/", env=environment,
                                            pass_fds=self.pass_fds,
                                            preexec_fn=self.before_exec)
        self.supervisors.append(self.process)
        return self

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        path = self.directory / "output"
        return path.read_text(errors="replace") if path.exists() else ""

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"fosterd ended with {self.process.returncode}:\n{self.output()}")
        try:
            return self.get("/v1/version").status == 200
        except OSError:
            return False

    def wait_up(self):
        until(self.answers, f"fosterd answers\n{self.output()}", 20)
        return self

    def wait_end(self, seconds=20):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"fosterd does not end:\n{self.output()}") from None

    def end(self):
        """Ends all of it, whatever a test left."""
        note = self.run / "cgroup"
        if note.exists():
            CGROUPS.append(pathlib.Path(note.read_text()))
        if self.process and self.process.poll() is None:
            try:
                self.post("/v1/shutdown?all=1", timeout=20)
                self.process.wait(10)
            except (OSError, http.client.HTTPException, subprocess.TimeoutExpired):
                self.process.kill()
        for process in self.supervisors:
            if process.poll() is None:
                process.kill()
            process.wait(10)

    # --- the control socket ----------------------------------------------------------------

    def request(self, method, path, body=None, timeout=20, parse=True):
        connection = Connection(self.run / "control", timeout)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return Reply(response.status, response.read().decode(), parse)
        finally:
            connection.close()

    def get(self, path, **arguments):
        return self.request("GET", path, **arguments)

    def post(self, path, body=None, **arguments):
        return self.request("POST", path, body, **arguments)

    def look(self, path):
        """A get, once more if the manager was killed over it."""
        for _ in range(10):
            try:
                return self.get(path)
            except (ConnectionResetError, http.client.RemoteDisconnected):
                pass
        return self.get(path)

    def services(self):
        return {s["name"]: s for s in self.look("/v1/services").json["services"]}

    def service(self, name):
        return self.look(f"/v1/services/{name}").json

    def state(self, name):
        return self.service(name)["state"]

    def service_pid(self, name):
        return self.service(name)["pid"]

    def wait_state(self, name, *states, seconds=10):
        return until(lambda: (s := self.service(name))["state"] in states and s,
                     f"{name} is {' or '.join(states)}; it is {self.service(name)}", seconds)

    def manager_pid(self):
        return self.look("/v1/version").json["manager_pid"]

    def log(self, name):
        path = self.run / "log" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def ctl(self, *arguments, check=None, text_input=None, timeout=30):
        """Runs fosterctl; check is the exit code that is expected."""
        done = subprocess.run(
            self.as_identity([str(self.builddir / "fosterctl"), "--run-directory", str(self.run),
                              *arguments]),
            capture_output=True, text=True, timeout=timeout, input=text_input)
        if check is not None:
            assert done.returncode == check, (done.returncode, done.stdout, done.stderr)
        return done

    # --- injuries --------------------------------------------------------------------------

    def kill_manager(self, signo=signal.SIGKILL):
        pid = self.manager_pid()
        os.kill(pid, signo)
        return pid

    def kill_supervisor(self, signo=signal.SIGKILL):
        self.process.send_signal(signo)
        self.process.wait(10)

    def kill_both(self):
        """The manager is stopped before, lest it acts on the end of fosterd."""
        manager = self.manager_pid()
        os.kill(manager, signal.SIGSTOP)
        self.kill_supervisor()
        os.kill(manager, signal.SIGKILL)
