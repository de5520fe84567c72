"""What a better secondary costs in changes: margin, dwell time and smoothing, against loads that tremble.

One holder, three candidates.  Each candidate's load is a level that lasts, as
in loads.py, and on top of it what does not last: a trembling from one look to
the next, and now and then a peak of some seconds.  Only the level is worth
following.  What is counted, an hour: the changes of secondary, and by how much
of load the secondary is worse than the best candidate, on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from random import Random

import msgspec

from agent.choosing import Choosing, ChoosingSettings
from agent.loadlevel import Smoothed
from bus.config import Timing
from sds.priority import priority
from simulation.figure3.loads import Course, courses
from simulation.figure3.setting import HOUR_S, Setting
from simulation.figure3.standins import SERVICE, row

HOLDER = "primary"
CANDIDATES = ("first", "second", "third")
LOADS = Setting(hours=2.0, means=(0.4, 0.4, 0.4), spread=0.35, hold_s=900.0)
"""Levels from 0.05 to 0.75, which last a quarter of an hour on average."""

TREMBLING = 0.08
"""The standard deviation of what passes at once."""

TREMBLES_S = 2.0
"""After so long it is another."""

PEAK = 0.5
PEAK_S = 4.0
"""So high, and so long on average, is a peak ..."""

PEAK_EVERY_S = 60.0
"""... which comes so often: a job that cron starts, a page that many open."""

NEEDLESS = 0.1
"""A tenth of load: the least that a priority shows."""

STEP_S = Timing.calm().loadlevel_s
"""Between two looks: as often as agents report."""


class Price(msgspec.Struct, frozen=True):
    """One choice of settings, over all seeds."""

    margin: int
    dwell_s: float
    smoothing_s: float
    changes_per_h: float
    needless_per_h: float
    excess: float  # of the secondary's lasting load over the least, on average over time


class Trembling:
    """What does not last of one server's load."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._noise = 0.0
        self._peak_until = 0.0
        self._peak_at = dice.expovariate(1.0 / PEAK_EVERY_S)
        self._kept = exp(-STEP_S / TREMBLES_S)

    def at(self, now: float) -> float:
        """To be asked once each step."""
        fresh = TREMBLING * (1.0 - self._kept**2) ** 0.5
        self._noise = self._kept * self._noise + self._dice.gauss(0.0, fresh)
        if now >= self._peak_at:
            self._peak_until = now + self._dice.expovariate(1.0 / PEAK_S)
            self._peak_at = self._peak_until + self._dice.expovariate(1.0 / PEAK_EVERY_S)
        return self._noise + (PEAK if now < self._peak_until else 0.0)


class Measured(msgspec.Struct, frozen=True):
    """The loads of one seed, look by look: those that last, and those that are measured."""

    lasting: list[tuple[float, ...]]
    seen: list[tuple[float, ...]]


def measured(seed: int) -> Measured:
    """The same for all settings."""
    dice = Random(f"economy {seed}")
    lasting: list[Course] = list(courses(LOADS, dice))
    trembling = [Trembling(Random(f"trembling {seed} {name}")) for name in CANDIDATES]
    levels, seen = [], []
    for step in range(int(LOADS.duration_s / STEP_S)):
        now = step * STEP_S
        level = tuple(course.at(now) for course in lasting)
        levels.append(level)
        seen.append(tuple(min(1.0, max(0.0, load + more.at(now))) for load, more in zip(level, trembling, strict=True)))
    return Measured(levels, seen)


def price(days: Sequence[Measured], settings: ChoosingSettings, smoothing_s: float) -> Price:
    """What these settings cost, and what they bring."""
    changes, needless, excess, steps = 0, 0, 0.0, 0
    for day in days:
        more, vain, worse = _follow(day, settings, smoothing_s)
        changes += more
        needless += vain
        excess += worse
        steps += len(day.seen)
    hours = steps * STEP_S / HOUR_S
    return Price(settings.margin, settings.dwell_s, smoothing_s, changes / hours, needless / hours, excess / steps)


def _follow(day: Measured, settings: ChoosingSettings, smoothing_s: float) -> tuple[int, int, float]:
    choosing = Choosing(settings)
    smoothed = [Smoothed(smoothing_s) for _ in CANDIDATES]
    rows = {name: row(name, 0) for name in (HOLDER, *CANDIDATES)}
    secondary, changes, needless, excess = CANDIDATES[0], 0, 0, 0.0
    for step, (lasting, seen) in enumerate(zip(day.lasting, day.seen, strict=True)):
        now = step * STEP_S
        for name, load, level in zip(CANDIDATES, smoothed, seen, strict=True):
            rank = priority(round(load.follow(level, now), 2), 0, int(name == secondary))
            if rank != rows[name].priority:
                rows[name] = row(name, rank)
        better = choosing.better(choosing.rank(SERVICE, HOLDER, rows), secondary, HOLDER, rows, now)
        if better is not None:
            needless += lasting[CANDIDATES.index(secondary)] - lasting[CANDIDATES.index(better)] < NEEDLESS
            secondary = better
            changes += 1
        excess += lasting[CANDIDATES.index(secondary)] - min(lasting)
    return changes, needless, excess


MARGINS = (10, 15, 20, 30, 40)
DWELLS_S = (1.0, 5.0, 20.0, 60.0)
SMOOTHINGS_S = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0)
