"""What is counted for /metrics, from the events that came since the monitor started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from monitor.answers import Event
from monitor.changes import change

FAILOVER_BOUNDS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
GAP_BOUNDS_S = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


class Spread:
    """A histogram: how many values were at most each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.counts[next((i for i, bound in enumerate(self.bounds) if value <= bound), len(self.bounds))] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Each bound with the number of values up to it, as Prometheus has it."""
        sums, number = [], 0
        for bound, count in zip((*(str(bound) for bound in self.bounds), "+Inf"), self.counts, strict=True):
            number += count
            sums.append((bound, float(number)))
        return sums


class Tally:
    """Takeovers, their durations, the gaps in keep-alives that led to them, and refusals."""

    def __init__(self) -> None:
        self.takeovers: Counter[str] = Counter()
        self.moves: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failover_s = Spread(FAILOVER_BOUNDS_S)
        self.gap_s = Spread(GAP_BOUNDS_S)

    def fold(self, event: Event, events: Sequence[Event]) -> None:
        """One new event; `events`: the history up to it."""
        if event.kind == "refused":
            code = event.evidence.get("code")
            self.refused[code if isinstance(code, str) else "other"] += 1
        elif event.kind in ("asking", "lapsed"):
            gap_s = event.seconds("heard_nothing_s")
            if gap_s is not None:
                self.gap_s.add(gap_s)
        elif event.kind == "serving" and event.service is not None and event.epoch is not None:
            self._served(event, events)

    def _served(self, event: Event, events: Sequence[Event]) -> None:
        found = change((*events, event), event.service or "", event.epoch or 0)
        if found is None or found.former is None or found.served is not event:
            return
        if found.sudden:
            self.takeovers[found.service] += 1
            self.failover_s.add(found.took_s or 0.0)
        else:
            self.moves[found.service] += 1
