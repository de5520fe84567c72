"""The demo under measurement: started here, on a state directory of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psutil

from bench.asking import monotonic
from bench.watch import CHECKOUT, NotSeen
from bus.messages import Status, StatusRequest
from cli.cluster import answer, find
from cli.outcome import Failure
from demo import control, layout, presence, processes
from demo.news import lacking
from demo.parts import drop_gate
from demo.processes import Process

HOMES = {server.service: server.name for server in layout.SERVERS}
_SETTLED_WITHIN_S = 90.0

Found = TypeVar("Found")


def wait_for(what: str, condition: Callable[[], Found | None], within_s: float = 60.0) -> Found:
    """What the condition says once it says something; raises `NotSeen`."""
    until = monotonic() + within_s
    while True:
        late = monotonic() > until
        if found := condition():
            return found
        if late:
            raise NotSeen(f"not within {within_s:.0f} s: {what}")
        time.sleep(0.05)


class Subject:
    """One demo, through all its starts on one state directory."""

    def __init__(self, state: Path, options: Sequence[str] = ()) -> None:
        self.state = state
        self.options = options
        self.output = state.with_suffix(".output")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until all is served at home with secondaries; seconds."""
        began_at = monotonic()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LOCUM_")}
        with self.output.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cli.main", "demo", "--state", str(self.state), *self.options],
                env=environment | {"PYTHONPATH": str(CHECKOUT)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.settle()
        return monotonic() - began_at

    def end(self) -> None:
        """Ctrl-C, and whatever does not end by it is killed."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.blackout()

    def blackout(self) -> None:
        """SIGKILL to everything of Locum and its services at once, the demo itself included."""
        assert self._process is not None
        self._process.kill()
        killed = processes.kill(self._everything)
        self._process.wait()
        if not asyncio.run(processes.gone(killed, 10.0)):
            raise NotSeen("what was killed is not gone after 10 s")
        for settings in self.state.glob("*.toml"):
            drop_gate(settings)

    def _everything(self) -> list[Process]:
        return [entry.process for entry in processes.of_state(str(self.state))]

    def order(self, verb: str, part: str, level: float | None = None) -> None:
        """`locum demo VERB PART`, without the time that a command line takes to start."""
        running = presence.running()
        if running is None:
            raise NotSeen("the demo is gone")
        reply = control.order(running, verb, part, level)
        if reply["code"]:
            raise NotSeen(f"demo {verb} {part}: {reply['text']}")

    def find(self, part: str, role: str) -> Process | None:
        """The process of that part in that role."""
        entries = processes.of_state(str(self.state))
        return next((entry.process for entry in entries if entry.part == part and entry.role == role), None)

    def kill(self, part: str, role: str) -> tuple[Process, float]:
        """SIGKILL to this one process; which, and when."""
        victim = wait_for(f"the {role} of {part}", lambda: self.find(part, role))
        killed_at = monotonic()
        processes.send(victim, signal.SIGKILL)
        return victim, killed_at

    def dead(self, victim: Process) -> float:
        """Wait until it is; the instant."""
        while processes.alive(victim):
            time.sleep(0.0005)
        return monotonic()

    def back(self, part: str, role: str, but: Process) -> Process:
        """Wait for the next process in the role of one that was killed."""

        def another() -> Process | None:
            found = self.find(part, role)
            return found if found is not None and (found.pid, found.started) != (but.pid, but.started) else None

        return wait_for(f"another {role} of {part}", another)

    def status(self) -> dict[str, Any]:
        """What `locum status --json` prints; raises `Failure` while nobody answers."""
        return answer(find(None, None, None, None, None, None), StatusRequest(), Status).status

    def settle(self, for_s: float = 0.0) -> None:
        """Wait until all is served at home with secondaries, for so long already."""

        def settled() -> bool:
            if self._process is not None and self._process.poll() is not None:
                raise NotSeen(f"the demo ended with {self._process.returncode}: {self.output.read_text()[-1000:]}")
            try:
                status = self.status()
            except Failure:
                return False
            return not lacking(status, HOMES) and all(service["since_s"] >= for_s for service in status["services"])

        wait_for("all served at home, with secondaries", settled, _SETTLED_WITHIN_S)

    def epochs(self) -> dict[str, int]:
        """Each service's epoch now."""
        return {service["name"]: service["epoch"] for service in self.status()["services"]}

    def resident_mb(self, part: str, *roles: str) -> float:
        """Resident memory of these processes of a part together, MB: the sum of RSS, shared pages counted in each."""
        found = [entry.process for entry in processes.of_state(str(self.state)) if entry.part == part and entry.role in roles]
        return sum(float(psutil.Process(process.pid).memory_info().rss) for process in found) / 1e6
