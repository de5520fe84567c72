"""An event of the history as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bus.timeline import Transition, line


def clock_of(event: Mapping[str, Any]) -> str:
    """The event's time in this machine's zone, to the millisecond."""
    return datetime.fromisoformat(event["at"]).astimezone().strftime("%H:%M:%S.%f")[:-3]


def written(event: Mapping[str, Any]) -> str:
    """An event of the history as one line."""
    transition = Transition(
        kind=event["kind"], server=event.get("server"), service=event.get("service"), epoch=event.get("epoch"), text=event.get("text", "")
    )
    return line(transition, clock_of(event))
