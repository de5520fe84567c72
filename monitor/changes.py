"""A change of holder, found in the history: from the first sign of it to the new holder's secondary.

asking | move, release-asked, stopping, released -> granted -> serving -> recorded
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.answers import Event

SETTLED_S = 0.5
"""After the new holder's secondary is on record, this much may still be told of the change, since events cross on their way."""

SUDDEN = frozenset({"asked", "returned", "unbacked", "vouched", "both-silent"})
"""Grounds of a grant for which the former holder did nothing: it was silent."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Who got a service from whom, and the events that tell of it."""

    granted: Event
    asked: Event | None = None  # its stand-in no longer heard the holder
    move: Event | None = None  # a planned move was begun
    stopping: Event | None = None  # the former holder began to stop it
    served: Event | None = None  # it answers at the new holder
    events: tuple[Event, ...] = ()  # of this service, those of the next change left out

    @property
    def service(self) -> str:
        """What changed hands."""
        return self.granted.service or ""

    @property
    def epoch(self) -> int:
        """The new one."""
        return self.granted.epoch or 0

    @property
    def holder(self) -> str | None:
        """The new one."""
        return self.granted.server

    @property
    def former(self) -> str | None:
        """The former holder; None if there was none."""
        return self.granted.names("from")

    @property
    def ground(self) -> str:
        """Why the SDS granted it."""
        return str(self.granted.evidence.get("ground", ""))

    @property
    def sudden(self) -> bool:
        """Whether the former holder fell silent; else it gave the service up."""
        return self.ground in SUDDEN

    @property
    def absent_at(self) -> float:
        """From when the service was not served, as far as the events tell."""
        if self.sudden:
            return self.asked.at - self.silent_s if self.asked else self.granted.at
        return self.stopping.at if self.stopping else self.granted.at

    @property
    def silent_s(self) -> float:
        """How long the secondary had heard nothing when it asked."""
        return (self.asked.seconds("heard_nothing_s") if self.asked else None) or 0.0

    @property
    def took_s(self) -> float | None:
        """How long the service was not served; None while it is not."""
        return max(0.0, self.served.at - self.absent_at) if self.served else None


def change(events: Sequence[Event], service: str, epoch: int) -> Change | None:
    """The change that began this epoch; None if the events do not reach back to its grant."""
    about = _in_order([event for event in events if event.service == service], epoch)
    at = next((i for i in reversed(range(len(about))) if about[i].kind == "granted" and about[i].epoch == epoch), None)
    if at is None:
        return None
    granted = about[at]
    begin = next((i + 1 for i in reversed(range(at)) if about[i].kind == "granted"), 0)
    end = next((i for i in range(at + 1, len(about)) if about[i].kind in ("granted", "asking", "move")), len(about))
    before, after = about[begin:at], about[at + 1 : end]
    sudden = granted.evidence.get("ground") in SUDDEN
    return Change(
        granted=granted,
        asked=_last(before, "asking") if sudden else None,
        move=None if sudden else _last(before, "move"),
        stopping=None if sudden else _last(before, "stopping", "finishing"),
        served=next((event for event in after if event.kind == "serving" and event.epoch == epoch), None),
        events=(*_signs(before, sudden), granted, *_until_settled(after, epoch)),
    )


def _in_order(about: list[Event], epoch: int) -> list[Event]:
    """That a secondary asked may be told only after the grant that answered it: whoever asks names the epoch before."""
    at = next((i for i, event in enumerate(about) if event.kind == "granted" and event.epoch == epoch), len(about))
    late = [event for event in about[at:] if event.kind == "asking" and event.epoch is not None and event.epoch < epoch]
    return [*about[:at], *late, *(event for event in about[at:] if event not in late)]


def _until_settled(after: Sequence[Event], epoch: int) -> Sequence[Event]:
    """The events that still belong to it: until a secondary of the new holder is on record."""
    recorded = next((event for event in after if event.kind == "recorded" and event.epoch == epoch), None)
    return [event for event in after if recorded is None or event.at <= recorded.at + SETTLED_S]


def _signs(before: Sequence[Event], sudden: bool) -> Sequence[Event]:
    """The events before the grant that belong to it: from its first sign on."""
    first = ("asking",) if sudden else ("move", "release-asked", "stopping", "finishing", "released")
    begin = len(before)
    for i in reversed(range(len(before))):
        if before[i].kind in first:
            begin = i
        if before[i].kind in ("asking", "move"):
            break
    return before[begin:]


def _last(events: Sequence[Event], *kinds: str) -> Event | None:
    return next((event for event in reversed(events) if event.kind in kinds), None)
