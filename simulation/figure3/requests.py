"""Clients' requests: when they come, and how much there is to do for each.

exponential  the mean of M/M/1
constant     every request is alike
heavy        Pareto with a tail of ALPHA, cut at LONGEST means: most requests are short, and half of
             the work is in few of them; the mean is the same
"""

from __future__ import annotations

import math
from random import Random

import msgspec

from simulation.figure3.setting import Setting, Size

ALPHA = 1.4
"""Of the heavy tail: between the 1.0 and 1.5 that are usual for what web servers send (Crovella and Bestavros, 1997)."""

LONGEST = 1_000.0
"""The longest request, in shortest ones."""


class Requests(msgspec.Struct, frozen=True):
    """All requests of one experiment, in order."""

    at: list[float]
    work_s: list[float]  # on an idle server


def requests(setting: Setting, dice: Random) -> Requests:
    """Poisson arrivals with sizes of the setting's law."""
    gap, rate, end = dice.expovariate, setting.arrivals_per_s, setting.duration_s
    at: list[float] = []
    now = gap(rate)
    while now < end:
        at.append(now)
        now += gap(rate)
    return Requests(at, sizes(setting.size, setting.service_s, len(at), dice))


def sizes(law: Size, mean_s: float, count: int, dice: Random) -> list[float]:
    """So many sizes with this mean."""
    if law == "constant":
        return [mean_s] * count
    if law == "exponential":
        draw, rate = dice.expovariate, 1.0 / mean_s
        return [draw(rate) for _ in range(count)]
    shortest = mean_s / _pareto_mean()
    rest = 1.0 - math.pow(LONGEST, -ALPHA)
    uniform, power = dice.random, -1.0 / ALPHA
    return [shortest * (1.0 - rest * uniform()) ** power for _ in range(count)]


def _pareto_mean() -> float:
    """Of the bounded Pareto law whose shortest is 1."""
    return ALPHA / (ALPHA - 1.0) * (1.0 - math.pow(LONGEST, 1.0 - ALPHA)) / (1.0 - math.pow(LONGEST, -ALPHA))
