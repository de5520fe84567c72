"""What the experiment lets `Choosing` and `priority` decide is what whole machines do: guards, runners and an SDS."""

from __future__ import annotations

from random import Random

import pytest

from bus.config import Timing
from simulation.figure3.loads import Course, courses
from simulation.figure3.machines import outages, recorded
from simulation.figure3.setting import FIRST, SECOND, Setting
from simulation.figure3.standins import Dynamic

APART_S = 4.0
"""A change comes this much sooner or later: by clocks, messages on their way, and the looks that are left out.

In the lives of these seeds nobody is better for just about the dwell time, which a look sooner or later would decide.
"""

SETTING = Setting(means=(0.3, 0.5, 0.5), spread=0.45, hold_s=90.0, hours=0.2)


def chosen(setting: Setting, drawn: tuple[Course, ...], at: float) -> str:
    """Whom the experiment has as secondary then."""
    return Dynamic(setting, drawn).at_death(1.5, at)


@pytest.mark.parametrize("seed", [6, 10])
def test_the_same_loads_lead_to_the_same_secondaries(seed: int) -> None:
    drawn = courses(SETTING, Random(seed))
    until = SETTING.duration_s
    real = recorded(seed, {FIRST: drawn[1], SECOND: drawn[2]}, until, SETTING.smoothing_s)
    assert len(real) >= 3, f"too little happens in this life: {real}"
    changes = [at for at, _ in real]
    for at in range(10, int(until), 5):
        if all(abs(at - change) > APART_S for change in changes):
            on_record = [name for since, name in real if since <= at][-1]
            assert chosen(SETTING, drawn, float(at)) == on_record, f"at {at} s; on record: {real}"


def test_outages_are_those_of_the_machines() -> None:
    """Each takeover within the bound of the timing, and each the same again."""
    found = outages(3)
    limit_s = Timing.calm().outage_bound_s(0.6)
    assert all(0.3 < taken <= limit_s for taken in found.takeover_s)
    assert all(0.0 < back < limit_s for back in found.failback_s)
    assert outages(3) == found
