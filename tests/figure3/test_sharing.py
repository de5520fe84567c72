"""Checked against theory: failures off, loads constant; the simulated mean is the formula's."""

from __future__ import annotations

from math import inf
from random import Random

import msgspec
import pytest

from simulation.figure3.day import live, weather
from simulation.figure3.estimates import estimate
from simulation.figure3.machines import Outages
from simulation.figure3.requests import Requests, requests, sizes
from simulation.figure3.setting import Setting, Size
from simulation.figure3.sharing import Sharing, mean_response_s

SEEDS = 8
NEVER = Outages((1.0,), (1.0,))
QUIET = Setting(hours=4.0, failures_per_h=0.0, spread=0.0)


def simulated(setting: Setting) -> list[float]:
    """The mean response of each seed."""
    return [live(weather(setting, NEVER, seed), "static").mean_s for seed in range(SEEDS)]


@pytest.mark.parametrize("occupation", [0.1, 0.5, 0.8])
def test_an_idle_server_is_m_m_1(occupation: float) -> None:
    """The mean of M/M/1, service / (1 - occupation), is within the confidence interval."""
    setting = msgspec.structs.replace(QUIET, means=(0.0, 0.0, 0.0), arrivals_per_s=5.0, service_s=occupation / 5.0)
    found = estimate(simulated(setting))
    assert found.low <= setting.service_s / (1 - occupation) <= found.high
    assert found.half_width < 0.2 * found.mean


@pytest.mark.parametrize("size", ["constant", "exponential", "heavy"])
@pytest.mark.parametrize("load", [0.0, 0.6])
def test_sharing_is_insensitive_to_the_law_of_sizes(size: Size, load: float) -> None:
    """The mean of M/G/1-PS, beside a constant load too, depends on the mean size alone."""
    setting = msgspec.structs.replace(QUIET, means=(load, load, load), size=size, arrivals_per_s=4.0, service_s=0.1)
    found = estimate(simulated(setting))
    assert found.low <= mean_response_s(0.1, 0.4, load) <= found.high


def test_requests_share_evenly() -> None:
    """Two of a second each, half a second apart on an idle server: each slows the other."""
    sharing = Sharing(Requests([0.0, 0.5], [1.0, 1.0]))
    sharing.serve(0.0, inf, 0.0)
    assert sharing.responses == [(0.0, pytest.approx(1.5)), (0.5, pytest.approx(1.5))]


def test_a_load_slows_and_a_change_of_load_is_felt_at_once() -> None:
    """Alone beside a load of a half: half the speed; from the second on alone, the full one."""
    sharing = Sharing(Requests([0.0], [2.0]))
    sharing.serve(0.0, 2.0, 0.5)
    sharing.serve(2.0, inf, 0.0)
    assert sharing.responses == [(0.0, pytest.approx(3.0))]


def test_an_outage_is_waited_out_and_what_was_begun_begins_anew() -> None:
    """Served for one of two seconds when the server dies; another one comes while nobody serves."""
    sharing = Sharing(Requests([0.0, 3.0], [2.0, 1.0]))
    sharing.serve(0.0, 1.0, 0.0)
    sharing.lose()
    sharing.serve(5.0, inf, 0.0)
    assert sharing.responses == [(3.0, pytest.approx(4.0)), (0.0, pytest.approx(8.0))]


@pytest.mark.parametrize("law", ["constant", "exponential", "heavy"])
def test_sizes_have_their_mean(law: Size) -> None:
    found = estimate([sum(sizes(law, 0.25, 100_000, Random(seed))) / 100_000 for seed in range(SEEDS)])
    assert abs(found.mean - 0.25) <= max(found.half_width, 1e-9)


def test_requests_come_as_often_as_they_should() -> None:
    setting = Setting(hours=10.0, arrivals_per_s=2.0)
    drawn = requests(setting, Random(1))
    assert drawn.at == sorted(drawn.at) and 71_000 < len(drawn.at) < 73_000
