"""Which events of the history somebody asked for."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from bus.messages import HistoryRequest
from bus.timeline import concerns
from sds.rows import Event


class Wanted:
    """A question, as a filter of stored events."""

    def __init__(self, question: HistoryRequest, wall_clock: datetime) -> None:
        """`wall_clock`: the time of day, which the stored events bear too."""
        self._service, self._server = question.service, question.server
        self._everything = question.service is None and question.server is None and question.since_s is None
        self._since = None if question.since_s is None else _earlier(wall_clock, question.since_s)

    def __call__(self, event: Event) -> bool | None:
        """Whether it is asked for; None: it is too old, and so are all before it."""
        if self._everything:
            return True
        shown = msgspec.json.decode(event.payload)
        if self._since is not None and datetime.fromisoformat(shown["at"]) < self._since:
            return None
        return concerns(shown, self._service, self._server)


def _earlier(wall_clock: datetime, seconds: float) -> datetime | None:
    try:
        return wall_clock - timedelta(seconds=seconds)
    except OverflowError:
        return None  # before the calendar began: everything is later
