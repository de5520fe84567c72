"""The services' processes as their parent has them: launched, heard of, killed, looked for."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection

from agent import adoption
from agent.channel import Spawn
from agent.leash import Event, NoneLeft, ProcessEnded, ProcessFailed, ProcessStarted
from agent.spawning import Child, Program, launch, verdict_of


class Households:
    """Each service's main process and all that came of it.

    What happens to them comes out as events for the `Leash`.
    """

    def __init__(self, agent_id: str, directory: str) -> None:
        self._agent_id = agent_id
        self._directory = directory
        self._alive: dict[int, str] = {}  # main processes not reaped, and their services
        self._mains: dict[str, set[int]] = {}  # of this life of a service, reaped or not
        self._starting: dict[int, tuple[Child, Spawn]] = {}  # by the pipe on which a failure would be told

    @property
    def pipes(self) -> Collection[int]:
        """Descriptors to poll; `hear` what is readable."""
        return self._starting.keys()

    def launch(self, spawn: Spawn) -> list[Event]:
        """Run the program with the environment as given, our marks and a PATH; the outcome is heard later."""
        program = Program(
            argv=spawn.argv,
            environment=spawn.environment | adoption.marks(self._agent_id, spawn.service, spawn.epoch, spawn.grant_id),
            directory=self._directory,
            death_signal=signal.SIGKILL,
            output=spawn.output or "/dev/null",
        )
        try:
            child = launch(program)
        except OSError as error:
            return [ProcessFailed(spawn.service, spawn.epoch, f"cannot make a process: {error.strerror}")]
        self._alive[child.pid] = spawn.service
        self._mains.setdefault(spawn.service, set()).add(child.pid)
        self._starting[child.verdict] = (child, spawn)
        return []

    def hear(self, pipe: int) -> list[Event]:
        """Whether the program runs."""
        child, spawn = self._starting[pipe]
        reason = verdict_of(child)
        if reason is None:
            return []
        del self._starting[pipe]
        if not reason:
            return [ProcessStarted(spawn.service, spawn.epoch, child.pid)]
        self._alive.pop(child.pid, None)
        self._mains[spawn.service].discard(child.pid)
        return [ProcessFailed(spawn.service, spawn.epoch, reason)]

    def reaped(self, pid: int, code: int) -> list[Event]:
        """A child ended; if it was a main process, its service hears of it."""
        events: list[Event] = []
        for pipe, (child, _) in list(self._starting.items()):
            if child.pid == pid:
                events += self.hear(pipe)
        service = self._alive.pop(pid, None)
        if service is not None:
            events.append(ProcessEnded(service, pid, code))
        return events

    def kill(self, services: Collection[str], parts: Collection[int]) -> list[Event]:
        """SIGKILL the main processes' groups at once, then whatever a scan finds; which services have nothing left."""
        for pid, service in self._alive.items():
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
