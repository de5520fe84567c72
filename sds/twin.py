"""The store in memory, of the same shape as `sds.store.Store`: for the simulator and for tests.

It outlives the SDS that uses it, as a store does.  It fails on demand.
"""

from __future__ import annotations

from collections.abc import Sequence

from sds.rows import Event, HighWater, Loaded, Row, StoreError


class StoreTwin:
    """Rows, history and marks in dictionaries."""

    def __init__(self) -> None:
        self.refuse = False
        """While true, every call fails and changes nothing."""
        self.lose_answer = False
        """While true, writes are made, and their confirmation is lost: they fail all the same."""
        self._rows: dict[str, Row] = {}
        self._before: dict[str, Row] = {}  # as it was before the last write that changed something
        self._high_water: dict[str, HighWater] = {}
        self._events: list[Event] = []
        self._event_number = 0
        self._incarnation = self._highest_incarnation = 0

    def lose_last_write(self) -> None:
        """Be again as before the last write, as after a failover to a lagging replica (R18)."""
        self._rows = dict(self._before)

    def lose_everything(self) -> None:
        """Be empty; only the high-water file is left."""
        self._rows, self._before, self._events, self._incarnation = {}, {}, [], 0

    def load(self) -> Loaded:
        """All rows, and the high-water marks."""
        self._ask()
        return Loaded(tuple(self._rows.values()), dict(self._high_water))

    def write(self, batch: Sequence[Row]) -> tuple[Row, ...]:
        """Make these rows durable; returns those that are stale, which changed nothing."""
        self._ask()
        stale: list[Row] = []
        rows = dict(self._rows)
        for row in batch:
            old = rows.get(row.key)
            if old is None or old.version < row.version:
                rows[row.key] = row
            elif old != row:
                stale.append(row)
        if rows != self._rows:
            self._before, self._rows = self._rows, rows
        self._answer()
        for row in batch:
            if row.kind == "service" and row not in stale:
                old_mark = self._high_water.get(row.name, HighWater(0, 0))
                self._high_water[row.name] = HighWater(max(old_mark.version, row.version), max(old_mark.epoch, row.epoch))
        return tuple(stale)

    def append_events(self, payloads: Sequence[bytes], limit: int) -> tuple[str, ...]:
        """Append to the history, of which the newest `limit` are kept; returns their ids."""
        self._ask()
        ids = []
        for payload in payloads:
            self._event_number += 1
            ids.append(f"{self._event_number}-0")
            self._events.append(Event(ids[-1], payload))
        del self._events[: max(0, len(self._events) - limit)]
        self._answer()
        return tuple(ids)

    def append_event(self, payload: bytes, limit: int) -> str:
        """Append one."""
        return self.append_events([payload], limit)[0]

    def events(self, limit: int, before: str | None = None) -> tuple[Event, ...]:
        """The newest `limit` events, oldest first; with `before`, of those older than that one."""
        self._ask()
        older = [event for event in self._events if before is None or int(event.id[:-2]) < int(before[:-2])]
        return tuple(older[-limit:] if limit > 0 else ())

    def next_incarnation(self, beyond: int = 0) -> int:
        """A number above `beyond` and every one that this returned before."""
        self._ask()
        self._incarnation = max(beyond, self._incarnation, self._highest_incarnation) + 1
        self._answer()
        self._highest_incarnation = self._incarnation
        return self._incarnation

    def close(self) -> None:
        """Nothing to let go of."""

    def _ask(self) -> None:
        if self.refuse:
            raise StoreError("the store refuses: not known to be written")

    def _answer(self) -> None:
        if self.lose_answer:
            raise StoreError("the store does not answer: not known to be written")
