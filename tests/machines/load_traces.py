"""Servers whose load follows a trace, from the measure to the choice: smoothing, priority, choosing (P9, P11, P21)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from agent.choosing import Choosing, ChoosingSettings
from agent.loadlevel import Smoothed
from bus.values import ServerRow
from sds.priority import priority

EVERY_S = 0.5
"""Between two loadlevels."""

Trace = Callable[[float], float]


class Course:
    """What became of the secondary of www, which http holds."""

    def __init__(self, traces: Mapping[str, Trace], secondary: str, settings: ChoosingSettings | None = None) -> None:
        self.traces = traces
        self.secondary = secondary
        self.changes: list[tuple[float, str]] = []
        self._now = 0.0
        self._choosing = Choosing(settings or ChoosingSettings())
        self._smoothed: dict[str, Smoothed] = {}

    def run(self, until_s: float) -> list[tuple[float, str]]:
        """The changes of secondary until then: when, and to whom."""
        while self._now < until_s:
            servers = {"http": row("http", 0)}
            for name, trace in self.traces.items():
                level = round(self._smoothed.setdefault(name, Smoothed()).follow(trace(self._now), self._now), 2)
                servers[name] = row(name, priority(level, 1, 1 if name == self.secondary else 0))
            ranked = self._choosing.rank("www", "http", servers)
            better = self._choosing.better(ranked, self.secondary, "http", servers, self._now)
            if better is not None:
                self.secondary = better
                self.changes.append((self._now, better))
            self._now += EVERY_S
        return self.changes


class Herd:
    """As many services, each held by a server of its own, all with the same idle secondary, zz; everyone sees one table."""

    def __init__(self, count: int) -> None:
        self.holders = {f"s{number:02}": f"h{number:02}" for number in range(count)}
        self.secondary = dict.fromkeys(self.holders, "zz")
        self.loads = dict.fromkeys([*self.holders.values(), "zz"], 0.0)
        self.changes: list[tuple[float, str, str]] = []
        self._now = 0.0
        self._choosing = {service: Choosing(ChoosingSettings()) for service in self.holders}

    def run(self, until_s: float) -> None:
        """Time passes; who changes is seen by the others at the next look."""
        while self._now < until_s:
            promised = Counter(self.secondary.values())
            servers = {
                name: row(name, priority(load, int(name != "zz"), promised[name]), tuple(self.holders)) for name, load in self.loads.items()
            }
            before = dict(self.secondary)
            for service, holder in self.holders.items():
                choosing, recorded = self._choosing[service], before[service]
                turn = sum(other < service and secondary == recorded for other, secondary in before.items())
                better = choosing.better(choosing.rank(service, holder, servers), recorded, holder, servers, self._now, turn)
                if better is not None:
                    self.secondary[service] = better
                    self.changes.append((self._now, service, better))
            self._now += EVERY_S


def row(name: str, rank: int, able: tuple[str, ...] = ("www",)) -> ServerRow:
    """A live server with this priority."""
    return ServerRow(name=name, address=name, peer_port=5760, public_key="k", incarnation=1, state="up", priority=rank, able=able)


def steady(level: float) -> Trace:
    """Always the same."""
    return lambda _: level


def step(before: float, after: float, at_s: float) -> Trace:
    """One level, and from `at_s` on another."""
    return lambda now: before if now < at_s else after


def ramp(low: float, high: float, over_s: float) -> Trace:
    """From one level to another in that time."""
    return lambda now: low + (high - low) * min(1.0, now / over_s)


def square(low: float, high: float, half_period_s: float, high_first: bool) -> Trace:
    """By turns one and the other."""
    return lambda now: high if (now // half_period_s % 2 == 0) is high_first else low
