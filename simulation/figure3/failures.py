"""When the primary dies and returns: P26, at random, the more often the higher its load."""

from __future__ import annotations

from random import Random

import msgspec

from simulation.figure3.loads import Course
from simulation.figure3.setting import HOUR_S, MOST_FACTOR, Setting, failures_per_s


class Absence(msgspec.Struct, frozen=True):
    """The primary is dead from one instant to the other; who stands in takes some time, and handing back takes some."""

    died_at: float
    returned_at: float
    takeover_s: float
    failback_s: float


def absences(
    setting: Setting, primary: Course, takeovers_s: tuple[float, ...], failbacks_s: tuple[float, ...], dice: Random
) -> list[Absence]:
    """All of one experiment; what a takeover takes is drawn from what the real machines took."""
    found: list[Absence] = []
    if setting.failures_per_h <= 0:
        return found
    now, most = 0.0, setting.failures_per_h / HOUR_S * MOST_FACTOR
    while True:
        now += dice.expovariate(most)
        if now >= setting.duration_s:
            return found
        if dice.random() * most >= failures_per_s(setting, primary.at(now)):
            continue
        returned_at = now + dice.expovariate(1.0 / setting.recovery_s)
        found.append(Absence(now, returned_at, dice.choice(takeovers_s), dice.choice(failbacks_s)))
        now = returned_at
