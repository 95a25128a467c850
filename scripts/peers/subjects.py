"""Those who are compared: how each is configured, started, filled with state and stopped."""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass

import configs
import machine

USER = "nagios"  # Nagios and Icinga of Debian run as this user; so does Stentor here.
START_MAX = 300.0
STOP_MAX = 120.0
FILL_MAX = 600.0
POLL = 0.005
OUTPUT = "OK - tiny|t=1;2;3"


@dataclass(frozen=True)
class Load:
    """A configuration: services on hosts, ten on each, all checked every `interval` seconds, or never."""

    services: int
    interval: int = 60
    checked: bool = True

    @property
    def hosts(self):
        return max(1, self.services // configs.PER_HOST)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tail(path, size=1500):
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def remove(folder, names):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)


class Subject:
    """One configuration of one program. `name`, `title`, `command`, `ready` and so on are of the program."""

    def __init__(self, folder, load, plugin):
        self.folder, self.load, self.plugin = folder, load, plugin
        self.process = None
        self.out = os.path.join(folder, "out")
        self.port = free_port()
        os.makedirs(folder)
        self.configure()
        subprocess.run(["chown", "-R", f"{USER}:", folder], check=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def launch(self, command, **options):
        self.before_launch()
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **options
            )

    def before_launch(self):
        """What must be known before the process runs."""

    def start(self):
        """Seconds from the start of the process until it is ready."""
        os.sync()  # What was written before it must not slow its own writes.
        begun = time.monotonic()
        self.run()
        while not self.ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.title} ended with {self.process.returncode}: {tail(self.out)}")
            if time.monotonic() - begun > START_MAX:
                raise RuntimeError(f"{self.title} is not ready after {START_MAX:.0f} s: {tail(self.out)}")
            time.sleep(POLL)
        return time.monotonic() - begun

    def stop(self):
        """Seconds from SIGTERM to the end of the process. Afterwards nothing of it runs."""
        if self.process is None:
            return 0.0
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"{self.title} did not end within {STOP_MAX:.0f} s of SIGTERM") from None
        self.process = None
        return time.monotonic() - begun

    def kill(self):
        if self.process is not None:
            machine.kill(self.process.pid)
            self.process.wait()
            self.process = None

    def last_service(self):
        return configs.host(self.load.hosts - 1), configs.service(configs.PER_HOST - 1)

    def wait_for(self, what, holds):
        begun = time.monotonic()
        while not holds():
            if time.monotonic() - begun > FILL_MAX:
                raise RuntimeError(f"{self.title}: {what} did not happen within {FILL_MAX:.0f} s")
            time.sleep(0.1)


