"""Starts the demo's services as Locum's command driver does: real processes, on addresses of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.waiting import until

CHECKOUT = Path(__file__).resolve().parents[2]


class Service:
    """A running service: its process, where it listens, what it logged."""

    def __init__(self, program: str, log: Path, *flags: str, **environment: str | None) -> None:
        self.address = environment.get("LOCUM_ADDRESS") or "127.0.9.11"
        self.port = int(environment.get("LOCUM_PORT") or _free_port(self.address))
        told: dict[str, str | None] = {
            "LOCUM_SERVICE": program,
            "LOCUM_SERVER": "email",
            "LOCUM_EPOCH": "7",
            "LOCUM_ADDRESS": self.address,
            "LOCUM_PORT": str(self.port),
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUM_")}
        given = {name: value for name, value in {**told, **environment}.items() if value is not None}
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"demo.services.{program}", *flags],
                cwd=CHECKOUT,
                env={**kept, **given},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def log(self) -> list[str]:
        """What it has logged so far."""
        return self._log.read_text().splitlines()

    def answers(self) -> bool:
        """Whether it takes connections.  Fails if it has ended instead."""
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log}"
        return connects(self.address, self.port)

    def ended(self, within_s: float = 20.0) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(within_s)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return self.ended()


def connects(address: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def _free_port(address: str) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as probe:
        return int(probe.getsockname()[1])


Begin = Callable[..., Service]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start a service and leave it to itself: it may be meant to fail."""
    begun: list[Service] = []

    def begin(program: str, *flags: str, **environment: str | None) -> Service:
        begun.append(Service(program, tmp_path / f"{program}-{len(begun)}.log", *flags, **environment))
        return begun[-1]

    yield begin
    for service in begun:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()


@pytest.fixture
def start(begin: Begin) -> Begin:
    """Start a service and wait until it takes connections."""

    def start(program: str, *flags: str, **environment: str | None) -> Service:
        service = begin(program, *flags, **environment)
        until(service.answers, within_s=20)
        return service

    return start
