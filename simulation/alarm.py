"""How a machine in virtual time is woken: when it asked to be, or somewhat later."""

from __future__ import annotations

from collections.abc import Callable

from bus.step import NEVER
from simulation.world import Clock, World


class Alarm:
    """Wakes a machine when it wants to be woken, or somewhat later."""

    def __init__(self, world: World, clock: Clock, ring: Callable[[], None]) -> None:
        self._world = world
        self._clock = clock
        self._ring = ring
        self._at = NEVER
        self._set = 0

    def set(self, wake_at: float, late_s: float) -> None:
        """The machine wants to be stepped at this instant of its clock."""
        if wake_at == NEVER:
            return
        at = max(self._clock.when(wake_at), self._world.now)
        if at < self._at:
            self._at = at
            self._set += 1
            self._world.at(at + self._world.random.random() * late_s, self._fire, self._set)

    def clear(self) -> None:
        """Nobody wants to be woken any more."""
        self._at = NEVER
        self._set += 1

    def _fire(self, number: int) -> None:
        if number == self._set:
            self._at = NEVER
            self._ring()
