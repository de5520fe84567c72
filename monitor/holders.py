"""Exactly one holder for each service: what the history says against it.

The SDS grants each epoch once, so two can serve at once only if one of them
goes on under an epoch that is over.  That never happens, unless a rule was
broken; so it is looked for, always.
"""

from __future__ import annotations

import msgspec

from monitor.answers import Event

SHOWN_S = 600.0
"""A banner that nothing has ended stays for this long."""

_SERVES = frozenset({"serving", "continued"})
_ENDS = frozenset({"released", "lapsed", "stopping", "unheld"})


class _Served(msgspec.Struct, frozen=True):
    epoch: int
    server: str
    at: float


class Holders:
    """Who was heard to serve each service last, and who besides."""

    def __init__(self) -> None:
        self._granted: dict[str, _Served] = {}
        self._twice: dict[str, tuple[_Served, str]] = {}

    def fold(self, event: Event, exclusive: bool) -> None:
        """One event of the history, in order."""
        if event.service is None or event.server is None or event.epoch is None:
            return
        told = _Served(event.epoch, event.server, event.at)
        known = self._granted.get(event.service)
        if event.kind == "granted":
            if known is not None and known.epoch == told.epoch and known.server != told.server:
                text = f"{event.service} was granted twice under epoch {told.epoch}: to {known.server} and to {told.server}"
                self._mark(event.service, told, text)
            if known is None or told.epoch >= known.epoch:
                self._granted[event.service] = told
        elif event.kind in _SERVES and known is not None and exclusive and told.server != known.server and told.epoch <= known.epoch:
            text = f"{event.service} may be served twice: by {told.server} under epoch {told.epoch}, and {known.server} has {known.epoch}"
            self._mark(event.service, told, text)
        elif event.kind in _ENDS:
            marked = self._twice.get(event.service)
            if marked is not None and marked[0].server == told.server:
                del self._twice[event.service]

    def twice(self, newest_at: float) -> tuple[str, ...]:
        """A sentence for each service that may have two holders; `newest_at`: now, by the SDS's wall clock."""
        self._twice = {name: found for name, found in self._twice.items() if newest_at - found[0].at < SHOWN_S}
        return tuple(text for _, text in self._twice.values())

    def _mark(self, service: str, told: _Served, text: str) -> None:
        self._twice[service] = (told, text)
