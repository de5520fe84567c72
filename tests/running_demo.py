"""A demo as a user runs it: `locum demo` as a process of its own, everything else from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from demo import layout, presence
from demo.client import Seen, try_to_use
from demo.news import lacking
from demo.parts import drop_gate
from demo.processes import Process, of_state
from demo.state import State

CHECKOUT = Path(__file__).resolve().parents[1]
HOMES = {"www": "http", "ftp": "ftp", "mail": "email"}

SOON_S = 30.0
"""Generous: what is asserted is that it comes, not when; a busy machine is slow."""


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LOCUM_")}
    return kept | {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}


def command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "cli.main", *words]


def locum(*words: str, within_s: float = 90.0) -> subprocess.CompletedProcess[str]:
    """`locum WORDS` to its end."""
    return subprocess.run(
        command(*words), env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s, check=False
    )


def another_demo() -> str:
    """Why no demo can be started by a test; empty if one can."""
    other = presence.running()
    return f"a demo runs on this machine already ({other}): its addresses are taken" if other else ""


class RunningDemo:
    """One `locum demo`, from its start to its end."""

    def __init__(self, state: Path, *options: str) -> None:
        self.state = state
        self.output = state.parent / f"{state.name}.output"
        self._begin = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as said:
            self.process = subprocess.Popen(
                command("demo", "--state", str(state), *options),
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def said(self) -> str:
        """Of this run; one on the same state may have spoken before."""
        return self.output.read_bytes()[self._begin :].decode()

    def ready(self) -> str:
        """Wait for the line that begins `ready`, of this run."""

        def ready_line() -> str | None:
            assert self.process.poll() is None, f"the demo ended with {self.process.returncode}:\n{self.said()}"
            return next((line for line in self.said().splitlines() if line.startswith("ready")), None)

        try:
            found = until(ready_line, within_s=60)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.said()}\n{self.logs()}") from None
        assert found is not None
        return found

    def logs(self) -> str:
        """The end of every part's log, for whoever has to find out."""
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-15:]) for log in sorted(self.state.glob("logs/*.log"))
        )

    def do(self, verb: str, part: str) -> subprocess.CompletedProcess[str]:
        return locum("demo", verb, part)

    def done(self, verb: str, part: str) -> None:
        """The order is carried out."""
        result = self.do(verb, part)
        assert (result.returncode, result.stdout) == (0, ""), f"{verb} {part}: {result.stderr}\n{self.logs()}"

    def refused(self, verb: str, part: str, word: str) -> None:
        """The order is refused with that word."""
        result = self.do(verb, part)
        assert (result.returncode, result.stdout) == (1, ""), f"{verb} {part}: {result}"
        assert word in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr

    def status(self) -> dict[str, Any]:
        result = locum("status", "--json")
        assert result.returncode == 0, result.stderr
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def service(self, name: str) -> dict[str, Any]:
        return next(row for row in self.status()["services"] if row["name"] == name)

    def ps(self) -> list[dict[str, Any]]:
        result = locum("demo", "ps", "--json")
        assert result.returncode == 0, result.stderr
        found: list[dict[str, Any]] = json.loads(result.stdout)
        return found

    def roles(self, part: str) -> list[str]:
        return sorted(row["role"] for row in self.ps() if row["part"] == part)

    def pid(self, part: str, role: str) -> int:
        """The process of that part in that role; 0 if there is none, or more than one."""
        found = [int(row["pid"]) for row in self.ps() if (row["part"], row["role"]) == (part, role)]
        return found[0] if len(found) == 1 else 0

    def kill_one(self, part: str, role: str) -> None:
        """SIGKILL to that process alone, and wait until there is another in its role."""
        pid = self.pid(part, role)
        assert pid, f"{part} has no one {role}: {self.ps()}"
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.pid(part, role) not in (0, pid), within_s=SOON_S, every_s=0.1)

    def history(self) -> list[dict[str, Any]]:
        result = locum("history", "--json")
        assert result.returncode == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def served(self, service: str, by: Callable[[str], bool], within_s: float = SOON_S) -> Seen:
        """Wait until such a server answers for the service, asked by its FQDN."""

        def answered() -> Seen | None:
            seen = try_to_use(service)
            return seen if seen is not None and by(seen.server) else None

        try:
            found = until(answered, within_s=within_s)
        except AssertionError as late:
            raise AssertionError(f"{service}: {late}\n{self.said()}\n{self.logs()}") from None
        assert found is not None
        return found

    def settled(self, within_s: float = SOON_S) -> None:
        """Wait until every service is at home with a secondary, as the SDS and as a user sees it."""

        def at_home() -> bool:
            return not lacking(self.status(), HOMES)

        try:
            until(at_home, within_s=within_s, every_s=0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.said()}\n{self.logs()}") from None
        for name, home in HOMES.items():
            self.served(name, lambda server, home=home: server == home)  # type: ignore[misc]

    def left(self) -> list[Process]:
        """What lives of this demo's parts."""
        return [entry.process for entry in of_state(str(self.state))]

    def end(self, number: signal.Signals = signal.SIGINT, within_s: float = 30.0) -> int:
        """Signal it and wait for its end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=within_s)
        finally:
            if self.process.poll() is None:
                self.power_cut()

    def power_cut(self) -> None:
        """SIGKILL to the demo itself and all its parts, as when the machine's power fails."""
        for process in [self.process.pid, *(process.pid for process in self.left())]:
            try:
                os.kill(process, signal.SIGSTOP)
            except ProcessLookupError:
                pass
        while True:
            left = [process.pid for process in self.left()]
            for pid in [*left, *([self.process.pid] if self.process.poll() is None else [])]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if not left and self.process.poll() is not None:
                break
        for server in layout.SERVERS:
            drop_gate(State(self.state).settings(server.name))


def settle_for(timing: str, directory: Path) -> None:
    """Furnish a state directory so that all parts run with this timing."""
    state = State(directory)
    state.furnish()
    sds = state.settings("sds")
    sds.write_text(f'{sds.read_text()}timing = "{timing}"\n')
    for home in HOMES.values():
        settings = state.settings(home)
        settings.write_text(settings.read_text().replace('timing = "auto"', f'timing = "{timing}"'))


def one_demo(state: Path, *options: str) -> Iterator[RunningDemo]:
    """A demo that is ready, for a fixture to yield; skips aloud if its addresses are taken.

    It has the timing of wide networks: a virtual machine that its host stops
    for half a second, as busy ones do, is then no reason for a takeover.
    """
    reason = another_demo()
    if reason:
        pytest.skip(reason)
    settle_for("wan", state)
    demo = RunningDemo(state, *options)
    try:
        demo.ready()
        yield demo
    finally:
        demo.end()
