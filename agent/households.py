"""The services' processes as their parent has them: launched, heard of, killed, looked for."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection

from agent import adoption
from agent.channel import Activate, Spawn
from agent.leash import ActivationEnded, Event, NoneLeft, ProcessEnded, ProcessFailed, ProcessStarted
from agent.spawning import Child, Program, launch, verdict_of

HELD = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP)
"""A keeper waits for these, and none of them may come before it does."""


class Households:
    """Each service's main process and all that came of it.

    What happens to them comes out as events for the `Leash`.
    """

    def __init__(self, agent_id: str, directory: str) -> None:
        self._agent_id = agent_id
        self._directory = directory
        self._alive: dict[int, str] = {}  # main processes not reaped, and their services
        self._openers: dict[int, Activate] = {}  # not reaped: what opens a standby's door
        self._mains: dict[str, set[int]] = {}  # sessions of this life of a service, their leaders reaped or not
        self._starting: dict[int, tuple[Child, Spawn | Activate]] = {}  # by the pipe on which a failure would be told

    @property
    def pipes(self) -> Collection[int]:
        """Descriptors to poll; `hear` what is readable."""
        return self._starting.keys()

    def launch(self, spawn: Spawn) -> list[Event]:
        """Run the program with the environment as given, our marks and a PATH; the outcome is heard later."""
        try:
            child = self._fork(spawn)
        except OSError as error:
            return [ProcessFailed(spawn.service, spawn.epoch, f"cannot make a process: {error.strerror}")]
        self._alive[child.pid] = spawn.service
        return []

    def activate(self, activate: Activate) -> list[Event]:
        """Run what opens the door of a standby, in the same way; it belongs to the service as its descendants do."""
        try:
            child = self._fork(activate)
        except OSError as error:
            return [ActivationEnded(activate.service, activate.epoch, 1, f"cannot make a process: {error.strerror}")]
        self._openers[child.pid] = activate
        return []

    def _fork(self, what: Spawn | Activate) -> Child:
        keeper = isinstance(what, Spawn) and what.keeper
        child = launch(
            Program(
                argv=what.argv,
                environment=what.environment | adoption.marks(self._agent_id, what.service, what.epoch, what.grant_id),
                directory=self._directory,
                death_signal=signal.SIGHUP if keeper else signal.SIGKILL,  # a keeper first ends whom it keeps
                output=what.output or "/dev/null",
                holds=HELD if keeper else (),
                adopts=keeper,
            )
        )
        self._mains.setdefault(what.service, set()).add(child.pid)
        self._starting[child.verdict] = (child, what)
        return child

    def hear(self, pipe: int) -> list[Event]:
        """Whether the program runs."""
        child, what = self._starting[pipe]
        reason = verdict_of(child)
        if reason is None:
            return []
        del self._starting[pipe]
        if isinstance(what, Activate):
            if not reason:
                return []
            self._openers.pop(child.pid, None)
            return [ActivationEnded(what.service, what.epoch, 1, reason)]
        if not reason:
            return [ProcessStarted(what.service, what.epoch, child.pid)]
        self._alive.pop(child.pid, None)
        self._mains[what.service].discard(child.pid)
        return [ProcessFailed(what.service, what.epoch, reason)]

    def reaped(self, pid: int, code: int) -> list[Event]:
        """A child ended; if it was a main process or opened a door, its service hears of it."""
        events: list[Event] = []
        for pipe, (child, _) in list(self._starting.items()):
            if child.pid == pid:
                events += self.hear(pipe)
        service = self._alive.pop(pid, None)
        if service is not None:
            events.append(ProcessEnded(service, pid, code))
        opener = self._openers.pop(pid, None)
        if opener is not None:
            events.append(ActivationEnded(opener.service, opener.epoch, code))
        return events

    def kill(self, services: Collection[str], parts: Collection[int]) -> list[Event]:
        """SIGKILL the main processes' groups at once, then whatever a scan finds; which services have nothing left."""
        for pid, service in [*self._alive.items(), *((pid, opener.service) for pid, opener in self._openers.items())]:
            if service in services:
                _kill_group(pid)
        events: list[Event] = []
        for service, left in adoption.remains(self._agent_id, services, self._mains, parts).items():
            for stat in left:
                if not stat.zombie:
                    adoption.end(stat.pid, stat.started)
            if not left:
                self._mains.pop(service, None)
                events.append(NoneLeft(service))
        return events

    def strays(self) -> list[adoption.Stat]:
        """When no service lives and no part: who still descends from us without a mark."""
        return adoption.remains(self._agent_id, ("",), {}, ())[""]


def _kill_group(pid: int) -> None:
    """Both calls are exact: the child is not reaped, so its number is nobody else's, nor its group's."""
    try:
        os.kill(pid, signal.SIGKILL)
        adoption.hasten(pid)
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass  # no group yet: it has just been forked
