"""The kernel gate without a kernel, for tests: a table in memory, of the same shape as agent/gate.py's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.gate import GateError
from bus.step import LONG_AGO, NEVER


class GateTwin:
    """A table, and the mishaps that a test wants."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.stands = False
        self.addresses: tuple[str, ...] = ()
        self.gated: tuple[int, ...] = ()
        self.open_until: dict[int, float] = {}
        self.refuses = ""  # why it takes nothing
        self.builds = 0

    def passes(self, address: str, port: int) -> bool:
        """Whether a client's packet to there would be let through now."""
        gated = self.stands and address in self.addresses and port in self.gated
        return not gated or self.open_until.get(port, LONG_AGO) > self._clock()

    def flush(self) -> None:
        """Somebody else empties the ruleset."""
        self.stands, self.gated, self.open_until = False, (), {}

    def build(self, addresses: tuple[str, ...], gated: tuple[int, ...], open_s: Mapping[int, float | None]) -> None:
        """As of the real one."""
        self._answer()
        self.builds += 1
        self.stands, self.addresses, self.gated, self.open_until = True, addresses, gated, {}
        self._open(open_s)

    def refresh(self, open_s: Mapping[int, float | None], shut: tuple[int, ...]) -> None:
        """As of the real one."""
        self._answer()
        if not self.stands:
            raise GateError("No such file or directory")
        for port in shut:
            self.open_until.pop(port, None)
        self._open(open_s)

    def intact(self) -> bool:
        """As of the real one."""
        self._answer()
        return self.stands

    def remove(self) -> None:
        """As of the real one."""
        self._answer()
        self.flush()

    def _answer(self) -> None:
        if self.refuses:
            raise GateError(self.refuses)

    def _open(self, open_s: Mapping[int, float | None]) -> None:
        for port, rest_s in open_s.items():
            self.open_until[port] = NEVER if rest_s is None else self._clock() + rest_s
