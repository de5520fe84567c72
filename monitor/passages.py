"""Services on their way from one server to another, for the page to animate; seen in the table, update by update.

    (none) --move planned, holder changed, holder gone--> under way --serving--> done --KEPT_S--> (none)
                                                              |--move given up, no end for LOST_S--> (none)

Instants are of the monitor: when it saw each.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bus.values import ServiceRow
from monitor.state import Passage

KEPT_S = 10.0
"""A passage that is done is shown for this long."""

LOST_S = 60.0
"""One whose end was not seen in this time is forgotten: the updates of it were lost."""

Kind = Literal["takeover", "move", "failback", "release"]


class Passages:
    """One for each service at most: a newer one replaces the one before."""

    def __init__(self) -> None:
        self._of: dict[str, Passage] = {}

    def see(self, before: ServiceRow, row: ServiceRow, now: float) -> None:
        """A service's row, and the one before it."""
        name = row.definition.name
        known = self._of.get(name)
        open_ = known if known is not None and known.state == "under way" else None
        if row.move_to is not None and row.move_to != row.holder and row.holder is not None:
            if open_ is None or open_.to != row.move_to:
                kind: Kind = "failback" if row.move_to == row.definition.home else "move"
                self._begin(row, kind, row.holder, row.move_to, row.epoch + 1, now)
        elif row.holder is None:
            if open_ is None and before.holder is not None:
                self._begin(row, "release", before.holder, None, row.epoch + 1, now)
        elif row.holder != before.holder:
            self._arrives(before, row, open_, now)
        elif open_ is not None and open_.to != row.holder:
            del self._of[name]  # the move was given up
        self._end(row, now)

    def current(self, now: float) -> tuple[Passage, ...]:
        """Those to show now; the others are forgotten."""
        self._of = {service: passage for service, passage in self._of.items() if not _over(passage, now)}
        return tuple(self._of.values())

    def _arrives(self, before: ServiceRow, row: ServiceRow, open_: Passage | None, now: float) -> None:
        """It has another holder than in the row before."""
        name, holder = row.definition.name, row.holder
        if open_ is None:
            if before.holder is not None:
                self._begin(row, "takeover", before.holder, holder, row.epoch, now)
        elif open_.from_ == holder:
            del self._of[name]  # it stays where it was
        else:
            kind: Kind = open_.kind if open_.to == holder else "takeover"
            self._of[name] = msgspec.structs.replace(open_, to=holder, kind=kind)

    def _begin(self, row: ServiceRow, kind: Kind, former: str, to: str | None, epoch: int, now: float) -> None:
        name = row.definition.name
        self._of[name] = Passage(
            id=f"{name}-{epoch}", service=name, from_=former, to=to, kind=kind, state="under way", began_at=now, ended_at=None
        )

    def _end(self, row: ServiceRow, now: float) -> None:
        passage = self._of.get(row.definition.name)
        if passage is not None and passage.state == "under way" and row.state == "serving" and row.holder == passage.to:
            self._of[row.definition.name] = msgspec.structs.replace(passage, state="done", ended_at=now)


def _over(passage: Passage, now: float) -> bool:
    if passage.ended_at is not None:
        return now - passage.ended_at > KEPT_S
    return now - passage.began_at > LOST_S
