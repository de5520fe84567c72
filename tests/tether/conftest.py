"""A real tether with real children, whose guard and runner do what the test says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from agent import adoption, channel
from agent.channel import Gone, Kill, Line, Spawn, Spawned, Until
from bus.config import AgentConfig, parse
from tests.waiting import until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LineType = TypeVar("LineType", bound=Line)
FOREVER_S = 3600.0


WITHOUT_RIGHTS = ("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")
"""A command run behind these words is another user without any capability."""

needs_rights = pytest.mark.skipif(
    shutil.which("setpriv") is None or subprocess.run([*WITHOUT_RIGHTS, "true"], stderr=subprocess.DEVNULL).returncode != 0,
    reason="only root, with all its capabilities and util-linux's setpriv, can start a process with fewer",
)


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def alive(pid: int) -> bool:
    stat = adoption.stat_of(pid)
    return stat is not None and not stat.zombie


class PartEnd:
    """The test's end of one guard or runner process."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(10)
        self.sock = sock
        name, pid = sock.recv(1000)[1:].split()
        self.name, self.pid = name.decode(), int(pid)
        self.heard: list[tuple[str, Line | None]] = []

    def say(self, line: Line, to: str = "L") -> None:
        self.sock.send(to.encode() + channel.encode(line))

    def order(self, packet: bytes) -> None:
        self.sock.send(packet)

    def hear(self, kind: type[LineType], service: str | None = None, sign: str = "L") -> LineType:
        """The next line of that kind, of that service; others stay in `heard`."""
        for index, (came, line) in enumerate(self.heard):
            if came == sign and isinstance(line, kind) and service in (None, getattr(line, "service", None)):
                del self.heard[index]
                return line
        self.receive()
        return self.hear(kind, service, sign)

    def hear_sign(self, sign: str) -> None:
        while (sign, None) not in self.heard:
            self.receive()
        self.heard.remove((sign, None))

    def receive(self) -> None:
        try:
            packet = self.sock.recv(1 << 20)
        except TimeoutError:
            raise AssertionError(f"{self.name}: nothing came for 10 s; unclaimed: {self.heard}") from None
        assert packet, f"{self.name} {self.pid} is gone; unclaimed: {self.heard}"
        self.heard.append((packet[:1].decode(), channel.decode(packet[1:]) if packet[1:] else None))

    def settle(self) -> None:
        """Until the part has done all that it was ordered so far."""
        self.order(b"E")
        self.hear_sign("E")

    def sent_nothing_else(self) -> bool:
        self.sock.setblocking(False)
        try:
            return not self.heard and not self.sock.recv(1 << 20)
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(10)


class Agent:
    """One tether under test, in a directory of its own."""

    def __init__(self, directory: Path, timing: str = "calm") -> None:
        self.directory = directory
        self.path = directory / "agent.toml"
        self.path.write_text(
            f'cluster = "test"\nname = "one"\naddress = "127.0.0.1"\nstate_dir = "{directory}/state"\nkey_file = "k"\n'
            f'timing = "{timing}"\n[sds]\npublic_key_file = "p"\n'
        )
        self.config = parse(self.path.read_text(), AgentConfig, str(self.path))
        self.id = adoption.identity(self.config)
        control = str(directory / "control")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(control)
        self.listener.listen(8)
        self.listener.settimeout(10)
        program = [sys.executable, str(HERE / "part_program.py")]
        self.commands = [[*program, name, "{fd}", control] for name in ("guard", "runner")]
        self.log_path = directory / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.guard: PartEnd
        self.runner: PartEnd

    def launch(self) -> subprocess.Popen[bytes]:
        """The tether; its parts are not waited for."""
        argv = [sys.executable, str(HERE / "tether_program.py"), str(self.path), *map(json.dumps, self.commands)]
        with self.log_path.open("ab") as log:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True, env=environment)
        return self.process

    def start(self) -> Agent:
        self.launch()
        self.meet_parts()
        return self

    def meet_parts(self) -> None:
        """Both parts of a new generation."""
        parts = {part.name: part for part in (self.accept(), self.accept())}
        self.guard, self.runner = parts["guard"], parts["runner"]
        self.guard.hear(channel.RunnerUp)

    def accept(self) -> PartEnd:
        try:
            return PartEnd(self.listener.accept()[0])
        except TimeoutError:
            raise AssertionError(f"no part was started within 10 s: {self.log}") from None

    @property
    def log(self) -> str:
        return self.log_path.read_text() if self.log_path.exists() else ""

    def spawn(self, script: str, service: str = "www", epoch: int = 1, until_s: float = FOREVER_S) -> int:
        """A service that is this shell script; its main pid."""
        self.guard.say(self.spawn_line(("/bin/sh", "-c", script), service, epoch))
        self.guard.say(Until(service=service, until_at=boottime() + until_s))
        return self.guard.hear(Spawned, service).pid

    def spawn_line(self, argv: tuple[str, ...], service: str = "www", epoch: int = 1) -> Spawn:
        environment = {"HERE": str(self.directory), "PATH": os.environ["PATH"]}
        output = str(self.directory / f"{service}.out")
        return Spawn(service=service, epoch=epoch, grant_id=epoch * 1000, argv=argv, environment=environment, output=output)

    def pid_in(self, name: str) -> int:
        """A pid that a service's script wrote to a file of its directory."""
        path = self.directory / name
        return int(until(lambda: path.exists() and path.read_text().strip()))

    def kill(self, service: str = "www") -> None:
        self.guard.say(Kill(service=service, number=1))
        self.guard.hear(Gone, service)

    def end_with(self, *numbers: int, within_s: float = 20.0) -> int:
        assert self.process
        for number in numbers:
            self.process.send_signal(number)
        return self.process.wait(within_s)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The tether does nothing meanwhile."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        yield
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGINT):
                self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        adoption.end_leftovers(self.id, 5.0)
        self.listener.close()


@pytest.fixture
def make_agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    made: list[Agent] = []

    def make(timing: str = "calm") -> Agent:
        made.append(Agent(tmp_path, timing))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


@pytest.fixture
def agent(make_agent: Callable[..., Agent]) -> Agent:
    return make_agent().start()
