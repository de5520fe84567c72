"""The end of a unit as the tether brings it about and verifies it (R5, R6).

Its processes are children of systemd: no scan of our descendants finds them.  So the
unit's control group is killed, which is done at once, and systemd is asked to stop the
unit, which also calls off a start that is under way.  Over is what systemd stopped,
or knows no longer, after the last kill, and whose group is empty.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping

from agent import control_groups, kept
from agent.spawning import Child, Program, launch, verdict_of

UNIT, GROUP, SYSTEMCTL = "LOCUM_UNIT", "LOCUM_GROUP", "LOCUM_SYSTEMCTL"
"""In the environment of a service that is a unit: its name, its control group's directory, and what speaks with systemd."""

_NOT_LOADED = 5
"""What `systemctl stop` ends with when systemd has, or has no longer, any such unit: it has nothing of it left to stop."""


class UnitEnd:
    """One service's unit, from the first order to kill it until it is over."""

    def __init__(self, environment: Mapping[str, str], agent_mark: Mapping[str, str], directory: str) -> None:
        self._environment = environment
        self._mark = agent_mark
        self._directory = directory
        self._stopping: Child | None = None  # a `systemctl stop` that has not ended
        self._stopped = False

    def kill(self) -> None:
        """Once more, and see to it that systemd is asked to stop it."""
        control_groups.kill(self._environment[GROUP])
        if self._stopping is None and not self._stopped:
            words = (self._environment[SYSTEMCTL], "--no-ask-password", "stop", self._environment[UNIT])
            program = Program(
                argv=words, environment=self._mark, directory=self._directory, death_signal=signal.SIGKILL, output="/dev/null"
            )
            try:
                self._stopping = launch(program)
            except OSError:
                return  # the host is out of something: the next round tries again

    def reaped(self, pid: int, code: int) -> bool:
        """Whether that was our `systemctl stop`; if it failed another one follows."""
        if self._stopping is None or pid != self._stopping.pid:
            return False
        verdict_of(self._stopping)
        self._stopping, self._stopped = None, code in (0, _NOT_LOADED)
        return True

    @property
    def helper(self) -> int | None:
        """The `systemctl stop` that is under way."""
        return self._stopping.pid if self._stopping else None

    @property
    def over(self) -> bool:
        """systemd stopped it, and nobody is left."""
        return self._stopped and not control_groups.members(self._environment[GROUP])

    def forget(self) -> None:
        """It is over: nothing of it is to be found by its record."""
        kept.remove(self._environment.get("LOCUM_RUN", "/nonexistent"))
