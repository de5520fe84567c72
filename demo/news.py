"""What the demo tells people: the events that matter, and when all is as in Fig. 2a."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cli.events import written

QUIET = frozenset(
    {"defined", "holding", "starting", "named", "converged", "standing-in", "dismissed", "asking", "stopping", "move-over", "trusted"}
)
"""The kinds of event that the demo does not print, since another tells as much; `locum history` prints all."""


class News:
    """Which events were told already."""

    def __init__(self, since: datetime) -> None:
        """Nothing that happened before `since` is news."""
        self.since = since
        self._told: set[str] = set()

    def fresh(self, events: Iterable[Mapping[str, Any]]) -> list[str]:
        """A line for each event that is new and matters."""
        seen = list(events)
        lines = [
            written(event)
            for event in seen
            if event["id"] not in self._told and event["kind"] not in QUIET and datetime.fromisoformat(event["at"]) >= self.since
        ]
        self._told = {event["id"] for event in seen} | (self._told if not seen else set())
        return lines


def lacking(status: Mapping[str, Any], homes: Mapping[str, str]) -> list[str]:
    """What keeps the cluster from being as in Fig. 2a: every service at home, with a secondary; empty if nothing does."""
    known = {service["name"]: service for service in status["services"]}
    reasons = []
    for name, home in homes.items():
        service = known.get(name)
        if service is None:
            reasons.append(f"{name} is not registered")
        elif service["state"] != "serving" or service["holder"] is None:
            reasons.append(f"{name} is {service['state']}" + (f" ({service['reason']})" if service.get("reason") else ""))
        elif service.get("reason"):
            reasons.append(f"{name}: {service['reason']}")  # it counts as serving, but its holder has not said so
        elif service["holder"] != home:
            reasons.append(f"{name} is served by {service['holder']}")
        elif service["secondary"] is None:
            reasons.append(f"{name} has no secondary")
    return reasons


def ready(status: Mapping[str, Any], seconds: float) -> str:
    """The line that begins `ready`."""
    served = (f"{s['name']} by {s['holder']}, secondary {s['secondary']}, epoch {s['epoch']}" for s in status["services"])
    return f"ready after {seconds:.1f} s: " + "; ".join(served)
