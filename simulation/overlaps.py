"""Which processes may run beside another: the former holders of R22, and those that R13's exception leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from simulation.world import World

LATELY_S = 15.0
"""A planned move that was wished for no longer ago may still begin its stop: the holder wants it for 8 G, and messages take time."""


class Overlaps:
    """The books of one life about services that are not exclusive."""

    def __init__(self, world: World, accuse: Callable[[str, str], None], finish_s: Mapping[str, float]) -> None:
        """`finish_s` gives, for each service that is not exclusive, how long a former holder's process may be there."""
        self._world = world
        self._accuse = accuse
        self._finish_s = finish_s
        self._until: dict[tuple[str, str, int], float] = {}  # by service, server and epoch
        self._wished_at: dict[str, float] = {}
        self._since: dict[str, int] = {}  # what has a lower epoch does not count: R13's exception

    def wishes(self, services: Collection[str]) -> None:
        """Planned moves that the SDS has under way."""
        self._wished_at |= dict.fromkeys(services, self._world.now)

    def third(self, service: str, epoch: int) -> bool:
        """W grants without having heard holder and secondary.  False if it may not (R13)."""
        if service in self._finish_s:
            self._since[service] = epoch
        return service in self._finish_s

    def finishes(self, server: str, service: str, epoch: int, ending: bool, over: Callable[[str, str, int], None]) -> None:
        """A guard gives its epoch up, and its process serves on; `over` is called when it must be gone."""
        key = (service, server, epoch)
        if key in self._until:
            return
        self._until[key] = self._world.now + self._finish_s.get(service, 0.0)
        if service not in self._finish_s:
            self._accuse("R22 exclusive", f"{service} is exclusive, and {server} serves on under epoch {epoch}, which it gave up")
        if not ending and self._world.now - self._wished_at.get(service, float("-inf")) > LATELY_S:
            self._accuse("R22 planned", f"{server} serves {service} on under epoch {epoch}, though nobody wanted it moved")
        self._world.at(self._until[key], over, server, service, epoch)

    def finishing(self, server: str, service: str, epoch: int) -> bool:
        """Whether this process may be there though its epoch is given up."""
        return self._world.now <= self._until.get((service, server, epoch), float("-inf"))

    def left_behind(self, service: str, epoch: int) -> bool:
        """Whether a holder of this epoch may still believe that it holds the service: R13's exception went past it."""
        return epoch < self._since.get(service, 0)

    def complaint(self, service: str, alive: Mapping[str, int]) -> str | None:
        """What is wrong with these processes, by server and epoch, at once; None if nothing is."""
        counted = {server: epoch for server, epoch in alive.items() if not self.left_behind(service, epoch)}
        if len(counted) < 2:
            return None
        holders = [server for server, epoch in counted.items() if not self.finishing(server, service, epoch)]
        return None if len(holders) <= 1 and len(counted) <= 2 else f"{service} runs on {counted}"
