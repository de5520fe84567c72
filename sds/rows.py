"""What the SDS keeps (R18), as its store sees it: opaque rows with a version.

A version only goes up.  So a write that was given up as lost, and arrives late
after all, finds a newer row in its place and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import msgspec

Kind = Literal["service", "server", "cluster"]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class StoreError(Exception):
    """The store did not confirm.  Nothing is known to be written, so nothing may be granted."""


class Row(msgspec.Struct, frozen=True):
    """One thing's durable state."""

    kind: Kind
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    version: Number  # of this row, +1 at every write
    epoch: Number  # of a service; 0 for others
    payload: bytes

    @property
    def key(self) -> str:
        """Unique within a cluster."""
        return f"{self.kind}/{self.name}"


class HighWater(msgspec.Struct, frozen=True):
    """The highest write number and epoch that a service is known to have had."""

    version: Number
    epoch: Number


class Loaded(msgspec.Struct, frozen=True):
    """What is on record; where a high-water mark is above its row, the store has lost writes."""

    rows: tuple[Row, ...]
    high_water: dict[str, HighWater]


class Event(msgspec.Struct, frozen=True):
    """One line of the history."""

    id: str
    payload: bytes


class AnyStore(Protocol):
    """The shape of `Store` and `StoreTwin`.  Everything may raise `StoreError`."""

    def load(self) -> Loaded:
        """All rows, and the high-water marks."""

    def write(self, batch: Sequence[Row]) -> tuple[Row, ...]:
        """Make these rows durable; returns those that are stale, which changed nothing.

        A row is stale if one of the same name has a higher version, or the same
        version and another content.  Writing the same row twice is no harm.
        """

    def append_events(self, payloads: Sequence[bytes], limit: int) -> tuple[str, ...]:
        """Append to the history, of which about the newest `limit` are kept; returns their ids."""

    def append_event(self, payload: bytes, limit: int) -> str:
        """Append one."""

    def events(self, limit: int, before: str | None = None) -> tuple[Event, ...]:
        """The newest `limit` events, oldest first; with `before`, of those that came before the event of that id."""

    def next_incarnation(self, beyond: int = 0) -> int:
        """A number above `beyond` and every one that this returned before, durable (R18)."""

    def close(self) -> None:
        """Let go of connections."""
