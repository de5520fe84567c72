"""Which secondary, and when to change: P10, P11, P21, section 5 of the design.

The lowest priority wins among the live candidates, another zone than the
holder's before the same, ties by name.  A recorded secondary is left only for
one that has been better by a margin for a while: joining moves nothing.
"""

from __future__ import annotations

import msgspec

from bus.values import ServerRow, is_server


class ChoosingSettings(msgspec.Struct, frozen=True):
    """When a better candidate is worth a change."""

    margin: int = 20  # of priority, which must be exceeded: two tenths of load
    dwell_s: float = 5.0  # it must have been better for so long
    own_promise: int = 5  # what the secondary's priority counts for this very duty


class Choosing:
    """The ranking for one service held here."""

    def __init__(self, settings: ChoosingSettings) -> None:
        self._settings = settings
        self._better: str | None = None
        self._better_since = 0.0

    def rank(self, service: str, me: str, servers: dict[str, ServerRow]) -> tuple[str, ...]:
        """The live candidates for this service, best first."""
        my_zone = servers[me].zone if me in servers else None
        able = [row for row in servers.values() if row.name != me and row.state == "up" and service in row.able]

        def merit(row: ServerRow) -> tuple[bool, int, str]:
            same_zone = my_zone is not None and row.zone == my_zone
            return (same_zone, row.priority if row.priority is not None else 1_000, row.name)

        return tuple(row.name for row in sorted(able, key=merit))

    def better(self, ranked: tuple[str, ...], recorded: str, servers: dict[str, ServerRow], now: float) -> str | None:
        """A candidate worth a change of secondary, once it has been so for the dwell time."""
        best = ranked[0] if ranked else None
        if best is None or not is_server(recorded) or recorded not in ranked or best == recorded:
            self._better = None
            return None
        if self._advantage(best, recorded, servers) <= self._settings.margin:
            self._better = None
            return None
        if self._better != best:
            self._better, self._better_since = best, now
        return best if now - self._better_since >= self._settings.dwell_s else None

    def _advantage(self, best: str, recorded: str, servers: dict[str, ServerRow]) -> int:
        old, new = servers[recorded].priority, servers[best].priority
        if old is None or new is None:
            return 0
        return old - self._settings.own_promise - new
