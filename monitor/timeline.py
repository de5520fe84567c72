"""The history as the monitor keeps it, and what follows from each event that is new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bus.timeline import concerns
from monitor.answers import Event, ServiceTold, place
from monitor.holders import Holders
from monitor.sequence import has_sequence
from monitor.state import EventShown
from monitor.tally import Tally
from monitor.wording import plain

KEPT = 5_000
"""Events that are kept, at most."""

SHOWN = 300
"""Events that a page gets with its snapshot."""


class Timeline:
    """Events in their order, each once."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.shown: list[EventShown] = []
        self.holders = Holders()
        self.tally = Tally()
        self._fresh: list[EventShown] = []
        self._complete = False  # whether a first answer came: what follows it is news

    def fold(self, events: Iterable[Event], services: Mapping[str, ServiceTold]) -> bool:
        """An answer to a question about the history; True if there was news in it."""
        newest = self.events[-1].place if self.events else ()
        news = [event for event in events if event.place > newest]
        for event in news:
            shown = _shown(event, self.events)
            self.shown.append(shown)
            self._fresh.append(shown)
            service = services.get(event.service or "")
            self.holders.fold(event, service is None or service.exclusive)
            if self._complete:
                self.tally.fold(event, self.events)
            self.events.append(event)
        del self.events[: -KEPT or None], self.shown[:-SHOWN], self._fresh[:-SHOWN]
        self._complete = True
        return bool(news)

    def fresh(self) -> tuple[EventShown, ...]:
        """Those that were not asked for before."""
        found, self._fresh = tuple(self._fresh), []
        return found

    def twice(self) -> tuple[str, ...]:
        """Services that may have two holders, a sentence each."""
        return self.holders.twice(self.events[-1].at) if self.events else ()

    def page(self, limit: int, before: str | None, service: str | None, server: str | None) -> tuple[list[Event], str | None]:
        """The newest events before that id, oldest first, and the id before which to go on; None at the end of what is kept."""
        until = place(before) if before is not None else None
        found: list[Event] = []
        for event in reversed(self.events):
            if until is not None and event.place >= until:
                continue
            if not concerns(_raw(event), service, server):
                continue
            if len(found) == limit:
                return found[::-1], found[-1].id
            found.append(event)
        return found[::-1], None


def _raw(event: Event) -> dict[str, object]:
    return {"service": event.service, "server": event.server, "evidence": event.evidence}


def _shown(event: Event, before: list[Event]) -> EventShown:
    return EventShown(
        id=event.id,
        at=event.at,
        kind=event.kind,
        service=event.service,
        server=event.server,
        epoch=event.epoch,
        text=plain(event, before),
        evidence=event.evidence,
        sequence=has_sequence(event),
    )
