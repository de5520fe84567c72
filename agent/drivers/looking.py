"""A driver that must ask before it knows whether a service could run here: what it found out, and when it asks anew.

A service is looked at when it is new or changed, then each `look_every_s`, or
`look_again_s` while something is in the way; one that runs here is left in peace.
No look waits for another: an agent that hangs is found out by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from agent.drivers.command import CommandDriver
from bus.values import ServiceDefinition


class Look(msgspec.Struct):
    """What was found out about one service, and when it is due again."""

    definition: ServiceDefinition
    trouble: str | None = None
    again_at: float = 0.0


Found = TypeVar("Found", bound=Look)


def clock() -> float:
    """CLOCK_BOOTTIME (R2)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LookingDriver(CommandDriver, Generic[Found]):
    """What the drivers of resource agents and of units have in common."""

    look_every_s, look_again_s = 60.0, 5.0
    """Between two looks whether a service could run here: when it could, and when it could not."""

    look_within_s = 10.0
    """A round of looks returns by then; what takes longer goes on, and is known in a later one."""

    def __init__(self, server: str, address: str, agent_id: str, state_dir: Path, files_root: str = "") -> None:
        super().__init__(server, address, agent_id, state_dir, files_root)
        self._looks: dict[str, Found] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def knows(self, definition: ServiceDefinition) -> bool:
        """It was looked at as it is now."""
        return self._found(definition) is not None

    def _found(self, definition: ServiceDefinition) -> Found | None:
        """What the newest look found, if that still holds."""
        look = self._looks.get(definition.name)
        return look if look is not None and look.definition == definition else None

    async def look(self, definitions: Sequence[ServiceDefinition], ours: frozenset[str]) -> None:
        """Find out anew what is due; `ours` are the services that run here now.  `why_not` tells what was found."""
        for name in self._looks.keys() - {definition.name for definition in definitions}:
            del self._looks[name]
        for definition in definitions:
            look, running = self._found(definition), definition.name in ours
            due = look is None or not (running or clock() < look.again_at)
            if due and definition.name not in self._under_way:
                self._under_way[definition.name] = asyncio.create_task(self._look_at(definition, running))
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=self.look_within_s)
        for name in [name for name, task in self._under_way.items() if task.done()]:
            self._under_way.pop(name).result()

    async def _look_at(self, definition: ServiceDefinition, ours: bool) -> None:
        found = await self._find_out(definition, ours)
        found.again_at = clock() + (self.look_again_s if found.trouble else self.look_every_s)
        self._looks[definition.name] = found

    async def _find_out(self, definition: ServiceDefinition, ours: bool) -> Found:
        raise NotImplementedError
