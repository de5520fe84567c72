"""The loadlevels of the last minutes, for a short line on each card."""

from __future__ import annotations

from collections.abc import Collection

SPAN_S = 300.0
STEP_S = 5.0
"""Between two points."""


class LoadHistory:
    """Instants and levels by server; what is older than `SPAN_S` is forgotten."""

    def __init__(self) -> None:
        self.of: dict[str, tuple[tuple[float, float], ...]] = {}

    def note(self, server: str, level: float | None, now: float) -> None:
        """A loadlevel was heard; one of each `STEP_S` is kept."""
        points = self.of.get(server, ())
        if level is None or (points and now - points[-1][0] < STEP_S):
            return
        kept = tuple(point for point in points if now - point[0] <= SPAN_S)
        self.of[server] = (*kept, (float(round(now)), round(level, 3)))

    def forget(self, known: Collection[str]) -> None:
        """Servers that are not among these are gone."""
        for server in self.of.keys() - set(known):
            del self.of[server]
