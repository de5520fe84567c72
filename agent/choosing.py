"""Which secondary, and when to change: P10, P11, P21, section 5 of the design.

    merit = priority of the table, + SAME_ZONE for a server in the holder's own zone

The lowest merit wins among the live candidates; ties go to another zone, then
by name.  A recorded secondary is left only for one whose merit has been lower
by more than `margin` for all of `dwell_s`: joining or returning moves nothing.

    no better one --past the margin--> waiting --for dwell_s--> proposed --recorded--> no better one
          ^                               |
          +------- within the margin -----+

Every candidate waits for itself, so that two which overtake each other do not
keep both from being chosen.  Holders that would leave the same secondary take
turns, by the names of their services, and each sees in the table where those
before it went: otherwise all would run to the same one, and from it again.
 Changes that follow each other within
`CALM_DWELLS` dwell times double the next one's, up to `LONGEST_BACK_OFF`
times; every such calm halves it again.  The replacement of a secondary that
fell silent is the guard's, and waits for nothing.
"""

from __future__ import annotations

import msgspec

from bus.values import ServerRow, is_server

SAME_ZONE = 50
"""What standing in the holder's zone costs a candidate: as much as half a full load."""

UNKNOWN = 1_000
"""The priority of a server whose load is not known yet: behind all others."""

TURN_S = 1.0
"""Between two that leave the same secondary: a change is in everyone's table by then."""

CALM_DWELLS = 12
"""After so many dwell times, as they then are, without a change of ours the back-off is halved."""

LONGEST_BACK_OFF = 64
"""The dwell time grows to this multiple at most."""


class ChoosingSettings(msgspec.Struct, frozen=True):
    """When a better candidate is worth a change."""

    margin: int = 20  # of priority, which must be exceeded: two tenths of load
    dwell_s: float = 5.0  # it must have been better for so long
    own_promise: int = 5  # what the secondary's priority counts for this very duty


class Choosing:
    """The ranking for one service held here."""

    def __init__(self, settings: ChoosingSettings) -> None:
        self._settings = settings
        self._recorded = ""
        self._better_since: dict[str, float] = {}  # by candidate, while it is past the margin
        self._proposed: str | None = None
        self._changed_at: float | None = None  # when a proposal of ours was recorded
        self._back_off = 1

    def rank(self, service: str, me: str, servers: dict[str, ServerRow]) -> tuple[str, ...]:
        """The live candidates for this service, best first."""
        zone = servers[me].zone if me in servers else None
        able = [row for row in servers.values() if row.name != me and row.state == "up" and service in row.able]
        return tuple(row.name for row in sorted(able, key=lambda row: (merit(row, zone), shares(row, zone), row.name)))

    def better(
        self, ranked: tuple[str, ...], recorded: str, me: str, servers: dict[str, ServerRow], now: float, turn: int = 0
    ) -> str | None:
        """A candidate worth a change of secondary, once it has been so for the dwell time.

        `turn`: how many other services have the same secondary and come first.
        """
        self._follow(recorded, now)
        if not is_server(recorded) or recorded not in ranked or servers[recorded].priority is None:
            self._better_since.clear()
            return None
        zone = servers[me].zone if me in servers else None
        past = [name for name in ranked if name != recorded and self._advantage(name, recorded, zone, servers) > self._settings.margin]
        self._better_since = {name: self._better_since.get(name, now) for name in past}
        ripe = [name for name in past if now - self._better_since[name] >= self._dwell_s + turn * TURN_S]
        self._proposed = ripe[0] if ripe else self._proposed
        return ripe[0] if ripe else None

    @property
    def _dwell_s(self) -> float:
        """As it is now, with the back-off."""
        return self._back_off * self._settings.dwell_s

    def _advantage(self, candidate: str, recorded: str, zone: str | None, servers: dict[str, ServerRow]) -> int:
        """By how much the candidate is better, without what this very duty costs the present one."""
        return merit(servers[recorded], zone) - self._settings.own_promise - merit(servers[candidate], zone)

    def _follow(self, recorded: str, now: float) -> None:
        """Notice a change of secondary, and whether it was of our making."""
        while self._changed_at is not None and now - self._changed_at > CALM_DWELLS * self._dwell_s:
            self._changed_at += CALM_DWELLS * self._dwell_s
            self._back_off //= 2
            if not self._back_off:
                self._back_off, self._changed_at = 1, None
        if recorded == self._recorded:
            return
        if recorded == self._proposed:
            self._back_off = min(2 * self._back_off, LONGEST_BACK_OFF) if self._changed_at is not None else 1
            self._changed_at = now
        self._recorded, self._proposed = recorded, None
        self._better_since.clear()


def merit(row: ServerRow, zone: str | None) -> int:
    """How well this server would stand in for a holder in that zone: lower is better."""
    priority = row.priority if row.priority is not None else UNKNOWN
    return priority + (SAME_ZONE if shares(row, zone) else 0)


def shares(row: ServerRow, zone: str | None) -> bool:
    """Whether this server stands where the holder does; not if either says nothing of its zone."""
    return zone is not None and row.zone == zone
