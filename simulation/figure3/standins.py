"""Who stands in for the primary: always the same (P27), or whom the real choosing and the real arbiter say (P28).

The dynamic model is made of `Smoothed` and `priority`, which make of a load
what the table shows, and of `Choosing`, which ranks and leaves; nothing is
decided here.  Here is only when they are asked.  Machines look every
`LOOK_S`; as long as no load moves, no smoothed level is on its way and nobody
is better by more than the margin, they would answer as before, so the looks
are left out.  tests/figure3 holds the choices against those of whole machines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agent.choosing import Choosing, ChoosingSettings, merit
from agent.loadlevel import Smoothed
from bus.values import ServerRow
from sds.priority import priority
from simulation.figure3.loads import Course
from simulation.figure3.setting import FIRST, PRIMARY, SERVERS, Setting

SERVICE = "www"

LOOK_S = 2.0
"""Between two looks.  Agents look four times as often: who is better for hardly longer than the dwell time may be missed here."""

SETTLED = 0.0005
"""A smoothed level so near to its load moves no tenth any more, but by rounding."""

Chooser = Callable[[ChoosingSettings], Choosing]


class StandIn(Protocol):
    """One of the two models."""

    changes: int  # of secondary, so far

    def at_death(self, begin: float, died_at: float) -> str:
        """Who stands in for a primary that has served since `begin`, and dies."""


class Static:
    """P27: one fixed backup."""

    changes = 0

    def at_death(self, begin: float, died_at: float) -> str:
        """The first."""
        return FIRST


class Dynamic:
    """P28: the best backup at any time."""

    def __init__(self, setting: Setting, courses: tuple[Course, ...], chooser: Chooser = Choosing) -> None:
        """`chooser`: another one may be planted, to see what comes of it."""
        self.changes = 0
        self._settings = setting.choosing
        self._chooser = chooser
        self._backups = {name: Load(course, setting.smoothing_s) for name, course in zip(SERVERS, courses, strict=True) if name != PRIMARY}
        self._rows = {name: row(name, 0) for name in SERVERS}

    def at_death(self, begin: float, died_at: float) -> str:
        """The secondary on record then: appointed at `begin`, and changed since if another was better for long enough."""
        choosing = self._chooser(self._settings)  # the primary's agent has started anew
        self._look(begin, "")
        secondary = choosing.rank(SERVICE, PRIMARY, self._rows)[0]
        now = begin
        while now < died_at:
            self._look(now, secondary)
            ranked = choosing.rank(SERVICE, PRIMARY, self._rows)
            better = choosing.better(ranked, secondary, PRIMARY, self._rows, now)
            if better is not None:
                secondary = better
                self.changes += 1
            now = self._next_look(now, better is not None or self._outdone(secondary))
        return secondary

    def _look(self, now: float, secondary: str) -> None:
        for name, load in self._backups.items():
            rank = priority(load.follow(now), 0, int(name == secondary))
            if rank != self._rows[name].priority:
                self._rows[name] = row(name, rank)

    def _outdone(self, secondary: str) -> bool:
        """Whether another one is better by so much that it may be chosen before long."""
        own = merit(self._rows[secondary], None) - self._settings.own_promise
        return any(own - merit(self._rows[name], None) > self._settings.margin for name in self._backups if name != secondary)

    def _next_look(self, now: float, open_: bool) -> float:
        change = min(load.course.next_change(now) for load in self._backups.values())
        if open_ or not all(load.settled for load in self._backups.values()):
            return min(now + LOOK_S, change)
        return change


class Load:
    """A server's load as its agent reports it."""

    def __init__(self, course: Course, smoothing_s: float) -> None:
        self.course = course
        self._smoothed = Smoothed(smoothing_s)
        self._seen_until = 0.0
        self._smoothed.follow(course.levels[0], 0.0)

    def follow(self, now: float) -> float:
        """The loadlevel at this time, which is not before that of the last call."""
        for _, until, level in self.course.pieces(self._seen_until, now):
            self._smoothed.follow(level, until)
        self._seen_until = now
        return round(self._smoothed.level, 2)

    @property
    def settled(self) -> bool:
        """The loadlevel is what the load has come to."""
        return abs(self._smoothed.level - self.course.at(self._seen_until)) < SETTLED


def row(name: str, rank: int, able: tuple[str, ...] = (SERVICE,)) -> ServerRow:
    """A live server with this priority."""
    return ServerRow(name=name, address=name, peer_port=5760, public_key="", incarnation=1, state="up", priority=rank, able=able)


MODELS = ("static", "dynamic")
"""Of the paper: P27, P28."""


def stand_in(model: str, setting: Setting, courses: tuple[Course, ...]) -> StandIn:
    """The model of that name."""
    return Static() if model == "static" else Dynamic(setting, courses)
