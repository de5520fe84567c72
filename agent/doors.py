"""The doors of one agent's services in its kernel: what the gate lets through, and until when (R6).

    new --Build--> in force --a transaction failed, or the table is not as it was left--> in force, built anew
     |--refused--> refused, for good            |--which failed too--> broken --again--> removed, tried now and then

A port is gated while anything of its service may listen here, and passes only
while its element in a set of the kernel lives: until the lease ends.  The guard
renews that time-out with every acknowledgement it earns.  If nobody does any
more, since all of ours is dead or stopped, the kernel shuts the door by itself.

A gate that cannot be mended is taken away: it would shut doors whose leases
run.  Before that what stands behind it without a lease is killed (agent/duty.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from bus.step import LONG_AGO, NEVER, Tick

LOOK_EVERY_S = 0.5
"""How often it is looked whether the table stands as it was left: somebody may have flushed it."""

RETRY_S = 5.0
"""How often a gate that had to be taken away is tried again."""

SHORTEST_S = 0.001
"""The kernel counts time-outs in milliseconds; what is shorter is shut."""

KNOCKS_FROM = {4: "127.76.79.67", 6: "::1"}
"""The source from which an agent looks at a port of its own host, by IP version; it passes, and only on the loopback interface.

So a gated standby can be seen to be up, and a check never waits for a door that is about to open.
"""


class Wanted(msgspec.Struct, frozen=True):
    """What shall be: this server's address, and the gated ports, each with the instant until which it is open.

    A higher `number` is a wish to be told of anew, even if it is as the one before (agent/guarding.py's `wish`).
    """

    address: str | None
    doors: Mapping[int, float]
    number: int = 0


class Done(msgspec.Struct, frozen=True):
    """The kernel took the order."""


class Failed(msgspec.Struct, frozen=True):
    """It did not, and nothing was changed."""

    reason: str


class Looked(msgspec.Struct, frozen=True):
    """The answer to `Look`: whether all is as it was left."""

    intact: bool


class Build(msgspec.Struct, frozen=True):
    """Make the whole table anew, in one transaction: the gated ports, and for how long each is open; None: without end."""

    addresses: tuple[str, ...]
    gated: tuple[int, ...]
    open_s: dict[int, float | None]


class Refresh(msgspec.Struct, frozen=True):
    """Let these be open for so long from now; shut those."""

    open_s: dict[int, float | None]
    shut: tuple[int, ...]


class Look(msgspec.Struct, frozen=True):
    """Look whether the table stands; answer `Looked`."""


class Remove(msgspec.Struct, frozen=True):
    """Take the table away."""


Event = Wanted | Done | Failed | Looked | Tick
Order = Build | Refresh | Look | Remove


class Doors:
    """All doors of one agent.  Each order is to be answered before the next event."""

    def __init__(self) -> None:
        self.state: Literal["new", "in force", "broken", "removed", "refused"] = "new"
        self.reason = ""  # why it is not in force
        self.number = 0  # of the newest wish: what is gated fulfils it, if in force and no order is under way
        self.mended = 0  # how often it was found changed by others, or gone
        self._wanted: dict[int, float] = {}
        self._addresses: tuple[str, ...] = ()
        self._standing: tuple[tuple[str, ...], tuple[int, ...]] | None = None  # what the kernel's table was made for
        self._told: dict[int, float] = {}  # until when it lets each port pass
        self._asked: tuple[Order, dict[int, float]] | None = None  # in flight, and what it makes of `_told`
        self._look_at = LONG_AGO
        self._again_at = LONG_AGO

    @property
    def in_force(self) -> bool:
        """What is gated is shut but for its leases."""
        return self.state == "in force"

    @property
    def gated(self) -> frozenset[int]:
        """The ports that the kernel keeps shut by itself."""
        return frozenset(self._standing[1] if self._standing and self.in_force else ())

    @property
    def wake_at(self) -> float:
        """When to step with a `Tick`."""
        return {"in force": self._look_at, "refused": NEVER}.get(self.state, self._again_at)

    def step(self, event: Event, now: float) -> Order | None:
        """One event; the next order, if there is one."""
        match event:
            case Wanted():
                self._want(event)
            case Done():
                self._done()
            case Failed():
                self._failed(event.reason, now)
            case Looked(intact) if not intact:
                self.mended += 1
                self._standing = None
            case _:
                pass
        self._asked = self._next(now)
        return self._asked[0] if self._asked else None

    def _want(self, wanted: Wanted) -> None:
        """Addresses of before stay gated as long as anything runs that may have been reached there (P20)."""
        address = (wanted.address,) if wanted.address else ()
        kept = tuple(known for known in self._addresses if known not in address) if wanted.doors else ()
        self._wanted, self._addresses = dict(wanted.doors), kept + address
        self.number = wanted.number

    # -- answers

    def _done(self) -> None:
        order, told = self._asked or (None, {})
        if isinstance(order, Build):
            self.state, self.reason = "in force", ""
            self._standing = (order.addresses, order.gated)
        elif isinstance(order, Remove):
            self.state = "removed"
        self._told = told

    def _failed(self, reason: str, now: float) -> None:
        order = self._asked[0] if self._asked else None
        self._standing = None
        if isinstance(order, Remove):
            self.state = "removed"
        elif not isinstance(order, Build):
            return  # built anew at once
        else:
            self.reason = reason
            self.state = {"new": "refused", "in force": "broken", "broken": "removed"}.get(self.state, self.state)  # type: ignore[assignment]
            self._again_at = now + (LOOK_EVERY_S if self.state == "broken" else RETRY_S)

    # -- orders

    def _next(self, now: float) -> tuple[Order, dict[int, float]] | None:
        before = self._asked[0] if self._asked else None
        if self.state == "refused":
            return None
        if self.state == "removed" and isinstance(before, Build):
            return Remove(), {}
        if self.state in ("broken", "removed") and now < self._again_at:
            return None
        structure = (self._addresses, tuple(sorted(self._wanted)))
        if structure != self._standing:
            return Build(*structure, self._open_s(self._wanted, now)), dict(self._wanted)
        changed = {port: until for port, until in self._wanted.items() if self._told.get(port) != until}
        if changed:
            open_s = self._open_s(changed, now)
            shut = tuple(sorted(port for port in changed if port not in open_s and self._told.get(port, LONG_AGO) > now))
            if open_s or shut:
                return Refresh(open_s, shut), self._told | changed
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            return Look(), self._told
        return None

    def _open_s(self, doors: Mapping[int, float], now: float) -> dict[int, float | None]:
        """For how long from now; nothing of what is over.  Alone a holder has no lease that could end (R12): no time-out."""
        return {port: None if until == NEVER else until - now for port, until in sorted(doors.items()) if until - now >= SHORTEST_S}
