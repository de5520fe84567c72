"""The loadlevels of the last minutes, for a short line on each card."""

from __future__ import annotations

from collections.abc import Collection

SPAN_S = 300.0
STEP_S = 5.0
"""Between two points."""


class LoadHistory:
    """Instants and levels by server; what is older than `SPAN_S` is forgotten."""

    def __init__(self, ahead_s: float = 0.0) -> None:
        """`ahead_s`: how far the clock by which they are shown is ahead."""
        self.shown: dict[str, tuple[tuple[float, float], ...]] = {}
        """In whole seconds of the clock by which they are shown."""
        self._of: dict[str, tuple[tuple[float, float], ...]] = {}
        self._ahead_s = ahead_s

    def note(self, server: str, level: float | None, now: float) -> None:
        """A loadlevel was heard; one of each `STEP_S` is kept."""
        points = self._of.get(server, ())
        if level is None or (points and now - points[-1][0] < STEP_S):
            return
        kept = tuple(point for point in points if now - point[0] <= SPAN_S)
        self._of[server] = (*kept, (now, round(level, 3)))
        self._show(server)

    def forget(self, known: Collection[str]) -> None:
        """Servers that are not among these are gone."""
        for server in self._of.keys() - set(known):
            del self._of[server], self.shown[server]

    def show_by(self, ahead_s: float) -> None:
        """The clock by which they are shown was set."""
        self._ahead_s = ahead_s
        for server in self._of:
            self._show(server)

    def _show(self, server: str) -> None:
        self.shown[server] = tuple((float(round(at + self._ahead_s)), level) for at, level in self._of[server])
