"""Guard and runner as their parent sees them: when to start each, and when not to any more."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from typing import Literal

from bus.step import LONG_AGO

PartName = Literal["guard", "runner"]

Commands = Callable[[PartName, int], tuple[str, ...]]
"""The argument vector of a part, from its name and the descriptor of its line."""

STOOD_S = 10.0
"""A part that refuses to start before one of its kind lived this long would refuse again."""

_BURST, _BURST_S, _PAUSE_S = 5, 10.0, 1.0

REFUSED, MISCONFIGURED = 1, 2
"""Exit statuses of an agent (DESIGN section 9); a part too ends with 2 for a config that cannot be used."""

PART_REFUSED = 77
"""Exit status of a part that must not start again; 1 is what Python gives to a crash."""


def commands_for(path: str, log_format: str, timing: str) -> Commands:
    """The real parts, which take no code from the directory that they are started in.

    `python -P -m agent.guard CONFIG --tether-fd N`, `python -P -m agent.runner CONFIG --guard-fd N`
    """

    def command(name: PartName, fd: int) -> tuple[str, ...]:
        option = "--tether-fd" if name == "guard" else "--guard-fd"
        return (sys.executable, "-P", "-m", f"agent.{name}", path, option, str(fd), "--log", log_format, "--timing", timing)

    return command


class Part:
    """One of the two: its process, and how often it died of late."""

    def __init__(self, name: PartName) -> None:
        self.name: PartName = name
        self.pid: int | None = None
        self.start_at = LONG_AGO  # not before
        self._started_at = LONG_AGO
        self._stood = False
        self._deaths: deque[float] = deque(maxlen=_BURST + 1)

    def started(self, pid: int, now: float) -> None:
        """It runs."""
        self.pid, self._started_at = pid, now

    def died(self, code: int, now: float) -> int | None:
        """It ended by itself; the status with which the agent must end, if it refused to start."""
        self.ended()
        self._stood = self._stood or now - self._started_at >= STOOD_S
        self._deaths.append(now)
        self.start_at = now
        if len(self._deaths) > _BURST and now - self._deaths[0] < _BURST_S:
            self.start_at = now + _PAUSE_S
        if code == MISCONFIGURED or (code == PART_REFUSED and not self._stood):
            return MISCONFIGURED if code == MISCONFIGURED else REFUSED
        return None

    def postpone(self, now: float) -> None:
        """It could not be started: the host is out of something."""
        self.start_at = now + _PAUSE_S

    def ended(self) -> None:
        """It was made to end."""
        self.pid = None

    def signal(self, number: int) -> bool:
        """Send it a signal; whether there was anyone.  It is our child and unreaped: the pid is its own."""
        if self.pid is None:
            return False
        os.kill(self.pid, number)
        return True


def in_words(code: int) -> str:
    """How a process ended, for people."""
    if code >= 0:
        return f"status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
