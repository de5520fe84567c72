"""Beyond the paper: what margin, dwell time, smoothing and the counting of duties bring; the defaults follow from it."""

from __future__ import annotations

import pytest

from agent.choosing import ChoosingSettings
from agent.loadlevel import SMOOTHING_S
from bus.config import AgentConfig, SdsAddress
from simulation.figure3.crowd import pile
from simulation.figure3.economy import Measured, measured, price

DEFAULT = ChoosingSettings()
BEFORE_S = 5.0
"""A smoothing that is too short."""


@pytest.fixture(scope="module")
def days() -> list[Measured]:
    return [measured(seed) for seed in range(3)]


def test_the_defaults_are_those_of_the_settings() -> None:
    """What the studies call default is what an agent does that is told nothing else."""
    config = AgentConfig(
        cluster="c", name="n", address="192.0.2.1", state_dir="d", key_file="k", sds=SdsAddress(address="192.0.2.2", public_key_file="k")
    )
    assert (config.margin, config.dwell_s) == (DEFAULT.margin, DEFAULT.dwell_s)
    assert config.load_smoothing_s == SMOOTHING_S


def test_the_smoothing_spares_needless_changes_at_little_cost(days: list[Measured]) -> None:
    """Against a quarter of it: a quarter of the needless changes at most, a twentieth of load worse at most."""
    short, long = price(days, DEFAULT, BEFORE_S), price(days, DEFAULT, SMOOTHING_S)
    assert short.needless_per_h > 2 and long.needless_per_h < short.needless_per_h / 4
    assert long.changes_per_h < short.changes_per_h
    assert long.excess < short.excess + 0.05


def test_margin_and_dwell_time_trade_changes_for_load(days: list[Measured]) -> None:
    """More of either: fewer changes, and a worse secondary."""
    few = price(days, ChoosingSettings(margin=40, dwell_s=60.0), SMOOTHING_S)
    default = price(days, DEFAULT, SMOOTHING_S)
    many = price(days, ChoosingSettings(margin=10, dwell_s=1.0), SMOOTHING_S)
    assert few.changes_per_h < default.changes_per_h < many.changes_per_h
    assert few.excess > default.excess > many.excess
    assert default.needless_per_h < 1.0


@pytest.mark.parametrize("count", [10, 50])
def test_duties_that_count_keep_a_crowd_from_piling_up(count: int) -> None:
    """One of them is idle: by load alone it is the secondary of all, and when its load rises all run to the next one."""
    counted, alone = pile(count, True, 0), pile(count, False, 0)
    assert alone.most == alone.most_then == count - 1
    assert counted.most <= 10 and counted.most_then <= 10
    assert counted.left == counted.most and counted.idle < alone.idle
