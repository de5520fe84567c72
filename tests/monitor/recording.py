"""A cluster as its SDS told of it: www taken over and back, moved, and a drain, recorded at a demo; folded into a view."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bus.messages import Table, TableUpdate
from monitor.feed import events
from monitor.state import Delta, Snapshot
from monitor.view import View

RECORDED = Path(__file__).with_name("recorded.jsonl")


def recorded() -> Iterator[tuple[float, str, dict[str, Any]]]:
    """When, which message, and its fields."""
    for line in RECORDED.read_text().splitlines():
        at, kind, message = json.loads(line)
        yield at, kind, message


def feed(view: View, at: float, kind: str, message: dict[str, Any]) -> str:
    """One message; what came of it."""
    if kind == "Table":
        view.take_table(msgspec.convert(message, Table), at)
    elif kind == "TableUpdate":
        return view.follow(msgspec.convert(message, TableUpdate), at)
    elif kind == "Status":
        view.take_status(message["status"], at)
    else:
        view.take_history(events(message["events"]), at)
    return ""


class Played:
    """The whole recording, with a push after each message."""

    def __init__(self) -> None:
        messages = list(recorded())
        self.began_at, self.ended_at = messages[0][0], messages[-1][0]
        self.view = View("demo", self.began_at)
        self.first = self.view.snapshot(self.began_at)
        self.deltas: list[Delta] = []
        for at, kind, message in messages:
            feed(self.view, at, kind, message)
            delta = self.view.delta(at)
            if delta is not None:
                self.deltas.append(delta)

    @property
    def last(self) -> Snapshot:
        return self.view.snapshot(self.ended_at)


def patched(page: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """What a page makes of a delta."""
    assert delta["version"] == page["version"] + 1
    fresh = dict(page) | {"version": delta["version"]}
    for key in ("servers", "services"):
        rows = dict(page[key])
        for name, row in (delta.get(key) or {}).items():
            if row is None:
                del rows[name]
            else:
                rows[name] = row
        fresh[key] = rows
    fresh["head"] = delta.get("head") or page["head"]
    fresh["passages"] = delta["passages"] if "passages" in delta else page["passages"]
    fresh["events"] = (page["events"] + delta.get("events", []))[-300:]
    return fresh


def as_sent(value: Any) -> Any:
    """Through JSON, as a browser gets it."""
    return json.loads(msgspec.json.encode(value))
