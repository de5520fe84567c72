"""How busy each server is with other things: a level that holds for a while, and then is another one.

A level is drawn evenly from within `spread` of the server's mean, or from as
much as there is room for, so that the mean is exact at the edges too.  It
holds for an exponential time.  With `common` = c, a change is with that chance
one of all servers at once, to the same place within the spread of each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import inf
from random import Random

import msgspec

from simulation.figure3.setting import FULLEST, Setting


class Course(msgspec.Struct, frozen=True):
    """A load over time: `levels[i]` from `times[i]` on."""

    times: tuple[float, ...]  # from 0 on, ascending
    levels: tuple[float, ...]

    def at(self, now: float) -> float:
        """The level at this time."""
        return self.levels[bisect_right(self.times, now) - 1]

    def next_change(self, now: float) -> float:
        """When it is another for the next time; never: infinity."""
        index = bisect_right(self.times, now)
        return self.times[index] if index < len(self.times) else inf

    def pieces(self, begin: float, end: float) -> list[tuple[float, float, float]]:
        """Begin, end and level of each stretch between the two."""
        first = bisect_right(self.times, begin) - 1
        found = []
        for index in range(first, len(self.times)):
            until = self.times[index + 1] if index + 1 < len(self.times) else end
            found.append((max(begin, self.times[index]), min(end, until), self.levels[index]))
            if until >= end:
                break
        return found

    def mean(self, end: float) -> float:
        """Over time, up to then."""
        return sum((until - since) * level for since, until, level in self.pieces(0.0, end)) / end


def courses(setting: Setting, dice: Random) -> tuple[Course, ...]:
    """A course for each mean of the setting."""
    count = len(setting.means)
    times: list[list[float]] = [[0.0] for _ in range(count)]
    places = [[dice.uniform(-1.0, 1.0)] for _ in range(count)]
    if setting.common > 0:
        places = [[places[0][0]] if dice.random() < setting.common else place for place in places]
    for now, who in _changes(setting, count, dice):
        place = dice.uniform(-1.0, 1.0)
        for server in who:
            times[server].append(now)
            places[server].append(place)
    return tuple(
        Course(tuple(times[i]), tuple(_level(setting, mean, place) for place in places[i])) for i, mean in enumerate(setting.means)
    )


def _changes(setting: Setting, count: int, dice: Random) -> list[tuple[float, Sequence[int]]]:
    """When a load changes, and of which servers; each changes once in `hold_s` on average, whatever is common."""
    found: list[tuple[float, Sequence[int]]] = []
    own, all_of_them = (1.0 - setting.common) / setting.hold_s, setting.common / setting.hold_s
    for server in range(count):
        found += [(now, (server,)) for now in _poisson(own, setting.duration_s, dice)]
    found += [(now, range(count)) for now in _poisson(all_of_them, setting.duration_s, dice)]
    return sorted(found, key=lambda change: change[0])


def _poisson(rate: float, end: float, dice: Random) -> list[float]:
    found: list[float] = []
    now = dice.expovariate(rate) if rate > 0 else end
    while now < end:
        found.append(now)
        now += dice.expovariate(rate)
    return found


def _level(setting: Setting, mean: float, place: float) -> float:
    room = max(0.0, min(setting.spread, mean, FULLEST - mean))
    return min(FULLEST, max(0.0, mean + room * place))


def steady(level: float) -> Course:
    """Always the same."""
    return Course((0.0,), (level,))