class NagiosTree(Subject):
    """A program that is run from a nagios.cfg and takes passive results through its command pipe."""

    def configure(self):
        configs.nagios(self.folder, self.load, self.plugin, USER)

    def fill(self):
        """A result for each service. Returns when the log shows the last of them."""
        pipe = self.open_pipe()
        now = int(time.time())
        with open(pipe, "w", buffering=1 << 16) as file:
            for host, service in configs.names(self.load):
                file.write(f"[{now}] PROCESS_SERVICE_CHECK_RESULT;{host};{service};0;{OUTPUT}\n")
        last = "PASSIVE SERVICE CHECK: {};{};0;".format(*self.last_service())
        self.wait_for("the last passive result", lambda: last in tail(self.path("var/nagios.log"), 1 << 16))


    def open_pipe(self):
        """Nagios says that it is ready before its reader of the pipe is."""
        opened = []

        def has_reader():
            try:
                opened.append(os.open(self.path("var/rw/nagios.cmd"), os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                return False
            os.set_blocking(opened[0], True)
            return True

        self.wait_for("reading of the command pipe", has_reader)
        return opened[0]


class Nagios(NagiosTree):
    name, title, package, program = "nagios", "Nagios", "nagios4-core", "nagios4"
    READY = b"Successfully launched command file worker"

    @staticmethod
    def version():
        said = subprocess.run(["nagios4", "--version"], capture_output=True, text=True).stdout
        return next((line for line in said.splitlines() if line.startswith("Nagios Core")), "Nagios")

    def clean(self):
        remove(self.folder, ["var/retention.dat", "var/status.dat", "var/nagios.log", "var/objects.cache"])

    def before_launch(self):
        log = self.path("var/nagios.log")
        self.log_before = os.path.getsize(log) if os.path.exists(log) else 0

    def run(self):
        self.launch(["nagios4", self.path("nagios.cfg")])

    def ready(self):
        try:
            with open(self.path("var/nagios.log"), "rb") as file:
                file.seek(self.log_before)
                return self.READY in file.read()
        except FileNotFoundError:
            return False

    def check_retained(self):
        """Called after a stop: what the next start reads."""
        with open(self.path("var/retention.dat")) as file:
            held = sum(line == "has_been_checked=1\n" for line in file)
        if held < self.load.services:
            raise RuntimeError(f"Nagios kept {held} of {self.load.services} results")


class Stentor(NagiosTree):
    name, title, package, program = "stentor", "Stentor", None, None
    binary = None  # Set once it is known.

    @staticmethod
    def version():
        return subprocess.run([Stentor.binary, "--version"], capture_output=True, text=True).stdout.strip().capitalize()

    def configure(self):
        super().configure()
        configs.stentor(self.folder, self.port)
        self.token = None

    def clean(self):
        remove(self.folder, ["journal", "stentor.db", "stentor.db-wal", "stentor.db-shm"])
        remove(self.folder, ["var/status.dat", "var/nagios.log", "var/objects.cache", "var/retention.dat"])
        self.token = None

    def run(self):
        command = [Stentor.binary, "serve", "--config", self.path("stentor.toml")]
        self.launch(command, user=USER, group=USER, extra_groups=[], cwd=self.folder)

    def ready(self):
        """/readyz says yes and the API counts all services: answers wait in the socket until the service runs."""
        if self.get("/readyz") is None:
            return False
        if self.token is None:
            self.token = self.token_told()
        counts = self.get("/api/v1/counts") if self.token else None
        return counts is not None and sum(counts["services"].values()) == self.load.services

    def token_told(self):
        """The very first start prints it."""
        for line in tail(self.out, 1 << 16).splitlines():
            if line.strip().startswith("API token"):
                return line.split()[-1]
        return None

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_MAX)
        try:
            headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return json.load(answer) if answer.status == 200 else None
        except OSError:
            return None
        finally:
            connection.close()

    def check_started_with_state(self):
        """Called after a start: what it still knows."""
        held = self.get("/api/v1/counts")["services"]["ok"]
        if held != self.load.services:
            raise RuntimeError(f"Stentor kept {held} of {self.load.services} results")


class Icinga(Subject):
    name, title, package, program = "icinga", "Icinga", "icinga2-bin", "icinga2"
    PASSWORD = "bench"

    @staticmethod
    def version():
        said = subprocess.run(["icinga2", "--version"], capture_output=True, text=True).stdout
        return "Icinga " + said.split("version: r", 1)[-1].split(")", 1)[0]

    def configure(self):
        configs.icinga(self.folder, self.load, self.plugin, self.port, self.PASSWORD)

    def clean(self):
        remove(self.folder, ["var/lib/icinga2/icinga2.state", "var/log/icinga2/icinga2.log"])

    def run(self):
        folders = {
            "ConfigDir": ".",
            "DataDir": "var/lib/icinga2",
            "LogDir": "var/log/icinga2",
            "CacheDir": "var/cache/icinga2",
            "SpoolDir": "var/spool/icinga2",
            "InitRunDir": "run/icinga2",
            "PidPath": "run/icinga2/pid",
        }
        defined = [f"-D{name}={self.path(folder)}" for name, folder in folders.items()]
        self.launch(["icinga2", "daemon", "-c", self.path("icinga2.conf"), *defined])

    def ready(self):
        return self.ask("GET", "/v1/status/IcingaApplication", None, 30) is not None

    def ask(self, method, path, body, timeout):
        context = ssl._create_unverified_context()  # A certificate of its own making, on loopback.
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)
        login = base64.b64encode(f"root:{self.PASSWORD}".encode()).decode()
        try:
            headers = {"Authorization": f"Basic {login}", "Accept": "application/json"}
            connection.request(method, path, body=json.dumps(body) if body else None, headers=headers)
            answer = connection.getresponse()
            return answer.read() if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def fill(self):
        output, perfdata = OUTPUT.split("|")
        result = {
            "type": "Service",
            "filter": "true",
            "exit_status": 0,
            "plugin_output": output,
            "performance_data": [perfdata],
        }
        if self.ask("POST", "/v1/actions/process-check-result", result, FILL_MAX) is None:
            raise RuntimeError("Icinga did not take the passive results")


class Loop(Subject):
    """The bare vfork loop: not a subject of its own, what the others are measured against."""

    name, title = "loop", "the bare loop"
    binary = None  # Set once it is compiled.

    def __init__(self, plugin, rate=0):
        self.plugin, self.rate, self.process = plugin, rate, None
        self.out = os.devnull

    def run(self):
        command = [Loop.binary, str(machine.CORES), str(self.rate), self.plugin]
        self.launch(command, user=USER, group=USER, extra_groups=[], env={})

    def ready(self):
        return True


ALL = {subject.name: subject for subject in (Nagios, Icinga, Stentor)}
