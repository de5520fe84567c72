"""The drivers of one server, and which of them a service has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from agent.drivers.command import CommandDriver
from agent.drivers.ocf import OcfDriver
from agent.drivers.systemd import SystemdDriver
from bus.values import ServiceDefinition


class Drivers:
    """One of each kind; all have the shape of `CommandDriver`."""

    def __init__(
        self,
        server: str,
        address: str,
        agent_id: str,
        state_dir: Path,
        files_root: str = "",
        lacks_files: Callable[[ServiceDefinition], bool] = lambda _: False,
    ) -> None:
        self.command = CommandDriver(server, address, agent_id, state_dir, files_root)
        self._of = {
            "command": self.command,
            "ocf": OcfDriver(server, address, agent_id, state_dir, files_root=files_root, lacks_files=lacks_files),
            "systemd": SystemdDriver(server, address, agent_id, state_dir, files_root=files_root),
        }
        self._looking = asyncio.Lock()

    def of(self, definition: ServiceDefinition) -> CommandDriver:
        """The driver of this service."""
        return self._of[definition.driver]

    def moved(self, address: str) -> None:
        """The server is at another address now (P20)."""
        for driver in self._of.values():
            driver.moved(address)

    async def look(self, definitions: Iterable[ServiceDefinition], ours: Collection[str]) -> None:
        """Find out what takes longer than a moment about these services; `ours` run here now, and are left in peace."""
        every = tuple(definitions)
        async with self._looking:
            for kind, driver in self._of.items():
                await driver.look([definition for definition in every if definition.driver == kind], frozenset(ours))

    def signal(self, pid: int, number: int) -> None:
        """Signal a main process, if it is still one of ours."""
        self.command.signal(pid, number)
